"""Of several apps, environments, accounts or shares that a template makes, ours: what its outputs and the app itself name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from sidecar.armlang.expressions import Scope, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

Json = Mapping[str, object]
APP = "microsoft.app/containerapps"
ENVIRONMENT = "microsoft.app/managedenvironments"
STORAGE = f"{ENVIRONMENT}/storages"
ACCOUNT = "microsoft.storage/storageaccounts"
SHARE = f"{ACCOUNT}/fileservices/shares"
MODULE = "microsoft.resources/deployments"
SEVERAL = "SeveralApps"
OUTPUTS = {APP: "ACA_APP_NAME", ACCOUNT: "STORAGE_ACCOUNT_NAME", SHARE: "FILE_SHARE_NAME"}
"""The output that names ours."""
Inner = Callable[[Json, Json], Scope]
"""The scope of a module's template, with the parameters that it is given."""
Known = Callable[[object], object]
"""The value of an expression; None where only a deployment knows it."""


@dataclass(frozen=True)
class Candidate:
    """A resource of the template itself. `properties`: as far as they are known."""

    key: str
    name: str
    properties: Json


def chosen(
    found: Mapping[str, Sequence[Candidate]], elsewhere: Sequence[str], outputs: Json, known: Known, named: str | None
) -> dict[str, Candidate]:
    """Ours of each type. `elsewhere`: apps in loops and modules. `named`: ours by a person's word, or by the configuration.

    Raises TemplateError where more than one app may be ours."""
    ours: dict[str, Candidate] = {}
    for kind, candidates in found.items():
        wanted = _output(outputs, OUTPUTS.get(kind, ""), known)
        if kind == APP and len(candidates) + len(elsewhere) > 1:
            everything = [*(each.name for each in candidates), *elsewhere]
            told = next((each for each in (wanted, named) if each and each.lower() in map(str.lower, everything)), None)
            if told is None:
                raise _several(everything)
            one = _called(candidates, told)  # None: a module or a loop makes it
        else:
            one = _called(candidates, wanted) or candidates[0]
        if one is not None:
            ours[kind] = one
    _around(ours, found)
    return ours


def _around(ours: dict[str, Candidate], found: Mapping[str, Sequence[Candidate]]) -> None:
    """The environment that the app lies in, and the storage that it mounts."""
    app = ours.get(APP)
    if app is None:
        return
    lies_in = app.properties.get("environmentId") or app.properties.get("managedEnvironmentId")
    named = str(lies_in).rpartition("/")[2] if isinstance(lies_in, str) else None
    environment = _called(found.get(ENVIRONMENT, ()), named)
    if environment is not None:
        ours[ENVIRONMENT] = environment
    template = app.properties.get("template")
    volumes = cast("Json", template).get("volumes") if isinstance(template, dict) else None
    mounted = [
        cast("Json", each).get("storageName") for each in cast("list[object]", volumes or []) if isinstance(each, dict)
    ]
    for each in found.get(STORAGE, ()):
        if each.name.rpartition("/")[2] in mounted and (named is None or each.name.startswith(f"{named}/")):
            ours[STORAGE] = each
            return


def _called(candidates: Sequence[Candidate], name: str | None) -> Candidate | None:
    wanted = None if name is None else name.lower()
    return next(
        (each for each in candidates if wanted in (each.name.lower(), each.name.rpartition("/")[2].lower())), None
    )


def _output(outputs: Json, name: str, known: Known) -> str | None:
    """An output's value, where it is known before the deployment."""
    stated = next((each for key, each in outputs.items() if key.upper() == name), None)
    value = known(cast("Json", stated).get("value")) if isinstance(stated, dict) else None
    return value if isinstance(value, str) and value else None


def _several(names: Sequence[str]) -> TemplateError:
    return TemplateError(
        Text(
            "The template makes several container apps, and its output ACA_APP_NAME does not tell which one is the endpoint: "
            "{names}.",
            names=", ".join(names),
        ),
        Text("Let the output name one of them, or name it with --app."),
        code=SEVERAL,
        detail="\n".join(names),
    )


def apps_elsewhere(resources: Mapping[str, Json], scope: Scope, inner: Inner) -> Iterator[str]:
    """Names of the apps that loops and modules make; the module's or the loop's own where that is not known."""
    for key, resource in resources.items():
        kind = str(resource.get("type")).lower()
        if kind == APP and "copy" in resource:
            yield from _of_loop(key, resource, scope)
        elif kind == MODULE:
            template, own = _module(resource, scope, inner)
            made = _keyed(template.get("resources")).items()
            within = {name: each for name, each in made if not _never(each, own)}
            for other in within.values():
                if str(other.get("type")).lower() == APP and other.get("existing") is not True and "copy" not in other:
                    yield _name(other.get("name"), own) or key
            yield from apps_elsewhere(within, own, inner)


def with_modules(scope: Scope, resources: Mapping[str, Json], inner: Inner) -> Scope:
    """The scope, in which outputs of modules are known as far as their own templates tell."""

    def reference(named: object, *_: object) -> object:
        for key, resource in resources.items():
            name = _name(resource.get("name"), scope)
            if str(resource.get("type")).lower() == MODULE and (named == key or str(named).endswith(f"/{name}")):
                template, own = _module(resource, scope, inner)
                stated = _object(template.get("outputs"))
                return {"outputs": {output: {"value": _value(each, own)} for output, each in stated.items()}}
        raise ExpressionError("Only a deployment knows this.")

    return replace(scope, functions={**scope.functions, "reference": reference})


def _module(resource: Json, scope: Scope, inner: Inner) -> tuple[Json, Scope]:
    """A module's template, and the scope of it."""
    properties = _object(resource.get("properties"))
    template = _object(properties.get("template"))
    given = {name: _value(each, scope) for name, each in _object(properties.get("parameters")).items()}
    return template, with_modules(inner(template, given), _keyed(template.get("resources")), inner)


def _never(resource: Json, scope: Scope) -> bool:
    """Whether it is known that it is not made."""
    try:
        return evaluate(resource.get("condition", True), scope) is False
    except ExpressionError:
        return False


def _keyed(resources: object) -> Mapping[str, Json]:
    """By symbolic name, or by number."""
    if isinstance(resources, list):
        return {str(at): _object(each) for at, each in enumerate(cast("list[object]", resources))}
    return {key: _object(each) for key, each in _object(resources).items()}


def _value(entry: object, scope: Scope) -> object:
    try:
        return evaluate(_object(entry).get("value"), scope)
    except ExpressionError:
        return None


def _of_loop(key: str, resource: Json, scope: Scope) -> Iterator[str]:
    copy = _object(resource.get("copy"))
    try:
        count = evaluate(copy.get("count"), scope)
    except ExpressionError:
        count = None
    if not isinstance(count, int):
        yield key
        return
    for at in range(count):
        own = replace(scope, copy_index={"": at, str(copy.get("name")).lower(): at})
        yield _name(resource.get("name"), own) or f"{key}[{at}]"


def _name(expression: object, scope: Scope) -> str | None:
    try:
        found = evaluate(expression, scope)
    except ExpressionError:
        return None
    return found if isinstance(found, str) and found else None


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
