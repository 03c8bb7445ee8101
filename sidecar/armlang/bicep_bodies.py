"""The rules of resources and modules: types and names, parents, scopes, what may stand in their bodies."""

from __future__ import annotations

import re
from collections.abc import Mapping

import sidecar.armlang.bicep_tree as t
from sidecar.armlang import bicep_types as types
from sidecar.armlang.bicep_check import VAULT, Taken
from sidecar.armlang.bicep_names import Symbol
from sidecar.armlang.bicep_places import GROUP
from sidecar.armlang.bicep_rules import Rules
from sidecar.armlang.bicep_types import shown
from sidecar.words.bicep_codes import OUTSIDE

_TYPE = re.compile(r"[A-Za-z][\w.]*(/[\w.$-]+)+")
_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-(preview|alpha|beta|rc|privatepreview))?", re.IGNORECASE)
_EXISTING = ("name", "parent", "scope", "dependsOn")
_MODULE = ("name", "params", "scope", "dependsOn")
_AT_START = ("name", "location", "tags", "kind", "sku", "identity", "zones", "plan", "managedBy")
_SCOPES = {"resource": ("here", "resource", "group", "subscription", "tenant"), "module": ("here", "group")}
_WAITED = "resource | module"


class Bodies:
    def __init__(self, rules: Rules, taken: Mapping[Symbol, Taken]) -> None:
        self._rules = rules
        self._add = rules.add
        self._checker = rules.checker
        self._places = rules.places
        self._taken = taken
        self._seen: set[tuple[str, str]] = set()

    def check(self) -> None:
        for symbol, thing in self._rules.names.things():
            if symbol in self._rules.names.cyclic:
                continue
            self._frame(thing)
            if thing.word == "resource":
                self._resource(symbol, thing)
            else:
                self._module(symbol, thing)
            self._scope(symbol, thing)
            if (waited := thing.body.get("dependsOn")) is not None:
                self._waited(waited)

    def _frame(self, thing: t.Thing) -> None:
        """Condition, loop, decorators, and the types of all that stands inside."""
        rules = self._rules
        rules.decorated(thing)
        if thing.loop is not None:
            self._checker.type(thing.loop)
            rules.early_only(thing.loop.source, "BCP178", "what a loop goes through")
        elif thing.condition is not None:
            self._checker.condition(thing.condition)
        self._checker.type(thing.body)
        rules.early_only(thing.condition, "BCP177", "a condition")
        rules.loops(thing.body, "body")
        for each in thing.body.members:
            if isinstance(each, t.Spread) or each.name is None:
                self._add(each.at, OUTSIDE, what="... and holes in names at the top of a body")
            elif isinstance(each.value, t.Loop) and thing.word == "resource" and each.name not in _EXISTING:
                self._add(each.value.at, OUTSIDE, what="a loop as the whole of {name}", name=each.name)
            elif each.name != "params" or thing.word == "resource":
                rules.placed(each.value, "value")
            if isinstance(each, t.Entry) and each.name in ("parent", "scope", "dependsOn"):
                for call in t.walk(each.value):
                    if isinstance(call, t.Call) and call.function == "any":
                        self._add(call.at, "BCP176", name=each.name)
            if isinstance(each, t.Entry) and each.name == "name":
                self._checker.expect(each.value, types.STRING, "BCP036")

    def _resource(self, symbol: Symbol, thing: t.Thing) -> None:
        whole = symbol.parent is None and _TYPE.fullmatch(thing.kind) and _VERSION.fullmatch(thing.version)
        last = symbol.parent is not None and re.fullmatch(r"[\w.$-]+", thing.kind)
        if self._checker.report.foreign:
            return
        if not whole and not (last and (not thing.version or _VERSION.fullmatch(thing.version))):
            self._add(thing.kind_at, "BCP029" if symbol.parent is None else "BCP156")
        if symbol.parent is not None and symbol.parent.loop is not None:
            self._add(thing.at, OUTSIDE, what="a resource inside a loop of resources")
        for each in thing.body.members:
            if isinstance(each, t.Entry) and each.name is not None:
                self._property(symbol, thing, each, each.name)
        name = thing.body.get("name")
        if name is None:
            self._add(symbol.at, "BCP035", name=symbol.name, missing="name")
        else:
            self._name(symbol, thing, name)

    def _property(self, symbol: Symbol, thing: t.Thing, entry: t.Entry, name: str) -> None:
        if thing.existing and name not in _EXISTING:
            self._add(entry.at, "BCP173", name=name)
        elif name in ("id", "type", "apiVersion"):
            self._add(entry.at, "BCP073", name=name)
        elif name == "parent":
            self._parent(symbol, thing, entry)
        elif name in _AT_START and not thing.existing:
            self._rules.early_only(entry.value, "BCP120", name)
        elif name not in ("properties", "scope", "dependsOn"):
            self._rules.early_only(entry.value, OUTSIDE, name)

    def _parent(self, symbol: Symbol, thing: t.Thing, entry: t.Entry) -> None:
        above = self._places.pointed(entry.value)
        wanted = thing.kind.rpartition("/")[0]
        if symbol.parent is not None:
            self._add(entry.at, "BCP038")
        elif above is None or above.symbol.kind != "resource":
            if not self._checker.said(entry.value):
                self._add(entry.value.at, "BCP240")
        elif wanted.lower() != self._places.kind(above.symbol).lower():
            self._add(entry.value.at, "BCP036", given=self._places.kind(above.symbol), wanted=wanted)

    def _name(self, symbol: Symbol, thing: t.Thing, value: t.Node) -> None:
        """The number of slashes in a name, as far as it is known; and each only once."""
        child = symbol.parent is not None or thing.body.get("parent") is not None
        wanted = 0 if child else self._places.kind(symbol).count("/") - 1
        count = sum(piece.count("/") for piece in value.pieces) if isinstance(value, t.Interpolation) else 0
        text = t.constant(value)
        if count > wanted or (isinstance(text, str) and text.count("/") != wanted):
            self._add(value.at, "BCP170" if child else "BCP169", count=wanted)
        plain = not (child or thing.existing or thing.condition or thing.loop or thing.body.get("scope"))
        if isinstance(text, str) and plain:
            self._once("BCP121", value.at, self._places.kind(symbol), text)

    def _once(self, key: str, at: t.Place, kind: str, name: str) -> None:
        folded = kind.lower(), name.lower()
        if folded in self._seen:
            self._add(at, key)
        self._seen.add(folded)

    def _scope(self, symbol: Symbol, thing: t.Thing) -> None:
        value = thing.body.get("scope")
        if self._checker.report.foreign:
            return
        resource = thing.word == "resource"
        if value is not None and resource and self._places.ancestors(symbol):
            self._add(value.at, "BCP164")
            return
        if value is None:
            level = self._places.level(self._places.scope(symbol)) if resource else "here"
            if resource and level == "here" and self._places.kind(symbol).lower() == GROUP:
                self._add(symbol.at, "BCP135")
            if level not in ("here", "resource") and not thing.existing:
                self._add(symbol.at, "BCP165")
            return
        found = self._places.stated(value)
        given = self._checker.type(value)
        if found is None and given.kind in ("string", "int", "bool", "array"):
            self._add(value.at, "BCP036", given=shown(given), wanted="resourceGroup(…) | subscription(…) | resource")
        elif found is None or found.level not in _SCOPES[thing.word]:
            if not self._checker.said(value):
                self._add(value.at, OUTSIDE, what="this scope")
        elif resource and found.level in ("here", "group") and self._places.kind(symbol).lower() == GROUP:
            self._add(value.at, "BCP135")
        elif resource and not thing.existing and self._places.level(found) not in ("here", "resource"):
            self._add(value.at, "BCP139")
        else:
            for each in found.arguments:
                self._rules.early_only(each, OUTSIDE if resource else "BCP120", "scope")

    def _waited(self, value: t.Node, item: bool = False) -> None:
        """A list of resources and modules; one that is computed waits for all that it may name."""
        inner, given = t.unwrapped(value), self._checker.type(value)
        symbol = self._rules.names.of(inner)
        named = item and (given.kind == "null" or self._places.pointed(inner) or (symbol and symbol.thing))
        if isinstance(inner, t.Operation) and inner.operator == "?:":
            for each in inner.operands[1:]:
                self._waited(each, item)
        elif isinstance(inner, t.ArrayOf) and not item:
            for each in inner.items:
                self._waited(each.value if isinstance(each, t.Spread) else each, not isinstance(each, t.Spread))
        elif given.kind in ("string", "int", "bool", "object") or (not item and given.kind in ("resource", "module")):
            key, wanted = ("BCP034", _WAITED) if item else ("BCP036", f"({_WAITED})[]")
            self._add(value.at, key, given=shown(given), wanted=wanted)
        elif not (named or self._checker.said(inner)):
            self._add(value.at, OUTSIDE, what="this way of stating dependsOn")

    def _module(self, symbol: Symbol, thing: t.Thing) -> None:
        entries = {each.name: each for each in thing.body.members if isinstance(each, t.Entry) and each.name}
        for each in (one for one in entries.values() if one.name not in _MODULE):
            key = OUTSIDE if each.name in ("identity", "extensionConfigs") else "BCP037"
            self._add(each.at, key, name=each.name, there=", ".join(_MODULE), what="{name} of a module")
        if (name := thing.body.get("name")) is not None:
            self._module_name(symbol, thing, name)
        if symbol in self._taken:
            self._parameters(symbol, entries.get("params"), self._taken[symbol])

    def _module_name(self, symbol: Symbol, thing: t.Thing, value: t.Node) -> None:
        self._rules.early_only(value, "BCP120", "name")
        name, scope = t.constant(value), self._places.scope(symbol)
        if isinstance(name, str) and not re.fullmatch(r"[-\w._()]{1,64}", name):
            self._add(value.at, "BCP332" if len(name) > 64 else "BCP416" if name else "BCP333")
        where = [t.constant(each) for each in scope.arguments]
        if isinstance(name, str) and None not in where and not (thing.condition or thing.loop or scope.target):
            self._once("BCP122", value.at, f"module {scope.level} {where}", name)

    def _parameters(self, symbol: Symbol, entry: t.Entry | None, taken: Taken) -> None:
        stated, at = (entry.value, entry.at) if entry else (t.ObjectOf((), (), symbol.at), symbol.at)
        members = stated.members if isinstance(stated, t.ObjectOf) else ()
        given = {each.name: each for each in members if isinstance(each, t.Entry) and each.name is not None}
        if not isinstance(stated, t.ObjectOf) or len(given) < len(members):
            self._add(stated.at, OUTSIDE, what="params that are computed")
            return
        missing = [name for name, (_, optional, _) in taken.parameters.items() if not optional and name not in given]
        if missing:
            self._add(at, "BCP035", name=symbol.name, missing=", ".join(missing))
        for name, each in given.items():
            if name not in taken.parameters:
                self._add(each.at, "BCP037", name=name, there=", ".join(sorted(taken.parameters)) or "–")
                continue
            wanted, _, secure = taken.parameters[name]
            self._checker.expect(each.value, wanted, "BCP036")
            if not (secure and self._secret(each.value)):
                self._rules.placed(each.value, "secure" if secure else "value")

    def _secret(self, value: t.Node) -> bool:
        """vault.getSecret(…): Azure itself gives the value to the module's parameter."""
        vault = self._places.vault(value)
        return vault is not None and self._places.kind(vault.symbol).lower() == VAULT
