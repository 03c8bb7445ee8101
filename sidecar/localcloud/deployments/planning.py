"""A template and its parameters → the resources to deploy and what each waits for. Pure: nothing is created here."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.armlang.copies import expand, repeated, user_functions
from sidecar.armlang.expression_syntax import Literal, calls
from sidecar.armlang.expressions import Deferred, Scope, compute, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.digests import guid
from sidecar.dotnet.json_values import written
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json, as_object, member, objects, strings
from sidecar.localcloud.deployments.declared_types import invalid_template
from sidecar.localcloud.deployments.evaluation import nested_properties, unevaluated
from sidecar.localcloud.deployments.parameters import Parameters
from sidecar.localcloud.deployments.scope_functions import READING, Place, canonical_id


@dataclass(frozen=True)
class Planned:
    """One resource of a template: its address is known, its body is evaluated when its turn comes."""

    symbol: str | None
    id: str
    type: str
    name: str
    api_version: str
    source: Json
    scope: Scope
    existing: bool = False
    wanted: bool = True
    """False where its condition is false: then it is not deployed."""
    unnamed: bool = False
    """For a what-if, to which its name has no value: what it hangs on stands in the name's place."""
    depends_on: tuple[str, ...] = ()
    """Ids stated in dependsOn."""
    after: tuple[str, ...] = ()
    """Ids of the batch before its own, in a loop whose copies are made one batch after the other."""
    refers_to: tuple[tuple[str, str | None, str | None], ...] = ()
    """(id, api version, list function) for each reference() and list*() to another resource of the template."""

    @property
    def key(self) -> str:
        return self.id.lower()

    def body(self, functions: Mapping[str, Callable[..., Any]], leaf: Callable[[Any, Scope], Any] = evaluate) -> Json:
        """What is sent to the provider, with reference() and list*() as `functions` answer them."""
        scope = replace(self.scope, functions={**self.scope.functions, **functions})
        plain = {
            name: expand(value, scope, leaf)
            for name, value in self.source.items()
            if name not in _CONTROL and not (self.nested and name == "properties")
        }
        nested = {"properties": nested_properties(member(self.source, "properties"), scope)} if self.nested else {}
        return written({**plain, **nested})

    def refusal(self, problem: ExpressionError) -> str:
        """ARM's sentence where its body can't be evaluated."""
        stated = self.symbol or self.name
        see = "Please see https://aka.ms/arm-functions for usage details."
        return f"The template resource '{stated}' is not valid: {problem}. {see}"

    @property
    def nested(self) -> bool:
        return self.type.lower() == "microsoft.resources/deployments"


@dataclass(frozen=True)
class Plan:
    """Everything that a deployment will do, in the template's order."""

    place: Place
    parameters: Parameters
    resources: tuple[Planned, ...]
    scope: Scope
    outputs: Json = field(default_factory=dict[str, Any])

    def find(self, name: str) -> Planned | None:
        """The resource that a reference() names: by symbol, id or plain name."""
        wanted = canonical_id(name).lower()
        for planned in self.resources:
            if wanted in ((planned.symbol or "").lower(), planned.key):
                return planned
        return next((planned for planned in self.resources if planned.name.lower() == wanted), None)

    def waits_for(self, planned: Planned) -> frozenset[str]:
        """Keys of the resources that must be there first."""
        keys = {planned_resource.key for planned_resource in self.resources}
        stated = {resource_id.lower() for resource_id in (*planned.depends_on, *planned.after)}
        implied = {resource_id.lower() for resource_id, _, _ in planned.refers_to}
        return frozenset((stated | implied) & keys - {planned.key})


_CONTROL = frozenset(
    (
        "condition",
        "copy",
        "dependsOn",
        "existing",
        "apiVersion",
        "resources",
        "comments",
        "scope",
        "metadata",
        "@options",
        "resourceGroup",
        "subscriptionId",
    )
)


