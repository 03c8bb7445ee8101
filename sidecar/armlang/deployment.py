"""What a deployment of a template will hold and be called: parameters merged, names evaluated, a digest. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from sidecar.armlang.expressions import ExpressionError, Scope, evaluate
from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

Template = dict[str, object]

_SECURE = {"securestring", "secureobject"}


def merge_parameters(
    template: Template, stated: dict[str, object], ours: dict[str, object]
) -> dict[str, dict[str, object]]:
    """The deployment's parameters: what the person states, then what Slipway decides for parameters the template has.

    Raises TemplateError for a stated parameter that the template does not know."""
    known = cast("dict[str, object]", template.get("parameters", {}))
    names = {name.lower(): name for name in known}
    unknown = [name for name in stated if name.lower() not in names]
    if unknown:
        raise TemplateError(
            Text("The template has no parameter {names}.", names=", ".join(unknown)),
            Text("It has: {known}.", known=", ".join(sorted(known))),
            code="InvalidTemplateParameter",
        )
    chosen = {names[name.lower()]: value for name, value in ours.items() if name.lower() in names}
    chosen |= {names[name.lower()]: value for name, value in stated.items()}
    return {name: {"value": value} for name, value in sorted(chosen.items())}


def has_parameter(template: Template, name: str) -> bool:
    return name.lower() in {each.lower() for each in cast("dict[str, object]", template.get("parameters", {}))}


def secure_parameters(template: Template) -> set[str]:
    """Names of the parameters whose values must never be shown, stored or hashed."""
    parameters = cast("dict[str, dict[str, object]]", template.get("parameters", {}))
    return {name for name, each in parameters.items() if str(each.get("type", "")).lower() in _SECURE}


def deployment_name(template: Template, parameters: dict[str, dict[str, object]], scope: str) -> str:
    """A name that carries a digest of what is deployed where: the same again finds, and follows, the same deployment."""
    secure = secure_parameters(template)
    shown = {name: each for name, each in parameters.items() if name not in secure}
    content = json.dumps([template, shown, scope.lower()], sort_keys=True)
    return f"slipway-inference-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Planned:
    """What the template will call its resources, by type in lower case, and the app's template as it would deploy it."""

    names: dict[str, str]
    app_template: dict[str, object] | None
    location: str


@dataclass(frozen=True)
class GroupFacts:
    """What ARM knows about the scope of a deployment before it starts."""

    subscription_id: str
    tenant_id: str
    name: str
    id: str
    location: str


def plan_names(template: Template, parameters: dict[str, dict[str, object]], group: GroupFacts) -> Planned:
    """Evaluates the names and the app's template here, as ARM will there. Raises TemplateError where that is impossible."""
    scope = _scope(template, parameters, group)
    names: dict[str, str] = {}
    app_template: dict[str, object] | None = None
    try:
        for resource in _resources(template):
            if resource.get("existing") is True:
                continue
            kind = str(resource["type"]).lower()
            names[kind] = str(evaluate(resource["name"], scope))
            if kind == "microsoft.app/containerapps":
                properties = cast("dict[str, object]", resource.get("properties", {}))
                app_template = cast("dict[str, object]", evaluate(properties.get("template", {}), scope))
        place = template.get("variables", {})
        location = evaluate(cast("dict[str, object]", place).get("place", group.location), scope)
    except ExpressionError as error:
        raise TemplateError(
            Text("The template's names can't be evaluated: {problem}", problem=error),
            Text("Correct the expression in the Bicep file."),
        ) from error
    return Planned(names, app_template, str(location))


def _resources(template: Template) -> list[dict[str, object]]:
    """Symbolic names (languageVersion 2.0) or a plain list."""
    resources = template.get("resources", [])
    if isinstance(resources, dict):
        return list(cast("dict[str, dict[str, object]]", resources).values())
    return cast("list[dict[str, object]]", resources)


def _scope(template: Template, parameters: dict[str, dict[str, object]], group: GroupFacts) -> Scope:
    declared = cast("dict[str, dict[str, object]]", template.get("parameters", {}))
    variables = cast("dict[str, object]", template.get("variables", {}))

    def parameter(name: str) -> object:
        known = {each.lower(): each for each in declared}
        real = known[name.lower()]
        if real in parameters:
            return parameters[real]["value"]
        return evaluate(declared[real].get("defaultValue"), scope)

    def variable(name: str) -> object:
        known = {each.lower(): each for each in variables}
        return evaluate(variables[known[name.lower()]], scope)

    functions: dict[str, Callable[..., object]] = {
        "resourcegroup": lambda: {"id": group.id, "name": group.name, "location": group.location},
        "subscription": lambda: {
            "id": f"/subscriptions/{group.subscription_id}",
            "subscriptionId": group.subscription_id,
            "tenantId": group.tenant_id,
        },
        "newguid": lambda: "00000000-0000-0000-0000-000000000000",
    }
    scope = Scope(parameter, variable, functions)
    return scope
