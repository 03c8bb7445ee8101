"""What a template declares, in its modules and loops too: each resource with the scope that its expressions stand in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

from sidecar.armlang.copies import expand, repeated, turns, user_functions
from sidecar.armlang.expressions import Scope, evaluate
from sidecar.armlang.values import ExpressionError

Json = Mapping[str, object]
MODULE = "microsoft.resources/deployments"
Where = Literal["here", "unseen", "elsewhere"]
"""`unseen`: it can't be looked for from here: its name, how often, or a resource around it is known later only. `elsewhere`: in
another scope than the deployment's."""


class LaterError(ExpressionError):
    """Only a deployment knows the value."""

    def __init__(self) -> None:
        super().__init__("Only a deployment knows this.")


class ChanceError(LaterError):
    """And each deployment knows another one."""


@dataclass(frozen=True)
class GroupFacts:
    """What ARM knows about the scope of a deployment before it starts."""

    subscription_id: str
    tenant_id: str
    name: str
    id: str
    location: str


@dataclass(frozen=True)
class Declared:
    """`key`: the way to it, by symbolic names or numbers in a plain list: `part/app` in a module, `many[1]` of a loop. `name`:
    None where only a deployment knows it."""

    key: str
    kind: str
    name: str | None
    resource: Json
    scope: Scope
    where: Where = "here"
    by_chance: bool = False
    """Its name is another one in each deployment."""


def declared(
    template: Json, parameters: Mapping[str, Json], group: GroupFacts, switches: frozenset[str]
) -> tuple[list[Declared], Scope]:
    """What is made, and the template's scope. `parameters`: as ARM takes them; `switches`: those of them that are set once it is
    known what is there, in lower case. Raises ExpressionError for a name of the template itself that can't be evaluated."""
    scope = scope_of(template, parameters, group)
    made: list[Declared] = []
    for key, resource in keyed(template.get("resources")).items():
        switched = _kind(resource) != MODULE and switch_of(resource.get("condition")) in switches
        if switched or not _never(resource, scope):
            made += _all_of(key, resource, scope, group, top=True)
    return made, scope


def keyed(resources: object) -> Mapping[str, Json]:
    """By symbolic name (languageVersion 2.0), or by number in a plain list."""
    if isinstance(resources, list):
        return {str(at): _object(each) for at, each in enumerate(cast("list[object]", resources))}
    return {key: _object(each) for key, each in _object(resources).items()}


def _kind(resource: Json) -> str:
    return str(resource.get("type")).lower()


def switch_of(condition: object) -> str | None:
    """The parameter that alone is a condition, in lower case."""
    if not isinstance(condition, str) or not condition.startswith("[parameters('") or not condition.endswith("')]"):
        return None
    name = condition[len("[parameters('") : -len("')]")]
    return name.lower() if name.isidentifier() else None


def _all_of(key: str, resource: Json, scope: Scope, group: GroupFacts, *, top: bool) -> Iterator[Declared]:
    """Once, or once for each turn of its loop."""
    if resource.get("existing") is True:
        return
    loop = _object(resource.get("copy"))
    if not loop:
        yield from _one(key, resource, scope, group, top=top)
        return
    kind = _kind(resource)
    try:
        count = evaluate(loop.get("count"), scope)
    except ExpressionError:
        count = None
    if not isinstance(count, int):
        yield Declared(key, kind, None, resource, scope, "unseen")
        if kind == MODULE:
            yield from _within(key, resource, scope, group, "elsewhere")
        return
    for at, own in enumerate(turns(loop, scope, count)):
        turn = replace(own, copy_index={**own.copy_index, "": at})
        if not _never(resource, turn):
            yield from _one(f"{key}[{at}]", resource, turn, group, top=False)


def _one(key: str, resource: Json, scope: Scope, group: GroupFacts, *, top: bool) -> Iterator[Declared]:
    kind, chance = _kind(resource), False
    try:
        name = str(evaluate(resource.get("name"), scope))
    except ExpressionError as error:
        if top and kind != MODULE and not isinstance(error, LaterError):
            raise
        name, chance = None, isinstance(error, ChanceError)
    if kind != MODULE:
        where: Where = "unseen" if name is None or "scope" in resource else "here"
        yield Declared(key, kind, name, resource, scope, where, chance)
    elif _is_here(resource, scope, group):
        yield from _within(key, resource, scope, group, "here")
    else:
        yield Declared(key, kind, name, resource, scope, "unseen")
        yield from _within(key, resource, scope, group, "elsewhere")


def _within(key: str, module: Json, scope: Scope, group: GroupFacts, where: Where) -> Iterator[Declared]:
    template, own = _module(module, scope, group)
    for name, resource in keyed(template.get("resources")).items():
        if not _never(resource, own):
            for each in _all_of(name, resource, own, group, top=False):
                yield replace(each, key=f"{key}/{each.key}", where=each.where if where == "here" else where)


def _is_here(module: Json, scope: Scope, group: GroupFacts) -> bool:
    """Whether its template is known, stands for itself, and is deployed where the one around it is."""
    properties = _object(module.get("properties"))
    apart = str(_object(properties.get("expressionEvaluationOptions")).get("scope")).lower() == "inner"
    if not apart or not _object(properties.get("template")) or "scope" in module:
        return False
    try:
        subscription = evaluate(module.get("subscriptionId", group.subscription_id), scope)
        name = evaluate(module.get("resourceGroup", "" if "subscriptionId" in module else group.name), scope)
    except ExpressionError:
        return False
    return (str(subscription).lower(), str(name).lower()) == (group.subscription_id.lower(), group.name.lower())