def plan_template(
    template: Json, parameters: Parameters, place: Place, functions: Mapping[str, Callable[..., Any]]
) -> Plan:
    """The plan of a template. ArmError InvalidTemplate says what is wrong with it."""
    scope = _template_scope(template, parameters, functions)
    symbolic = isinstance(template.get("resources"), dict)
    entries: list[tuple[str | None, Json]] = (
        list(member(template, "resources").items())
        if symbolic
        else [(None, entry) for entry in objects(template, "resources")]
    )
    try:
        resources = [
            planned for symbol, entry in entries for planned in _expand_resource(symbol, entry, None, scope, place)
        ]
        _refuse_duplicates(resources)
        draft = Plan(place, parameters, tuple(resources), scope, member(template, "outputs"))
        loops = frozenset(_loops(template))
        linked = tuple(_link(planned, draft, loops) for planned in resources)
    except ExpressionError as problem:
        raise ArmError(400, problem.code, f"Deployment template validation failed: '{problem}'.") from problem
    plan = replace(draft, resources=linked)
    _refuse_cycles(plan)
    return plan


def mangled(name: str) -> str:
    """An output's name as ARM returns it: camel case in the way of its JSON library."""
    letters = list(name)
    for at, letter in enumerate(letters):
        if (at == 0 and not letter.isupper()) or (at == 1 and not letter.isupper()):
            break
        if at > 0 and at + 1 < len(letters) and not letters[at + 1].isupper():
            if letters[at + 1] == " ":
                letters[at] = letter.lower()
            break
        letters[at] = letter.lower()
    return "".join(letters)


def template_hash(template: Json) -> str:
    """A number for the template's content; the one that the template states of itself, as ARM's matches Bicep's."""
    stated = member(member(template, "metadata"), "_generator").get("templateHash")
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return str(stated or int(guid(text).replace("-", "")[:15], 16))


def _template_scope(template: Json, parameters: Parameters, functions: Mapping[str, Callable[..., Any]]) -> Scope:
    declared: Json = member(template, "variables")
    loops = {str(loop.get("name")).lower(): loop for loop in objects(declared, "copy")}
    names = {name.lower(): value for name, value in declared.items() if name != "copy"}
    known: dict[str, Any] = {}
    asked: set[str] = set()

    def variable(name: str) -> Any:
        key = name.lower()
        if key in known:
            return known[key]
        if key in asked:  # by a name that is computed: syntax.py sees the written ones
            raise ExpressionError(f"Circular dependency detected on template variable: '{name}'.")
        asked.add(key)
        try:
            known[key] = computed(key, name)
        finally:
            asked.discard(key)
        return known[key]

    def computed(key: str, name: str) -> Any:
        if key in loops:
            return repeated(loops[key], scope)
        if key not in names:
            raise ExpressionError(f"The template variable '{name}' is not found.")
        # Where a what-if can't know a part of a value, the rest of it is still known.
        whole = isinstance(names[key], str) or "reference" not in functions
        return expand(names[key], scope) if whole else unevaluated(names[key], scope)

    scope = Scope(parameters.value, variable, functions, user_functions=user_functions(template, functions))
    return scope


def _expand_resource(
    symbol: str | None, entry: Json, parent: Planned | None, scope: Scope, place: Place
) -> Iterator[Planned]:
    if not entry.get("copy"):
        yield from _resource(symbol, entry, parent, scope, place)
        return
    loop = as_object(entry["copy"])
    if loop is None:
        raise ExpressionError(
            f"The copy of the resource '{symbol or entry.get('name')}' must be an object with a name and a count."
        )
    count = evaluate(loop.get("count"), scope)
    if type(count) is not int or not 0 <= count <= 800:
        raise ExpressionError(f"The copy count of the resource '{entry.get('name')}' must be between 0 and 800.")
    serial = str(loop.get("mode", "")).lower() == "serial"
    batch = evaluate(loop.get("batchSize", 1), scope) if serial else 0
    if serial and (type(batch) is not int or batch < 1):
        raise ExpressionError(f"The batch size of the resource '{entry.get('name')}' must be 1 or more.")
    before: list[str] = []
    current: list[str] = []
    for index in range(count):
        if serial and index % batch == 0:
            before, current = current, []
        # Without a name, copyIndex() means the loop of the resource; with its name, too.
        indices = {**scope.copy_index, "": index, str(loop.get("name", "")).lower(): index}
        name = f"{symbol}[{index}]" if symbol else None
        for planned in _resource(name, entry, parent, replace(scope, copy_index=indices), place):
            current.append(planned.id)
            yield replace(planned, after=tuple(before))


