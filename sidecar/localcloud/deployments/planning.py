"""A template and its parameters → the resources to deploy and what each waits for. Pure: nothing is created here."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.armlang.digests import guid
from sidecar.armlang.expressions import Deferred, ExpressionError, Literal, Scope, calls, compute, evaluate
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json, as_list, as_object, member, objects, strings
from sidecar.localcloud.deployments.parameters import Parameters, invalid_template
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
    """False where its condition is false: then it is neither deployed nor read."""
    depends_on: tuple[str, ...] = ()
    """Ids stated in dependsOn."""
    refers_to: tuple[tuple[str, str | None, str | None], ...] = ()
    """(id, api version, list function) for each reference() and list*() to another resource of the template."""

    @property
    def key(self) -> str:
        return self.id.lower()

    def body(self, functions: Mapping[str, Callable[..., Any]], leaf: Callable[[Any, Scope], Any] = evaluate) -> Json:
        """What is sent to the provider, with reference() and list*() as `functions` answer them."""
        scope = replace(self.scope, functions={**self.scope.functions, **functions})
        return {
            name: expand(value, scope, leaf)
            for name, value in self.source.items()
            if name not in _CONTROL and not (self.nested and name == "properties")
        } | ({"properties": nested_properties(member(self.source, "properties"), scope)} if self.nested else {})

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
        stated = {resource_id.lower() for resource_id in planned.depends_on}
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
        linked = tuple(_link(planned, draft) for planned in resources)
    except ExpressionError as problem:
        raise ArmError(400, problem.code, f"Deployment template validation failed: '{problem}'.") from problem
    plan = replace(draft, resources=linked)
    _refuse_cycles(plan)
    return plan


def expand(value: Any, scope: Scope, leaf: Callable[[Any, Scope], Any] = evaluate) -> Any:
    """`value` with its expressions evaluated (by `leaf`) and its property copy loops written out."""
    if (entries := as_object(value)) is not None:
        loops = as_list(entries.get("copy"))
        if loops is not None and all(isinstance(loop, dict) and "input" in loop for loop in loops):
            made: Json = {loop["name"]: _repeat(loop, scope, leaf) for loop in loops}
            return {**expand({k: v for k, v in entries.items() if k != "copy"}, scope, leaf), **made}
        return {evaluate(name, scope): expand(item, scope, leaf) for name, item in entries.items()}
    if (items := as_list(value)) is not None:
        return [expand(item, scope, leaf) for item in items]
    return leaf(value, scope)


def unevaluated(value: Any, scope: Scope) -> Any:
    """`value` evaluated as far as it can be before a deployment; the rest stays as the expression that it is."""
    if (entries := as_object(value)) is not None:
        return {name: unevaluated(item, scope) for name, item in entries.items()}
    if (items := as_list(value)) is not None:
        return [unevaluated(item, scope) for item in items]
    try:
        return evaluate(value, scope)
    except Deferred as unknown:
        alone = calls(value)
        only = len(alone) == 1 and all(isinstance(argument, Literal) for argument in alone[0].arguments)
        return unknown.text if only and alone[0].name.lower() == "parameters" else value
    except ExpressionError:
        return value


def nested_properties(properties: Json, scope: Scope) -> Json:
    """A nested deployment's properties: an inner scope's template stays as it is written, an outer one's is evaluated."""
    template: Json = member(properties, "template")
    outer = str(member(properties, "expressionEvaluationOptions").get("scope", "outer")).lower() == "outer"
    rest: Json = expand({name: value for name, value in properties.items() if name != "template"}, scope)
    return {**rest, "template": _outer_template(template, scope) if outer and "template" in properties else template}


def _outer_template(template: Json, scope: Scope) -> Json:
    """Parameters, variables and expressions of a nested template with outer scope are those of the deployment around it."""
    return {
        name: expand(value, scope) if name in ("resources", "outputs") else value for name, value in template.items()
    }


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
            return _repeat(loops[key], scope)
        if key not in names:
            raise ExpressionError(f"The template variable '{name}' is not found.")
        # Where a what-if can't know a part of a value, the rest of it is still known.
        whole = isinstance(names[key], str) or "reference" not in functions
        return expand(names[key], scope) if whole else unevaluated(names[key], scope)

    scope = Scope(parameters.value, variable, functions, user_functions=user_functions(template, functions))
    return scope


