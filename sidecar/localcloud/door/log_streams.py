"""Log streams: console lines of a replica's container and system events of an app, followed with a token of getAuthToken."""

import json
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.identity import verify
from sidecar.localcloud.door.responses import error_response
from sidecar.localcloud.runtime.logs import Line, Log

_APP = "/subscriptions/{subscription}/resourceGroups/{group}/containerApps/{app}"


def log_streams_app(cloud: LocalCloud) -> Starlette:
    async def console(request: Request) -> Response:
        def find(app_id: str) -> Log | None:
            runtime = cloud.runtime.app(app_id)
            for replica in runtime.replicas.get(request.path_params["revision"], []):
                if replica.name == request.path_params["replica"]:
                    for container in replica.containers:
                        if container.spec.name == request.path_params["container"]:
                            return container.log
            return None

        return _stream(cloud, request, find)

    async def events(request: Request) -> Response:
        return _stream(cloud, request, lambda app_id: cloud.runtime.app(app_id).events)

    container = _APP + "/revisions/{revision}/replicas/{replica}/containers/{container}/logstream"
    return Starlette(routes=[Route(container, console), Route(_APP + "/eventstream", events)])


def _stream(cloud: LocalCloud, request: Request, find: Callable[[str], Log | None]) -> Response:
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
        lines = [_text(line, shape) for line in found.tail(int(tail))]
        return Response("".join(lines), media_type="text/plain")
    return StreamingResponse(_follow(cloud, found, int(tail), shape), media_type="text/plain")


async def _follow(cloud: LocalCloud, log: Log, tail: int, shape: str) -> AsyncIterator[str]:
    async for line in log.follow(tail):
        cloud.used()
        yield _text(line, shape)


def _text(line: Line, shape: str) -> str:
    if line.stream == "system":
        return f"{line.text}\n"  # each event is a JSON object by itself
    if shape == "text":
        return f"{line.time} {line.text}\n"
    return json.dumps({"TimeStamp": line.time, "Log": line.text}) + "\n"
