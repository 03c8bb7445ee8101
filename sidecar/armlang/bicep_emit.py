"""Expressions of Bicep to JSON and to ARM's expression language."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import cast

import sidecar.armlang.bicep_tree as t
from sidecar.armlang.bicep_findings import Fault
from sidecar.armlang.bicep_names import Symbol
from sidecar.armlang.bicep_places import Places
from sidecar.words.bicep_codes import OUTSIDE

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

LONGEST = 1_000_000
"""Characters of one expression: what is put where it is used may grow without end."""
_INTEGERS = range(-(2**31), 2**31)
_PLAIN = re.compile(r"[A-Za-z_]\w*")
_BINARY = {"??": "coalesce", "||": "or", "&&": "and", "==": "equals", "<": "less", "<=": "lessOrEquals"}
_ARITHMETIC = {">": "greater", ">=": "greaterOrEquals", "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod"}
_FORMS = {
    (1, "!"): "not({})",
    (1, "-"): "sub(0, {})",
    (2, "!="): "not(equals({}, {}))",
    (2, "=~"): "equals(toLower({}), toLower({}))",
    (2, "!~"): "not(equals(toLower({}), toLower({})))",
    (3, "?:"): "if({}, {}, {})",
    **{(2, operator): f"{function}({{}}, {{}})" for operator, function in (_BINARY | _ARITHMETIC).items()},
}
"""What an operation becomes, by its number of operands."""


class Emitter:
    """`loaded`: what load functions give, by their calls. Things (resources and modules) are said by who builds upon this."""

    def __init__(self, places: Places, loaded: Mapping[int, object]) -> None:
        self.places = places
        self.names = places.names
        self.files: dict[str, Json] = {}
        """Variables that hold loaded files."""
        self._loaded = loaded
        self._index: dict[int, str] = {}
        self._inlined: dict[Symbol, str] = {}

    @abstractmethod
    def thing(self, node: t.Access) -> tuple[str, bool] | None:
        """A property of a resource or a module, and whether it is a tryGet that takes more; None: it is none."""

    @abstractmethod
    def whole(self, symbol: Symbol, node: t.Node) -> str:
        """A resource as a whole value."""

    @abstractmethod
    def listed(self, call: t.Call) -> str:
        """A list… function of a resource."""

    @contextmanager
    def at(self, loop: t.Loop | None, index: str = "copyIndex()") -> Generator[None]:
        """Within: what the loop's item and index are found by."""
        before = self._index.get(id(loop), "")
        self._index[id(loop)] = index
        yield
        self._index[id(loop)] = before

    def value(self, node: t.Node) -> Json:
        """As JSON: objects, lists and plain values stay what they are, everything else becomes an `[expression]`."""
        node = t.unwrapped(node)
        match node:
            case t.Literal(value):
                return escaped(value) if isinstance(value, str) else value
            case t.ArrayOf(items) if not _spread(items):
                return [self.value(each) for each in items]
            case t.ObjectOf(members) if not _spread(members):
                return self._object(node)
            case t.Operation("-", (t.Literal(int() as number),)):
                return -number
            case t.Call() if id(node) in self._loaded:
                return _literal(self._loaded[id(node)])
            case _:
                return stated(self.code(node))

    def _object(self, node: t.ObjectOf) -> Json:
        made: dict[str, Json] = {}
        copies: list[Json] = []
        for each in node.members:
            if isinstance(each, t.Entry) and isinstance(each.value, t.Loop):
                copies.append(self.copy(each.value, str(each.name)))
            elif isinstance(each, t.Entry):
                made[self._key(each)] = self.value(each.value)
        return {"copy": copies, **made} if copies else made

    def copy(self, loop: t.Loop, name: str | None = None) -> Json:
        """A loop of values, an output's without a name: what it repeats is an object, a text or one expression."""
        with self.at(loop, "copyIndex()" if name is None else f"copyIndex({quoted(name)})"):
            count, body = f"[length({self.code(loop.source)})]", self.value(loop.body)
            repeated = body if isinstance(body, str | dict) else f"[{self.code(loop.body)}]"
            return {**({} if name is None else {"name": name}), "count": count, "input": repeated}

    def _key(self, entry: t.Entry) -> str:
        if entry.name is None:
            return f"[{self.code(entry.key)}]"
        return f"[string({quoted(entry.name)})]" if entry.name.lower() == "copy" else escaped(entry.name)

    def code(self, node: t.Node) -> str:
        """As the inside of an ARM expression."""
        made = self._code(node)
        if len(made) > LONGEST:
            raise Fault(node.at, OUTSIDE, what="what becomes longer than {most} characters", most=LONGEST)
        return made

    def codes(self, nodes: Iterable[t.Node]) -> str:
        return ", ".join(self.code(each) for each in nodes)

    def _code(self, node: t.Node) -> str:
        match node:
            case t.Literal(value):
                return coded(value)
            case t.Interpolation(pieces, holes):
                doubled = [piece.replace("{", "{{").replace("}", "}}") for piece in pieces]
                text = doubled[0] + "".join(f"{{{index}}}{piece}" for index, piece in enumerate(doubled[1:]))
                return f"format({quoted(text)}, {self.codes(holes)})"
            case t.ArrayOf(items):
                made = self._joined("createArray", items)
                return f"flatten(createArray({', '.join(made)}))" if _spread(items) else made[0]
            case t.ObjectOf(members):
                made = self._joined("createObject", members)
                return f"shallowMerge(createArray({', '.join(made)}))" if _spread(members) else made[0]
            case t.Entry(key, value):
                return f"{self.code(key)}, {self.code(value)}"
            case t.Name() | t.Nested():
                return self._name(node)
            case t.Call():
                return self._call(node)
            case t.Access():
                return self._access(node)[0]
            case t.Operation("-", (t.Literal(int() as number),)):
                return coded(-number)
            case t.Operation(operator, operands):
                return _FORMS.get((len(operands), operator), "{}").format(*map(self.code, operands))
            case t.Lambda(names, body):
                return f"lambda({', '.join([*(quoted(each.name) for each in names), self.code(body)])})"
            case t.Spread(value):
                return self.code(value)
            case _:
                raise Fault(node.at, OUTSIDE, what="a loop at this place")

    def _joined(self, function: str, members: Sequence[t.Node]) -> list[str]:
        """Calls that make what stands between the spreads, and the spreads; one call where there is nothing."""
        parts: list[str] = []
        for spread, run in groupby(members, lambda each: isinstance(each, t.Spread)):
            codes = [self.code(each) for each in run]
            parts += codes if spread else [f"{function}({', '.join(codes)})"]
        return parts or [f"{function}()"]

    def _name(self, node: t.Name | t.Nested) -> str:
        symbol = self.names.of(node)
        assert symbol is not None, "the names were checked"
        match symbol.kind:
            case "param":
                return f"parameters({quoted(symbol.name)})"
            case "var" if symbol not in self.places.late:
                return f"variables({quoted(symbol.name)})"
            case "var":
                return self.inlined(symbol)
            case "lambda":
                return f"lambdaVariables({quoted(symbol.name)})"
            case "index":
                return self._index[id(symbol.loop)]
            case "item":
                assert symbol.loop is not None
                return f"{based(self.code(symbol.loop.source))}[{self._index[id(symbol.loop)]}]"
            case _:
                return self.whole(symbol, node)

    def inlined(self, symbol: Symbol) -> str:
        """A variable that only a running deployment knows is put where it is used."""
        assert symbol.value is not None
        assert symbol.value.value is not None
        if symbol not in self._inlined:
            self._inlined[symbol] = self.code(symbol.value.value)
        return self._inlined[symbol]

    def _call(self, call: t.Call) -> str:
        if id(call) in self._loaded:
            return self._file(_literal(self._loaded[id(call)]))
        if not call.plain:
            return self.listed(call)
        if call.function == "any":
            return self.code(call.arguments[0])
        if call.function == "nameof":
            named = call.arguments[0]
            return quoted(str(t.constant(named.key)) if isinstance(named, t.Access) else getattr(named, "name", ""))
        if call.function in ("resourceGroup", "subscription", "managementGroup") and call.arguments:
            raise Fault(call.at, OUTSIDE, what="{name}(…) with arguments where it is no scope", name=call.function)
        return f"{call.function}({self.codes(call.arguments)})"

    def _file(self, value: Json) -> str:
        """A loaded file within an expression is a variable: expressions may not be long."""
        shown = json.dumps(value)
        name = next((each for each, known in self.files.items() if json.dumps(known) == shown), None)
        name = name or f"$file#{len(self.files)}"
        self.files[name] = value
        return f"variables({quoted(name)})"

    def _access(self, node: t.Access) -> tuple[str, bool]:
        """The code, and whether it is a tryGet that stops the whole chain: what follows in the chain is put into it."""
        if (special := self.thing(node)) is not None:
            return special
        target = node.target
        while isinstance(target, t.Operation | t.Call) and t.unwrapped(target) is not target:
            if isinstance(target, t.Operation) and target.operator == "group":
                break  # brackets end a chain
            target = target.operands[0] if isinstance(target, t.Operation) else target.arguments[0]
        base, open_ = self._access(target) if isinstance(target, t.Access) else (self.code(target), False)
        key = self.code(node.key)
        if node.safe:
            return f"{'tryIndexFromEnd' if node.from_end else 'tryGet'}({base}, {key})", True
        if open_:
            more = f"createObject('value', {key}, 'fromEnd', true())" if node.from_end else key
            return f"{base[:-1]}, {more})", True
        if node.from_end:
            return f"indexFromEnd({base}, {key})", False
        name = key[1:-1] if key.startswith("'") else ""
        return f"{based(base)}.{name}" if _PLAIN.fullmatch(name) else f"{based(base)}[{key}]", False


