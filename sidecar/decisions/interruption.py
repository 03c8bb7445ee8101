"""What an operation that was cut off has left, from the last step that it wrote down. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidecar.words.names import OperationKind
from sidecar.words.text import Text

Entry = Mapping[str, object]
"""Of a journal: a step, and what was written beside it."""

LOOKING = frozenset({"look", "check", "sync", "upload", "resolve", "providers", "preflight"})
"""Steps after which everything is as it was before: of a Deploy the release before is still the current one."""

MIRROR = "mirror"
"""A plain tree is switched file by file: in between it is neither the old one nor the new."""

TRIED = frozenset({"push", "exchange", "judge"})
"""The new release was sent to the container, or tried beside the server that runs: nothing is current that was not before."""

BESIDE = frozenset({"pin", "beside", "judge-revision", "take-back"})
"""A revision was made, or about to be, beside the one that serves; it gets no request, and may hold a GPU."""

SHIFTED = frozenset({"shift", "answers", "drain", "retire", "settle"})
"""The requests go to a new revision that was checked, or are about to; the old one may run still."""

BACK = frozenset({"back", "former-start"})

WHILE_ENDING = frozenset({"release", "room"})
"""The old replica was being ended, so that its GPU gets free: its revision may not be active."""

OVERTAKES: Mapping[OperationKind, tuple[OperationKind, ...]] = {
    "provision": ("delete",),
    "deploy": ("rollback", "start", "stop"),
    "rollback": ("deploy", "start", "stop"),
    "start": ("stop",),
    "stop": ("start",),
    "delete": ("deploy", "rollback", "rotate", "start", "stop"),
}
"""What need not be gone on with any more once another operation has ended well: that one has decided it otherwise."""


def reached(last: Entry, earlier: Sequence[Entry]) -> Entry:
    """The entry whose step tells what is left: a later run that had only looked has changed nothing of what one before it left,
    perhaps at another place."""
    return next((each for each in (last, *earlier) if each.get("step") not in LOOKING), last)


def left_behind(kind: OperationKind, step: str) -> Text:
    if kind == "provision":
        return _left_of_a_provision(step)
    if kind == "delete":
        return _left_of_a_deletion(step)
    if kind == "rotate":
        return _left_of_a_rotation(step)
    if kind in ("start", "stop"):
        return Text("The app may be started or stopped: its status tells.")
    if step in LOOKING:
        return Text("Nothing was changed: the release before is current.")
    if step in TRIED:
        return Text(
            "The release before serves and is current; the container drops the new one by itself. A Deploy goes on from there."
        )
    if step in BESIDE:
        return Text(
            "The release before serves and is current; a revision beside it may run, and its GPU is paid for, until a Deploy "
            "ends it."
        )
    if step in SHIFTED:
        return Text(
            "The new release has been checked, and serves or is about to; the old revision may run, and its GPU is paid for, "
            "until a Deploy ends it."
        )
    if step == MIRROR:
        return Text(
            "The tree on the share is old in part and new in part; a replica that starts now reads both. Run Deploy again."
        )
    if step == "judge-serving":
        return Text("The new release is current and serves; its gate has not judged it. A Deploy has it judged.")
    if step in BACK:
        return Text("The release had failed, and the one before was being made current again: perhaps it serves.")
    if step in WHILE_ENDING:
        return Text("The old replica was being ended: perhaps nothing answers until a Deploy goes on.")
    if kind == "rollback":
        return Text("The chosen release may be current: then it starts by itself, or has.")
    return Text("The new release may be current: then it starts by itself, or has. A Deploy goes on from there.")


def _left_of_a_provision(step: str) -> Text:
    if step in LOOKING:
        return Text("Nothing was begun in the cloud.")
    return Text("What was begun goes on in the cloud; Provision finds it, and follows it.")


def can_be_cancelled(kind: OperationKind, step: str) -> bool:
    """Whether something may go on in the cloud that can be ended there."""
    return kind == "provision" and step not in LOOKING


def _left_of_a_deletion(step: str) -> Text:
    if step in LOOKING:
        return Text("Nothing was deleted.")
    return Text("Some of what was to go may be gone. The same deletion goes on from there; what was to stay is there.")


def _left_of_a_rotation(step: str) -> Text:
    if step in LOOKING:
        return Text("No key was changed.")
    if step in WHILE_ENDING:
        return Text(
            "The old replica was being ended: perhaps nothing answers until the rotation goes on. No key is lost."
        )
    return Text(
        "The keys may be changed, and a replica may not know it yet. No key is lost; the same rotation goes on."
    )


def goes_on(kind: OperationKind, step: str) -> OperationKind | None:
    """Which command goes on from there; None where that would bring back what has failed."""
    return None if kind == "deploy" and step in BACK else kind
