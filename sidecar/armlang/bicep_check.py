"""The types of expressions, and what is wrong with them. Where a type is not certain, nothing is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sidecar.armlang.bicep_tree as t
from sidecar.armlang import bicep_types as types
from sidecar.armlang.bicep_findings import Report
from sidecar.armlang.bicep_names import Names, Symbol
from sidecar.armlang.bicep_places import CERTAIN
from sidecar.armlang.bicep_types import ANY, ARRAY, BOOL, INT, OBJECT, STRING, Type, fits, shown, without_null
from sidecar.armlang.function_table import ROWS, Function, Signature, bicep_function, function_named
from sidecar.dotnet.text import length
from sidecar.words.bicep_codes import OUTSIDE
from sidecar.words.nearest import nearest

VAULT = "microsoft.keyvault/vaults"
_BICEP = sorted({each.name for each in ROWS if each.made != "template" and "*" not in each.name})
_ENVIRONMENT = """activeDirectoryDataLake authentication batch gallery graph graphAudience media name portal resourceManager
sqlManagement suffixes vmImageAliasDoc"""
_GIVEN: Mapping[str, Mapping[str, Type]] = {
    "resourceGroup": {
        **dict.fromkeys(("id", "name", "type", "location", "managedBy"), STRING),
        **dict.fromkeys(("tags", "properties"), OBJECT),
    },
    "subscription": dict.fromkeys(("id", "subscriptionId", "tenantId", "displayName"), STRING),
    "deployment": dict.fromkeys(("name", "properties", "location"), ANY),
    "environment": dict.fromkeys(_ENVIRONMENT.split(), ANY),
    "parseCidr": dict.fromkeys(("network", "netmask", "broadcast", "firstUsable", "lastUsable", "cidr"), ANY),
}
"""The members of what some functions give."""
_UNFINISHED = re.compile(r"\s*|[+-]|\+.*|(?!true$|false$|null$|NaN$|Infinity$|undefined$)[A-Za-z]+", re.DOTALL)
Loaded = Mapping[int, object]
_WRONG = Type("lambda", "")
"""A lambda that fits nowhere."""


@dataclass(frozen=True)
class Taken:
    """What a module's file takes and gives. `parameters`: the type, whether one may be left out, and is secure."""

    parameters: Mapping[str, tuple[Type, bool, bool]]
    outputs: Type
    secure: frozenset[str]


_OPERANDS: Mapping[str, tuple[tuple[Type, ...], Type]] = {
    **dict.fromkeys(("&&", "||"), ((BOOL,), BOOL)),
    **dict.fromkeys(("+", "-", "*", "/", "%"), ((INT,), INT)),
    **dict.fromkeys(("<", "<=", ">", ">="), ((INT, STRING), BOOL)),
    **dict.fromkeys(("=~", "!~"), ((STRING,), BOOL)),
    **dict.fromkeys(("==", "!="), ((ANY,), BOOL)),
}
"""What both sides of an operator may be, alike, and what it gives."""


