"""Which lines of a log are meant: since when, of which instance of a container. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar.gateway.log_lines import ConsoleLine, SystemEvent, moment
from sidecar.gateway.revisions import Replica
from sidecar.words.errors import WorkspaceError
from sidecar.words.names import LogSource
from sidecar.words.text import Text

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SPAN = re.compile(r"^(\d{1,6})([smhd])$")


@dataclass(frozen=True)
class Line:
    """One line as it is shown. `at`: seconds since 1970, 0 where the stream names no time."""

    source: LogSource
    revision: str
    replica: str
    at: float
    text: str

    @property
    def time(self) -> str:
        return "" if not self.at else _iso(self.at)


def since(text: str, now: float) -> float:
    """`10m` before now, or a time in ISO 8601 (without a zone: UTC), in seconds since 1970; 0 for the empty text."""
    if not text:
        return 0.0
    if span := SPAN.match(text.strip()):
        return max(0.0, now - int(span[1]) * UNITS[span[2]])
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise WorkspaceError(
            Text("{text} is no time.", text=text),
            Text("State how long ago (30s, 10m, 2h, 1d), or a time like 2026-11-28T12:00:00Z."),
            code="NoTime",
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def console(line: ConsoleLine, revision: str, replica: str) -> Line:
    return Line("console", revision, replica, moment(line.time), line.text)


def system(event: SystemEvent) -> Line:
    return Line("system", event.revision, event.replica, event.at, f"{event.reason}: {event.message}")


def of_previous_instance(
    lines: Sequence[ConsoleLine], events: Iterable[SystemEvent], replica: Replica
) -> Sequence[ConsoleLine]:
    """What of a replica's log the instance of its container wrote before the one that runs; while none runs, the one that
    ended last. Azure's streams have no parameter for it: its events say when each instance was made."""
    mine = [event for event in events if event.replica == replica.name]
    made = sorted(event.at for event in mine if event.reason == "ContainerCreated")
    made = made or sorted(event.at for event in mine if event.reason == "ContainerStarted")
    runs = any(each.started or each.state == "Running" for each in replica.containers)
    if not runs:
        return [line for line in lines if moment(line.time) >= made[-1]] if made else list(lines)
    if not made:
        return []
    begin = made[-2] if len(made) > 1 else 0.0
    return [line for line in lines if begin <= moment(line.time) < made[-1]]


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
