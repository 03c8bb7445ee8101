"""What an app writes, kept in its environment's Log Analytics workspace: late, in batches, and longer than the app itself."""

import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.settings import Times
from sidecar.localcloud.core.state import Store
from sidecar.localcloud.runtime.logs import Line

Table = Literal["ContainerAppConsoleLogs_CL", "ContainerAppSystemLogs_CL"]
FOUND_FROM = "_found_from"
"""When (seconds since 1970) a query finds the row first; no column."""

_BATCH = 4
"""Seconds of lines that reach the workspace together: all of them have one TimeGenerated, later than their own times."""
_WORKSPACE = re.compile(r"[0-9A-Fa-f-]{1,64}")


@dataclass(frozen=True)
class Archive:
    """Of one app. An environment that sends its logs elsewhere, or nowhere, keeps nothing."""

    folder: Path
    """The cloud's."""
    store: Store
    app: str
    """The app's id."""
    times: Times

    def console(self, revision: str, replica: str, container: str) -> Callable[[Line], None]:
        """Takes the lines of one container."""

        def keep(line: Line) -> None:
            row: Json = {
                "RevisionName_s": revision,
                "ContainerGroupName_s": replica,
                "ContainerName_s": container,
                "Stream_s": line.stream,
                "Log_s": line.text,
                "_timestamp_d": _seconds(line.time),
            }
            self._keep("ContainerAppConsoleLogs_CL", row)

        return keep

    def system(self, line: Line) -> None:
        event: Json = json.loads(line.text)
        row: Json = {
            "RevisionName_s": event["RevisionName"],
            "ReplicaName_s": event["ReplicaName"],
            "Type_s": event["Type"],
            "Reason_s": event["Reason"],
            "EventSource_s": event["EventSource"],
            "Count_d": event["Count"],
            "Log_s": event["Msg"],
        }
        self._keep("ContainerAppSystemLogs_CL", row)

    def _keep(self, table: Table, row: Json) -> None:
        workspace = self._workspace()
        if workspace is None:
            return
        now = time.time()
        batch = self.times.platform(_BATCH)
        generated = math.ceil(now / batch) * batch if batch else now
        whole = {
            "TimeGenerated": datetime.fromtimestamp(generated, UTC).isoformat().replace("+00:00", "Z"),
            "ContainerAppName_s": self.app.rsplit("/", 1)[-1],
            **row,
            FOUND_FROM: now + self.times.platform(self.times.archive_lag),
        }
        file = table_file(self.folder, workspace, table)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8", errors="replace") as rows:
            rows.write(json.dumps(whole) + "\n")

    def _workspace(self) -> str | None:
        app = self.store.get(self.app)
        environment = None if app is None else self.store.get(str(app.properties.get("managedEnvironmentId") or ""))
        logs = {} if environment is None else member(environment.properties, "appLogsConfiguration")
        workspace = str(member(logs, "logAnalyticsConfiguration").get("customerId") or "")
        usable = logs.get("destination") == "log-analytics" and _WORKSPACE.fullmatch(workspace)
        return workspace if usable else None


def table_file(folder: Path, workspace: str, table: str) -> Path:
    return folder / "archive" / workspace.lower() / f"{table}.jsonl"


def rows_of(folder: Path, workspace: str, table: str) -> list[Json]:
    """What a query finds now: nothing of the last minutes."""
    file = table_file(folder, workspace, table)
    if not file.exists():
        return []
    now = time.time()
    with file.open(encoding="utf-8") as rows:
        found: list[Json] = [json.loads(row) for row in rows if row.endswith("\n")]
    return [{name: row[name] for name in row if name != FOUND_FROM} for row in found if row[FOUND_FROM] <= now]


def _seconds(text: str) -> float:
    """Of a console line's time, which has a digit more than Python reads."""
    return datetime.fromisoformat(f"{text[:26]}+00:00").timestamp()