def user_functions(template: Json, functions: Mapping[str, Callable[..., Any]]) -> Mapping[str, Callable[..., Any]]:
    made: dict[str, Callable[..., Any]] = {}

    def function(definition: Json) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            names = [parameter["name"] for parameter in objects(definition, "parameters")]
            given = Parameters(dict(zip(names, arguments, strict=True)), {})
            return evaluate(definition["output"]["value"], Scope(given.value, None, functions, user_functions=made))

        return call

    for space in objects(template, "functions"):
        for name, definition in member(space, "members").items():
            made[f"{space['namespace']}.{name}".lower()] = function(definition)
    return made


def _expand_resource(
    symbol: str | None, entry: Json, parent: Planned | None, scope: Scope, place: Place
) -> Iterator[Planned]:
    loop: Json | None = entry.get("copy")
    if not loop:
        yield from _resource(symbol, entry, parent, scope, place)
        return
    count = evaluate(loop.get("count"), scope)
    if not isinstance(count, int) or not 0 <= count <= 800:
        raise ExpressionError(f"The copy count of the resource '{entry.get('name')}' must be between 0 and 800.")
    for index in range(count):
        # Without a name, copyIndex() means the loop of the resource; with its name, too.
        indices = {**scope.copy_index, "": index, str(loop.get("name", "")).lower(): index}
        name = f"{symbol}[{index}]" if symbol else None
        yield from _resource(name, entry, parent, replace(scope, copy_index=indices), place)


def _resource(symbol: str | None, entry: Json, parent: Planned | None, scope: Scope, place: Place) -> Iterator[Planned]:
    for required in ("type", "apiVersion", "name"):
        if not entry.get(required):
            raise ExpressionError(f"The template resource is missing its '{required}'.")
    wanted = evaluate(entry.get("condition", True), scope) in (True, "true", "True")
    kind, name = str(entry["type"]), str(evaluate(entry["name"], scope))
    if parent and "/" not in kind:
        kind, name = f"{parent.type}/{kind}", f"{parent.name}/{name}"
    planned = Planned(
        symbol,
        _address(kind, name, entry, scope, place),
        kind,
        name,
        str(evaluate(entry["apiVersion"], scope)),
        {**entry, "type": kind, "name": name},
        scope,
        existing=bool(entry.get("existing")),
        wanted=wanted and (parent is None or parent.wanted),
        depends_on=(parent.id,) if parent else (),
    )
    yield planned
    for child in objects(entry, "resources") if not planned.nested else []:
        yield from _expand_resource(None, child, planned, scope, place)


def _address(kind: str, name: str, entry: Json, scope: Scope, place: Place) -> str:
    namespace, *types = kind.split("/")
    names = name.split("/")
    if len(types) != len(names):
        raise ExpressionError(
            f"The template resource '{name}' for type '{kind}' has incorrect segment lengths. A nested resource type must "
            "have identical number of segments as its resource name."
        )
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
    pairs = "".join(f"/{each}/{part}" for each, part in zip(types, names, strict=True))
    return canonical_id(f"{base.rstrip('/')}/providers/{namespace}{pairs}")


def _link(planned: Planned, plan: Plan) -> Planned:
    """`planned` with what it depends on, stated and implied, as ids."""
    stated: list[str] = list(planned.depends_on)
    for item in strings(planned.source, "dependsOn"):
        name = str(evaluate(item, planned.scope))
        loop = [each.id for each in plan.resources if (each.symbol or "").lower().startswith(f"{name.lower()}[")]
        loop += [each.id for each in plan.resources if str(member(each.source, "copy").get("name", "")) == name]
        found = plan.find(name)
        if not (loop or found):
            raise ExpressionError(
                f"The resource '{planned.id}' is not valid: the resource '{name}' that it depends on is not defined in "
                "the template. Please see https://aka.ms/arm-syntax-resources for usage details."
            )
        stated += loop or [found.id if found else name]
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
            raise invalid_template(
                f"The resource '{planned.id}' is defined multiple times in a template. Please see "
                "https://aka.ms/arm-syntax-resources for usage details."
            )
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


def _repeat(loop: Json, scope: Scope, leaf: Callable[[Any, Scope], Any] = evaluate) -> list[Any]:
    count = evaluate(loop.get("count"), scope)
    if not isinstance(count, int) or not 0 <= count <= 800:
        raise ExpressionError(f"The copy count of '{loop.get('name')}' must be between 0 and 800.")
    name = str(loop.get("name", "")).lower()
    return [
        expand(loop.get("input"), replace(scope, copy_index={**scope.copy_index, "": index, name: index}), leaf)
        for index in range(count)
    ]
