"""What an environment's apps use of it: cores by kind of profile, replicas by profile."""

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.capacity import usage_row
from sidecar.localcloud.core.fields import Json, member, objects
from sidecar.localcloud.core.state import Resource


def apps_in(cloud: LocalCloud, environment: Resource | None) -> list[Resource]:
    if environment is None:
        return []
    return [
        resource
        for resource in cloud.store
        if resource.type == "Microsoft.App/containerApps"
        and str(resource.properties.get("managedEnvironmentId", "")).lower() == environment.key
    ]


# The rows that an environment's usages have, with their limits and the kinds of profiles whose cores each counts.
_CORES = (
    ("ManagedEnvironmentGeneralPurposeCores", 500, ("GeneralPurpose",)),
    ("ManagedEnvironmentMemoryOptimizedCores", 500, ("MemoryOptimized",)),
    ("ManagedEnvironmentConfidentialGeneralPurposeCores", 50, ("ConfidentialGeneralPurpose",)),
    ("ManagedEnvironmentConsumptionCores", 500, ("Consumption", "Consumption-GPU")),
)


def usages(cloud: LocalCloud, environment: Resource) -> list[Json]:
    """`managedEnvironments/{e}/usages`: cores in use, by kind of profile."""
    kinds = {each["name"]: each["workloadProfileType"] for each in objects(environment.properties, "workloadProfiles")}
    cores: dict[str, float] = {}
    for app in apps_in(cloud, environment):
        profile = cloud.settings.profiles.get(kinds.get(app.properties.get("workloadProfileName"), ""))
        category = profile.category if profile else "Consumption"
        each = sum(
            float(member(container, "resources").get("cpu") or 0)
            for container in objects(app.properties["template"], "containers")
        )
        running = sum(map(len, cloud.runtime.app(app.id).replicas.values()))
        cores[category] = cores.get(category, 0) + each * running
    return [
        usage_row(name, name, sum(cores.get(category, 0) for category in categories), limit)
        for name, limit, categories in _CORES
    ]


def profile_states(cloud: LocalCloud, environment: Resource) -> list[Json]:
    """`managedEnvironments/{e}/workloadProfileStates`."""
    states: list[Json] = []
    for profile in objects(environment.properties, "workloadProfiles"):
        running = sum(
            sum(map(len, cloud.runtime.app(app.id).replicas.values()))
            for app in apps_in(cloud, environment)
            if app.properties.get("workloadProfileName") == profile["name"]
        )
        states.append(
            {
                "id": f"{environment.id}/workloadProfileStates/{profile['name']}",
                "name": profile["name"],
                "type": "Microsoft.App/managedEnvironments/workloadProfileStates",
                "properties": {
                    "minimumCount": profile.get("minimumCount") or 0,
                    "maximumCount": profile.get("maximumCount") or 0,
                    "currentCount": running,
                },
            }
        )
    return states