class Checker:
    """`loaded`: what load functions give, by their calls."""

    def __init__(self, names: Names, report: Report, loaded: Loaded, taken: Mapping[Symbol, Taken]) -> None:
        self.names, self.report, self.loaded, self.taken = names, report, loaded, taken
        self.known: dict[Symbol, Type] = {}
        self._types: dict[int, Type] = {}

    def type(self, node: t.Node) -> Type:
        """Found once for each expression, however often it is asked for."""
        found = self._types.get(id(node))
        if found is None:
            self._types[id(node)] = found = self._type(node)
        return found

    def expect(self, node: t.Node, wanted: Type, key: str = "BCP033") -> None:
        given = self.type(node)
        if isinstance(node, t.Operation) and node.operator == "?:" and not fits(given, wanted):
            for each in node.operands[1:]:
                self.expect(each, wanted, key)
        elif not fits(given, wanted):
            self.report.add(node.at, key, given=shown(given), wanted=shown(wanted))

    def condition(self, node: t.Node) -> None:
        self._needs(node, node.at, BOOL, "BCP046")

    def _needs(self, node: t.Node, at: t.Place, wanted: Type, key: str, **args: object) -> Type:
        """A value that may be null is taken."""
        given = without_null(self.type(node))
        if not fits(given, wanted):
            self.report.add(at, key, given=shown(given), wanted=shown(wanted), **args)
        return given

    def _type(self, node: t.Node) -> Type:
        match node:
            case t.Literal(value):
                return types.of_json(value)
            case t.Interpolation(_, holes):
                for each in holes:
                    if isinstance(each, t.ArrayOf | t.ObjectOf):
                        self.report.add(each.at, "BCP087")
                    self.type(each)
                return STRING
            case t.ArrayOf(items):
                for each in (one for one in items if isinstance(one, t.Spread)):
                    self._needs(each, each.at, ARRAY, "BCP396")
                found = tuple(map(self.type, items))
                return ARRAY if any(isinstance(each, t.Spread) for each in items) else Type("array", items=found)
            case t.ObjectOf():
                return self._object(node)
            case t.Name() | t.Nested():
                return self._named(node)
            case t.Call():
                return self.call(node)
            case t.Access():
                return self._access(node)
            case t.Spread(value):
                return self.type(value)
            case t.Operation():
                return self._operation(node)
            case t.Loop():
                return self._loop(node)
            case t.Lambda():
                self.report.add(node.at, "BCP242")
                return ANY
            case _:
                raise AssertionError(f"no expression: {node!r}")

    def _named(self, node: t.Node) -> Type:
        symbol = self.names.of(node)
        if symbol is None or self.names.settled(symbol):
            return ANY
        if symbol.thing is not None:
            one = Type(symbol.kind, of=symbol)
            return Type("array", item=one) if symbol.loop else one
        return self.known.get(symbol, ANY)

    def _object(self, node: t.ObjectOf) -> Type:
        places: dict[str, list[t.Place]] = {}
        members: dict[str, Type] = {}
        for each in node.members:
            if isinstance(each, t.Spread):
                self._needs(each, each.at, OBJECT, "BCP396")
                continue
            self.type(each.key)
            given = self.type(each.value)
            if each.name is not None:
                places.setdefault(each.name, []).append(each.at)
                members[each.name] = given
        for name, found in places.items():
            for at in found if len(found) > 1 else ():
                self.report.add(at, "BCP025", name=name)
        certain = all(isinstance(each, t.Entry) and each.name is not None for each in node.members)
        return Type("object", members=members, closed=certain)

    def _access(self, node: t.Access) -> Type:
        target, key = without_null(self.type(node.target)), self.type(node.key)
        at = node.key.at
        self._one_of_many(node)
        if isinstance(key.literal, str) and (node.dotted or target.kind in ("object", "resource", "module")):
            return self._member(target, key.literal, node.safe, at)
        if target.kind == "array":
            self._needs(node.key, at, INT, "BCP074")
            return self._item(target, key.literal, node)
        if target.kind == "object":
            self._needs(node.key, at, STRING, "BCP075")
        elif target.kind not in ("any", "union", "null", "resource", "module"):
            self.report.add(node.at, "BCP076", given=shown(target))
        return ANY

    def _one_of_many(self, node: t.Access) -> None:
        """Which one of a loop of resources or modules is said by a plain index."""
        symbol = self.names.of(t.unwrapped(node.target))
        if node.dotted or symbol is None or symbol.thing is None:
            return
        if node.safe or node.from_end:
            self.report.add(node.key.at, "BCP323" if node.safe else OUTSIDE, what="[^ on a loop of resources")
        for each in self.names.of_lambdas(node.key):
            self.report.add(each.at, "BCP247", name=each.name)

    def _member(self, target: Type, name: str, safe: bool, at: t.Place) -> Type:
        if target.options:
            return types.union(self._member(each, name, True, at) for each in target.options)
        if target.kind == "resource":
            return STRING if name in CERTAIN else ANY
        members = target.members
        if target.kind == "module" and isinstance(target.of, Symbol):
            taken = self.taken.get(target.of)
            members = {"name": STRING, "outputs": taken.outputs if taken else ANY}
        elif target.kind not in ("object", "scope", "any", "lambda", "null"):
            if not safe:
                self.report.add(at, "BCP055", given=shown(target))
            return ANY
        if members is None or name in members or safe:
            return (members or {}).get(name, ANY)
        if target.closed or target.kind in ("module", "scope"):
            near, there = nearest(name, members), ", ".join(sorted(members)) or "–"
            self.report.add(at, "BCP083" if near else "BCP053", name=name, near=near, there=there)
        return ANY

    def _item(self, target: Type, number: str | int | bool | None, node: t.Access) -> Type:
        if target.items is None or isinstance(number, bool) or not isinstance(number, int):
            return types.item_of(target)
        place = len(target.items) - number if node.from_end else number
        if 0 <= place < len(target.items):
            return target.items[place]
        if not node.safe:
            self.report.add(node.key.at, "BCP311", count=len(target.items), number=number)
        return ANY

    def _operation(self, node: t.Operation) -> Type:
        operator, (first, *rest) = node.operator, node.operands
        if operator == "?:":
            self.condition(first)
            found = [*map(self.type, rest)]
            sure = self.type(first).literal
            return found[not sure] if isinstance(sure, bool) else types.union(found)
        if operator == "group":
            return self.type(first)
        if operator in ("!", "-") and not rest:
            wanted = BOOL if operator == "!" else INT
            given = self._needs(first, first.at, wanted, "BCP044", operator=operator)
            number = given.literal if operator == "-" and isinstance(first, t.Literal) else None
            return Type("int", -number) if isinstance(number, int) else wanted
        left = without_null(self.type(first))
        if operator in ("assured", "??"):
            return types.union((left, *map(self.type, rest)))
        right = without_null(self.type(rest[0]))
        kinds, result = _OPERANDS[operator]
        if not any(fits(left, each) and fits(right, each) for each in kinds):
            key = "BCP045#text" if operator == "+" and "string" in (left.kind, right.kind) else "BCP045"
            self.report.add(first.at, key, operator=operator, left=shown(left), right=shown(right))
        return result

    def _loop(self, loop: t.Loop) -> Type:
        source = self._needs(loop.source, loop.source.at, ARRAY, "BCP137")
        self.bind(loop.item, types.item_of(source))
        if loop.index is not None:
            self.bind(loop.index, INT)
        if loop.condition is not None:
            self.condition(loop.condition)
        return Type("array", item=self.type(loop.body))

    def bind(self, name: t.Name, given: Type) -> None:
        symbol = self.names.of(name)
        if symbol is not None:
            self.known[symbol] = given

    def call(self, call: t.Call) -> Type:
        if not call.plain and call.target is not None:
            return self._method(call, call.target)
        space = call.target.name if isinstance(call.target, t.Name) else None
        row = bicep_function(call.function)
        if row is not None and (
            (row.where == "parameters file" and not self.report.stating) or space not in (None, row.space)
        ):
            row = None
        if row is None or (space is None and call.function in self.names.top):
            if space is not None or call.function not in self.names.top:  # else it was said of the name
                self._unknown(call)
            return self._unread(call)
        return types.of_json(self.loaded[id(call)]) if id(call) in self.loaded else self._known(call, row)

    def _unread(self, call: t.Call) -> Type:
        """Of a call that is wrong already, the arguments alone."""
        for each in call.arguments:
            if not isinstance(each, t.Lambda):
                self.type(each)
        return ANY

    def _unknown(self, call: t.Call) -> None:
        row = function_named(call.function)
        if row is not None and row.name == call.function and row.code:
            self.report.add(call.at, row.code, name=call.function, instead=row.instead)
        else:
            self.report.unknown(call.at, call.function, _BICEP)

    def _method(self, call: t.Call, target: t.Node) -> Type:
        given = types.without_null(self.type(target))
        self._unread(call)
        if given.kind in ("any", "union"):
            if not self.said(target):
                self.report.add(call.at, OUTSIDE, what="{name}() of what is no resource here", name=call.function)
        elif isinstance(given.of, Symbol) and given.kind == "resource" and call.function == "getSecret":
            return STRING
        elif given.kind != "resource" or not re.fullmatch(r"list\w*", call.function):
            self.report.add(call.at, "BCP109", given=shown(given), name=call.function)
        return ANY

    def said(self, node: t.Node) -> bool:
        """Whether what is wrong here was said already, of the name that it begins with."""
        while isinstance(inner := t.unwrapped(node), t.Access):
            node = inner.target
        return isinstance(inner, t.Name | t.Nested) and self.names.settled(self.names.of(inner))

    def _known(self, call: t.Call, row: Function) -> Type:
        count = len(call.arguments)
        fitting = [one for one in row.signatures if one.fewest <= count <= (count if one.most is None else one.most)]
        if not fitting or (row.name == "list*" and count < 2):
            fewest, most = row.arity
            wanted = f"{fewest}" if fewest == most else f"{fewest}–{most or '…'}"
            self.report.add(call.brackets, "BCP071", name=row.name, wanted=wanted, given=count)
            return self._unread(call)
        given: list[Type] = []
        for place, each in enumerate(call.arguments):
            given.append(self._lambda(each, row, place, given) if isinstance(each, t.Lambda) else self.type(each))
        matching = [each for each in fitting if _reached(each, given) == count]
        if not matching:
            best = max(fitting, key=lambda each: _reached(each, given))
            place = _reached(best, given)
            taken = " | ".join(best.parameters[min(place, len(best.parameters) - 1)].types)
            at = call.arguments[place].at
            self.report.add(at, "BCP070", given=shown(given[place]), name=call.function, wanted=taken)
            return ANY
        if (special := _SPECIAL.get(row.name)) is not None:
            return special(self, call, given)
        if matching[0].result == "scope":
            return Type("scope", members={})
        if row.name in _GIVEN:
            return types.closed(_GIVEN[row.name])
        return types.named(matching[0].result) if len(matching) == 1 else ANY

    def _lambda(self, lambda_: t.Lambda, row: Function, place: int, given: list[Type]) -> Type:
        own = (each.parameters[place].lambda_ for each in row.signatures if place < len(each.parameters))
        wanted = next(own, None)
        if wanted is None or not wanted.fewest <= len(lambda_.names) <= wanted.most:
            return _WRONG
        item = types.item_of(given[0]) if given else ANY
        kinds = [ANY, item, INT] if row.name == "reduce" else [item, item] if row.name == "sort" else [item, INT]
        for name, kind in zip(lambda_.names, kinds, strict=False):
            self.bind(name, kind)
        return Type("lambda") if fits(self.type(lambda_.body), types.named(wanted.result)) else _WRONG


