"""What a row of the table of failures is: what is expected of it, what came of it, and whether both agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.situations.stage import Caller, Sign, Stage, Told
from tests.support.evidence import differences

Compare = Callable[[Any], list[str]]
"""From a capture of real Azure to what is unlike it."""


@dataclass(frozen=True)
class Came:
    """`after`: seconds from the sign until the person was told. `compare`: where the local cloud showed something else than a
    capture. `calls`: what a caller of the endpoint got from the sign of the cause on; empty where there is nothing to call."""

    told: Told
    after: float
    compare: Compare
    calls: tuple[str, ...] = ()

    @property
    def serving(self) -> str:
        """What became of the release before."""
        if not self.calls:
            return "none"
        kinds = set(self.calls)
        if kinds == {"200"}:
            return "kept"
        if kinds == {"no answer"}:
            return "held"
        return "cut" if "200" in kinds else " ".join(sorted(kinds))


@dataclass(frozen=True)
class Situation:
    """`serving`: kept (every request answered), held (none is), cut (some are not), another status, or none to call."""

    name: str
    cause: str
    evidence: str
    play: Callable[[Stage], Came]
    code: str
    words: str
    serving: str
    within: float = 20
    quota: int | None = None
    """GPUs, where the row needs a cloud that has fewer than the others."""
    same_cause_as: str = ""
    """The row that counts for this one's cause, which is shown in another place here."""


def came(told: Told, sign: Sign, compare: Compare, caller: Caller | None = None) -> Came:
    calls = () if caller is None else tuple(caller.end(sign.at))
    return Came(told, told.at - sign.at, compare, calls)


def wrong(situation: Situation, found: Came) -> list[str]:
    """What is not as expected of what was told and of what a caller got."""
    problems: list[str] = []
    if found.told.code != situation.code:
        problems.append(f"expected the code {situation.code}")
    if situation.words not in found.told.sentence:
        problems.append(f"expected the words {situation.words!r}")
    if found.after > situation.within:
        problems.append(f"expected it within {situation.within:g} s")
    if found.serving != situation.serving:
        problems.append(f"expected the old release: {situation.serving}; requests got {sorted(set(found.calls))}")
    return problems


def same(theirs: dict[str, Any], ours: dict[str, Any], *keys: str) -> list[str]:
    """The keys that have another value than the capture's."""
    return [
        f"{key} is {ours.get(key)!r}, Azure's {theirs.get(key)!r}" for key in keys if theirs.get(key) != ours.get(key)
    ]


def shape(theirs: Any, ours: Any) -> list[str]:
    return [f"{path or '(all)'}: {what}" for path, what in differences(theirs, ours)]


def word(capture: str, part: str, ours: str) -> list[str]:
    """Unlike where `part` is not in both: words of the platform's."""
    missing = [whose for whose, text in (("the capture", capture), ("ours", ours)) if part not in text]
    return [f"{part!r} is not in {each}" for each in missing]
