"""Logs that an app leaves: console lines of its replicas, system events of the platform; kept in files and followed live."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.fields import Json

KEPT_LINES = 300
EventKind = Literal["Normal", "Warning"]


@dataclass(frozen=True)
class Line:
    time: str
    stream: str
    """stdout, stderr, or system."""
    text: str


class Log:
    """One stream of lines: appended to a file, the last ones in memory, followers told at once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._recent = [*_last_lines(file)]
        self._followers: set[asyncio.Queue[Line | None]] = set()
        self._ended = False

    def write(self, stream: str, text: str) -> None:
        line = Line(utc_now(), stream, text)
        self._recent = [*self._recent[-KEPT_LINES + 1 :], line]
        with self._file.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{line.time} {line.stream} {line.text}\n")
        for follower in self._followers:
            follower.put_nowait(line)

    def end(self) -> None:
        """Nothing more will come: followers reach the end."""
        self._ended = True
        for follower in self._followers:
            follower.put_nowait(None)

    def tail(self, count: int) -> list[Line]:
        return self._recent[-count:] if count else []

    async def follow(self, count: int) -> AsyncIterator[Line]:
        """The last `count` lines, then each new one until the end."""
        queue: asyncio.Queue[Line | None] = asyncio.Queue()
        past = self.tail(count)
        if not self._ended:
            self._followers.add(queue)
        try:
            for line in past:
                yield line
            while not self._ended or not queue.empty():
                line = await queue.get()
                if line is None:
                    return
                yield line
        finally:
            self._followers.discard(queue)


@dataclass(frozen=True)
class Event:
    """A system log event, in ACA's words."""

    app: str
    reason: str
    message: str
    revision: str = ""
    replica: str = ""
    kind: EventKind = "Normal"
    source: str = "ContainerAppController"

    def text(self) -> str:
        shown: Json = {
            "TimeStamp": utc_now(),
            "Type": self.kind,
            "ContainerAppName": self.app,
            "RevisionName": self.revision,
            "ReplicaName": self.replica,
            "Msg": self.message,
            "Reason": self.reason,
            "EventSource": self.source,
            "Count": 1,
        }
        return json.dumps(shown)


def _last_lines(file: Path) -> list[Line]:
    if not file.exists():
        return []
    with contextlib.suppress(OSError), file.open(encoding="utf-8", errors="replace") as lines:
        found = [line.rstrip("\n").split(" ", 2) for line in lines]
        return [Line(*parts) for parts in found[-KEPT_LINES:] if len(parts) == 3]
    return []
