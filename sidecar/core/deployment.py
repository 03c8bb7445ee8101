"""What a deployment of a template will hold and be called: parameters merged, names evaluated, a digest. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import cast

from sidecar.armlang.expressions import Scope, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.core.app_choice import APP, ENVIRONMENT, MODULE, SHARE, Candidate, apps_elsewhere, chosen, with_modules
from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

Template = dict[str, object]

_SECURE = {"securestring", "secureobject"}
_HIDING = {"string": "securestring", "object": "secureObject"}
_HIDDEN = "slipwayHidden"
"""In a parameter's metadata: its value is shown nowhere."""


@dataclass(frozen=True)
class VaultSecret:
    """A parameter's value that only ARM reads: its reference to a secret of a key vault, and where it is stated."""

    reference: Mapping[str, object]
    where: str
    """File and line."""


def hiding(template: Template, names: Collection[str]) -> Template:
    """The template with these parameters' values kept secret, by ARM too where their type can be."""
    if not names:
        return template
    declared = cast("dict[str, dict[str, object]]", template.get("parameters", {}))
    hidden = {name.lower() for name in names}
    changed = {name: _hidden(each) if name.lower() in hidden else each for name, each in declared.items()}
    return {**template, "parameters": changed}


def _hidden(declared: dict[str, object]) -> dict[str, object]:
    kind = str(declared.get("type", ""))
    metadata = cast("dict[str, object]", declared.get("metadata") or {})
    return {**declared, "type": _HIDING.get(kind.lower(), kind), "metadata": {**metadata, _HIDDEN: True}}


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
    return {
        name: {"reference": dict(value.reference)} if isinstance(value, VaultSecret) else {"value": value}
        for name, value in sorted(chosen.items())
    }


def in_casing_of(template: Template, stated: Mapping[str, object]) -> dict[str, object]:
    """Stated values by the names that the template writes: ARM does not tell names by their casing."""
    names = {name.lower(): name for name in cast("dict[str, object]", template.get("parameters", {}))}
    return {names.get(name.lower(), name): value for name, value in stated.items()}


def has_parameter(template: Template, name: str) -> bool:
    return name.lower() in {each.lower() for each in cast("dict[str, object]", template.get("parameters", {}))}


def secure_parameters(template: Template) -> set[str]:
    """Names of the parameters whose values must never be shown, stored or hashed."""
    parameters = cast("dict[str, dict[str, object]]", template.get("parameters", {}))
    return {
        name
        for name, each in parameters.items()
        if str(each.get("type", "")).lower() in _SECURE
        or _HIDDEN in cast("dict[str, object]", each.get("metadata") or {})
    }


DEPLOYMENT_PREFIX = "slipway-inference-"


def deployment_name(template: Template, parameters: dict[str, dict[str, object]], scope: str, project: str) -> str:
    """A name that carries a digest of what is deployed where and for whom: the same again finds, and follows, the same
    deployment; another project's is never taken for it."""
    secure = secure_parameters(template)
    shown = {name: each for name, each in parameters.items() if name not in secure}
    content = json.dumps([template, shown, scope.lower(), project], sort_keys=True)
    return f"{DEPLOYMENT_PREFIX}{hashlib.sha256(content.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Stated:
    """A resource that the template itself makes: not an existing one, not a nested deployment, not one of a loop."""

    key: str
    """Its symbolic name, or its number in a plain list."""
    kind: str
    """The type in lower case."""
    name: str
    id: str
    api_version: str
    switch: str | None
    """The parameter that alone is its condition; None: always made, or by another condition."""


@dataclass(frozen=True)
class Planned:
    """What the template will call its resources, by type in lower case, and the app's template as it would deploy it."""

    names: dict[str, str]
    app_template: dict[str, object] | None
    resources: tuple[Stated, ...] = ()
    profile: str | None = None
    """The workload profile that the app's resource names."""
    profiles: tuple[dict[str, object], ...] = ()
    """Workload profiles as the environment's resource states them."""
    opaque: tuple[str, ...] = ()
    """Resources that can't be looked for here, by their keys: nested deployments, loops, extensions of other scopes."""
    share_quota: int | None = None
    """Of the file share, in GiB, where the template states one."""


@dataclass(frozen=True)
class GroupFacts:
    """What ARM knows about the scope of a deployment before it starts."""

    subscription_id: str
    tenant_id: str
    name: str
    id: str
    location: str


