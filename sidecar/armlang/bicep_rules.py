"""The rules of declarations: decorators, parameters, variables, outputs, and what may stand where in them.

A new decorator is a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sidecar.armlang.bicep_tree as t
from sidecar.armlang import bicep_types as types
from sidecar.armlang.bicep_check import Checker
from sidecar.armlang.bicep_names import Symbol
from sidecar.armlang.bicep_places import Places
from sidecar.armlang.bicep_types import Type, fits, shown
from sidecar.armlang.function_table import bicep_function
from sidecar.dotnet.text import length
from sidecar.words.bicep_codes import OUTSIDE

_VALUES = ("param", "output")


@dataclass(frozen=True)
class _Row:
    """`values`: types of the parameter or output that it may stand on; none: any."""

    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


ROWS: Mapping[str, _Row] = {
    "allowed": _Row(("param",), ("array",)),
    "batchSize": _Row(("resource", "module"), ("int",)),
    "description": _Row(("param", "var", "resource", "module", "output", "metadata"), ("string",)),
    "export": _Row(("var",)),
    "maxLength": _Row(_VALUES, ("int",), ("string", "array")),
    "maxValue": _Row(_VALUES, ("int",), ("int",)),
    "metadata": _Row(_VALUES, ("object",)),
    "minLength": _Row(_VALUES, ("int",), ("string", "array")),
    "minValue": _Row(_VALUES, ("int",), ("int",)),
    "secure": _Row(_VALUES, (), ("string", "object")),
}
_OUTSIDE = ("discriminator", "onlyIfNotExists", "retryOn", "sealed", "waitUntil")
_LIMITS = (("minValue", 1), ("maxValue", -1), ("minLength", 1), ("maxLength", -1))


def argument(declaration: t.Declaration, name: str) -> t.Node | None:
    """The first argument of a decorator that the declaration has."""
    found = next((each for each in declaration.decorators if each.function == name), None)
    return found.arguments[0] if found is not None and found.arguments else None


def has(declaration: t.Declaration, name: str) -> bool:
    return any(each.function == name for each in declaration.decorators)


class Rules:
    def __init__(self, checker: Checker, places: Places) -> None:
        self.names = checker.names
        self.checker = checker
        self.places = places
        self.add = checker.report.add

    def of_values(self) -> None:
        """All but resources and modules, each behind what it needs."""
        for symbol in self.names.order:
            value = symbol.value
            if value is None or self.names.settled(symbol):
                continue
            if value.word == "param":
                self._parameter(symbol, value)
            elif value.value is not None:
                self.decorated(value)
                self._variable(symbol, value.value)
        for each in (one for values in self.names.values.values() for one in values):
            if each.value is None:
                continue
            self.decorated(each)
            if each.word == "output":
                self._value_of(each, each.value)
                self.loops(each.value, "output")
                self.placed(each.value, "value")
            else:
                self._written_out(each, each.value)

    def _written_out(self, declaration: t.Value, value: t.Node) -> None:
        """metadata and targetScope."""
        self.checker.type(value)
        late = next((one for one in t.walk(value) if isinstance(one, t.Name | t.Call)), None)
        if late is not None:
            self.add(late.at, "BCP032")
        elif declaration.word == "targetScope" and t.constant(value) != "resourceGroup":
            levels = ("subscription", "managementGroup", "tenant")
            self.checker.report.foreign = known = t.constant(value) in levels
            given, wanted = types.shown(self.checker.type(value)), " | ".join(("resourceGroup", *levels))
            self.add(value.at, OUTSIDE if known else "BCP033", what="targetScope {given}", given=given, wanted=wanted)

    def _parameter(self, symbol: Symbol, parameter: t.Value) -> None:
        self.decorated(parameter)
        wanted, default = types.named(parameter.type), parameter.value
        self.checker.known[symbol] = types.union((wanted, types.NULL)) if parameter.nullable else wanted
        if default is None:
            return
        for each in t.walk(default):
            used = self.names.of(each) if isinstance(each, t.Name | t.Nested) else None
            if used is not None and used.kind in ("var", "resource", "module"):
                self.add(each.at, "BCP072", name=used.name)
        if parameter.nullable:
            self.add(default.at, "BCP326")
        else:
            self._value_of(parameter, default)
        self.loops(default, "default")
        self.placed(default, "default")

    def _variable(self, symbol: Symbol, value: t.Node) -> None:
        self.checker.known[symbol] = self.checker.type(value)
        self.loops(value, "variable")
        self.placed(value, "value")
        if isinstance(value, t.Loop):
            self.early_only(value.body, "BCP182", "a loop of a variable")

    def early_only(self, node: t.Node | None, code: str, place: str, function: str = "") -> None:
        for found in self.places.late_in(node) if node is not None else ():
            if self.names.of(found) in self.names.cyclic:
                continue
            computed = isinstance(found, t.Access) and not isinstance(t.constant(found.key), str)
            what = "a property with a computed name" if computed else "what only a running deployment knows in {place}"
            self.add(found.at, OUTSIDE if computed else code, place=place, what=what, function=function)

    def placed(self, node: t.Node, where: str) -> None:
        """Functions that may not stand everywhere."""
        for call in (each for each in t.walk(node) if isinstance(each, t.Call)):
            row = bicep_function(call.function) if call.plain else None
            key = OUTSIDE if call.function == "getSecret" else "BCP181"
            for each in call.arguments if not call.plain or (row is not None and row.where == "runtime") else ():
                self.early_only(each, key, "what {function} is given", call.function)
                for name in self.names.of_lambdas(each):
                    self.add(name.at, "BCP248", name=name.name)
            if call.function == "getSecret" and not call.plain:
                outside = where == "secure" or self.checker.report.foreign
                self.add(call.at, OUTSIDE if outside else "BCP180", what="getSecret within an expression")
            elif row is not None and row.where == "default" and where != "default":
                self.add(call.at, "BCP065", name=call.function)
            elif row is not None and row.where == "runtime" and where == "default":
                self.add(call.at, OUTSIDE, what="{function}() in a default", function=call.function)

    def loops(self, node: t.Node, inside: str) -> None:
        """A loop is a whole value, or (in resources and modules) a property's."""
        if isinstance(node, t.Loop) and inside != "default":
            self.early_only(node.source, "BCP178", "what a loop goes through")
            self._inner_loops(node.source, inside, False)
            self._inner_loops(node.body, inside, True)
        else:
            self._inner_loops(node, inside, True)

    def _inner_loops(self, node: t.Node, inside: str, open_: bool) -> None:
        """`open_`: whether only objects and lists lie around it, so that a property may be a loop."""
        if isinstance(node, t.Loop):
            key = {"body": OUTSIDE, "loop": "BCP142"}.get(inside, "BCP138")
            self.add(node.at, key, what="a loop at this place")
        elif isinstance(node, t.ObjectOf | t.ArrayOf):
            for each in t.children(node):
                value = each.value if isinstance(each, t.Entry) else each
                if isinstance(each, t.Entry) and isinstance(value, t.Loop) and inside == "body" and open_ and each.name:
                    self.loops(value, "loop")
                else:
                    self._inner_loops(value, inside, open_)
        else:
            for each in t.children(node):
                self._inner_loops(each, inside, False)

    def decorated(self, declaration: t.Declaration) -> None:
        for each in declaration.decorators:
            row = ROWS.get(each.function)
            if sum(other.function == each.function for other in declaration.decorators) > 1:
                self.add(each.at, "BCP166", name=each.function)
            elif row is not None and each.target is None and each.function in self.names.top:
                self.add(each.at, "BCP265", name=each.function, fix=f"sys.{each.function}")
            elif each.function in _OUTSIDE:
                self.add(each.at, OUTSIDE, what="the decorator {function}", function=each.function)
            elif row is None:
                self.checker.report.unknown(each.at, each.function, ROWS, "@")
            elif declaration.word not in row.words:
                self.add(each.at, "BCP126", name=each.function, word=declaration.word)
            elif self._taken(each, row):
                self._stands(each, row, declaration)

    def _taken(self, decorator: t.Call, row: _Row) -> bool:
        if len(decorator.arguments) != len(row.arguments):
            count = {"wanted": len(row.arguments), "given": len(decorator.arguments)}
            self.add(decorator.brackets, "BCP071", name=decorator.function, **count)
            return False
        for each, wanted in zip(decorator.arguments, row.arguments, strict=True):
            given = self.checker.type(each)
            late = next((one for one in t.walk(each) if not _written(one)), None)
            if not fits(given, types.named(wanted)):
                self.add(each.at, "BCP070", given=shown(given), name=decorator.function, wanted=wanted)
            elif late is not None:
                self.add(late.at, "BCP032")
            else:
                continue
            return False
        return True

    def _stands(self, decorator: t.Call, row: _Row, declaration: t.Declaration) -> None:
        if isinstance(declaration, t.Value):
            if row.values and declaration.type not in row.values:
                self.add(decorator.at, "BCP124", name=decorator.function, wanted=" | ".join(row.values))
            if decorator.function == "allowed":
                self._allowed(decorator.arguments[0], types.named(declaration.type))
            elif decorator.function in dict(_LIMITS):
                self._limit(decorator.function, decorator.arguments[0], declaration)
        elif decorator.function == "batchSize":
            size = self.checker.type(decorator.arguments[0]).literal
            if declaration.loop is None:
                self.add(decorator.at, "BCP155")
            elif isinstance(size, int) and size < 1:
                self.add(decorator.arguments[0].at, "BCP154")

    def _limit(self, name: str, value: t.Node, declaration: t.Value) -> None:
        limit, above = self.checker.type(value).literal, argument(declaration, name.replace("min", "max"))
        most = self.checker.type(above).literal if above is not None else None
        if isinstance(limit, int) and limit < 0 and "Length" in name:
            self.add(value.at, "BCP168", name=name)
        elif isinstance(limit, int) and isinstance(most, int) and limit > most:
            self.add(value.at, "BCP331", given=limit, most=most)

    def _allowed(self, values: t.Node, wanted: Type) -> None:
        items = values.items if isinstance(values, t.ArrayOf) else ()
        if not items:
            self.add(values.at, "BCP099")
        for each in items if wanted.kind != "array" else ():
            self.checker.expect(each, wanted, "BCP034")

    def _value_of(self, declaration: t.Value, value: t.Node) -> None:
        """A value, as far as it is known, against the type, the allowed values and the limits."""
        wanted = types.named(declaration.type)
        given = self.checker.type(value)
        self.checker.expect(value, types.union((wanted, types.NULL)) if declaration.nullable else wanted)
        allowed = argument(declaration, "allowed")
        if isinstance(allowed, t.ArrayOf) and wanted.kind in ("string", "int") and fits(given, wanted):
            self.checker.expect(value, types.union(self.checker.type(each) for each in allowed.items))
        for name, sign in _LIMITS:
            decorator = argument(declaration, name)
            limit = self.checker.type(decorator).literal if decorator is not None else None
            measured = given.literal if "Value" in name else _length(given)
            if isinstance(limit, int) and isinstance(measured, int) and measured * sign < limit * sign:
                self.add(value.at, "BCP327", given=measured, limit=f"{name} {limit}")


def _length(given: Type) -> int | None:
    if given.items is not None:
        return len(given.items)
    return length(given.literal) if isinstance(given.literal, str) else None


def _written(node: t.Node) -> bool:
    """Whether a part is written out: nothing has to be computed."""
    minus = isinstance(node, t.Operation) and node.operator == "-" and len(node.operands) == 1
    return minus or isinstance(node, t.Literal | t.ArrayOf | t.ObjectOf | t.Entry)
