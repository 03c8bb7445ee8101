"""A restart: what goes wrong with it, under streaming callers; with one GPU the old replica ends first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tests.faults.rolling.ground import SHORT, Rolling
from tests.faults.rolling.table import Told
from tests.faults.rolling.under_load import common, counts, delayed, played, untouched

ANSWERED_AMID = 4
"""Requests that overlap with the gap at its two ends, of two callers."""

NOTHING = {
    "part": "arm",
    "method": "POST",
    "path": "/restart\\?",
    "kind": "status",
    "status": 200,
    "body": '"Restarted"',
}
"""A restart that Azure calls done, and that was none."""


def nothing_restarted(ground: Rolling) -> Told:
    """32: asked for once more where it was lost; told where it is lost each time."""
    old = ground.first()
    soon = replace(SHORT, restart=3)
    ground.tell("lost once")
    with ground.faults(NOTHING) as hits:
        once, one = played(ground, "restart", patience=soon)
        struck = hits()[0]
    now = ground.serving()
    ground.tell("lost twice")
    with ground.faults({**NOTHING, "times": 2}) as hits:
        twice, two = played(ground, "restart", patience=soon)
        struck += hits()[0]
    seen = f"lost once: {once}, {counts(one)}; lost twice: {twice}, {counts(two)}; {struck} were lost"
    right = (once, twice, struck) == ("done", "NothingRestarted", 3) and now != old
    right = right and not one.bad and untouched(ground, two, now) and "restart-again" in ground.steps()
    return Told("seen; asked for once more; then told, and the old one serves", seen, right)


def old_first(ground: Rolling) -> Told:
    """47: no deadlock with as many GPUs as the quota has. From the old one's end on nobody is answered until the new one
    is there, which is said in advance; whoever had asked before is."""
    old = ground.first()
    ground.tell("old first")
    delayed(ground, 4)
    began = time.monotonic()
    told, counted = played(ground, "restart", callers=2)
    said = [line for line in ground.written if "ends before the new one starts" in line]
    refused = sorted(each.began for each in counted.calls if each.problem)
    gap = refused[-1] - refused[0] if refused else 0.0
    between = [each for each in counted.calls if refused and refused[0] <= each.ended and each.began <= refused[-1]]
    answered = sum(not each.problem for each in between)
    seen = (
        f"told {told} after {time.monotonic() - began:.0f} s, {counts(counted)}; said before: {said[-1:]}; nobody was answered "
        f"for {gap:.1f} s; releases that answered: {len(counted.releases)}"
    )
    right = told == "done" and bool(said) and "for about" in said[-1] and not counted.load.wrong
    right = right and len(counted.releases) == 2 and ground.serving() != old and answered <= ANSWERED_AMID
    return Told("the old one goes first, said in advance with the time; then the new one answers", seen, right)


ROWS: dict[str, Callable[[Rolling], Told]] = {
    **common("restart"),
    "restart-32": nothing_restarted,
}
ONE_GPU: dict[str, Callable[[Rolling], Told]] = {"restart-47": old_first}
