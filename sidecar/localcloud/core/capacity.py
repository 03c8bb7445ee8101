"""GPUs: which an app's profile needs, how many a region allows, how many are in use."""

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.localcloud.core.fields import Json, objects
from sidecar.localcloud.core.settings import Profile, Settings
from sidecar.localcloud.core.state import Resource, Store

T4_ROW = "SubscriptionConsumptionT4Gpus"


@dataclass(frozen=True)
class GpuNeed:
    """GPUs that one replica of an app takes from a region's quota."""

    location: str
    row: str
    count: int
    quota: int | None
    """None where the quota is unknown: then nothing is refused."""


def gpu_need(settings: Settings, store: Store, app: Resource) -> GpuNeed | None:
    """None for an app whose workload profile has no GPU."""
    environment = store.get(str(app.properties.get("managedEnvironmentId", "")))
    if environment is None:
        return None
    chosen = app.properties.get("workloadProfileName")
    kinds = [
        profile["workloadProfileType"]
        for profile in objects(environment.properties, "workloadProfiles")
        if profile["name"] == chosen
    ]
    profile = settings.profiles.get(kinds[0]) if kinds else None
    if profile is None or not profile.gpus or not profile.usage:
        return None
    location = environment.body["location"]
    return GpuNeed(location, profile.usage, profile.gpus, gpu_quota(settings, location, profile.usage))


def offered_profiles(settings: Settings, location: str) -> Mapping[str, Profile]:
    """The workload profile types of a region: all that have no GPU, and those of its GPUs."""
    every, t4 = location in settings.gpu_locations, location in settings.t4_locations
    return {
        name: profile
        for name, profile in settings.profiles.items()
        if not profile.gpus or every or (t4 and profile.usage == T4_ROW)
    }


def gpu_quota(settings: Settings, location: str, row: str) -> int | None:
    """GPUs that a region allows in the unit of a usages row; None where the row is missing."""
    if not any(profile.usage == row for profile in offered_profiles(settings, location).values()):
        return 0
    limit = settings.gpu_quota.get(f"{location}/{row}", settings.gpu_quota.get(row, settings.default_gpu_quota))
    return None if limit < 0 else limit


def gpu_rows(settings: Settings) -> tuple[str, ...]:
    return tuple(dict.fromkeys(profile.usage for profile in settings.profiles.values() if profile.usage))


def location_usages(settings: Settings, store: Store, location: str, gpus: Mapping[tuple[str, str], int]) -> list[Json]:
    """`locations/{l}/usages`: environments and GPUs."""
    environments = sum(
        1
        for resource in store
        if resource.type == "Microsoft.App/managedEnvironments" and resource.body["location"] == location
    )
    rows = [
        usage_row("ManagedEnvironmentCount", "Managed Environment Count", environments, settings.environments_quota)
    ]
    for row in gpu_rows(settings):
        quota = gpu_quota(settings, location, row)
        if quota is not None:
            rows.append(usage_row(row, row, gpus.get((location, row), 0), quota))
    return rows


def usage_row(name: str, shown: str, current: float, limit: float) -> Json:
    return {
        "unit": "Count",
        "currentValue": current,
        "limit": limit,
        "name": {"value": name, "localizedValue": shown},
    }