def _spread(members: Sequence[t.Node]) -> bool:
    return any(isinstance(each, t.Spread) for each in members)


def based(code: str) -> str:
    """What properties and items can be asked of: a literal needs a function around it."""
    if code.startswith("'"):
        return f"string({code})"
    return f"int({code})" if re.fullmatch(r"-?\d+", code) else code


def coded(value: str | int | bool | None) -> str:
    if isinstance(value, str):
        return quoted(value)
    if value is None:
        return "null()"
    if isinstance(value, bool):
        return "true()" if value else "false()"
    return str(value) if value in _INTEGERS else f"json('{value}')"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def escaped(text: str) -> str:
    """A text that ARM would read as an expression."""
    if text.startswith("[") and text.endswith("]"):
        return f"[{text}"
    return f"[string({quoted(text)})]" if text.startswith("[[") else text


def stated(code: str) -> Json:
    """The code of an expression as a value of a template."""
    if code.startswith("'") and re.fullmatch(r"'(?:[^']|'')*'", code):
        return escaped(code[1:-1].replace("''", "'"))
    return int(code) if re.fullmatch(r"-?\d+", code) else f"[{code}]"


def _literal(value: object) -> Json:
    if isinstance(value, list):
        return [_literal(each) for each in cast("list[object]", value)]
    if isinstance(value, dict):
        return {escaped(key): _literal(each) for key, each in cast("dict[str, object]", value).items()}
    return escaped(value) if isinstance(value, str) else cast("Json", value)
