"""Resources and modules: which are meant, what of them is known early, their parents, types and scopes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as OneOf

import sidecar.armlang.bicep_tree as t
from sidecar.armlang.bicep_names import Names, Symbol
from sidecar.armlang.function_table import bicep_function

CERTAIN = ("id", "name", "type", "apiVersion")
"""What of a resource is known before it is deployed."""
GROUP = "microsoft.resources/resourcegroups"
MODULE = "Microsoft.Resources/deployments"
MODULE_VERSION = "2025-04-01"
Level = OneOf["here", "resource", "group", "subscription", "tenant", "managementGroup"]


@dataclass(frozen=True)
class Pointed:
    """A resource or module that is named, and which one of a loop."""

    symbol: Symbol
    index: t.Access | None = None


@dataclass(frozen=True)
class Scope:
    """`target`: the resource that is extended, or the group that is meant; `arguments`: of resourceGroup() and the like."""

    level: Level
    target: Pointed | None = None
    arguments: tuple[t.Node, ...] = ()


class Places:
    def __init__(self, names: Names) -> None:
        self.names = names
        self.late: set[Symbol] = set()
        """Variables that are made of what only a running deployment knows: they are put where they are used."""
        for symbol in names.order:
            value = symbol.value.value if symbol.kind == "var" and symbol.value else None
            if value is not None and self.first_late(value) is not None:
                self.late.add(symbol)

    def pointed(self, node: t.Node | None) -> Pointed | None:
        """The resource or module that an expression names: itself, or one of a loop."""
        inner = node if node is None else t.unwrapped(node)
        index = inner if isinstance(inner, t.Access) and not inner.dotted else None
        symbol = self.names.of(t.unwrapped(index.target) if index else inner)
        if symbol is None or symbol.thing is None or (index is None) == (symbol.loop is not None):
            return None
        return Pointed(symbol, index)

    def vault(self, value: t.Node) -> Pointed | None:
        """Of `vault.getSecret(…)` the vault."""
        return self.pointed(value.target) if isinstance(value, t.Call) and value.function == "getSecret" else None

    def first_late(self, node: t.Node) -> t.Node | None:
        return next(self.late_in(node), None)

    def late_in(self, node: t.Node) -> Iterator[t.Node]:
        """The parts that only a running deployment knows."""
        parts = t.children(node)
        match node:
            case t.Name() | t.Nested():
                symbol = self.names.of(node)
                if symbol is not None and (symbol.thing or symbol in self.late):
                    yield node
                return
            case t.Access(target, key) if (pointed := self.pointed(target)) is not None:
                if t.constant(key) not in (CERTAIN if pointed.symbol.kind == "resource" else ("name",)):
                    yield node
                    return
                parts = iter([pointed.index.key] if pointed.index else [])
            case t.Call(target, function, arguments):
                row = bicep_function(function)
                if (node.plain and row and row.where == "runtime") or (not node.plain and self.pointed(target)):
                    yield node
                    return
                parts = iter(arguments if function != "nameof" else ())
            case _:
                pass
        for each in parts:
            yield from self.late_in(each)

    def parent(self, symbol: Symbol) -> Pointed | None:
        if symbol.parent is not None:
            return Pointed(symbol.parent)
        found = self.pointed(symbol.body.get("parent")) if symbol.kind == "resource" else None
        return found if found is not None and found.symbol.kind == "resource" else None

    def ancestors(self, symbol: Symbol) -> list[Pointed]:
        """From the outermost to the parent."""
        found: list[Pointed] = []
        above = self.parent(symbol)
        while above is not None and len(found) < len(self.names.symbols):
            found.insert(0, above)
            above = self.parent(above.symbol)
        return found

    def kind(self, symbol: Symbol) -> str:
        own = symbol.thing.kind if symbol.thing and symbol.kind == "resource" else MODULE
        return own if symbol.parent is None else f"{self.kind(symbol.parent)}/{own}"

    def version(self, symbol: Symbol) -> str:
        own = symbol.thing.version if symbol.thing and symbol.kind == "resource" else MODULE_VERSION
        return own if own or symbol.parent is None else self.version(symbol.parent)

    def conditions(self, symbol: Symbol) -> list[t.Node]:
        """A nested resource takes over its parents' conditions."""
        above = self.conditions(symbol.parent) if symbol.parent is not None else []
        own = symbol.thing.condition if symbol.thing is not None else None
        return above if own is None else [*above, own]

    def scope(self, symbol: Symbol) -> Scope:
        """A child's is its outermost parent's."""
        above = self.ancestors(symbol)
        value = (above[0].symbol if above else symbol).body.get("scope")
        return (self.stated(value) if value is not None else None) or Scope("here")

    def level(self, scope: Scope) -> Level:
        """Where it lies in the end: an extension lies where what it extends does."""
        above = scope.target.symbol if scope.level == "resource" and scope.target else None
        return scope.level if above is None or above in self.names.cyclic else self.level(self.scope(above))

    def stated(self, value: t.Node) -> Scope | None:
        """What the value of a scope means; None: nothing that is one."""
        inner = t.unwrapped(value)
        pointed = self.pointed(inner)
        if pointed is not None and pointed.symbol.kind == "resource":
            return Scope("group" if self.kind(pointed.symbol).lower() == GROUP else "resource", pointed)
        if not isinstance(inner, t.Call) or not inner.plain:
            return None
        if inner.function == "resourceGroup":
            return Scope("group" if inner.arguments else "here", None, inner.arguments)
        level = inner.function
        return Scope(level, None, inner.arguments) if level in ("subscription", "tenant", "managementGroup") else None