def _module(module: Json, scope: Scope, group: GroupFacts) -> tuple[Json, Scope]:
    """A module's template, and the scope of it."""
    properties = _object(module.get("properties"))
    template = _object(properties.get("template"))
    given: dict[str, Json] = {}
    for name, entry in _object(properties.get("parameters")).items():
        try:
            given[name] = {"value": evaluate(_object(entry)["value"], scope)}
        except (ExpressionError, KeyError):  # a key vault's secret has no value
            given[name] = {}
    return template, scope_of(template, given, group)


def _never(resource: Json, scope: Scope) -> bool:
    """Whether it is known that it is not made."""
    try:
        return evaluate(resource.get("condition", True), scope) is False
    except ExpressionError:
        return False


def scope_of(template: Json, parameters: Mapping[str, Json], group: GroupFacts) -> Scope:
    """What names mean in a template. `parameters`: as ARM takes them; one without a value has one that only ARM knows."""
    stated = {name.lower(): _object(each) for name, each in _object(template.get("parameters")).items()}
    given = {name.lower(): each for name, each in parameters.items()}
    variables = {name.lower(): each for name, each in _object(template.get("variables")).items() if name != "copy"}
    copies = cast("list[dict[str, object]]", _object(template.get("variables")).get("copy") or [])
    loops = {str(each.get("name")).lower(): each for each in copies}

    def parameter(name: str) -> object:
        declaration, entry = stated.get(name.lower()), given.get(name.lower())
        if declaration is None:
            raise ExpressionError(f"The template parameter '{name}' is not found.")
        if entry is not None:
            if "reference" in entry:
                raise ExpressionError(f"The value of the parameter '{name}' is a key vault's secret.")
            if "value" not in entry:
                raise LaterError
            if entry["value"] is not None or "defaultValue" not in declaration:
                return entry["value"]
        return evaluate(declaration.get("defaultValue"), scope)

    def variable(name: str) -> object:
        if name.lower() in loops:
            return repeated(loops[name.lower()], scope)
        if name.lower() not in variables:
            raise ExpressionError(f"The template variable '{name}' is not found.")
        return expand(variables[name.lower()], scope)

    functions: dict[str, Callable[..., object]] = {
        "resourcegroup": lambda: {"id": group.id, "name": group.name, "location": group.location},
        "subscription": lambda: {
            "id": f"/subscriptions/{group.subscription_id}",
            "subscriptionId": group.subscription_id,
            "tenantId": group.tenant_id,
        },
        "newguid": _by_chance,
        "utcnow": _by_chance,
        "resourceid": lambda *parts: _id(group, [str(each) for each in parts]),
        "reference": _Outputs(keyed(template.get("resources")), group, lambda: scope),
    }
    scope = Scope(parameter, variable, functions, user_functions=user_functions(template, functions))
    return scope


def _by_chance(*_: object) -> object:
    raise ChanceError


@dataclass(frozen=True)
class _Outputs:
    """`reference()`: the outputs of modules, as far as their own templates tell."""

    resources: Mapping[str, Json]
    group: GroupFacts
    scope: Callable[[], Scope]

    def __call__(self, named: object, *_: object) -> object:
        for key, turn, module in self._modules():
            if named == key or str(named).lower().endswith(f"/{_name(module, turn)}"):
                template, own = _module(module, turn, self.group)
                outputs = {name: _known(each, own) for name, each in _object(template.get("outputs")).items()}
                return {"outputs": {name: each for name, each in outputs.items() if each}}
        raise LaterError

    def _modules(self) -> Iterator[tuple[str, Scope, Json]]:
        for key, resource in self.resources.items():
            if _kind(resource) != MODULE:
                continue
            loop = _object(resource.get("copy"))
            if not loop:
                yield key, self.scope(), resource
                continue
            count = evaluate(loop.get("count"), self.scope())
            for at, own in enumerate(turns(loop, self.scope(), count if isinstance(count, int) else 0)):
                yield f"{key}[{at}]", replace(own, copy_index={**own.copy_index, "": at}), resource


def _known(output: object, scope: Scope) -> Json:
    """Empty where only a deployment knows it."""
    try:
        return {"value": evaluate(_object(output).get("value"), scope)}
    except ExpressionError:
        return {}


def _name(resource: Json, scope: Scope) -> str | None:
    try:
        return str(evaluate(resource.get("name"), scope)).lower()
    except ExpressionError:
        return None


def path_of(kind: str, name: str) -> str:
    """`Microsoft.A/b/c` and `x/y` as the end of an id: `Microsoft.A/b/x/c/y`."""
    namespace, *types = kind.split("/")
    return "/".join([namespace, *(part for pair in zip(types, name.split("/"), strict=False) for part in pair)])


def _id(group: GroupFacts, parts: list[str]) -> str:
    """As resourceId() puts it together: subscription and group may stand before the type."""
    at = next((place for place, each in enumerate(parts) if "/" in each), 0)
    before, kind, names = parts[:at], parts[at], "/".join(parts[at + 1 :])
    subscription = before[-2] if len(before) > 1 else group.subscription_id
    name = before[-1] if before else group.name
    return f"/subscriptions/{subscription}/resourceGroups/{name}/providers/{path_of(kind, names)}"


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
