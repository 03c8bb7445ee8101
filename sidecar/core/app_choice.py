"""Of several apps, environments, accounts or shares that a template makes, ours: what its outputs and the app itself name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

Json = Mapping[str, object]
APP = "microsoft.app/containerapps"
ENVIRONMENT = "microsoft.app/managedenvironments"
STORAGE = f"{ENVIRONMENT}/storages"
ACCOUNT = "microsoft.storage/storageaccounts"
SHARE = f"{ACCOUNT}/fileservices/shares"
SEVERAL = "SeveralApps"
OUTPUTS = {APP: "ACA_APP_NAME", ACCOUNT: "STORAGE_ACCOUNT_NAME", SHARE: "FILE_SHARE_NAME"}
"""The output that names ours."""
Known = Callable[[object], object]
"""The value of an expression; None where only a deployment knows it."""


@dataclass(frozen=True)
class Candidate:
    """A resource that can be looked for. `properties`: as far as they are known."""

    key: str
    name: str
    properties: Json


def chosen(
    found: Mapping[str, Sequence[Candidate]], elsewhere: Sequence[str], outputs: Json, known: Known, named: str | None
) -> dict[str, Candidate]:
    """Ours of each type. `elsewhere`: apps that can't be looked for. `named`: ours by a person's word, or by the configuration.

    Raises TemplateError where more than one app may be ours."""
    ours: dict[str, Candidate] = {}
    several: Mapping[str, Sequence[Candidate]] = {APP: ()} if len(elsewhere) > 1 else {}
    for kind, candidates in {**several, **found}.items():
        wanted = _output(outputs, OUTPUTS.get(kind, ""), known)
        if kind == APP and len(candidates) + len(elsewhere) > 1:
            everything = [*(each.name for each in candidates), *elsewhere]
            told = next((each for each in (wanted, named) if each and each.lower() in map(str.lower, everything)), None)
            if told is None:
                raise _several(everything)
            one = _called(candidates, told)  # None: it lies elsewhere
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
