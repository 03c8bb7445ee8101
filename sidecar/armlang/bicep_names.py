"""Who is who in one file: each name is declared once, found from where it is used, and part of no cycle."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

import sidecar.armlang.bicep_tree as t
from sidecar.armlang.bicep_findings import Report
from sidecar.armlang.function_table import bicep_function


@dataclass(eq=False)
class Symbol:
    """A declared name. `name`: of a nested resource with its parents', as `env::storage`."""

    name: str
    kind: str
    """param, var, resource, module or broken; item or index of a loop; lambda."""
    at: t.Place
    value: t.Value | None = None
    thing: t.Thing | None = None
    loop: t.Loop | None = None
    """Of an item or an index, and of a resource or a module that is many."""
    parent: Symbol | None = None
    nested: dict[str, Symbol] = field(default_factory=dict[str, "Symbol"])
    needs: dict[Symbol, t.Place] = field(default_factory=dict["Symbol", t.Place])
    """What its declaration mentions, and where first."""
    used: bool = False

    @property
    def body(self) -> t.ObjectOf:
        assert self.thing is not None, "only resources and modules have one"
        return self.thing.body

    @property
    def existing(self) -> bool:
        return self.thing is not None and self.thing.existing


Scope = ChainMap[str, Symbol]
_FEW = 200


