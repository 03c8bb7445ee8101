"""An app's older log lines, which its streams no longer hold: queries to its environment's Log Analytics workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from sidecar.gateway import apps
from sidecar.gateway.log_lines import moment
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.gateway.translation import innermost_of, translated
from sidecar.gateway.transport import retry_policy
from sidecar.words.errors import CloudError, NotAuthorized, NotFound, NotSignedIn
from sidecar.words.names import LogSource
from sidecar.words.text import Text

LOG_ANALYTICS = "log-analytics"
SECONDS = 60
"""For one query; Azure ends one after three minutes by itself."""

AHEAD = 3600
"""Seconds after now that are asked for too: whoever dates the lines has a clock of their own."""

NOT_RESOLVED = ("Failed to resolve", "SEM0100")
"""Of a table, or a column: neither is there before its first line."""


@dataclass(frozen=True)
class Asked:
    """`begin`: seconds since 1970. `replica`: empty: all. `most`: the newest so many lines."""

    source: LogSource
    app: str
    begin: float
    replica: str
    most: int


@dataclass(frozen=True)
class Archived:
    """`at`: the line's own time where the workspace has it, else when it was collected, seconds later. `reason`: an event's."""

    at: float
    revision: str
    replica: str
    reason: str
    text: str


class NothingYet(CloudError):
    """The workspace has no such table: no line of any app has come there."""


def destination_of(place: AppPlace, environment_id: str) -> tuple[str, str | None]:
    """Where an app's environment sends its logs (empty: nowhere), and the id by which the workspace is queried, if it is one."""
    parts = environment_id.strip("/").split("/")
    if len(parts) < 8:
        return "", None
    group, name = parts[3], parts[7]
    with translated(Text("Reading the environment {name}", name=name)), apps.client_of(place) as client:
        found = client.managed_environments.get(group, name)
    logs = None if found.properties is None else found.properties.app_logs_configuration
    destination = "" if logs is None else str(logs.destination or "")
    if destination != LOG_ANALYTICS or logs is None or logs.log_analytics_configuration is None:
        return destination, None
    return destination, str(logs.log_analytics_configuration.customer_id or "") or None


def query_of(asked: Asked) -> str:
    """The newest first. Columns of these tables come to be with the first line that has them, so most are asked for with care.
    The replica is a container's group there, and a line's own time is a number that not every table has."""
    table, replica = (
        ("ContainerAppConsoleLogs_CL", "ContainerGroupName_s")
        if asked.source == "console"
        else ("ContainerAppSystemLogs_CL", "ReplicaName_s")
    )
    parts = [
        table,
        f"where TimeGenerated >= datetime({_iso(asked.begin)})",
        f"where ContainerAppName_s == {_literal(asked.app)}",
        f"extend Replica = tostring(column_ifexists('{replica}', ''))",
        *([f"where Replica == {_literal(asked.replica)}"] if asked.replica else []),
        "extend Revision = tostring(column_ifexists('RevisionName_s', ''))",
        "extend Reason = tostring(column_ifexists('Reason_s', ''))",
        "extend Written = todouble(column_ifexists('_timestamp_d', real(null)))",
        "order by TimeGenerated desc, Written desc",
        f"take {asked.most}",
        "project TimeGenerated, Written, Revision, Replica, Reason, Log_s",
    ]
    return " | ".join(parts)


def archived(place: AppPlace, workspace: str, asked: Asked, now: float) -> list[Archived]:
    """Oldest first; of those that came at once, as the workspace has them. NothingYet where it has no such table."""
    from azure.core.rest import HttpRequest  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    body = {"query": query_of(asked), "timespan": f"{_iso(asked.begin)}/{_iso(now + AHEAD)}"}
    url = f"{place.around.session.profile.logs}/v1/workspaces/{quote(workspace, safe='')}/query"
    request = HttpRequest("POST", url, json=body)
    doing = Text("Reading Log Analytics")
    with translated(doing), _client(place.around.session) as client:
        answer = client.send_request(request, connection_timeout=SECONDS, read_timeout=SECONDS)
        said: object = _parsed(answer)
    if answer.status_code != 200:
        raise _refusal(doing, workspace, answer.status_code, said)
    return list(reversed(rows_of(said)))


def rows_of(said: object) -> list[Archived]:
    """The rows of an answer, in its order. CloudError for what is no answer, or only a part of one."""
    document = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    tables = cast("list[dict[str, Any]]", document.get("tables") or [])
    first = next((each for each in tables if each.get("name") == "PrimaryResult"), None)
    if document.get("error") or first is None:
        _, message = innermost_of(document, "no table")
        raise CloudError(Text("Log Analytics answers only in part: {problem}", problem=message), code="LogsInPart")
    names = [str(each["name"]) for each in first["columns"]]
    return [_archived(dict(zip(names, row, strict=True))) for row in cast("Sequence[Sequence[Any]]", first["rows"])]


def _archived(row: dict[str, Any]) -> Archived:
    written = row.get("Written")
    return Archived(
        at=float(written) if isinstance(written, int | float) else moment(str(row["TimeGenerated"])),
        revision=str(row["Revision"]),
        replica=str(row["Replica"]),
        reason=str(row["Reason"]),
        text=str(row["Log_s"] or "").rstrip("\r\n"),
    )


def _refusal(doing: Text, workspace: str, status: int, said: object) -> CloudError:
    code, message = innermost_of(said, f"HTTP {status}")
    if status == 400 and any(each in str(said) for each in NOT_RESOLVED):
        return NothingYet(Text("Nothing has come to Log Analytics yet."), code="LogsNotThereYet")
    if status == 401:
        refused = Text("{doing}: the sign-in was not accepted ({message})", doing=doing, message=message)
        return NotSignedIn(refused, Text("Sign in again."), code=code or "NotSignedIn")
    if status == 403:
        return NotAuthorized(
            Text("You may not read the Log Analytics workspace {workspace}.", workspace=workspace),
            Text("Ask for the role Log Analytics Reader on it."),
            code=code or "LogsForbidden",
            detail=message,
        )
    if status == 404:
        gone = Text("The Log Analytics workspace {workspace} does not exist any more.", workspace=workspace)
        return NotFound(gone, code=code or "LogsWorkspaceMissing", detail=message)
    return CloudError(Text("{doing}: {message}", doing=doing, message=message), code=code or f"Http{status}")


def _client(session: Session) -> Any:
    from azure.core import PipelineClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy  # noqa: PLC0415  (the same)

    sign_in = BearerTokenCredentialPolicy(session.credential, session.profile.logs_scope)
    return PipelineClient(
        session.profile.logs,
        policies=[retry_policy(session.patience), sign_in],
        connection_verify=session.verify,
        **session.transport_options(),
    )


def _parsed(answer: Any) -> object:
    try:
        return cast("object", answer.json())
    except ValueError:
        return None  # a proxy's page: its status is told


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + "'"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
