"""Workflow *Interrupted*: operations that were cut off in the middle, told until somebody goes on or forgets them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from sidecar.core.journal import Unfinished, discard, last_done, unfinished
from sidecar.decisions.interruption import Kind, goes_on, left_behind, makes_good
from sidecar.words.text import Text

KINDS: tuple[Kind, ...] = ("deploy", "rollback", "provision")

OF_AN_APP: tuple[Kind, ...] = ("deploy", "rollback")
"""They end with the app that they are about."""


@dataclass(frozen=True)
class Interrupted:
    """`at`: UTC in ISO 8601, of the last step, and `time` in seconds since 1970. `running`: another process of this machine is
    at it still."""

    kind: Kind
    at: str
    step: str
    running: bool
    sentence: Text
    resume: Kind | None
    time: float


def interrupted(files: dict[Kind, Path]) -> list[Interrupted]:
    """`files`: the journals of one project. What a later operation of another kind has made good is not told any more."""
    done: dict[Kind, float] = {kind: last_done(file) for kind, file in files.items()}
    told = [_told(kind, last) for kind, file in files.items() if (last := unfinished(file)) is not None]
    return [each for each in told if each.running or not _is_good(each, done)]


def forget(file: Path) -> None:
    """The person has seen it, and goes on in another way."""
    if unfinished(file) is not None:
        discard(file)


def note_of(found: Interrupted) -> Text:
    """As one sentence, for those who look at the state."""
    told = {"at": found.at, "step": found.step}
    if found.running:
        return Text("A {kind} runs in another window or terminal (since {at}, at {step}).", kind=found.kind, **told)
    return Text("A {kind} was cut off at {at} ({step}). {left}", kind=found.kind, left=found.sentence, **told)


def _is_good(found: Interrupted, done: dict[Kind, float]) -> bool:
    return any(at > found.time and makes_good(kind, found.kind) for kind, at in done.items())


def _told(kind: Kind, last: Unfinished) -> Interrupted:
    at = datetime.fromtimestamp(last.time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Interrupted(
        kind, at, last.step, _runs(last), left_behind(kind, last.step), goes_on(kind, last.step), last.time
    )


def _runs(last: Unfinished) -> bool:
    """Whether the process that wrote the step is there still; one that began later has only its number."""
    try:
        return psutil.Process(last.pid).create_time() <= last.time
    except psutil.NoSuchProcess:
        return False