class Names:
    def __init__(self, declarations: Iterable[t.Declaration], report: Report) -> None:
        self._report = report
        self.top: dict[str, Symbol] = {}
        self.symbols: list[Symbol] = []
        self.values: dict[str, list[t.Value]] = {"output": [], "metadata": [], "targetScope": []}
        """What has no symbol."""
        self._bound: dict[int, Symbol] = {}
        self._owner: Symbol | None = None
        self._silent = False
        self._declare(declarations)
        for symbol in self.symbols:
            self._owner = symbol
            if symbol.parent is not None:
                symbol.needs[symbol.parent] = symbol.at
            declaration = symbol.value or symbol.thing
            for each in t.expressions_of(declaration) if declaration else ():
                self._bind(each, self._scope_of(symbol))
        self._owner = None
        for each in (one for values in self.values.values() for value in values for one in t.expressions_of(value)):
            self._bind(each, ChainMap(self.top))
        self.cyclic = self._cycles()
        graph = {each: [one for one in each.needs if one not in self.cyclic] for each in self.symbols}
        self.order = list(TopologicalSorter(graph).static_order())
        """Each behind what it needs."""

    def of(self, node: t.Node | None) -> Symbol | None:
        """What a name means."""
        return self._bound.get(id(node))

    def of_lambdas(self, node: t.Node) -> Iterator[t.Name]:
        """The names within that lambdas declare."""
        names = (each for each in t.walk(node) if isinstance(each, t.Name))
        return (each for each in names if (symbol := self.of(each)) is not None and symbol.kind == "lambda")

    def settled(self, symbol: Symbol | None) -> bool:
        """Whether nothing more is to be said of a name: it was not read, or is part of a cycle."""
        return symbol is None or symbol.kind == "broken" or symbol in self.cyclic

    def things(self) -> Iterator[tuple[Symbol, t.Thing]]:
        return ((each, each.thing) for each in self.symbols if each.thing is not None)

    def _declare(self, declarations: Iterable[t.Declaration]) -> None:
        taken: dict[tuple[str, str], list[t.Place]] = {}
        cased: dict[tuple[str, str], list[t.Declaration]] = {}
        for each in declarations:
            if each.word in ("param", "var", "output"):
                cased.setdefault((each.word, each.name.lower()), []).append(each)
            own = isinstance(each, t.Value) and each.word in self.values
            if not (isinstance(each, t.Value) and each.type == "imported"):
                taken.setdefault((each.word if own else "", each.name), []).append(each.at)
            if own and isinstance(each, t.Value):
                self.values[each.word].append(each)
                continue
            self.top.setdefault(each.name, self._symbol(each, None))
            if each.word != "broken" and (each.name in ("az", "sys") or (each.name, each.word) == ("copy", "var")):
                self._report.add(each.at, "BCP084", name=each.name)
        for (word, name), places in taken.items():
            key = {"output": "BCP145", "metadata": "BCP145", "targetScope": "BCP112"}.get(word, "BCP028")
            for at in places if len(places) > 1 else ():
                self._report.add(at, key, name=name)
        for alike in cased.values():
            for each in alike if len({one.name for one in alike}) > 1 else ():
                self._report.add(each.at, "BCP353", name=each.name)

    def _symbol(self, each: t.Declaration, parent: Symbol | None) -> Symbol:
        name = each.name if parent is None else f"{parent.name}::{each.name}"
        value, thing = (each, None) if isinstance(each, t.Value) else (None, each)
        symbol = Symbol(name, each.word, each.at, value, thing, thing.loop if thing else None, parent)
        self.symbols.append(symbol)
        for child in thing.body.nested if thing else ():
            if child.name in symbol.nested:
                self._report.add(child.at, "BCP028", name=child.name)
            symbol.nested.setdefault(child.name, self._symbol(child, symbol))
        return symbol

    def _scope_of(self, symbol: Symbol) -> Scope:
        """Inside a resource the nested ones are known by their own names."""
        above = ChainMap(self.top) if symbol.parent is None else self._scope_of(symbol.parent)
        return above.new_child(symbol.nested)

    def _bind(self, node: t.Node, scope: Scope) -> None:
        match node:
            case t.Name(name, at):
                if name in scope:
                    self._use(node, scope[name])
                else:
                    self._unknown(name, at, scope)
            case t.Nested(target, name, at):
                self._bind(target, scope)
                above = self.of(target)
                if above is not None and name in above.nested:
                    self._use(node, above.nested[name])
                elif above is not None and above.kind != "broken":
                    self._report.add(at, "BCP159", parent=above.name, name=name)
            case t.Call(target, function, arguments, _, _, at):
                if target is None and function in scope and scope[function].kind == "broken":
                    scope[function].used = True
                elif target is None and function in scope:
                    row = bicep_function(function)
                    self._report.add(at, "BCP265", name=function, fix=f"{row.space}.{function}" if row else "?")
                before, self._silent = self._silent, self._silent or (node.plain and function == "nameof")
                for each in arguments if node.plain else t.children(node):
                    self._bind(each, scope)
                self._silent = before
            case t.Lambda(names, body):
                self._bind(body, scope.new_child(self._locals(("lambda", each, None) for each in names)))
            case t.Loop(item, index, source, condition, body):
                self._bind(source, scope)
                declared = [("item", item, node), *([("index", index, node)] if index else [])]
                inner = scope.new_child(self._locals(declared))
                for each in (condition, body):
                    if each is not None:
                        self._bind(each, inner)
            case _:
                for each in t.children(node):
                    self._bind(each, scope)

    def _locals(self, declared: Iterable[tuple[str, t.Name, t.Loop | None]]) -> dict[str, Symbol]:
        made: dict[str, Symbol] = {}
        for kind, each, loop in declared:
            if each.name in made:
                self._report.add(each.at, "BCP028", name=each.name)
            made[each.name] = self._bound[id(each)] = Symbol(each.name, kind, each.at, loop=loop)
        return made

    def _use(self, node: t.Node, symbol: Symbol) -> None:
        self._bound[id(node)] = symbol
        symbol.used = True
        if self._owner is not None and not self._silent and symbol.kind not in ("item", "index", "lambda"):
            self._owner.needs.setdefault(symbol, node.at)
            if self._owner is symbol:
                self._report.add(node.at, "BCP079", name=symbol.name)

    def _unknown(self, name: str, at: t.Place, scope: Scope) -> None:
        if bicep_function(name) or name in ("az", "sys"):
            self._report.add(at, "BCP063", name=name)
        else:
            self._report.unknown(at, name, scope)

    def _cycles(self) -> set[Symbol]:
        """The symbols that need themselves by way of others: nothing further is said of them."""
        sorter = TopologicalSorter({each: list(each.needs) for each in self.symbols})
        left = set(self.symbols)
        with suppress(CycleError):  # what lies before the cycles comes out all the same
            sorter.prepare()
        while ready := sorter.get_ready():
            left.difference_update(ready)
            sorter.done(*ready)
        few = len(left) <= _FEW  # of more, those that only need what is in a cycle are not told apart
        reach = {each: _reached(each, left) if few else left for each in left}
        found = {each for each in left if each in reach[each]}
        for each in found:
            for other, at in each.needs.items():
                if other is not each and other in found and each in reach[other] and other is not each.parent:
                    self._report.add(at, "BCP080", name=each.name, other=other.name)
        return found


def _reached(start: Symbol, among: set[Symbol]) -> set[Symbol]:
    found: set[Symbol] = set()
    pending = list(start.needs)
    while pending:
        each = pending.pop()
        if each in among and each not in found:
            found.add(each)
            pending.extend(each.needs)
    return found
