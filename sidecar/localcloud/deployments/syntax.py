"""What ARM refuses in a template before anything is evaluated: every expression is parsed, wherever it stands. Pure.

A function must exist, stand where it may, and get as many arguments as it takes; a parameter or variable that is named must
be declared; none may need itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sidecar.armlang.expression_syntax import Call, Literal, calls
from sidecar.armlang.function_table import ROWS, Arity, arity_problem, function_named
from sidecar.armlang.values import ExpressionError
from sidecar.localcloud.core.fields import Json, as_list, as_object, member, objects
from sidecar.localcloud.deployments.declared_types import invalid_template

# Functions that read a resource: they have a value only once it is there.
_READING = frozenset(each.name.lower() for each in ROWS if each.where == "runtime")
# Functions that give another value each time: ARM lets only a parameter's default use them.
_CHANCE = frozenset(each.name.lower() for each in ROWS if each.where == "default")
_DEPLOYMENTS = "microsoft.resources/deployments"
_NOT_EVALUATED = frozenset(("metadata", "comments", "resources"))
# Known before anything is deployed: no resource can be read for them.
_EARLY = frozenset(
    (
        "name",
        "type",
        "apiVersion",
        "location",
        "sku",
        "kind",
        "condition",
        "copy",
        "scope",
        "dependsOn",
        "zones",
        "plan",
    )
)

_DEEPEST = 128
"""Objects and lists within each other; what evaluates them goes down by recursion."""


@dataclass(frozen=True)
class _Place:
    """Where an expression stands: how ARM calls it, what it may not use there, which names it may."""

    title: str
    refused: frozenset[str]
    parameters: frozenset[str]
    variables: frozenset[str] | None
    """None: variables() is not expected there at all."""
    functions: Mapping[str, Arity]
    """The template's own, `namespace.name` in lower case."""


def check_syntax(template: Json) -> None:
    """ArmError InvalidTemplate for what is wrong in the text of `template`, templates nested in it included."""
    if _deeper(template, _DEEPEST):
        raise invalid_template("The template is nested too deeply.")
    declared: Json = member(template, "parameters")
    variables: Json = member(template, "variables")
    loops: Json = {str(loop.get("name")): loop for loop in objects(variables, "copy")}
    values = {**{name: value for name, value in variables.items() if name != "copy"}, **loops}
    for kind, names in (("parameter", declared), ("variable", values), ("output", member(template, "outputs"))):
        _refuse_alike(kind, names)
    own = dict(_user_functions(template))
    place = _Place(
        "",
        _CHANCE,
        frozenset(name.lower() for name in declared),
        frozenset(name.lower() for name in values),
        {name: _taken(definition) for name, definition in own.items()},
    )
    defaults = {name: (as_object(entry) or {}).get("defaultValue") for name, entry in declared.items()}
    for name, value in defaults.items():
        _check(value, replace(place, title=f"parameter '{name}'", refused=_READING, variables=None))
    for name, value in values.items():
        _check(value, replace(place, title=f"variable '{name}'", refused=_CHANCE | _READING))
    for name, definition in own.items():
        names = frozenset(str(each.get("name")).lower() for each in objects(definition, "parameters"))
        inside = replace(
            place, title=f"function '{name}'", refused=_CHANCE | _READING, parameters=names, variables=None
        )
        _check(member(definition, "output").get("value"), inside)
    _refuse_circles("parameters", "parameter", defaults)
    _refuse_circles("variables", "variable", values)
    _refuse_circles("", "function", {name: member(each, "output").get("value") for name, each in own.items()})
    for entry in _resources(template):
        _check_resource(entry, place)
    for name, output in member(template, "outputs").items():
        stated = {key: value for key, value in (as_object(output) or {}).items() if key != "metadata"}
        _check(stated, replace(place, title=f"output '{name}'"))


def _deeper(value: Any, limit: int) -> bool:
    level: list[Any] = [value]
    while level and limit >= 0:
        limit -= 1
        level = [item for each in level for item in ((as_object(each) or {}).values() or as_list(each) or ())]
    return bool(level)


def _refuse_alike(kind: str, names: Json) -> None:
    spelt = {name.lower(): name for name in names}
    for name in names:
        if (other := spelt[name.lower()]) != name:
            raise invalid_template(
                f"The template {kind}s '{name}' and '{other}' differ only in case: rename one of them."
            )


def _user_functions(template: Json) -> Iterator[tuple[str, Json]]:
    for space in objects(template, "functions"):
        for name, definition in member(space, "members").items():
            yield f"{space.get('namespace')}.{name}".lower(), as_object(definition) or {}


