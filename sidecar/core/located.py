"""JSON with the place of each of its parts, whole or broken: what an editor holds while somebody types. Pure.

tree-sitter tells the tokens, also where the text is no JSON; here they become values. Comments are allowed."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import tree_sitter
import tree_sitter_json

MOST = 100_000
"""Characters that are looked at: a file of settings has fewer."""
DEEPEST = 64
_UNENDED = 20
"""Strings without an end after which the rest is read without the parser, which would begin anew with each."""
_LANGUAGE = tree_sitter.Language(tree_sitter_json.language())
_KNOWN = frozenset(("string", "comment", "number", "true", "false", "null", "{", "}", "[", "]", ",", ":"))
_PIECES = re.compile(r'[{}\[\],:]|"(?:\\.|[^"\\\n])*"?|[^\s{}\[\],:"]+')
"""Tokens in what the parser has given up on."""
_PLAIN: dict[str, object] = {"true": True, "false": False, "null": None}

Kind = Literal["object", "array", "string", "number", "constant", "word"]
"""`word`: what is no value of JSON, as a name without quotes."""


class Span(NamedTuple):
    """Characters of the text from `start` up to `end`."""

    start: int
    end: int

    def holds(self, offset: int) -> bool:
        """Also directly behind its last character, where somebody who types it has the cursor."""
        return self.start <= offset <= self.end


def span_at(text: str, line: int, column: int, length: int) -> Span:
    """Of line and column, from 1; within the text."""
    starts = [0, *(each.end() for each in re.finditer(r"\r\n|\n|\r", text))]
    start = min(starts[min(line, len(starts)) - 1] + column - 1, len(text))
    return Span(start, min(start + length, len(text)))


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """From 1."""
    ends = [each.end() for each in re.finditer(r"\r\n|\n|\r", text[:offset])]
    return len(ends) + 1, offset - (ends[-1] if ends else 0) + 1


@dataclass(frozen=True)
class Member:
    """`colon`: its end, where there is one."""

    key: str
    place: Span
    colon: int | None
    value: Value | None


@dataclass(frozen=True)
class Value:
    """`closed`: whether its bracket or quote is there."""

    kind: Kind
    place: Span
    plain: object
    members: tuple[Member, ...] = ()
    items: tuple[Value, ...] = ()
    closed: bool = True

    def member(self, key: str) -> Member | None:
        """The last of that name, which is the one that counts."""
        return next((each for each in reversed(self.members) if each.key == key), None)

    def within(self, path: Sequence[str | int]) -> Value | None:
        """The value there; None where there is none."""
        if not path:
            return self
        step, rest = path[0], path[1:]
        if isinstance(step, int):
            return self.items[step].within(rest) if step < len(self.items) else None
        found = self.member(step)
        return None if found is None or found.value is None else found.value.within(rest)

    def at(self, path: Sequence[str | int]) -> Span:
        """Where a value stands, or the nearest one around it that is there."""
        if not path:
            return self.place
        step, rest = path[0], path[1:]
        if isinstance(step, int):
            return self.items[step].at(rest) if step < len(self.items) else self.place
        found = self.member(step)
        if found is None:
            return self.place
        return found.value.at(rest) if found.value is not None else found.place


class _Token(NamedTuple):
    kind: str
    start: int
    end: int
    text: str
    unended: bool = False
    """Of a string whose closing quote is on another line."""


def located(text: str) -> Value | None:
    """The text's value; None where it has none. Text longer than MOST has none."""
    if len(text) > MOST:
        return None
    return _Reader(list(_tokens(text)), len(text)).value(0)


def _tokens(text: str) -> Iterator[_Token]:
    """What the text consists of, in order, also what lies between two tokens and is no blank. A string ends with its line."""
    offset = 0
    for _ in range(_UNENDED):
        for each in _parsed(text, offset):
            yield each
            offset = each.end
            if each.unended:
                break  # what follows is read anew
        else:
            return
    yield from _words(text, offset, len(text))


def _parsed(text: str, offset: int) -> Iterator[_Token]:
    rest = text[offset:]
    content = rest.encode("utf-8", "surrogatepass")
    characters = _Characters(rest, content)
    last = offset
    for node in _nodes(tree_sitter.Parser(_LANGUAGE).parse(content).root_node):
        start, end = offset + characters(node.start_byte), offset + characters(node.end_byte)
        if start < last:
            continue
        yield from _words(text, last, start)
        last, said = end, text[start:end]
        if node.type == "comment":
            continue
        line, newline, _ = said.partition("\n")
        unended = node.type == "string" and newline != ""
        last = start + len(line) if unended else end
        yield _Token(node.type, start, last, text[start:last], unended)
    yield from _words(text, last, len(text))


