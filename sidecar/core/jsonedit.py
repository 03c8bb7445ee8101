"""Values of a person's JSON file changed where they stand: comments, other keys, their order and the layout stay. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import cast

_SPACE = re.compile(r"\s*")


def strict(text: str) -> str:
    """Comments and trailing commas, which ARM's tools accept in parameters files, blanked out: all else stays where it is."""
    without = re.sub(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', _blanked, text, flags=re.DOTALL)
    return re.sub(r'("(?:\\.|[^"\\\n])*")|,(?=\s*[}\]])', _blanked, without)


def _blanked(match: re.Match[str]) -> str:
    return match.group(1) or re.sub(r"[^\n]", " ", match.group())


def with_values(text: str, values: Mapping[str, object]) -> str:
    """`text`: an object in JSON, with or without comments. Keys that it lacks are added at its end."""
    plain = strict(text)
    spans = _values_of(plain)
    known = {key for key, _, _ in spans}
    added = [f"{json.dumps(key)}: {_shown(value)}" for key, value in values.items() if key not in known]
    end = spans[-1][2] if spans else plain.index("{") + 1
    if added:
        indent = _indent_of(plain, spans)
        lines = f",{indent}".join(added)
        closing = "\n" if not spans and "\n" in indent and not plain[end : plain.index("}", end)].count("\n") else ""
        text = text[:end] + ("," if spans else "") + indent + lines + closing + text[end:]
    for key, start, stop in reversed(spans):
        if key in values:
            text = text[:start] + _shown(values[key]) + text[stop:]
    return text


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indent_of(plain: str, spans: list[tuple[str, int, int]]) -> str:
    """What stands before a key: as before the first one."""
    if not spans:
        return "\n  "
    begun = plain.index("{") + 1
    before = plain[begun : plain.index('"', begun)]
    return "\n" + before.rpartition("\n")[2] if "\n" in before else " "


def _values_of(plain: str) -> list[tuple[str, int, int]]:
    """Each key of the object with the place of its value."""
    decoder, found = json.JSONDecoder(), list[tuple[str, int, int]]()
    at = _past_space(plain, plain.index("{") + 1)
    while plain[at] != "}":
        key, at = cast("tuple[str, int]", decoder.raw_decode(plain, at))
        start = _past_space(plain, _past_space(plain, at) + 1)  # behind the colon
        _, stop = decoder.raw_decode(plain, start)
        found.append((key, start, stop))
        at = _past_space(plain, stop)
        if plain[at] == ",":
            at = _past_space(plain, at + 1)
    return found


def _past_space(plain: str, at: int) -> int:
    space = _SPACE.match(plain, at)
    return at if space is None else space.end()