def _taken(definition: Json) -> Arity:
    count = len(objects(definition, "parameters"))
    return count, count


def _resources(holder: Json) -> list[Json]:
    named = as_object(holder.get("resources"))
    if named is None:
        return objects(holder, "resources")
    return [entry for value in named.values() if (entry := as_object(value)) is not None]


def _check_resource(entry: Json, place: _Place) -> None:
    here = replace(place, title=f"resource '{entry.get('name')}'")
    nested = str(entry.get("type", "")).lower() == _DEPLOYMENTS
    for name, value in entry.items():
        if name in _NOT_EVALUATED:
            continue
        if name == "properties" and nested:
            _check_nested(member(entry, "properties"), here)
        else:
            _check(value, replace(here, refused=_CHANCE | _READING) if name in _EARLY else here)
    for child in [] if nested else _resources(entry):
        _check_resource(child, place)


def _check_nested(properties: Json, place: _Place) -> None:
    """A template inside another: a world of its own, or, where its scope is the outer one, a part of that."""
    _check({name: value for name, value in properties.items() if name != "template"}, place)
    template = as_object(properties.get("template"))
    if template is None:
        return
    if str(member(properties, "expressionEvaluationOptions").get("scope", "outer")).lower() == "inner":
        check_syntax(template)
        return
    for entry in _resources(template):
        _check_resource(entry, place)
    _check(template.get("outputs"), place)


def _counts(value: Any) -> Iterator[Any]:
    """How often each loop within a value runs: known before anything is deployed, wherever the loop stands."""
    for item in as_list(value) or ():
        yield from _counts(item)
    for name, item in (as_object(value) or {}).items():
        if name == "copy":
            loops = as_list(item) or [item]
            yield from (loop.get("count") for each in loops if (loop := as_object(each)) is not None)
        yield from _counts(item)


def _check(value: Any, place: _Place) -> None:
    if not place.refused >= _READING:
        for count in _counts(value):
            _check(count, replace(place, refused=_CHANCE | _READING))
    try:
        for call in calls(value):
            if problem := _call_problem(call, place):
                raise ExpressionError(problem)
    except ExpressionError as problem:
        raise invalid_template(f"The template {place.title} is not valid: {problem}") from problem


def _call_problem(call: Call, place: _Place) -> str | None:
    name = call.name.lower()
    known_to_arm = function_named(name)
    if known_to_arm is not None and known_to_arm.made != "compiler" and known_to_arm.where != "parameters file":
        name, arity = known_to_arm.name.lower(), known_to_arm.in_templates
    else:
        arity = place.functions.get(name)
    if arity is None:
        return f"The template function '{call.name}' is not valid. Please see https://aka.ms/arm-functions for usage details."
    if name in place.refused or (name == "variables" and place.variables is None):
        return (
            f"The template function '{call.name}' is not expected at this location. Please see "
            "https://aka.ms/arm-functions for usage details."
        )
    if problem := arity_problem(call.name, len(call.arguments), arity):
        return problem
    named = call.arguments[0].value if call.arguments and isinstance(call.arguments[0], Literal) else None
    known = {"parameters": place.parameters, "variables": place.variables}.get(name)
    if isinstance(named, str) and known is not None and named.lower() not in known:
        return (
            f"The template {name.removesuffix('s')} '{named}' is not found. Please see https://aka.ms/arm-syntax-{name} "
            "for usage details."
        )
    return None


def _refuse_circles(function: str, kind: str, values: Json) -> None:
    """Names that need themselves, by way of others too. `function` reads a name; "": the names are functions."""
    needs = {name.lower(): set(_names(function, value)) for name, value in values.items()}
    while free := [name for name, others in needs.items() if not others & needs.keys()]:
        for name in free:
            del needs[name]
    # Whatever only leads to a circle is left too: the one that is named is on it.
    stuck = next(iter(needs), None)
    seen: set[str] = set()
    while stuck is not None and stuck not in seen:
        seen.add(stuck)
        stuck = next(iter(sorted(needs[stuck] & needs.keys())))
    if stuck is not None:
        raise invalid_template(
            f"Circular dependency detected on template {kind}: '{stuck}'. Please see "
            f"https://aka.ms/arm-syntax-{function or 'functions'} for usage details."
        )


def _names(function: str, value: Any) -> Iterator[str]:
    for call in calls(value):
        if not function:
            yield call.name.lower()
        elif call.name.lower() == function and call.arguments and isinstance(call.arguments[0], Literal):
            yield str(call.arguments[0].value).lower()
