"""What a deployment of a template will hold and be called: parameters merged, names evaluated, a digest. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sidecar.armlang.copies import loops_of, turns
from sidecar.armlang.expression_syntax import is_expression
from sidecar.armlang.expressions import Scope, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.core.app_choice import ACCOUNT, APP, ENVIRONMENT, SHARE, STORAGE, Candidate, chosen
from sidecar.core.declared import Declared, GroupFacts, Json, declared, keyed, path_of, switch_of
from sidecar.core.masking import MARK
from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

Template = dict[str, object]
LOGS = "microsoft.operationalinsights/workspaces"
SWITCHES = {
    ACCOUNT: "createStorageAccount",
    SHARE: "createFileShare",
    LOGS: "createLogAnalytics",
    ENVIRONMENT: "createEnvironment",
    STORAGE: "createEnvironmentStorage",
    APP: "createApp",
}
"""The parameter of the shipped template that says whether a resource is made or referred to."""
_SWITCHED = frozenset(each.lower() for each in SWITCHES.values())

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
    """A resource that the template makes, itself, in a module or in a loop: not an existing one, not a nested deployment."""

    key: str
    """The way to it, by symbolic names or numbers in a plain list: `part/app` in a module, `many[1]` of a loop."""
    kind: str
    """The type in lower case."""
    name: str
    id: str
    api_version: str
    switch: str | None
    """The parameter that alone is its condition, in lower case; None: always made, or by another condition."""


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
    """Resources that are not looked for here, by their keys: of another scope, with a name that is known later, and of other
    types than ours in modules and loops."""
    share_quota: int | None = None
    """Of the file share, in GiB, where the template states one."""
    new_each_time: tuple[str, ...] = ()
    """Types, in lower case, of resources that each deployment makes under a name by chance."""


def plan_names(
    template: Template, parameters: dict[str, dict[str, object]], group: GroupFacts, app: str | None = None
) -> Planned:
    """Evaluates the names here, as ARM will there, and what else can be known before anything is deployed. `app`: ours, where the
    template does not tell.

    Raises TemplateError for a name that can't be evaluated, and for several apps of which none is known to be ours; of other
    values those that only ARM knows are left out."""
    found: dict[str, list[Candidate]] = {}
    stated: list[Stated] = []
    opaque: list[str] = []
    elsewhere: list[str] = []
    try:
        everything, scope = declared(template, parameters, group, _SWITCHED)
    except ExpressionError as error:
        raise TemplateError(
            Text("The template's names can't be evaluated: {problem}", problem=error),
            Text("Correct the expression in the Bicep file."),
        ) from error
    # Where nothing tells which is ours, the template's own come first.
    for each in sorted(everything, key=lambda one: one.key.count("/")):
        # Of what modules and loops make beside the types of ours, ARM tells what becomes: a person's changes of it are deployed.
        left = each.kind not in SWITCHES and not _is_plain(each.key)
        if each.where != "here" or each.name is None or left:
            opaque += [re.sub(r"\[\d+\]", "", each.key)] if each.where != "elsewhere" else []
            elsewhere += [each.name or each.key] if each.kind == APP else []
            continue
        told = each.resource.get("properties", {}) if each.kind in (APP, ENVIRONMENT, SHARE) else dict[str, object]()
        known = cast("dict[str, object]", _known(told, each.scope))
        found.setdefault(each.kind, []).append(Candidate(each.key, each.name, known))
        stated.append(
            Stated(
                each.key,
                each.kind,
                each.name,
                f"{group.id}/providers/{path_of(str(each.resource['type']), each.name)}",
                str(each.resource.get("apiVersion", "")),
                switch_of(each.resource.get("condition")) if _is_plain(each.key) else None,
            )
        )
    outputs = cast("dict[str, object]", template.get("outputs") or {})
    ours = chosen(found, elsewhere, outputs, lambda value: _unless_known(value, scope), app)
    properties = {kind: each.properties for kind, each in ours.items()}
    own, quota = properties.get(APP, {}), properties.get(SHARE, {}).get("shareQuota")
    profile, profiles = own.get("workloadProfileName"), properties.get(ENVIRONMENT, {}).get("workloadProfiles")
    return Planned(
        {kind: each.name for kind, each in ours.items()},
        cast("dict[str, object] | None", own.get("template")),
        tuple(stated),
        None if profile is None else str(profile),
        tuple(cast("list[dict[str, object]]", profiles or [])),
        tuple(dict.fromkeys(opaque)),
        quota if isinstance(quota, int) else None,
        tuple(each.kind for each in everything if each.by_chance and each.where != "elsewhere"),
    )


def built(
    template: Template, parameters: Mapping[str, Json], shown: Mapping[str, Json], group: GroupFacts
) -> Iterator[tuple[str, str]]:
    """Texts that the template makes of the parameters, each with what it makes of them as they are shown: a value may be in the
    middle of a word there."""
    try:
        real, masked = (declared(template, each, group, _SWITCHED)[0] for each in (parameters, shown))
    except ExpressionError:
        return  # the names can't be made of what is shown
    others = {each.key: each for each in masked}
    for each in real:
        if each.key in others:
            other = others[each.key]
            yield from _differing(_known(_body(each), each.scope), _known(_body(other), other.scope))


def _body(each: Declared) -> Json:
    return {name: part for name, part in each.resource.items() if name not in ("copy", "condition", "dependsOn")}


def _differing(real: object, shown: object) -> Iterator[tuple[str, str]]:
    if isinstance(real, str) and isinstance(shown, str):
        if real != shown and MARK in shown:  # a digest of it shows nothing
            yield real, shown
    elif isinstance(real, dict) and isinstance(shown, dict):
        others = cast("dict[str, object]", shown)
        for key, each in cast("dict[str, object]", real).items():
            yield from _differing(each, others.get(key))
    elif isinstance(real, list) and isinstance(shown, list):
        for one, other in zip(cast("list[object]", real), cast("list[object]", shown), strict=False):
            yield from _differing(one, other)


def _unless_known(value: object, scope: Scope) -> object:
    found = _known(value, scope)
    return None if found is _UNKNOWN else found


def _is_plain(key: str) -> bool:
    """Whether it is the template's own, and of no loop."""
    return "/" not in key and "[" not in key


