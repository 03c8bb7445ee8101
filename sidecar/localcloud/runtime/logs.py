"""Logs that an app leaves: console lines of its replicas, system events of the platform; kept in files and followed live."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sidecar.localcloud.core.clock import now
from sidecar.localcloud.core.fields import Json

KEPT_LINES = 300
"""Of one stream: a storm of failing probes pushes the rest out, as it does on Azure."""
EventKind = Literal["Normal", "Warning"]
Stream = Literal["stdout", "stderr", "system"]
Source = Literal["ContainerAppController", "KEDA", "Scaling"]


@dataclass(frozen=True)
class Line:
    time: str
    stream: str
    """stdout, stderr, or system."""
    text: str
    at: float = 0
    """time.monotonic() of its writing; 0 for one of an earlier run."""


class Log:
    """One stream of lines: appended to a file, the last ones in memory, followers told at once, each kept for later too."""

    def __init__(self, file: Path, keep: Callable[[Line], None]) -> None:
        self._file = file
        self._keep = keep
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._recent = [*_last_lines(file)]
        self._followers: set[asyncio.Queue[Line | None]] = set()
        self._ended = False

    def write(self, stream: Stream, text: str) -> None:
        line = Line(console_time(), stream, text, time.monotonic())
        self._recent = [*self._recent[-KEPT_LINES + 1 :], line]
        with self._file.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{line.time} {line.stream} {line.text}\n")
        self._keep(line)
        for follower in self._followers:
            follower.put_nowait(line)

    def end(self) -> None:
        """Nothing more will come: followers reach the end."""
        self._ended = True
        for follower in self._followers:
            follower.put_nowait(None)

    def tail(self, count: int) -> list[Line]:
        return self._recent[-count:] if count else []

    async def follow(self, count: int, silence: float) -> AsyncIterator[Line | None]:
        """The last `count` lines, then each new one until the end; None after each `silence` seconds without any."""
        queue: asyncio.Queue[Line | None] = asyncio.Queue()
        past = self.tail(count)
        if not self._ended:
            self._followers.add(queue)
        try:
            for line in past:
                yield line
            while not self._ended or not queue.empty():
                try:
                    async with asyncio.timeout(silence):
                        line = await queue.get()
                except TimeoutError:
                    yield None
                    continue
                if line is None:
                    return
                yield line
        finally:
            self._followers.discard(queue)


@dataclass(frozen=True)
class Event:
    """A system log event, in Container Apps' words. Those of a container are told to the tenth of a microsecond, the controllers'
    in whole seconds."""

    reason: str
    message: str
    revision: str = ""
    replica: str = ""
    kind: EventKind = "Normal"
    source: Source = "ContainerAppController"


class Events:
    """The system log of one app. `Count` tells how often one text was written for one replica, never how many are new."""

    def __init__(self, app: str, file: Path, keep: Callable[[Line], None]) -> None:
        self.log = Log(file, keep)
        self._app = app
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def report(self, event: Event) -> None:
        key = (event.revision, event.replica, event.message)
        self._counts[key] += 1
        shown: Json = {
            "TimeStamp": _event_time(precise=event.reason in _OF_CONTAINERS),
            "Type": event.kind,
            "ContainerAppName": self._app,
            "RevisionName": event.revision,
            "ReplicaName": event.replica,
            "Msg": event.message,
            "Reason": event.reason,
            "EventSource": event.source,
            "Count": 0 if event.reason == "AssigningReplica" else self._counts[key],
        }
        self.log.write("system", json.dumps(shown))


_OF_CONTAINERS = {
    "PullingImage",
    "PulledImage",
    "ImagePullUnauthorized",
    "ContainerCreated",
    "ContainerStarted",
    "ContainerTerminated",
    "ProcessExited",
    "ProbeFailed",
}


def preamble_event(message: str, reason: str) -> str:
    """A line that the event stream itself writes before an app's events."""
    shown: Json = {
        "TimeStamp": stream_time(),
        "Type": "Normal",
        "ContainerAppName": None,
        "RevisionName": None,
        "ReplicaName": None,
        "Msg": message,
        "Reason": reason,
        "EventSource": "ContainerAppController",
        "Count": 1,
    }
    return json.dumps(shown)


def stream_time() -> str:
    """ISO in whole seconds: how a stream dates its own lines."""
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


def console_time() -> str:
    return now().strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00")


def _event_time(*, precise: bool) -> str:
    return now().strftime("%Y-%m-%d %H:%M:%S.%f0 +0000 UTC" if precise else "%Y-%m-%d %H:%M:%S +0000 UTC")


def _last_lines(file: Path) -> list[Line]:
    if not file.exists():
        return []
    with contextlib.suppress(OSError), file.open(encoding="utf-8", errors="replace") as lines:
        found = [line.rstrip("\n").split(" ", 2) for line in lines]
        return [Line(parts[0], parts[1], parts[2]) for parts in found[-KEPT_LINES:] if len(parts) == 3]
    return []
