"""Workflow *Interrupted*: operations that were cut off in the middle, told until somebody goes on or forgets them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from sidecar.core.journal import Unfinished, discard, unfinished, unfinished_by_place
from sidecar.decisions.interruption import LOOKING, Entry, can_be_cancelled, goes_on, left_behind, reached
from sidecar.words.names import OperationKind
from sidecar.words.said import OPERATIONS
from sidecar.words.text import Text
from sidecar.workflows.cancelling import Where, facts_of, where_in


@dataclass(frozen=True)
class Interrupted:
    """`at`: UTC in ISO 8601, of the last step. `running`: a process of this machine is at it still; `ours`: this one."""

    kind: OperationKind
    at: str
    step: str
    running: bool
    ours: bool
    sentence: Text
    resume: OperationKind | None
    where: Where | None
    """Where a Provision was begun."""
    cancels: bool
    """Whether what goes on in the cloud can be cancelled there."""


def interrupted(files: dict[OperationKind, Path]) -> list[Interrupted]:
    """`files`: the journals of one project. What was cut off at two places is told twice, each with its place."""
    return [each for kind, file in files.items() for each in _of_kind(kind, unfinished_by_place(file))]


def _of_kind(kind: OperationKind, found: tuple[Unfinished, ...]) -> list[Interrupted]:
    """A run that had only looked at a place is told where nothing worse is."""
    begun = [each for each in found if _reached(each).get("step") not in LOOKING] or list(found[:1])
    return [_told(kind, each, several=len(begun) > 1) for each in begun]


def places(file: Path) -> list[Where]:
    """Where something was cut off, the newest first."""
    return [each.where for each in interrupted({"provision": file}) if each.where is not None]


def forget(file: Path, where: Where | None = None) -> None:
    """The person has seen it, and goes on in another way. `where`: nothing else is forgotten."""
    if unfinished(file) is not None:
        discard(file, None if where is None else facts_of(where))


def note_of(found: Interrupted) -> Text:
    """As one sentence, for those who look at the state."""
    told = {"at": found.at, "step": found.step}
    if found.running:
        return Text(
            "A run of {kind} goes on in another window or terminal (since {at}, at {step}).",
            kind=OPERATIONS[found.kind],
            **told,
        )
    return Text(
        "A run of {kind} was cut off at {at} ({step}). {left}", kind=OPERATIONS[found.kind], left=found.sentence, **told
    )


def _reached(last: Unfinished) -> Entry:
    return reached(last.facts, last.earlier)


def _told(kind: OperationKind, last: Unfinished, *, several: bool) -> Interrupted:
    at = datetime.fromtimestamp(last.time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    entry = _reached(last)
    step, where = str(entry.get("step")), where_in(entry)
    sentence = left_behind(kind, step)
    if several and where is not None:
        sentence = Text("In {group}: {left}", group=where.resource_group, left=sentence)
    return Interrupted(
        kind=kind,
        at=at,
        step=last.step,
        running=_runs(last),
        ours=last.pid == os.getpid(),
        sentence=sentence,
        resume=goes_on(kind, step),
        where=where,
        cancels=can_be_cancelled(kind, step),
    )


def _runs(last: Unfinished) -> bool:
    """Whether the process that wrote the step is there still; one that began later has only its number."""
    if last.pid == 0:
        return False  # macOS and Windows have a process of this number
    try:
        return psutil.Process(last.pid).create_time() <= last.time
    except psutil.Error:
        return False  # gone, or a recycled number: of its own processes a person may ask
