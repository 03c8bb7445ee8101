"""What is seen of an app while a release starts: its logs, gathered in the background, and the states that ARM tells."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import Self, TypeVar

from sidecar.decisions.diagnosis import Seen
from sidecar.gateway import apps, revisions
from sidecar.gateway.log_lines import ConsoleLine, SystemEvent, console_line, system_event
from sidecar.gateway.logs import LogStreams
from sidecar.gateway.place import AppPlace
from sidecar.gateway.revisions import Replica, Revision
from sidecar.words.errors import NotFound

T = TypeVar("T")

KEPT_LINES = 300
KEPT_EVENTS = 500
REVISION_SECONDS = 3.0
"""Between two reads of the revision itself: it changes seldom, its replicas often."""


class Watch:
    """One revision, from now on. `before`: the names of the replicas that ran already."""

    def __init__(self, place: AppPlace, app: apps.App, revision: Revision, before: frozenset[str]) -> None:
        self._place = place
        self._events_url = app.event_stream
        self.before = before
        self._revision = revision
        self._unhealthy = revision.health == "Unhealthy"
        self._began = time.monotonic()
        self._read_at = self._began
        self._streams = LogStreams(place)
        self._lock = threading.Lock()
        self._console: dict[str, deque[ConsoleLine]] = {}
        self._events: deque[SystemEvent] = deque(maxlen=KEPT_EVENTS)

    def __enter__(self) -> Self:
        self._streams.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._streams.__exit__(kind, error, trace)

    @property
    def waited(self) -> float:
        return time.monotonic() - self._began

    @property
    def log_problems(self) -> tuple[str, ...]:
        return self._streams.problems

    def look(self) -> Seen:
        """Reads ARM once, and what the logs have brought so far."""
        now = time.monotonic()
        if now - self._read_at >= REVISION_SECONDS:
            self._read_at = now
            self._revision = revisions.revision(self._place, self._revision.name)
        found = replicas_of(self._place, self._revision.name)
        fresh = tuple(each for each in found if each.name not in self.before)
        if self._events_url is not None:
            self._streams.follow(self._events_url, self._take_event)
        for replica in fresh:
            for container in replica.containers[:1]:
                if container.log_stream is not None:
                    self._streams.follow(container.log_stream, self._taker(replica.name))
        with self._lock:
            events = tuple(event for event in self._events if event.replica not in self.before)
            console = {name: tuple(lines) for name, lines in self._console.items()}
        return Seen(
            fresh=fresh,
            revision=self._revision,
            old=len(found) - len(fresh),
            events=events,
            console=console,
            waited=self.waited,
            unhealthy_before=self._unhealthy,
        )

    def _taker(self, replica: str) -> _Taker:
        with self._lock:
            lines = self._console.setdefault(replica, deque(maxlen=KEPT_LINES))
        return _Taker(self._lock, lines)

    def _take_event(self, line: str) -> None:
        event = system_event(line)
        if event is not None and event.revision in ("", self._revision.name):
            with self._lock:
                self._events.append(event)


class _Taker:
    """Puts a console's lines where they are looked at."""

    def __init__(self, lock: threading.Lock, lines: deque[ConsoleLine]) -> None:
        self._lock = lock
        self._lines = lines

    def __call__(self, line: str) -> None:
        found = console_line(line)
        if found is not None:
            with self._lock:
                self._lines.append(found)


def replicas_of(place: AppPlace, revision: str) -> list[Replica]:
    """None of a revision that was deactivated, whichever way Azure says so."""
    try:
        return revisions.replicas(place, revision)
    except NotFound:
        return []


def running_replicas(place: AppPlace) -> list[Replica]:
    """Of every revision that has any."""
    return [replica for each in may_run(revisions.revisions(place)) for replica in replicas_of(place, each.name)]


def may_run(found: list[Revision]) -> list[Revision]:
    """Those whose replicas are worth a request: inactive ones stay listed, up to a hundred, and say that they have none."""
    return [each for each in found if each.active or each.replicas]
