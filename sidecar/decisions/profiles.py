"""Which GPU profile an app needs, and what an environment that exists has to get for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sidecar.core.deployment import Planned, Template, has_parameter
from sidecar.gateway.apps import Environment
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

PROFILE_TYPE = "gpuProfileType"
PROFILE_NAME = "gpuProfileName"
DEFAULT_TYPE = "Consumption-GPU-NC8as-T4"
DEFAULT_NAME = "gpu-inference"
"""The shipped template's default, for a profile that is added to an environment which exists."""

Parameters = dict[str, dict[str, object]]


@dataclass(frozen=True)
class Wanted:
    """The profile that the template's app runs on.

    `name` None: whichever is of the type. `kind` None: the template names a profile without stating its type. `fixed`: both
    stand in the template, and no parameter changes them."""

    kind: str | None
    name: str | None
    fixed: bool = False


def wanted_profile(template: Template, planned: Planned, stated: Parameters) -> Wanted | None:
    """From the template that is deployed: its parameters, or what its app and its environment name. None: no profile."""
    if has_parameter(template, PROFILE_NAME):
        return Wanted(_stated_kind(template, stated), _value(stated, PROFILE_NAME))
    if planned.profile is None:
        return None
    named = (each for each in planned.profiles if str(each.get("name", "")).lower() == planned.profile.lower())
    kind = next((str(each["workloadProfileType"]) for each in named if "workloadProfileType" in each), None)
    return Wanted(kind, planned.profile, fixed=True)


def _stated_kind(template: Template, stated: Parameters) -> str:
    declared = cast("dict[str, dict[str, object]]", template.get("parameters", {}))
    default = next(
        (each.get("defaultValue") for name, each in declared.items() if name.lower() == PROFILE_TYPE.lower()), None
    )
    return _value(stated, PROFILE_TYPE) or str(default or DEFAULT_TYPE)


def _value(stated: Parameters, name: str) -> str | None:
    given = stated.get(name, {}).get("value")
    return None if given is None else str(given)


def kind_of(environment: Environment, name: str | None) -> str | None:
    """The type of an environment's profile."""
    for profile in environment.profiles:
        if name is not None and str(profile.get("name", "")).lower() == name.lower():
            return str(profile.get("workloadProfileType", ""))
    return None


def profile_in(environment: Environment, wanted: Wanted) -> str | None:
    """The name of the environment's profile that will do, if it has one."""
    for profile in environment.profiles:
        name = str(profile.get("name"))
        named = wanted.name is None or name.lower() == wanted.name.lower()
        fits = wanted.kind is None or str(profile.get("workloadProfileType", "")).lower() == wanted.kind.lower()
        # A name that stands in the template is taken as it is found: nothing that could be stated would lead elsewhere.
        if named and (fits or wanted.fixed):
            return name
    return None


def missing_profile(environment: Environment, wanted: Wanted, name: str) -> dict[str, object]:
    """The profile to add to the environment `name`. Raises CloudError where none can be added."""
    added = wanted.name or DEFAULT_NAME
    taken = kind_of(environment, added)
    if taken is not None:
        raise CloudError(
            Text(
                "The environment {name} has a profile {profile} already, of the type {type} instead of {wanted}.",
                name=name,
                profile=added,
                type=taken,
                wanted=wanted.kind,
            ),
            Text("State another name in gpuProfileName, or that type in gpuProfileType."),
            code="ProfileNameTaken",
        )
    if wanted.kind is None:
        raise CloudError(
            Text(
                "The environment {name} has no profile {profile}, which the template names.", name=name, profile=added
            ),
            Text("Name one of its profiles in the template, or another environment in acaEnvironmentName."),
            code="ProfileMissing",
        )
    if "Consumption" not in wanted.kind:
        raise CloudError(
            Text(
                "The environment {name} has no {type} profile, and a dedicated GPU profile can't be added later.",
                name=name,
                type=wanted.kind,
            ),
            Text("Choose a serverless GPU in gpuProfileType, or a new environment in acaEnvironmentName."),
            code="DedicatedProfileMissing",
        )
    return {"name": added, "workloadProfileType": wanted.kind}