def _resource(symbol: str | None, entry: Json, parent: Planned | None, scope: Scope, place: Place) -> Iterator[Planned]:
    for required in ("type", "apiVersion", "name"):
        if not entry.get(required):
            raise ExpressionError(f"The template resource is missing its '{required}'.")
    wanted = evaluate(entry.get("condition", True), scope) in (True, "true", "True")
    kind = str(entry["type"])
    name, unnamed = _named(symbol, kind, entry, scope, wanted=wanted)
    if parent and "/" not in kind:
        kind, name = f"{parent.type}/{kind}", f"{parent.name}/{name}"
    wanted = wanted and (parent is None or parent.wanted)
    if wanted:
        _refuse_segments(kind, name)
    planned = Planned(
        symbol,
        _address(kind, name, entry, scope, place),
        kind,
        name,
        str(evaluate(entry["apiVersion"], scope)),
        {**entry, "type": kind, "name": name},
        scope,
        existing=bool(entry.get("existing")),
        wanted=wanted,
        unnamed=unnamed,
        depends_on=(parent.id,) if parent else (),
    )
    yield planned
    for child in objects(entry, "resources") if not planned.nested else []:
        yield from _expand_resource(None, child, planned, scope, place)


_SEE = "Please see https://aka.ms/arm-syntax-resources for usage details."


def _named(symbol: str | None, kind: str, entry: Json, scope: Scope, *, wanted: bool) -> tuple[str, bool]:
    try:
        name = evaluate(entry["name"], scope)
    except Deferred as unknown:
        return "/".join([f"{unknown.text.partition('(')[0]}()]"] * max(kind.count("/"), 1)), True
    return _resource_name(symbol or str(entry["name"]), kind, name, wanted=wanted), False


def _resource_name(stated: str, kind: str, name: Any, *, wanted: bool) -> str:
    """Its name, which may be anything where the resource is not made."""
    if wanted and (name is None or name == ""):
        raise ExpressionError(
            f"The template resource '{stated}' of type '{kind}' is not valid. The name property cannot be null or empty. {_SEE}"
        )
    if wanted and not isinstance(name, str):
        raise ExpressionError(
            f"The template resource '{stated}' of type '{kind}' is not valid. Its name is no string. {_SEE}"
        )
    return written(name) if isinstance(name, str) else ""


def _refuse_segments(kind: str, name: str) -> None:
    wanted, given = kind.count("/"), len([each for each in name.split("/") if each])
    if given != wanted:
        raise ExpressionError(
            f"The template resource '{name}' of type '{kind}' has an invalid name. The name '{name}' contains '{given}' name "
            f"segment(s) separated by '/', but '{wanted}' segment(s) were expected. {_SEE}"
        )


def _address(kind: str, name: str, entry: Json, scope: Scope, place: Place) -> str:
    namespace, *types = kind.split("/")
    subscription = evaluate(entry.get("subscriptionId"), scope) or place.subscription_id
    group = evaluate(entry.get("resourceGroup"), scope)
    stated = evaluate(entry.get("scope"), scope)
    if isinstance(stated, str) and stated:
        base = stated if stated.startswith("/") else f"{place.scope}/providers/{stated}"
    elif group:
        base = f"/subscriptions/{subscription}/resourceGroups/{group}"
    elif entry.get("subscriptionId"):
        base = f"/subscriptions/{subscription}"
    else:
        base = place.scope
    # One that is not made may have fewer or more parts: its id only says that it is not there.
    pairs = "".join(f"/{each}/{part}" for each, part in zip(types, name.split("/"), strict=False))
    return canonical_id(f"{base.rstrip('/')}/providers/{namespace}{pairs}")


