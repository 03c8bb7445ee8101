"""Which members of a JSON document change, as paths with what is there and what will be. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

LONGEST = 100
"""Characters of a value that are shown."""

KNOWN_LATER = "known after deployment"
_LATE = re.compile(r"\[.*\b(reference|list\w*|newGuid|utcNow)\(.*\]$", re.IGNORECASE | re.DOTALL)
"""An expression that ARM leaves as it is until it deploys."""

OURS = "SLIPWAY_"
"""Variables whose values are ours to show; another's may be a secret that somebody wrote in plain text."""


@dataclass(frozen=True)
class Member:
    """`before` and `after` are for people: values cut short, and those of a stranger's variables hidden."""

    path: str
    before: str
    after: str


def changed(before: object, after: object, path: str = "") -> tuple[Member, ...]:
    """Every leaf that differs, in the order of `after`. Entries of lists that have a name are found by it."""
    if before == after:
        return ()
    old, new = _object(before), _object(after)
    if old is not None and new is not None:
        names = [*new, *(each for each in old if each not in new)]
        return tuple(
            member
            for name in names
            for member in changed(old.get(name), new.get(name), f"{path}.{name}" if path else name)
        )
    olds, news = _list(before), _list(after)
    if olds is not None and news is not None:
        return _of_lists(olds, news, path)
    return (Member(path, shown(before), shown(after)),)


def _of_lists(before: Sequence[object], after: Sequence[object], path: str) -> tuple[Member, ...]:
    old, new = _named(before), _named(after)
    if old is None or new is None:
        return (Member(path, shown(before), shown(after)),)
    found: list[Member] = []
    for name in [*new, *(each for each in old if each not in new)]:
        at = f"{path}[{name}]"
        if path.endswith(".env") and not name.startswith(OURS):
            found += [Member(at, "…", "…")] if old.get(name) != new.get(name) else []
        else:
            found += changed(old.get(name), new.get(name), at)
    return tuple(found)


def _named(items: Sequence[object]) -> dict[str, object] | None:
    """By name; None where not every entry has one of its own."""
    found: dict[str, object] = {}
    for each in items:
        entry = _object(each)
        if entry is not None and "name" in entry:
            found[str(entry["name"])] = entry
    return found if len(found) == len(items) else None


def _object(value: object) -> dict[str, object] | None:
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _list(value: object) -> list[object] | None:
    return cast("list[object]", value) if isinstance(value, list) else None


def shown(value: object) -> str:
    """As JSON, without a text's quotes; "–" for nothing."""
    if value is None:
        return "–"
    if isinstance(value, str) and _LATE.match(value):
        return KNOWN_LATER
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
