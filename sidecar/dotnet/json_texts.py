"""JSON as the engine's library (Newtonsoft's) reads it (comments, single quotes, bare names, a comma or an end too few) and
writes it."""

import json
import math
import re
from typing import Any, cast

from sidecar.dotnet.errors import Malformed, NotKnown
from sidecar.dotnet.text import float_text, paired

_SPACE = re.compile(r"(?:\s|/\*.*?\*/|//[^\r\n]*)*", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.+-])")
_NAME = re.compile(r"[A-Za-z0-9_$]+")
_WORDS: dict[str, Any] = {
    "true": True,
    "false": False,
    "null": None,
    "undefined": None,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
_WORD = re.compile("(?:" + "|".join(_WORDS) + r")(?!\w)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "'": "'", '"': '"', "\\": "\\", "/": "/"}
_DEEPEST = 64
_DIGITS = 380
"""Of a number: that library refuses more."""


def read_json(text: str) -> Any:
    """The first value of the text; what comes after it does not count."""
    return _Reader(text).value(0)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def value(self, depth: int) -> Any:
        self._skip()
        mark = self._text[self._at : self._at + 1]
        if depth >= _DEEPEST or not mark:
            raise self._wrong()
        if mark in "{[":
            self._at += 1
            return self._object(depth) if mark == "{" else self._array(depth)
        if mark in "'\"":
            return self._string(mark)
        if word := _WORD.match(self._text, self._at):
            self._at = word.end()
            return _WORDS[word[0]]
        if number := _NUMBER.match(self._text, self._at):
            self._at = number.end()
            return self._number(number[0])
        if re.match(r"new\s", self._text[self._at :]):
            raise NotKnown("constructors in JSON")
        raise self._wrong()

    def _number(self, text: str) -> Any:
        if len(text) > _DIGITS:
            raise self._wrong()
        digits = text.removeprefix("-")
        if re.fullmatch(r"0[xX].*|0\d+", digits):
            if text != digits or (digits[1] not in "xX" and set(digits) & set("89")):
                raise NotKnown(f"the number '{text}' in JSON")
            return int(digits, 16) if digits[1] in "xX" else int(digits, 8)
        return int(text) if text.lstrip("-").isdigit() else float(text)

    def _string(self, quote: str) -> str:
        start = self._at = self._at + 1
        while (end := self._text.find(quote, self._at)) >= 0:
            before = self._text[start:end]
            if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
                self._at = end + 1
                return paired(_ESCAPE.sub(self._unescaped, before))
            self._at = end + 1
        raise self._wrong()

    def _unescaped(self, found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        if found[2] not in _ESCAPED:
            raise self._wrong()
        return _ESCAPED[found[2]]

    def _object(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while (mark := self._next()) not in ("}", ""):
            if mark in "'\"":
                name = self._string(mark)
            elif found := _NAME.match(self._text, self._at):
                name, self._at = found[0], found.end()
            else:
                raise self._wrong()
            if self._next() != ":":
                raise self._wrong()
            self._at += 1
            made[name] = self.value(depth + 1)
            self._comma("}")
        self._at += 1
        return made

    def _array(self, depth: int) -> list[Any]:
        made: list[Any] = []
        while self._next() not in ("]", ""):
            made.append(self.value(depth + 1))
            self._comma("]")
        self._at += 1
        return made

    def _comma(self, end: str) -> None:
        mark = self._next()
        if mark == ",":
            self._at += 1
        elif mark not in (end, ""):
            raise self._wrong()

    def _next(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _wrong(self) -> Malformed:
        return Malformed(f"it is malformed at position {self._at}")


# What JSON's writers escape beyond JSON's own rules: .NET's line separators.
_SEPARATORS = re.compile("[\x85\u2028\u2029]")


def json_text(value: Any) -> str:
    """JSON as the engine writes it: no spaces, floats with a point or an exponent."""
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json_text(key)}:{json_text(each)}" for key, each in cast("dict[str, Any]", value).items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(json_text(each) for each in cast("list[Any]", value)) + "]"
    if isinstance(value, float):
        text = float_text(value)
        if not math.isfinite(value):
            return f'"{text}"'
        return text if "." in text or "E" in text else f"{text}.0"
    text = json.dumps(value, ensure_ascii=False)
    return _SEPARATORS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) if isinstance(value, str) else text


def text_of(value: Any) -> str:
    """As interpolation shows a value: True, nothing for null, JSON with single quotes."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return json_text(value).replace('"', "'")
    if isinstance(value, float):
        return float_text(value)
    return "" if value is None else str(value)
