"""The door for coding assistants: a server of the Model Context Protocol on stdin and stdout, whose tools change nothing."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import anyio.to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.types import TextContent, Tool, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field

from sidecar import __version__
from sidecar.core.journal import Event
from sidecar.doors import terminal, terminal_logs
from sidecar.gateway.session import settings_from
from sidecar.gateway.trust import trust_this_machine
from sidecar.wire import protocol as wire
from sidecar.words.errors import SlipwayError, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.assisting import document_told, secrets_of, text_told
from sidecar.workflows.context import Context
from sidecar.workflows.operating import EVERY_ACTION

log = logging.getLogger("slipway")

INSTRUCTIONS = (
    "Reads how an inference endpoint on Azure Container Apps (or the local cloud) stands that the tool Slipway has made. "
    "Nothing here changes, wakes or bills anything; what changes something is a command that a person runs."
)

M = TypeVar("M", bound=wire.Message)


class Asked(BaseModel):
    """What every tool takes."""

    model_config = ConfigDict(extra="forbid")
    folder: str = Field(
        "", description="The project's folder; without it the first one that this server was started for."
    )


class AskedForLogs(Asked):
    source: Literal["console", "system"] = Field(
        "console", description="What containers write, or the platform's events."
    )
    since: str = Field(
        "", max_length=40, description="`10m`, `2h`, or a time in ISO 8601; without it all that is held."
    )
    replica: str = Field("", max_length=200, description="One replica's only.")
    lines: int = Field(200, ge=1, le=1000, description="The newest so many.")


class AskedForPlan(Asked):
    subscription: str = Field("", max_length=100, description="Its id; without it the one that the project has used.")
    resource_group: str = Field("", max_length=90, description="Without it the one that the project has used.")


@dataclass(frozen=True)
class Offer:
    """A tool: what it tells, what it takes, and how it is done."""

    what: str
    takes: type[Asked]
    told: Callable[[Any, str, Context], str]


def _status(_: Asked, folder: str, context: Context) -> str:
    return _document("slipway/status", wire.FolderCloudParams(folder=folder, cloud="auto"), folder, context)


def _diagnose(_: Asked, folder: str, context: Context) -> str:
    return _document("slipway/diagnose", wire.FolderCloudParams(folder=folder, cloud="auto"), folder, context)


def _document(method: str, params: wire.Message, folder: str, context: Context) -> str:
    return document_told(EVERY_ACTION[method](params, context), secrets_of(folder, context))


def _logs(asked: AskedForLogs, folder: str, context: Context) -> str:
    lines: list[str] = []
    heard = Context(
        context.settings, context.listen, context.stop, tell=lambda line: lines.append(terminal_logs.line(line))
    )
    params = wire.LogsParams(
        folder=folder,
        cloud="auto",
        source=asked.source,
        follow=False,
        since=asked.since,
        replica=asked.replica,
        previous=False,
        operation="",
    )
    EVERY_ACTION["slipway/logs"](params, heard)
    text = "\n".join(lines[-asked.lines :]) or "(no line is held; where nothing is awake, nothing writes)"
    return text_told(text, secrets_of(folder, context))


def _plan(asked: AskedForPlan, folder: str, context: Context) -> str:
    summary = EVERY_ACTION["slipway/workspace"](wire.FolderParams(folder=folder), context)
    assert isinstance(summary, wire.WorkspaceSummary)
    subscription = asked.subscription or summary.defaults.subscription_id
    group = asked.resource_group or summary.defaults.resource_group
    if not subscription or not group:
        raise WorkspaceError(
            Text("The project has used no subscription and resource group yet."),
            Text("Name both: subscription (its id) and resource_group."),
            code="NoTarget",
        )
    params = wire.PlanParams(
        folder=folder, cloud="auto", subscription_id=subscription, resource_group=group, raw=False, operation=""
    )
    found = EVERY_ACTION["slipway/plan"](params, context)
    assert isinstance(found, wire.Plan)
    return text_told(terminal.spoken(found.markdown), secrets_of(folder, context))


TOOLS: dict[str, Offer] = {
    "status": Offer(
        "How the endpoint stands: state, replicas, release, models, and what to know beside that.", Asked, _status
    ),
    "logs": Offer("What its containers have written, or what the platform tells of them.", AskedForLogs, _logs),
    "diagnose": Offer("Why it is not ready: one named cause, what was seen, and what helps.", Asked, _diagnose),
    "plan": Offer(
        "What a Provision would create, update and leave, with list prices. It changes nothing.", AskedForPlan, _plan
    ),
}


def main(arguments: Sequence[str], environ: Mapping[str, str], program: str) -> int:
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.add_argument("folder", nargs="*", default=["."], help="project folders that it may read (default: this one)")
    folders = [Path(each).resolve() for each in parser.parse_args(arguments).folder]
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it has to say is in the errors that it raises
    trust_this_machine()
    anyio.run(_serve, folders, environ)
    return 0


async def _serve(folders: Sequence[Path], environ: Mapping[str, str]) -> None:
    server: Server[Any, Any] = Server("slipway", version=__version__, instructions=INSTRUCTIONS)
    settings = settings_from(environ, say=lambda text: log.warning("%s", text))

    @server.list_tools()
    async def offered() -> list[Tool]:  # pyright: ignore[reportUnusedFunction]  (the server calls it)
        changes_nothing = ToolAnnotations(
            readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=True
        )
        return [
            Tool(
                name=name,
                description=each.what,
                inputSchema=each.takes.model_json_schema(),
                annotations=changes_nothing,
            )
            for name, each in TOOLS.items()
        ]

    @server.call_tool()
    async def called(name: str, given: dict[str, Any]) -> list[TextContent]:  # pyright: ignore[reportUnusedFunction]
        """What was given fits the schema: the server has seen to that. What is raised here is told as the tool's error."""
        offer = TOOLS.get(name)
        if offer is None:
            raise ValueError(f"There is no tool {name}. There are: {', '.join(TOOLS)}.")
        stop = threading.Event()
        context = Context(settings, _heard, stop)
        try:
            text = await anyio.to_thread.run_sync(_told, offer, given, folders, context, abandon_on_cancel=True)
        finally:
            stop.set()  # also where the assistant does not wait any more
        return [TextContent(type="text", text=text)]

    # Nothing else may write to where the protocol is spoken.
    with open(os.dup(sys.stdout.fileno()), "wb", buffering=0) as raw, redirect_stdout(sys.stderr):
        os.dup2(sys.stderr.fileno(), 1)
        spoken = anyio.wrap_file(TextIOWrapper(raw, encoding="utf-8", write_through=True))
        async with stdio_server(stdout=spoken) as (read, write):
            await server.run(read, write, server.create_initialization_options())


def _heard(event: Event) -> None:
    if event.kind == "log" and event.level != "info":
        log.warning("%s", event.text)


def _told(offer: Offer, given: Mapping[str, Any], folders: Sequence[Path], context: Context) -> str:
    asked = offer.takes.model_validate(given)
    folder = str(_folder(asked.folder, folders))
    try:
        return offer.told(asked, folder, context)
    except SlipwayError as error:
        said = str(error.message) if error.suggestion is None else f"{error.message} {error.suggestion}"
        raise ValueError(f"{error.code}: {text_told(said, secrets_of(folder, context))}") from error
    except Exception as error:  # the outermost handler: what it says may hold anything
        log.exception("a tool failed")
        raise ValueError("A defect in Slipway: its log (stderr) says what happened.") from error


def _folder(named: str, folders: Sequence[Path]) -> Path:
    """One that the person has started the server for: an assistant chooses among them, and no other."""
    if not named:
        return folders[0]
    found = Path(named).resolve() if Path(named).is_absolute() else (folders[0] / named).resolve()
    if found not in folders:
        raise ValueError(
            f"{named} is not among the folders that this server was started for: {', '.join(map(str, folders))}. "
            "Start it as `slipway mcp FOLDER…`."
        )
    return found