def _reached(signature: Signature, given: list[Type]) -> int:
    """How many of the arguments fit."""
    for place, each in enumerate(given):
        parameter = signature.parameters[min(place, len(signature.parameters) - 1)]
        lambda_ = parameter.types == ("lambda",)
        if each.kind == "lambda" or lambda_:
            takes = lambda_ and each is not _WRONG and each.kind in ("lambda", "any")
        else:
            takes = fits(each, types.union(map(types.named, parameter.types)))
        if not takes:
            return place
    return len(given)


def _substring(calls: Checker, call: t.Call, given: list[Type]) -> Type:
    """Place and length are looked at where all is known."""
    text, *numbers = [each.literal for each in given]
    if isinstance(text, str):
        left = length(text)
        for at, number in zip(call.arguments[1:], numbers, strict=True):
            if isinstance(number, int) and not 0 <= number <= left:
                calls.report.add(at.at, "BCP327", given=number, limit=f"0–{left}")
            left -= number if isinstance(number, int) else 0
    return STRING


def _json(calls: Checker, call: t.Call, given: list[Type]) -> Type:
    """Microsoft's reader takes more than JSON: of that nothing is said."""
    text = t.constant(call.arguments[0])
    if not isinstance(text, str):
        return ANY
    if _UNFINISHED.fullmatch(text):
        calls.report.add(call.arguments[0].at, "BCP186")
        return ANY
    try:
        return types.of_json(json.loads(text))
    except (ValueError, RecursionError):
        return ANY


def _nameof(calls: Checker, call: t.Call, given: list[Type]) -> Type:
    named = call.arguments[0]
    key = t.constant(named.key) if isinstance(named, t.Access) else ""
    if not isinstance(named, t.Name | t.Nested | t.Access) or not isinstance(key, str):
        calls.report.add(named.at, "BCP408")
    return STRING


_SPECIAL: Mapping[str, Callable[[Checker, t.Call, list[Type]], Type]] = {
    "any": lambda calls, call, given: ANY,
    "json": _json,
    "nameof": _nameof,
    "substring": _substring,
}
