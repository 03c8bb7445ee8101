"""Log streams: console lines of a replica's container and system events of an app, followed with a token of getAuthToken."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.identity import verify
from sidecar.localcloud.door.log_queries import log_query_routes
from sidecar.localcloud.door.prices import price_routes
from sidecar.localcloud.door.responses import error_response
from sidecar.localcloud.runtime.logs import Line, Log, console_time, preamble_event

_APP = "/subscriptions/{subscription}/resourceGroups/{group}/containerApps/{app}"
_SILENCE = 60
"""Seconds without a line after which a stream says that it is alive."""
_SILENCES = 3
"""A stream ends after so many of these; who wants more connects again."""


@dataclass(frozen=True)
class Found:
    """A log, and the lines with which its stream begins."""

    log: Log
    opening: Sequence[str]


def log_streams_app(cloud: LocalCloud) -> Starlette:
    async def console(request: Request) -> Response:
        given = request.path_params

        def find(app_id: str) -> Found | None:
            # The token covers every replica of the app, also one that a rollout is just taking away.
            for replica in cloud.runtime.app(app_id).all_replicas(given["revision"]):
                log = replica.console(given["container"]) if replica.name == given["replica"] else None
                if log is not None:
                    return Found(log, _console_opening(given["container"], given["revision"], replica.name))
            return None

        return _stream(cloud, request, find)

    async def events(request: Request) -> Response:
        opening = (
            preamble_event("Connecting to the events collector...", "StartingGettingEvents"),
            preamble_event("Successfully connected to events server", "ConnectedToEventsServer"),
        )
        return _stream(cloud, request, lambda app_id: Found(cloud.runtime.app(app_id).events.log, opening))

    container = _APP + "/revisions/{revision}/replicas/{replica}/containers/{container}/logstream"
    return Starlette(
        routes=[
            Route(container, console),
            Route(_APP + "/eventstream", events),
            *log_query_routes(cloud),
            *price_routes(cloud),
        ]
    )


def _console_opening(container: str, revision: str, replica: str) -> tuple[str, ...]:
    return (
        f"Connecting to the container '{container}'...",
        f"Successfully Connected to container: '{container}' [Revision: '{revision}', Replica: '{replica}']",
    )


def _stream(cloud: LocalCloud, request: Request, find: Callable[[str], Found | None]) -> Response:
    parameters = request.path_params
    app_id = (
        f"/subscriptions/{parameters['subscription']}/resourceGroups/{parameters['group']}"
        f"/providers/Microsoft.App/containerApps/{parameters['app']}"
    )
    try:
        verify(
            cloud.directory,
            cloud.endpoints.arm,
            request.headers.get("authorization", ""),
            (app_id.lower(),),
            cloud.now(),
        )
        cloud.used()
        found = find(app_id) if cloud.store.get(app_id) else None
        if found is None:
            raise ArmError(404, "ReplicaNotFound", "The container's log was not found.")
        tail = request.query_params.get("tailLines", "20")
        if not tail.isdigit() or int(tail) > 300:
            raise ArmError(400, "InvalidParameter", "tailLines must be between 0 and 300.", target="tailLines")
    except ArmError as error:
        return error_response(error)
    shape = request.query_params.get("output", "json")
    if request.query_params.get("follow", "true").lower() != "true":
        lines = [_own(text, shape) for text in found.opening]
        lines += [_text(line, shape) for line in found.log.tail(int(tail))]
        return Response("".join(lines), media_type="text/plain")
    return StreamingResponse(_follow(cloud, found, int(tail), shape), media_type="text/plain")


async def _follow(cloud: LocalCloud, found: Found, tail: int, shape: str) -> AsyncIterator[str]:
    times = cloud.settings.times
    for text in found.opening:
        yield _own(text, shape)
    silences = 0
    async for line in found.log.follow(tail, times.platform(_SILENCE)):
        cloud.used()
        if line is None:
            silences += 1
            yield _own(f"No logs since last {_SILENCE} seconds", shape)
            if silences >= _SILENCES:
                return
            continue
        silences = 0
        await asyncio.sleep(max(0, line.at + times.platform(times.log_lag) - time.monotonic()))
        yield _text(line, shape)


def _own(text: str, shape: str) -> str:
    """A line that the stream itself writes: without the container runtime's tag."""
    if text.startswith("{"):
        return f"{text}\n"
    return (
        f"{console_time()} {text}\n"
        if shape == "text"
        else json.dumps({"TimeStamp": console_time(), "Log": text}) + "\n"
    )


def _text(line: Line, shape: str) -> str:
    if line.stream == "system":
        return f"{line.text}\n"  # each event is a JSON object by itself
    # F: a whole line, as the container runtime tags it.
    if shape == "text":
        return f"{line.time} {line.stream} F {line.text}\n"
    return json.dumps({"TimeStamp": line.time, "Log": f"F {line.text}"}) + "\n"
