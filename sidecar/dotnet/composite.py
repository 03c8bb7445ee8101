""".NET's String.Format."""

import re
from collections.abc import Sequence
from typing import Any

from sidecar.dotnet.errors import Malformed
from sidecar.dotnet.json_texts import text_of
from sidecar.dotnet.numbers import format_number
from sidecar.dotnet.text import length


def format_text(pattern: str, *values: Any) -> str:
    """`{0}`, `{0,5}`, `{0:D3}`; doubled braces stand for one."""
    made: list[str] = []
    at = 0
    while at < len(pattern):
        mark = pattern[at]
        if mark not in "{}":
            end = next((each for each in range(at, len(pattern)) if pattern[each] in "{}"), len(pattern))
            made.append(pattern[at:end])
            at = end
            continue
        if at + 1 >= len(pattern):
            raise _malformed(at + 1, "Format item ends prematurely.")
        if pattern[at + 1] == mark:
            made.append(mark)
            at += 2
            continue
        if mark == "}":
            raise _malformed(at + 1, "Unexpected closing brace without a corresponding opening brace.")
        text, at = _item(pattern, at + 1, values)
        made.append(text)
    return "".join(made)


_HOLE = re.compile(
    r"(?P<index>\d{1,7}) *(?:,(?P<space> *)(?P<width>-?\d{1,7}) *)?(?::(?P<form>[^{}]*))?(?P<end>\})?", re.ASCII
)


def _item(pattern: str, at: int, values: Sequence[Any]) -> tuple[str, int]:
    """(the item that begins at `at`, filled in; the place after it)"""
    found = _HOLE.match(pattern, at)
    if not found:
        raise _malformed(at, "Expected an ASCII digit.")
    if not found["end"]:
        after = pattern[found.end() : found.end() + 1]
        digit = after == "," and not found["form"]
        end = len(pattern) if not after else found.end() + digit
        raise _malformed(end, "Expected an ASCII digit." if digit else "Format item ends prematurely.")
    if int(found["index"]) >= len(values):
        reason = "Index (zero based) must be greater than or equal to zero and less than the size of the argument list."
        raise Malformed(reason)
    value, width = values[int(found["index"])], int(found["width"] or 0)
    numeric = type(value) in (int, float)
    text = format_number(value, found["form"] or "") if numeric else text_of(value)
    space = " " * max(abs(width) - length(text), 0)
    return (text + space if width < 0 else space + text), found.end()


def _malformed(offset: int, reason: str) -> Malformed:
    return Malformed(f"Input string was not in a correct format. Failure to parse near offset {offset}. {reason}")
