"""What an operation that was cut off has left, from the last step that it wrote down. Pure."""

from __future__ import annotations

from typing import Literal

from sidecar.words.text import Text

Kind = Literal["provision", "deploy", "rollback"]

BEFORE_THE_SWITCH = frozenset({"look", "check", "sync", "upload"})
"""Steps of a Deploy after which the release before is still the current one."""

MIRROR = "mirror"
"""A plain tree is switched file by file: in between it is neither the old one nor the new."""

BACK = "back"

WHILE_ENDING = frozenset({"release", "room"})
"""The old replica was being ended, so that its GPU gets free: its revision may not be active."""


def left_behind(kind: Kind, step: str) -> Text:
    if kind == "provision":
        return Text("What was begun goes on in the cloud; Provision finds it, and follows it.")
    if step in BEFORE_THE_SWITCH:
        return Text("Nothing was changed: the release before is current.")
    if step == MIRROR:
        return Text(
            "The tree on the share is old in part and new in part; a replica that starts now reads both. Run Deploy again."
        )
    if step == BACK:
        return Text("The release had failed, and the one before was being made current again: perhaps it serves.")
    if step in WHILE_ENDING:
        return Text("The old replica was being ended: perhaps nothing answers until a Deploy goes on.")
    if kind == "rollback":
        return Text("The chosen release may be current: then it starts by itself, or has.")
    return Text("The new release may be current: then it starts by itself, or has. A Deploy goes on from there.")


def goes_on(kind: Kind, step: str) -> Kind | None:
    """Which command goes on from there; None where that would bring back what has failed."""
    return None if kind == "deploy" and step == BACK else kind


def makes_good(done: Kind, cut_off: Kind) -> bool:
    """Whether an operation that has ended well leaves nothing to be told of an earlier one: another release is current since."""
    return done == cut_off or {done, cut_off} == {"deploy", "rollback"}