def plan_names(
    template: Template, parameters: dict[str, dict[str, object]], group: GroupFacts, app: str | None = None
) -> Planned:
    """Evaluates the names here, as ARM will there, and what else can be known before anything is deployed. `app`: ours, where the
    template does not tell.

    Raises TemplateError for a name that can't be evaluated, and for several apps of which none is known to be ours; of other
    values those that only ARM knows are left out."""
    scope = _scope(template, parameters, group)
    found: dict[str, list[Candidate]] = {}
    stated: list[Stated] = []
    opaque: list[str] = []
    resources = _keyed_resources(template)
    try:
        for key, resource in resources.items():
            kind = str(resource["type"]).lower()
            if resource.get("existing") is True or _never(resource.get("condition", True), scope):
                continue
            if kind == MODULE or "copy" in resource or "scope" in resource:
                opaque.append(key)
                continue
            name = str(evaluate(resource["name"], scope))
            told = resource.get("properties", {}) if kind in (APP, ENVIRONMENT, SHARE) else dict[str, object]()
            found.setdefault(kind, []).append(Candidate(key, name, cast("dict[str, object]", _known(told, scope))))
            stated.append(
                Stated(
                    key,
                    kind,
                    name,
                    f"{group.id}/providers/{_path(str(resource['type']), name)}",
                    str(resource.get("apiVersion", "")),
                    _switch(resource.get("condition")),
                )
            )
    except ExpressionError as error:
        raise TemplateError(
            Text("The template's names can't be evaluated: {problem}", problem=error),
            Text("Correct the expression in the Bicep file."),
        ) from error
    hidden = {key: resources[key] for key in opaque}

    def inner(template: Mapping[str, object], given: Mapping[str, object]) -> Scope:
        known = {name: {"value": value} for name, value in given.items() if value is not None}
        return _scope(dict(template), known, group)

    elsewhere = list(apps_elsewhere(hidden, scope, inner))
    following = with_modules(scope, hidden, inner)
    outputs = cast("dict[str, object]", template.get("outputs") or {})
    ours = chosen(found, elsewhere, outputs, lambda value: _unless_known(value, following), app)
    properties = {kind: each.properties for kind, each in ours.items()}
    own, quota = properties.get(APP, {}), properties.get(SHARE, {}).get("shareQuota")
    profile, profiles = own.get("workloadProfileName"), properties.get(ENVIRONMENT, {}).get("workloadProfiles")
    return Planned(
        {kind: each.name for kind, each in ours.items()},
        cast("dict[str, object] | None", own.get("template")),
        tuple(stated),
        None if profile is None else str(profile),
        tuple(cast("list[dict[str, object]]", profiles or [])),
        tuple(opaque),
        quota if isinstance(quota, int) else None,
    )


def _unless_known(value: object, scope: Scope) -> object:
    found = _known(value, scope)
    return None if found is _UNKNOWN else found


def referring(template: Template, keys: Collection[str]) -> Template:
    """The template with these resources referred to in place of made: nothing of theirs is written, their values can be read."""
    resources = _keyed_resources(template)
    if not keys:
        return template
    changed: dict[str, dict[str, object]] = {}
    for key, resource in resources.items():
        if key not in keys:
            changed[key] = _without_dependencies(resource, keys)
        elif isinstance(template["resources"], dict):
            kept = {name: resource[name] for name in ("type", "apiVersion", "name") if name in resource}
            changed[key] = {"existing": True, **kept}
        else:
            changed[key] = {**resource, "condition": False}
    symbolic = isinstance(template["resources"], dict)
    return {**template, "resources": changed if symbolic else list(changed.values())}


def _without_dependencies(resource: dict[str, object], keys: Collection[str]) -> dict[str, object]:
    """What exists is not waited for. In a plain list dependencies are ids: ARM itself leaves those out that are not made."""
    needs = resource.get("dependsOn")
    if not isinstance(needs, list):
        return resource
    return {**resource, "dependsOn": [each for each in cast("list[object]", needs) if each not in keys]}


def _path(kind: str, name: str) -> str:
    """`Microsoft.A/b/c` and `x/y` as the end of an id: `Microsoft.A/b/x/c/y`."""
    namespace, *types = kind.split("/")
    return "/".join([namespace, *(part for pair in zip(types, name.split("/"), strict=False) for part in pair)])


def _id(group: GroupFacts, parts: list[str]) -> str:
    """As resourceId() puts it together: subscription and group may stand before the type."""
    at = next((place for place, each in enumerate(parts) if "/" in each), 0)
    before, kind, names = parts[:at], parts[at], "/".join(parts[at + 1 :])
    subscription = before[-2] if len(before) > 1 else group.subscription_id
    name = before[-1] if before else group.name
    return f"/subscriptions/{subscription}/resourceGroups/{name}/providers/{_path(kind, names)}"


def _switch(condition: object) -> str | None:
    found = re.fullmatch(r"\[parameters\('(\w+)'\)\]", condition) if isinstance(condition, str) else None
    return None if found is None else found[1]


def _never(condition: object, scope: Scope) -> bool:
    """Whether a condition other than a switch is known to be false."""
    if _switch(condition) is not None:
        return False
    try:
        return evaluate(condition, scope) is False
    except ExpressionError:
        return False


_UNKNOWN = object()


def _known(value: object, scope: Scope) -> object:
    """`value` evaluated. What only ARM can evaluate (reference(), listKeys()) is left out, and with it the list it stands in."""
    if isinstance(value, dict):
        parts = {name: _known(part, scope) for name, part in cast("dict[str, object]", value).items()}
        return {name: part for name, part in parts.items() if part is not _UNKNOWN}
    if isinstance(value, list):
        items = [_known(part, scope) for part in cast("list[object]", value)]
        return _UNKNOWN if any(item is _UNKNOWN for item in items) else items
    try:
        return evaluate(value, scope)
    except ExpressionError:
        return _UNKNOWN


def _keyed_resources(template: Template) -> dict[str, dict[str, object]]:
    """Symbolic names (languageVersion 2.0), or the numbers in a plain list."""
    resources = template.get("resources", [])
    if isinstance(resources, dict):
        return cast("dict[str, dict[str, object]]", resources)
    return {str(number): each for number, each in enumerate(cast("list[dict[str, object]]", resources))}


def _scope(template: Template, parameters: dict[str, dict[str, object]], group: GroupFacts) -> Scope:
    declared = cast("dict[str, dict[str, object]]", template.get("parameters", {}))
    variables = cast("dict[str, object]", template.get("variables", {}))

    def parameter(name: str) -> object:
        known = {each.lower(): each for each in declared}
        real = known[name.lower()]
        if real in parameters:
            if "reference" in parameters[real]:
                raise ExpressionError(f"The value of the parameter '{real}' is a key vault's secret.")
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
        "resourceid": lambda *parts: _id(group, [str(each) for each in parts]),
    }
    scope = Scope(parameter, variable, functions)
    return scope