def _nodes(root: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """The leaves, and strings whole; what the grammar only misses takes no room and is left out."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.start_byte == node.end_byte:
            continue
        if node.type in _KNOWN:
            yield node
        else:
            waiting += reversed(node.children)


def _words(text: str, start: int, end: int) -> Iterator[_Token]:
    for found in _PIECES.finditer(text, start, end):
        said = found.group()
        kind = said if said in "{}[],:" else "string" if said.startswith('"') else "word"
        yield _Token(kind, found.start(), found.end(), said)


class _Characters:
    """Byte offsets of the UTF-8 text as characters."""

    def __init__(self, text: str, content: bytes) -> None:
        self.plain = len(text) == len(content)
        self.starts: list[int] = []
        if not self.plain:
            place = 0
            for each in text:
                self.starts.append(place)
                place += len(each.encode("utf-8", "surrogatepass"))

    def __call__(self, offset: int) -> int:
        return offset if self.plain else bisect.bisect_left(self.starts, offset)


class _Reader:
    """Values from tokens, as many as there are: a bracket that is not closed ends with the text."""

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self.tokens = tokens
        self.length = length
        self.next = 0

    def value(self, depth: int) -> Value | None:
        token = self._peek()
        if token is None or token.kind in (",", ":", "}", "]") or depth > DEEPEST:
            return None
        self.next += 1
        match token.kind:
            case "{":
                return self._object(token, depth)
            case "[":
                return self._array(token, depth)
            case "string":
                return Value(
                    "string",
                    Span(token.start, token.end),
                    _string(token),
                    closed=len(token.text) > 1 and token.text.endswith('"'),
                )
            case "number":
                return _number(token)
            case "true" | "false" | "null":
                return Value("constant", Span(token.start, token.end), _PLAIN[token.kind])
            case _:
                return Value("word", Span(token.start, token.end), token.text)

    def _object(self, begun: _Token, depth: int) -> Value:
        members: list[Member] = []
        while (token := self._peek()) is not None:
            if token.kind in ("}", "]"):
                self.next += 1
                return self._made("object", begun, token.end, members, ())
            if token.kind in ("string", "word"):
                members.append(self._member(depth))
            else:
                self._skip(depth)
        return self._made("object", begun, self.length, members, (), closed=False)

    def _member(self, depth: int) -> Member:
        key = self._take()
        name = str(_string(key)) if key.kind == "string" else key.text
        colon = self._peek()
        if colon is None or colon.kind != ":":
            return Member(name, Span(key.start, key.end), None, None)
        self.next += 1
        following = self.tokens[self.next + 1].kind if self.next + 1 < len(self.tokens) else ""
        # A string with a colon behind it is the next key: this one has no value yet.
        is_key = (token := self._peek()) is not None and token.kind in ("string", "word") and following == ":"
        value = None if is_key else self.value(depth + 1)
        return Member(name, Span(key.start, key.end), colon.end, value)

    def _array(self, begun: _Token, depth: int) -> Value:
        items: list[Value] = []
        while (token := self._peek()) is not None:
            if token.kind in ("]", "}"):
                self.next += 1
                return self._made("array", begun, token.end, (), items)
            item = self.value(depth + 1)
            if item is None:
                self._skip(depth)
            else:
                items.append(item)
        return self._made("array", begun, self.length, (), items, closed=False)

    def _made(
        self,
        kind: Kind,
        begun: _Token,
        end: int,
        members: Sequence[Member],
        items: Sequence[Value],
        *,
        closed: bool = True,
    ) -> Value:
        plain: object = (
            [each.plain for each in items]
            if kind == "array"
            else {each.key: None if each.value is None else each.value.plain for each in members}
        )
        return Value(kind, Span(begun.start, end), plain, tuple(members), tuple(items), closed)

    def _skip(self, depth: int) -> None:
        """Past what has no meaning here; an opened bracket with all that is in it, as deep as is read."""
        if depth >= DEEPEST or self.value(depth + 1) is None:
            self.next += 1

    def _peek(self) -> _Token | None:
        return self.tokens[self.next] if self.next < len(self.tokens) else None

    def _take(self) -> _Token:
        self.next += 1
        return self.tokens[self.next - 1]


def _string(token: _Token) -> object:
    try:
        return json.loads(token.text, strict=False)
    except ValueError:  # no end, or an escape that JSON does not have
        return token.text.strip('"')


def _number(token: _Token) -> Value:
    place = Span(token.start, token.end)
    try:
        return Value("number", place, json.loads(token.text))
    except ValueError:
        return Value("word", place, token.text)
