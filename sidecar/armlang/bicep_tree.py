"""What a Bicep file says, as values: declarations and expressions, each with its line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Literal:
    value: str | int | bool | None
    line: int


@dataclass(frozen=True)
class Interpolation:
    """`'a${x}b'`: the pieces of text and the expressions between them (one piece more than expressions)."""

    pieces: tuple[str, ...]
    holes: tuple[Expression, ...]
    line: int


@dataclass(frozen=True)
class ArrayOf:
    items: tuple[Expression, ...]
    line: int


@dataclass(frozen=True)
class ObjectOf:
    entries: tuple[tuple[str, Expression], ...]
    line: int


@dataclass(frozen=True)
class Name:
    name: str
    line: int


@dataclass(frozen=True)
class Call:
    target: Expression | None
    function: str
    arguments: tuple[Expression, ...]
    line: int


@dataclass(frozen=True)
class Member:
    target: Expression
    name: str
    safe: bool
    line: int


@dataclass(frozen=True)
class Index:
    target: Expression
    index: Expression
    line: int


@dataclass(frozen=True)
class Unary:
    operator: str
    operand: Expression
    line: int


@dataclass(frozen=True)
class Binary:
    operator: str
    left: Expression
    right: Expression
    line: int


@dataclass(frozen=True)
class Ternary:
    condition: Expression
    yes: Expression
    no: Expression
    line: int


Expression = Literal | Interpolation | ArrayOf | ObjectOf | Name | Call | Member | Index | Unary | Binary | Ternary


@dataclass(frozen=True)
class Decorator:
    name: str
    arguments: tuple[Expression, ...]
    line: int


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    nullable: bool
    default: Expression | None
    decorators: tuple[Decorator, ...]
    line: int


@dataclass(frozen=True)
class Variable:
    name: str
    value: Expression
    line: int


@dataclass(frozen=True)
class Resource:
    name: str
    type: str
    api_version: str
    existing: bool
    condition: Expression | None
    body: ObjectOf
    line: int


@dataclass(frozen=True)
class Output:
    name: str
    type: str
    value: Expression
    line: int


@dataclass(frozen=True)
class Metadata:
    name: str
    value: Expression
    line: int


Declaration = Parameter | Variable | Resource | Output | Metadata
