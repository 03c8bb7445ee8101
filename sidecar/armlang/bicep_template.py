"""A checked file as an ARM template (languageVersion 2.0): its declarations, and what each resource is called and waits for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from typing import cast

import sidecar.armlang.bicep_tree as t
from sidecar.armlang.bicep_check import Loaded, Taken
from sidecar.armlang.bicep_emit import Emitter, Json, escaped, quoted, stated
from sidecar.armlang.bicep_findings import Fault
from sidecar.armlang.bicep_names import Symbol
from sidecar.armlang.bicep_places import MODULE_VERSION, Places, Pointed, Scope
from sidecar.armlang.bicep_rules import argument, has
from sidecar.words.bicep_codes import OUTSIDE

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_SECURE = {"string": "securestring", "object": "secureObject"}
_LIMITS = {**{each: each for each in ("minValue", "maxValue", "minLength", "maxLength")}, "allowed": "allowedValues"}
_DROPPED = ("name", "dependsOn", "parent", "scope")
Templates = Mapping[Symbol, Callable[[], dict[str, Json]]]
Waited = tuple[Symbol, str]
"""A resource or module, and the code of which one of a loop (empty: all)."""


class Builder(Emitter):
    """`templates`: what modules compile to."""

    def __init__(self, places: Places, loaded: Loaded, taken: Mapping[Symbol, Taken], templates: Templates) -> None:
        super().__init__(places, loaded)
        self._taken, self._templates = taken, templates
        self._entries: dict[Symbol, bool] = {}
        self._waits: dict[Symbol, set[Waited]] = {}

    def template(self) -> dict[str, Json]:
        for each in self.names.order:  # in the order of their needs, so that none is found within another
            if each in self.places.late:
                self.inlined(each)
        values = [each for each in self.names.symbols if each.value is not None]
        parameters = {each.name: self._declared(each.value) for each in values if each.value and each.kind == "param"}
        outputs = {each.name: self._declared(each) for each in self.names.values["output"]}
        resources = {each.name: self._entry(each, thing) for each, thing in self.names.things() if self.has_entry(each)}
        early = [each for each in values if each.kind == "var" and each not in self.places.late]
        valued = [(each.name, each.value.value) for each in early if each.value and each.value.value]
        copies: list[Json] = [self.copy(value, name) for name, value in valued if isinstance(value, t.Loop)]
        variables = {name: self.value(value) for name, value in valued if not isinstance(value, t.Loop)}
        return {
            "$schema": SCHEMA,
            "languageVersion": "2.0",
            "contentVersion": "1.0.0.0",
            "metadata": {each.name: self.value(each.value) for each in self.names.values["metadata"] if each.value},
            "parameters": cast("Json", parameters),
            "variables": {**({"copy": copies} if copies else {}), **self.files, **variables},
            "resources": cast("Json", resources),
            "outputs": cast("Json", outputs),
        }

    def _declared(self, value: t.Value) -> dict[str, Json]:
        """A parameter or an output."""
        made: dict[str, Json] = {"type": _SECURE.get(value.type, value.type) if has(value, "secure") else value.type}
        if value.nullable:
            made["nullable"] = True
        metadata, description = argument(value, "metadata"), argument(value, "description")
        described = cast("dict[str, Json]", self.value(metadata)) if metadata is not None else {}
        if description is not None:
            described = {**described, "description": escaped(_even(str(t.constant(description))))}
        after: dict[str, Json] = {"metadata": described} if described else {}
        for name, key in _LIMITS.items():
            if (limit := argument(value, name)) is not None:
                after[key] = self.value(limit)
        if isinstance(value.value, t.Loop):
            return {**made, **after, "copy": self.copy(value.value)}
        if value.value is not None:
            made["defaultValue" if value.word == "param" else "value"] = self.value(value.value)
        return {**made, **after}

    def _entry(self, symbol: Symbol, thing: t.Thing) -> dict[str, Json]:
        with self.at(thing.loop):
            made: dict[str, Json] = {"existing": True} if thing.existing else {}
            if thing.loop is not None:
                size = argument(thing, "batchSize")
                batches: dict[str, Json] = {} if size is None else {"mode": "serial", "batchSize": self.value(size)}
                made["copy"] = {"name": symbol.name, "count": f"[length({self.code(thing.loop.source)})]", **batches}
            if conditions := self.places.conditions(symbol):
                single = self.value(conditions[0])
                made["condition"] = single if len(conditions) == 1 else stated(self.all_of(conditions))
            made |= {"type": self.places.kind(symbol), "apiVersion": self.places.version(symbol)}
            made |= {**self._scoped(symbol), "name": self._named(symbol)}
            if thing.word == "module":
                made["properties"] = self._deployment(symbol)
            else:
                kept = (each for each in thing.body.members if isinstance(each, t.Spread) or each.name not in _DROPPED)
                made |= cast("dict[str, Json]", self.value(t.ObjectOf(tuple(kept), (), thing.at)))
            if not thing.existing and (needed := self.waits(symbol)):
                made["dependsOn"] = list[Json](sorted(needed))
        return made

    def _named(self, symbol: Symbol) -> Json:
        if not self.places.ancestors(symbol):
            return stated(self.own_name(symbol))
        segments = self.segments(symbol)
        holes = "/".join(f"{{{place}}}" for place in range(len(segments)))
        return f"[format('{holes}', {', '.join(segments)})]"

    def _scoped(self, symbol: Symbol) -> dict[str, Json]:
        scope = self.places.scope(symbol)
        if scope.level == "resource" and scope.target is not None and not self.places.ancestors(symbol):
            return {"scope": f"[{self.id(scope.target)}]"}
        if symbol.kind != "module" or scope.level != "group":
            return {}
        subscription, group = map(stated, self.group_of(scope))
        here = len(scope.arguments) == 1
        return {"resourceGroup": group} if here else {"subscriptionId": subscription, "resourceGroup": group}

    def _deployment(self, symbol: Symbol) -> dict[str, Json]:
        given = symbol.body.get("params")
        members = given.members if isinstance(given, t.ObjectOf) else ()
        parameters = {str(each.name): self._argument(each.value) for each in members if isinstance(each, t.Entry)}
        return {
            "expressionEvaluationOptions": {"scope": "inner"},
            "mode": "Incremental",
            **({"parameters": cast("Json", parameters)} if parameters else {}),
            "template": self._templates[symbol](),
        }

    def _argument(self, value: t.Node) -> dict[str, Json]:
        if isinstance(value, t.Loop):
            return {"copy": [self.copy(value, "value")]}
        vault = self.places.vault(value)
        if vault is None or not isinstance(value, t.Call):
            return {"value": self.value(value)}
        secret = dict(zip(("secretName", "secretVersion"), map(self.value, value.arguments), strict=False))
        return {"reference": {"keyVault": {"id": f"[{self.id(vault)}]"}, **secret}}

    def waits(self, symbol: Symbol) -> set[str]:
        waited = self._waited(symbol)
        whole = {other for other, index in waited if not index}
        found = {escaped(other.name) for other in whole}
        single = {(other, index) for other, index in waited if other not in whole}
        return found | {f"[format({quoted(other.name + '[{0}]')}, {index})]" for other, index in single}

    def _waited(self, symbol: Symbol) -> set[Waited]:
        """What a declaration mentions; what only exists stands for what it mentions itself."""
        if symbol not in self._waits:
            self._waits[symbol] = set()
            for other, index in self._mentioned(symbol, symbol, set()):
                found = self._waited(other) if other.existing else {(other, index)}
                self._waits[symbol] |= {each for each in found if each[0] is not symbol}
        return self._waits[symbol]

    def _mentioned(self, symbol: Symbol, owner: Symbol, seen: set[Symbol]) -> Iterator[Waited]:
        parts: list[t.Node | None] = [symbol.value.value if symbol.value else None]
        if symbol.thing is not None:
            yield from ((each.symbol, self._which(each, owner)) for each in self.places.ancestors(symbol))
            parts = [symbol.loop] if symbol.loop else [symbol.body, *self.places.conditions(symbol)]
            scope = self.places.scope(symbol).target
            if scope is not None and self.places.ancestors(symbol):
                yield scope.symbol, ""
        for each in parts:
            if each is not None:
                yield from self._within(each, owner, seen)

    def _within(self, node: t.Node, owner: Symbol, seen: set[Symbol]) -> Iterator[Waited]:
        symbol = self.names.of(node) if isinstance(node, t.Name | t.Nested) else None
        pointed = self.places.pointed(node) if isinstance(node, t.Access) else None
        if isinstance(node, t.Call) and node.plain and node.function == "nameof":
            return
        if pointed is not None and pointed.index is not None:
            yield pointed.symbol, self._which(pointed, owner)
            yield from self._within(pointed.index.key, owner, seen)
        elif symbol is not None and symbol.thing is not None:
            yield symbol, ""
        elif symbol is not None and symbol.kind == "var" and symbol not in seen:
            seen.add(symbol)
            yield from self._mentioned(symbol, owner, seen)
        elif symbol is None:
            for each in t.children(node):
                yield from self._within(each, owner, seen)

    def _which(self, pointed: Pointed, owner: Symbol) -> str:
        """Which one of a loop; all of it where a loop inside decides that, or the deployment."""
        key = pointed.index.key if pointed.index else None
        if key is None or self.places.first_late(key) is not None:
            return ""
        for each in t.walk(key):
            symbol = self.names.of(each) if isinstance(each, t.Name) else None
            own = symbol is None or (symbol.loop is owner.loop and owner.loop is not None and not owner.existing)
            if symbol is not None and symbol.kind in ("item", "index", "lambda") and not own:
                return ""
        with self.at(owner.loop):
            return self.code(key)

    def has_entry(self, symbol: Symbol) -> bool:
        """What exists elsewhere, in a loop, or within what this file makes, is referred to by its id."""
        if symbol not in self._entries:
            one = symbol.loop is None and not any(each.index for each in self.places.ancestors(symbol))
            here = one and self.places.scope(symbol).level == "here"
            self._entries[symbol] = not symbol.existing or (here and not self.waits(symbol))
        return self._entries[symbol]

    def reference(self, pointed: Pointed) -> str:
        """A symbolic name or an id, as reference() and list…() take it."""
        if not self.has_entry(pointed.symbol):
            return self.id(pointed)
        if pointed.index is None:
            return quoted(pointed.symbol.name)
        return f"format({quoted(pointed.symbol.name + '[{0}]')}, {self.code(pointed.index.key)})"

    def one(self, pointed: Pointed) -> AbstractContextManager[None]:
        """Within: the loop's item is the one that is pointed at."""
        return self.at(pointed.symbol.loop, self.code(pointed.index.key)) if pointed.index else nullcontext()

    def own_name(self, symbol: Symbol) -> str:
        """The code of a name as it is stated; a module may leave it to the compiler, which keeps to 64 characters."""
        name = symbol.body.get("name")
        if name is not None:
            return self.code(name)
        unique = f"uniqueString({quoted(symbol.name)}, deployment().name)"
        if symbol.loop is None:
            return f"format({quoted(symbol.name[:50] + '-{0}')}, {unique})"
        return f"format({quoted(symbol.name[:46] + '-{0}-{1}')}, {self._index[id(symbol.loop)]}, {unique})"

    def segments(self, symbol: Symbol) -> list[str]:
        """The parts of the whole name, parents' first."""
        above = self.places.ancestors(symbol)
        wanted = self.places.kind(symbol).count("/")
        found: list[str] = []
        for each in (*above, Pointed(symbol)):
            with self.one(each):
                own = [self.own_name(each.symbol)]
                found += own if found else self._split(each.symbol, own, wanted - len(above))
        return found

    def _split(self, symbol: Symbol, own: list[str], wanted: int) -> list[str]:
        text = t.constant(symbol.body.get("name"))
        if wanted <= 1:
            return own
        if isinstance(text, str):
            return [quoted(each) for each in text.split("/")]
        return [f"split({own[0]}, '/')[{place}]" for place in range(wanted)]

    def id(self, pointed: Pointed) -> str:
        with self.one(pointed):
            kind = quoted(self.places.kind(pointed.symbol))
            rest = f"{kind}, {', '.join(self.segments(pointed.symbol))}"
            scope = self.places.scope(pointed.symbol)
            match scope.level:
                case "resource" if scope.target is not None:
                    return f"extensionResourceId({self.id(scope.target)}, {rest})"
                case "group":
                    subscription, group = self.group_of(scope)
                    place = f"format('/subscriptions/{{0}}/resourceGroups/{{1}}', {subscription}, {group})"
                    return f"extensionResourceId({place}, {rest})"
                case "subscription":
                    return f"subscriptionResourceId({', '.join([*map(self.code, scope.arguments), rest])})"
                case _:
                    return f"{'tenantResourceId' if scope.level == 'tenant' else 'resourceId'}({rest})"

    def group_of(self, scope: Scope) -> tuple[str, str]:
        """The codes of the subscription and of the group's name."""
        if (group := scope.target) is None:
            codes = [*map(self.code, scope.arguments)]
        else:
            with self.one(group):
                codes = [*map(self.code, self.places.scope(group.symbol).arguments), self.own_name(group.symbol)]
        return ("subscription().subscriptionId", codes[0]) if len(codes) == 1 else (codes[0], codes[1])

    def thing(self, node: t.Access) -> tuple[str, bool] | None:
        """Of a resource its properties, of a module its name and, one access further, its outputs."""
        name = t.constant(node.key)
        pointed = self.places.pointed(node.target)
        if pointed is None:
            return self._output(node, name)
        if not isinstance(name, str):
            raise Fault(node.at, OUTSIDE, what="a property whose name is computed")
        with self.one(pointed):
            version = quoted(self.places.version(pointed.symbol))
            if name == "name":
                return self._guarded(pointed, self.own_name(pointed.symbol), node.safe), False
            if pointed.symbol.kind == "module":
                raise Fault(node.at, OUTSIDE, what="the outputs of a module as a whole")
        if name == "id":
            return self._guarded(pointed, self.id(pointed), node.safe), False
        if name in ("type", "apiVersion"):
            return quoted(self.places.kind(pointed.symbol)) if name == "type" else version, False
        reference = self.reference(pointed)
        if name == "properties" and node.dotted and not node.safe:
            entry = self.has_entry(pointed.symbol)
            return f"reference({reference})" if entry else f"reference({reference}, {version})", False
        full = f"reference({reference}, {version}, 'full')"
        if name == "properties" and not node.dotted:
            raise Fault(node.at, OUTSIDE, what="the properties of a resource by ['properties']")
        if node.safe:
            return f"tryGet({self._guarded(pointed, full, True)}, {quoted(name)})", True
        return f"{full}.{name}", False

    def _guarded(self, pointed: Pointed, code: str, safe: bool) -> str:
        """With .? what a condition leaves out is null."""
        conditions = self.places.conditions(pointed.symbol) if safe else []
        if not conditions:
            return code
        with self.one(pointed):
            return f"if({self.all_of(conditions)}, {code}, null())"

    def all_of(self, conditions: list[t.Node]) -> str:
        return reduce(lambda one, other: f"and({one}, {other})", map(self.code, conditions))

    def _output(self, node: t.Access, name: object) -> tuple[str, bool] | None:
        """`m.outputs.x`."""
        outputs = t.unwrapped(node.target)
        pointed = self.places.pointed(outputs.target) if isinstance(outputs, t.Access) else None
        if pointed is None or not isinstance(outputs, t.Access) or pointed.symbol.kind != "module":
            return None
        if not isinstance(name, str) or t.constant(outputs.key) != "outputs":
            raise Fault(node.at, OUTSIDE, what="an output whose name is computed")
        reference = self.reference(pointed)
        if name in self._taken[pointed.symbol].secure:
            if node.safe or outputs.safe:
                raise Fault(node.at, OUTSIDE, what=".? on a secure output")
            return f"listOutputsWithSecureValues({reference}, {quoted(MODULE_VERSION)}).{name}", False
        base = f"reference({reference}).outputs"
        if outputs.safe:
            base = f"tryGet({self._guarded(pointed, f'reference({reference})', True)}, 'outputs')"
        if node.safe:
            return f"tryGet(tryGet({base}, {quoted(name)}), 'value')", True
        return (f"{base[:-1]}, {quoted(name)}, 'value')", True) if outputs.safe else (f"{base}.{name}.value", False)

    def whole(self, symbol: Symbol, node: t.Node) -> str:
        if symbol.loop is not None or symbol.kind == "module":
            raise Fault(node.at, OUTSIDE, what="{name} as a whole", name=symbol.name)
        return f"reference({self.reference(Pointed(symbol))}, {quoted(self.places.version(symbol))}, 'full')"

    def listed(self, call: t.Call) -> str:
        pointed = self.places.pointed(call.target)
        if pointed is None or call.safe or call.function == "getSecret":
            raise Fault(call.at, OUTSIDE, what="{function}() at this place", function=call.function)
        arguments = self.codes(call.arguments) or quoted(self.places.version(pointed.symbol))
        return f"{call.function}({self.reference(pointed)}, {arguments})"


def _even(text: str) -> str:
    """A description without the margin that its lines after the first have in common."""
    lines = [each for each in text.splitlines()[1:] if each.strip()]
    margin = min((len(each) - len(each.lstrip(" \t")) for each in lines), default=0)
    return re.sub(rf"\n[ \t]{{0,{margin}}}", "\n", text)
