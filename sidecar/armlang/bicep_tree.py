"""What a Bicep file says, as values: declarations and expressions, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Literal as OneOf
from typing import cast, dataclass_transform


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column count from 1."""

    line: int
    column: int
    length: int = 1


@dataclass_transform(eq_default=False, frozen_default=True)
class Node:
    """An expression; each is itself alone, however alike another is."""

    at: Place

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, eq=False)(cls)


class Literal(Node):
    value: str | int | bool | None
    at: Place


class Interpolation(Node):
    """`'a${x}b'`: the pieces of text and the expressions between them (one piece more than expressions)."""

    pieces: tuple[str, ...]
    holes: tuple[Node, ...]
    at: Place


class Spread(Node):
    """`...x` in an array or an object."""

    value: Node
    at: Place


class ArrayOf(Node):
    items: tuple[Node, ...]
    at: Place


class Entry(Node):
    """One property: its key is a text, or one with holes."""

    key: Node
    value: Node
    at: Place

    @property
    def name(self) -> str | None:
        """None where only the deployment knows it."""
        return str(self.key.value) if isinstance(self.key, Literal) else None


class ObjectOf(Node):
    """`nested`: resources declared inside the body of a resource."""

    members: tuple[Entry | Spread, ...]
    nested: tuple[Thing, ...]
    at: Place

    def get(self, name: str) -> Node | None:
        return next((each.value for each in self.members if isinstance(each, Entry) and each.name == name), None)


class Name(Node):
    name: str
    at: Place


class Call(Node):
    """`at`: of the function's name."""

    target: Node | None
    function: str
    arguments: tuple[Node, ...]
    safe: bool
    brackets: Place
    at: Place

    @property
    def plain(self) -> bool:
        """A function's, not a method's."""
        return self.target is None or (isinstance(self.target, Name) and self.target.name in ("az", "sys"))


class Access(Node):
    """`a.b` (`dotted`), `a.?b`, `a[b]`, `a[?b]`, `a[^b]`."""

    target: Node
    key: Node
    safe: bool
    from_end: bool
    dotted: bool
    at: Place


class Nested(Node):
    """`env::storage`: a resource declared inside another."""

    target: Node
    name: str
    at: Place


class Operation(Node):
    """`!`, `-`, `a + b`, `a ? b : c`, and what leaves a value as it is: the `!` behind it (`assured`), brackets (`group`)."""

    operator: str
    operands: tuple[Node, ...]
    at: Place


class Lambda(Node):
    names: tuple[Name, ...]
    body: Node
    at: Place


class Loop(Node):
    """`[for (item, index) in source: body]`; the condition stands before the body of a resource."""

    item: Name
    index: Name | None
    source: Node
    condition: Node | None
    body: Node
    at: Place


@dataclass(frozen=True, eq=False)
class Value:
    """A declaration of a value. `broken`: of one that could not be read; nothing further is said of its name."""

    word: OneOf["param", "var", "output", "metadata", "targetScope", "broken"]
    name: str
    at: Place
    """Of the name, as in all declarations."""
    value: Node | None = None
    decorators: tuple[Call, ...] = ()
    type: str = ""
    nullable: bool = False


@dataclass(frozen=True, eq=False)
class Thing:
    """A resource or a module. `kind`: its type, or the module's path; what is nested may lack type and version in part."""

    word: OneOf["resource", "module"]
    name: str
    at: Place
    kind: str
    version: str
    kind_at: Place
    existing: bool
    condition: Node | None
    loop: Loop | None
    body: ObjectOf
    decorators: tuple[Call, ...] = ()


Declaration = Value | Thing


@cache
def _parts(kind: type[Node]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.name not in ("at", "item", "index", "names"))  # pyright: ignore[reportArgumentType]


def children(node: Node) -> Iterator[Node]:
    """The expressions directly inside; resources nested in a body, and names that are declared, are none."""
    for name in _parts(type(node)):
        part: object = getattr(node, name)
        among = cast("tuple[object, ...]", part) if isinstance(part, tuple) else (part,)
        yield from (each for each in among if isinstance(each, Node))


def walk(node: Node) -> Iterator[Node]:
    """The expression and everything inside, whatever the depth."""
    pending = [node]
    while pending:
        each = pending.pop()
        yield each
        pending.extend(reversed(tuple(children(each))))


def height(node: Node) -> int:
    level, tallest = [node], 0
    while level:
        tallest += 1
        level = [child for each in level for child in children(each)]
    return tallest


def constant(node: Node | None) -> str | int | bool | None:
    """The value of a literal; None where it is none."""
    return node.value if isinstance(node, Literal) else None


def expressions_of(declaration: Declaration) -> list[Node]:
    """All that a declaration says; of a resource not what is nested in it."""
    if isinstance(declaration, Value):
        found = [declaration.value]
    else:
        found = [declaration.loop] if declaration.loop else [declaration.condition, declaration.body]
    decorators = [one for each in declaration.decorators for one in each.arguments]
    return [*(each for each in found if each is not None), *decorators]


def unwrapped(node: Node) -> Node:
    """Without brackets, `!` and any(), of which nothing is left."""
    while True:
        match node:
            case Operation("assured" | "group", (inner,)):
                node = inner
            case Call(_, "any", (inner,)) if node.plain:
                node = inner
            case _:
                return node
