"""The journal of one operation: durable steps and the progress that they show."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from sidecar.core.masking import NOTHING
from sidecar.words.errors import Cancelled
from sidecar.words.names import LogLevel
from sidecar.words.text import Text

Level = LogLevel

PLACE = ("cloud", "subscription", "group")
"""What is written beside each step of what is done at a place: what ends at one settles nothing at another."""

SETTLED = ("done", "restored", "discarded")
"""Steps after which nothing is left of runs before that had not ended: made good, taken back, or forgotten."""


@dataclass(frozen=True)
class Event:
    """What a person sees: a progress text (kind `progress`), or a line of the log."""

    kind: Literal["progress", "log"]
    level: Level
    text: Text
    increment: float | None = None


class Leaving:
    """Whether this process is about to end, and what may not be left half done then: a revision that was ended and not begun
    again would answer nobody."""

    def __init__(self) -> None:
        self._leaves = False
        self._guarded = 0
        self._changed = threading.Condition()

    @property
    def leaves(self) -> bool:
        return self._leaves

    @contextmanager
    def guard(self) -> Generator[None]:
        with self._changed:
            self._guarded += 1
        try:
            yield
        finally:
            with self._changed:
                self._guarded -= 1
                self._changed.notify_all()

    def leave(self, seconds: float) -> bool:
        """Cuts waits under guard short, and waits until what is guarded is in order; whether it is."""
        with self._changed:
            self._leaves = True
            return self._changed.wait_for(lambda: self._guarded == 0, seconds)


class Journal:
    """Writes each step of one operation before it is done, and passes events on to whoever shows them.

    The file holds no secret and no user content: step names, resource names, times. It tells a person how far a killed run
    came; the truth about resources is always read from the cloud."""

    def __init__(
        self,
        file: Path | None,
        operation: str,
        listen: Callable[[Event], None],
        stop: threading.Event,
        leaving: Leaving | None = None,
        *,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """`about`: written beside every step."""
        self._file = file
        self._about = dict(about or {})
        self._operation = operation
        self._listen = listen
        self._stop = stop
        self._leaving = leaving or Leaving()
        self._guarded = False
        self.mask = NOTHING
        """What is left out of everything that is told."""
        self._last: tuple[str, dict[str, str]] = ("", {})

    def after_cancel(self) -> Journal:
        """The same for what is still to be put in order after a cancel: it does not hear that one any more."""
        steady = Journal(self._file, self._operation, self._listen, threading.Event(), self._leaving, about=self._about)
        steady._last, steady.mask = self._last, self.mask
        return steady

    @property
    def at(self) -> str:
        """The step that was written down last; empty before the first."""
        return self._last[0]

    def step(self, name: str, text: Text, *, increment: float | None = None, **facts: str) -> None:
        """Begins a step: recorded durably, shown as progress. Raises Cancelled when the person has asked for it."""
        self.check()
        self._record(name, facts)
        told = self.mask.text(text)
        self._listen(Event("progress", "info", told, increment))
        self._listen(Event("log", "info", told))

    def progress(self, text: Text) -> None:
        self._listen(Event("progress", "info", self.mask.text(text)))

    def log(self, text: Text, level: Level = "info") -> None:
        self._listen(Event("log", level, self.mask.text(text)))

    @contextmanager
    def guard(self) -> Generator[None]:
        """What is begun in here is ended in order, also when the window is closed meanwhile."""
        with self._leaving.guard():
            self._guarded = True
            try:
                yield
            finally:
                self._guarded = False

    def check(self) -> None:
        if self._stop.is_set() or (self._guarded and self._leaving.leaves):
            raise Cancelled(
                Text("Cancelled. Nothing more is started."), Text("Run the command again to go on from here.")
            )

    def wait(self, seconds: float) -> None:
        """Waits between two looks at something; ends at once, with Cancelled, when the person cancels."""
        self._stop.wait(seconds)
        self.check()

    def done(self, **facts: str) -> None:
        self._record("done", facts)

    def restored(self) -> None:
        """What was before serves again, also what runs before this one had left half done; then the run fails in order."""
        self._record("restored", {})

    def failed(self, code: str) -> None:
        self._record("failed", {"code": code})

    def left(self, code: str) -> None:
        """The run fails, and what its last step began goes on without it: it stays unfinished, and no process is at it."""
        step, facts = self._last
        self._record(step, {**facts, "code": code}, pid=0)

    def cut_off(self, step: str) -> dict[str, object] | None:
        """What was written beside a step of this name by a run before this one that did not end well, and that none has made good
        since: the newest. None where there is none, or nothing is written down."""
        if self._file is None:
            return None
        found: dict[str, object] | None = None
        for entry in _entries(self._file):
            if entry.get("operation") == self._operation:
                continue
            if entry.get("step") == step:
                found = entry
            elif entry.get("step") in SETTLED:
                found = None
        return found

    def _record(self, step: str, facts: dict[str, str], pid: int | None = None) -> None:
        self._last = (step, facts)
        if self._file is None:  # what only looks leaves nothing to be found
            return
        said = {
            "time": time.time(),
            "operation": self._operation,
            "pid": os.getpid() if pid is None else pid,
            "step": step,
        }
        _append(self._file, {**said, **self._about, **facts})


def _ends_a_line(stream: BinaryIO) -> bool:
    stream.seek(-1, os.SEEK_END)
    return stream.read(1) == b"\n"


@dataclass(frozen=True)
class Unfinished:
    """The last step of a run that has not ended: when it began, in which process (0: none), and what was written beside it.
    `earlier`: what was written at the last steps of runs before it, at the same place, that have not ended either, the newest
    first."""

    step: str
    time: float
    pid: int
    facts: dict[str, object]
    earlier: tuple[dict[str, object], ...] = ()


def unfinished(file: Path) -> Unfinished | None:
    """The run that was heard of last, among those that have not ended."""
    return next(iter(unfinished_by_place(file)), None)


def unfinished_by_place(file: Path) -> tuple[Unfinished, ...]:
    """At each place the run that was heard of last, among those that have not ended: the newest first, none where one has ended
    well since. A line cut short by a kill, or damaged, is left out."""
    running: dict[str, dict[str, object]] = {}
    for entry in _entries(file):
        operation = str(entry.get("operation"))
        running.pop(operation, None)
        if entry.get("step") in SETTLED:
            running = {name: each for name, each in running.items() if not _settles(entry, each)}
        elif entry.get("step") != "failed":
            running[operation] = entry  # the newest last
    places: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for entry in reversed(running.values()):
        places.setdefault(_place(entry), []).append(entry)
    return tuple(_last_of(*entries) for entries in places.values())


def _last_of(last: dict[str, object], *before: dict[str, object]) -> Unfinished:
    pid = last.get("pid")
    return Unfinished(
        step=str(last.get("step")),
        time=_time(last),
        pid=pid if isinstance(pid, int) else 0,
        facts=last,
        earlier=before,
    )


def _place(entry: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(entry.get(key) for key in PLACE)


def _settles(end: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """What does not say where it was is of every place."""
    places = (_place(end), _place(other))
    return places[0] == places[1] or any(set(each) == {None} for each in places)


def _entries(file: Path) -> Generator[dict[str, object]]:
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            yield cast("dict[str, object]", said)


def _time(entry: dict[str, object]) -> float:
    at = entry.get("time")
    return float(at) if isinstance(at, int | float) else 0.0


def discard(file: Path, place: Mapping[str, str] | None = None) -> None:
    """Writes down that nobody goes on with what was cut off: at one place, or anywhere."""
    _append(file, {"time": time.time(), "pid": os.getpid(), "step": "discarded", **(place or {})})


def _append(file: Path, entry: dict[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as stream:
        if stream.tell() and not _ends_a_line(stream):
            stream.write(b"\n")  # a run killed in mid-write left half a line: it stays a line of its own
        stream.write(json.dumps(entry).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
