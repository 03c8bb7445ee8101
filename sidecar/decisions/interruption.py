"""What an operation that was cut off has left, from the last step that it wrote down. Pure."""

from __future__ import annotations

from typing import Literal

from sidecar.words.text import Text

Kind = Literal["provision", "deploy"]

BEFORE_THE_SWITCH = frozenset({"look", "check", "sync", "upload"})
"""Steps of a Deploy after which the release before is still the current one."""

WHILE_ENDING = frozenset({"release", "room"})
"""The old replica was being ended, so that its GPU gets free: its revision may not be active."""


def left_behind(kind: Kind, step: str) -> Text:
    if kind == "provision":
        return Text("What was begun goes on in the cloud; Provision finds it, and follows it.")
    if step in BEFORE_THE_SWITCH:
        return Text("Nothing was changed: the release before is current.")
    if step in WHILE_ENDING:
        return Text("The old replica was being ended: perhaps nothing answers until a Deploy goes on.")
    return Text("The new release may be current: then it starts by itself, or has. A Deploy goes on from there.")