def _loops(holder: Json) -> Iterator[str]:
    """Names under which a template's loops of resources can be waited for: also of those that make nothing."""
    named = as_object(holder.get("resources"))
    entries = [("", entry) for entry in objects(holder, "resources")] if named is None else [*named.items()]
    for symbol, value in entries:
        entry = as_object(value) or {}
        if entry.get("copy"):
            yield from (symbol.lower(), str(member(entry, "copy").get("name", "")).lower())
        if str(entry.get("type", "")).lower() != "microsoft.resources/deployments":
            yield from _loops(entry)


def _link(planned: Planned, plan: Plan, loops: frozenset[str]) -> Planned:
    """`planned` with what it depends on, stated and implied, as ids."""
    stated: list[str] = list(planned.depends_on)
    for item in strings(planned.source, "dependsOn"):
        name = str(evaluate(item, planned.scope))
        lowered = name.lower()
        loop = [each.id for each in plan.resources if (each.symbol or "").lower().startswith(f"{lowered}[")]
        loop += [
            each.id for each in plan.resources if str(member(each.source, "copy").get("name", "")).lower() == lowered
        ]
        found = plan.find(name)
        if not (loop or found or lowered in loops):
            raise ExpressionError(
                f"The resource '{planned.id}' is not valid: the resource '{name}' that it depends on is not defined in "
                f"the template. {_SEE}"
            )
        stated += loop or ([found.id] if found else [])
    return replace(planned, depends_on=tuple(stated), refers_to=tuple(_references(planned, plan)))


def _references(planned: Planned, plan: Plan) -> Iterator[tuple[str, str | None, str | None]]:
    body = {name: value for name, value in planned.source.items() if name not in ("dependsOn", "name", "resources")}
    if planned.nested:
        inner = member(member(body, "properties"), "expressionEvaluationOptions").get("scope", "outer")
        if str(inner).lower() == "inner":
            body["properties"] = {k: v for k, v in body["properties"].items() if k != "template"}
    seen: set[str] = set()
    for call in calls(body):
        if call.name.lower() not in READING or not call.arguments:
            continue
        found = plan.find(str(_early(call.arguments[0], planned.scope)))
        if found and found.key != planned.key and found.key not in seen:
            seen.add(found.key)
            version = _early(call.arguments[1], planned.scope) if len(call.arguments) > 1 else None
            action = None if call.name.lower() == "reference" else call.name
            yield found.id, str(version) if version else None, action


def _early(node: Any, scope: Scope) -> Any:
    """What an argument is before anything is deployed; "" where that can't be known yet."""
    if isinstance(node, Literal):
        return node.value
    try:
        return compute(node, scope)
    except (ExpressionError, Deferred, ArmError):
        return ""


def _refuse_duplicates(resources: list[Planned]) -> None:
    seen: set[str] = set()
    for planned in resources:
        if planned.key in seen and planned.wanted and not planned.existing:
            raise invalid_template(f"The resource '{planned.id}' is defined multiple times in a template. {_SEE}")
        if planned.wanted and not planned.existing:
            seen.add(planned.key)


def _refuse_cycles(plan: Plan) -> None:
    waiting = {planned.key: set(plan.waits_for(planned)) for planned in plan.resources}
    while free := [key for key, others in waiting.items() if not others & waiting.keys()]:
        for key in free:
            del waiting[key]
    if waiting:
        raise invalid_template(
            f"Circular dependency detected on resource: '{next(iter(waiting))}'. Please see "
            "https://aka.ms/arm-syntax-resources for usage details."
        )