def referring(template: Template, there: Mapping[str, str]) -> Template:
    """The template with these resources, by key, referred to in place of made: nothing of theirs is written, their values can be
    read. One of a loop is told by its name: the others of it are made."""
    if not there:
        return template
    wanted: dict[str, list[_Way]] = {}
    for key, name in there.items():
        first, _, rest = key.partition("/")
        own, turn, _ = first.partition("[")
        wanted.setdefault(own, []).append((rest, name, bool(turn)))
    return _referring(template, wanted)


_Way = tuple[str, str, bool]
"""The rest of the way to a resource, its name, and whether it, or a module around it, is one of a loop."""


def _referring(template: Template, there: Mapping[str, Sequence[_Way]]) -> Template:
    symbolic = isinstance(template.get("resources"), dict)
    whole = {key for key, ways in there.items() if any(not rest and not looped for rest, _, looped in ways)}
    changed: dict[str, dict[str, object]] = {}
    for key, resource in cast("dict[str, dict[str, object]]", keyed(template.get("resources"))).items():
        ways = there.get(key, ())
        if key in whole:
            kept = {name: resource[name] for name in ("type", "apiVersion", "name") if name in resource}
            changed[key] = {"existing": True, **kept} if symbolic else {**resource, "condition": False}
            continue
        made = _without_dependencies(resource, whole)
        names = sorted({name for rest, name, _ in ways if not rest})
        changed[key] = _but(made, names) if names else _within(made, ways)
    return {**template, "resources": changed if symbolic else list(changed.values())}


def _within(module: dict[str, object], ways: Sequence[_Way]) -> dict[str, object]:
    """The module with these of its resources referred to."""
    if not ways:
        return module
    inner: dict[str, list[_Way]] = {}
    for rest, name, looped in ways:
        first, _, further = rest.partition("/")
        own, turn, _ = first.partition("[")
        inner.setdefault(own, []).append((further, name, looped or bool(turn)))
    properties = cast("dict[str, object]", module["properties"])
    template = _referring(cast("Template", properties["template"]), inner)
    return {**module, "properties": {**properties, "template": template}}


def _but(resource: dict[str, object], names: Sequence[str]) -> dict[str, object]:
    """Made under its condition, but not where it has one of these names."""
    condition, name = resource.get("condition", True), str(resource["name"])
    told = name[1:-1] if is_expression(name) else _quoted(name.removeprefix("["))
    before = (
        condition[1:-1] if isinstance(condition, str) and is_expression(condition) else f"{str(condition).lower()}()"
    )
    known = ", ".join(_quoted(each.lower()) for each in names)
    return {**resource, "condition": f"[and({before}, not(contains(createArray({known}), toLower({told}))))]"}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _without_dependencies(resource: dict[str, object], keys: Collection[str]) -> dict[str, object]:
    """What exists is not waited for. In a plain list dependencies are ids: ARM itself leaves those out that are not made."""
    needs = resource.get("dependsOn")
    if not isinstance(needs, list):
        return resource
    return {**resource, "dependsOn": [each for each in cast("list[object]", needs) if each not in keys]}


_UNKNOWN = object()


def _known(value: object, scope: Scope) -> object:
    """`value` evaluated. What only ARM can evaluate (reference(), listKeys()) is left out, and with it the list it stands in."""
    if isinstance(value, dict):
        held = cast("dict[str, object]", value)
        loops = loops_of(held)
        parts = {name: _known(part, scope) for name, part in held.items() if loops is None or name != "copy"}
        parts |= {str(loop["name"]): _looped(loop, scope) for loop in loops or ()}
        return {name: part for name, part in parts.items() if part is not _UNKNOWN}
    if isinstance(value, list):
        items = [_known(part, scope) for part in cast("list[object]", value)]
        return _UNKNOWN if any(item is _UNKNOWN for item in items) else items
    try:
        return evaluate(value, scope)
    except ExpressionError:
        return _UNKNOWN


def _looped(loop: Mapping[str, object], scope: Scope) -> object:
    """A list of a property loop's."""
    count = _known(loop.get("count"), scope)
    if not isinstance(count, int):
        return _UNKNOWN
    items = [_known(loop["input"], each) for each in turns(loop, scope, count)]
    return _UNKNOWN if any(item is _UNKNOWN for item in items) else items
