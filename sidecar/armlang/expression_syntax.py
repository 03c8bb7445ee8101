"""The ARM expression language as trees: the `[…]` strings of a template, parsed; `[[` is an escaped bracket."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.json_values import as_list, as_object
from sidecar.dotnet.text import LARGEST


@dataclass(frozen=True)
class Literal:
    value: Any


@dataclass(frozen=True)
class Call:
    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True)
class Index:
    """`target.name` or `target[expression]`; a safe one (`.?`) gives null where there is no such property."""

    target: "Node"
    key: "Node"
    safe: bool = False


Node = Literal | Call | Index


def is_expression(text: str) -> bool:
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The tree of an expression, given with its brackets. ExpressionError says where it is malformed."""
    parser = _Parser(text[1:-1], text)
    node = parser.expression()
    parser.end()
    return node


def calls(value: Any) -> list[Call]:
    """Every function call in `value`, at any depth: which resources a template's text refers to."""
    if isinstance(value, str):
        return list(_calls_in(parse(value))) if is_expression(value) else []
    if isinstance(value, list):
        return [call for item in as_list(value) for call in calls(item)]
    if isinstance(value, dict):
        return [call for key, item in as_object(value).items() for call in (*calls(key), *calls(item))]
    return []


def _calls_in(node: Node) -> Sequence[Call]:
    if isinstance(node, Call):
        return [node, *(call for argument in node.arguments for call in _calls_in(argument))]
    if isinstance(node, Index):
        return [*_calls_in(node.target), *_calls_in(node.key)]
    return []


_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_][\w]*)|(?P<mark>[()\[\],]|\.\?|\.))"
)
_MARKS = {"(": "LeftParenthesis", ")": "RightParenthesis", "[": "LeftSquareBracket", "]": "RightSquareBracket"}
_TOKENS = {**_MARKS, ",": "Comma", ".": "Dot", "string": "StringLiteral", "number": "Integer", "name": "Identifier"}
_DEEPEST = 200
_DIGITS = 40
"""Of a number, zeros at its front too."""


class _Parser:
    """Reads one expression from left to right."""

    def __init__(self, body: str, whole: str) -> None:
        self._body = body
        self._whole = whole
        self._at = 0
        self._depth = 0

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error("it is nested too deeply")
        node = self._primary()
        while (mark := self._peek("mark")) in ("[", ".", ".?"):
            self._take()
            if mark == "[":
                node = Index(node, self.expression())
                self._expect("]")
            else:
                node = Index(node, Literal(self._name()), safe=mark == ".?")
        self._depth -= 1
        return node

    def end(self) -> None:
        if self._body[self._at :].strip():
            raise self._unexpected("EndOfData")

    def _primary(self) -> Node:
        kind, text = self._take()
        if kind == "string":
            return Literal(text[1:-1].replace("''", "'"))
        if kind == "number":
            if len(text) > _DIGITS or not -LARGEST - 1 <= int(text) <= LARGEST:
                raise self._error(f"the number at position {self._at} is larger than 64 bits")
            return Literal(int(text))
        if kind != "name":
            raise self._error(f"unexpected '{text}' at position {self._at}")
        while self._peek("mark") == ".":  # a user-defined function: namespace.name(…)
            self._take()
            text = f"{text}.{self._name()}"
        self._expect("(")
        arguments: list[Node] = [] if self._peek("mark") == ")" else [self.expression()]
        while self._peek("mark") == ",":
            self._take()
            arguments.append(self.expression())
        self._expect(")")
        return Call(text, tuple(arguments))

    def _name(self) -> str:
        kind, text = self._take()
        if kind != "name":
            raise self._error(f"a name is expected at position {self._at}")
        return text

    def _expect(self, mark: str) -> None:
        if self._peek("mark") != mark:
            raise self._unexpected(_MARKS[mark])
        self._take()

    def _peek(self, kind: str) -> str | None:
        found = _TOKEN.match(self._body, self._at)
        return found.group(kind) if found else None

    def _take(self) -> tuple[str, str]:
        found = _TOKEN.match(self._body, self._at)
        if not found or found.lastgroup is None:
            raise self._error(f"a value is expected at position {self._at + 1}")
        self._at = found.end()
        return found.lastgroup, found.group(found.lastgroup)

    def _unexpected(self, wanted: str) -> ExpressionError:
        """ARM's sentence, with ARM's names of tokens."""
        if not self._body[self._at :].strip():
            actual = "EndOfData"
        elif found := _TOKEN.match(self._body, self._at):
            actual = _TOKENS[found[0].strip()[:1] if found.lastgroup == "mark" else str(found.lastgroup)]
        else:
            return self._error(f"unexpected characters at position {self._at + 1}")
        return ExpressionError(
            f"Unable to parse language expression '{self._body}': expected token '{wanted}' and actual '{actual}'."
        )

    def _error(self, reason: str) -> ExpressionError:
        return ExpressionError(f"The template language expression '{self._whole}' is not valid: {reason}.")
