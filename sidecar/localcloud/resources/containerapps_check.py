"""What Container Apps refuses in the PUT of an app without touching anything; ARM asks it before a deployment begins."""

from collections.abc import Mapping

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.errors import invalid
from sidecar.localcloud.core.fields import Json, member, objects
from sidecar.localcloud.core.settings import Profile
from sidecar.localcloud.resources.containerapps_rules import (
    PLAIN,
    Room,
    check_app_name,
    checked_configuration,
    checked_template,
    require_secret_values,
    room_of,
)
from sidecar.localcloud.resources.resource_type import ArmRequest, Lookup


def check_app(cloud: LocalCloud, request: ArmRequest, lookup: Lookup) -> None:
    """ArmError for a name, a configuration, or, where its environment is known, a template that is not right."""
    check_app_name(request.id.name)
    given = member(request.body, "properties")
    configuration = member(given, "configuration")
    checked_configuration(configuration)
    require_secret_values(configuration)
    secrets = [str(secret.get("name")) for secret in objects(configuration, "secrets")]
    environment = lookup(str(given.get("managedEnvironmentId") or given.get("environmentId") or ""))
    if environment is not None:
        _, room = chosen_profile(cloud.settings.profiles, environment, given)
        checked_template(request.id.name, member(given, "template"), secrets, room)


def chosen_profile(profiles: Mapping[str, Profile], environment: Json, given: Json) -> tuple[str | None, Room]:
    """(name, room) of the workload profile that an app runs on; an environment without profiles has no names."""
    held: Mapping[str, str] = {
        str(profile.get("name")): str(profile.get("workloadProfileType"))
        for profile in objects(member(environment, "properties"), "workloadProfiles")
    }
    name = given.get("workloadProfileName")
    if name in (None, ""):  # templates that take any environment state an empty name
        return next((each for each, kind in held.items() if kind == PLAIN.kind), None), PLAIN
    if name not in held:
        raise invalid(
            f"Workload profile name '{name}' is not valid: it is not defined in environment '{environment.get('name')}'.",
            "WorkloadProfileNameNotFound",
            "workloadProfileName",
        )
    kind = held[str(name)]
    return str(name), room_of(kind, profiles.get(kind))
