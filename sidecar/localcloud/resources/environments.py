"""Microsoft.App/managedEnvironments: environments, their workload profiles, their storages, usages."""

import re
import uuid
from typing import Literal

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.subscriptions import normal_location
from sidecar.localcloud.core.capacity import gpu_quota, offered_profiles
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, member, objects
from sidecar.localcloud.core.settings import Profile
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources.environment_usages import apps_in
from sidecar.localcloud.resources.resource_type import ArmRequest, Change, Finish, Lookup, ResourceType, tracked_body

TYPE = "Microsoft.App/managedEnvironments"
STORAGES = "Microsoft.App/managedEnvironments/storages"
_NAME = re.compile(r"^[a-zA-Z](?!.*--)[-a-zA-Z0-9]*[a-zA-Z0-9]$")


def _check_name(name: str) -> None:
    if not _NAME.match(name) or len(name) > 60:
        raise invalid(f"Invalid ManagedEnvironment name '{name}'.", "ManagedEnvironmentInvalidName")


def _check(cloud: LocalCloud, request: ArmRequest, _lookup: Lookup) -> None:
    """Not asked before a deployment: what hangs on quotas and on the apps that are there."""
    _check_name(request.id.name)
    old = cloud.store.get(request.id.text)
    location = normal_location(cloud, request.body.get("location") or (old.body["location"] if old else ""))
    profiles = objects(member(request.body, "properties"), "workloadProfiles")
    _check_profile_names(profiles)
    for profile in profiles:
        _checked_profile(cloud, profile, location)


def _put(cloud: LocalCloud, request: ArmRequest) -> Change:
    _check_name(request.id.name)
    old = cloud.store.get(request.id.text)
    _refuse_while_busy(old)
    given: Json = member(request.body, "properties")
    location = normal_location(cloud, request.body.get("location") or (old.body["location"] if old else ""))
    if old and old.body["location"] != location:
        raise ArmError(
            409,
            "InvalidResourceLocation",
            f"The resource '{request.id.name}' already exists in location '{old.body['location']}'.",
        )
    if old is None:
        _refuse_where_there_is_no_place(cloud, request, location)
    return _write(cloud, request, old, given, location)


def _refuse_where_there_is_no_place(cloud: LocalCloud, request: ArmRequest, location: str) -> None:
    """Found out at the PUT, not in a preflight."""
    if location in cloud.settings.full_locations:
        raise ArmError(
            409,
            "ManagedEnvironmentNoAvailableCapacityInRegion",
            f"No available capacity in region '{cloud.settings.locations[location]}' for the environment '{request.id.name}'.",
        )
    here = [each for each in cloud.store if each.type == TYPE and each.body["location"] == location]
    if len(here) >= cloud.settings.environments_quota:
        raise invalid(
            f"The subscription '{request.id.subscription}' cannot have more than {cloud.settings.environments_quota} "
            f"Container App Environments in {cloud.settings.locations[location]}.",
            "MaxNumberOfRegionalEnvironmentsInSubExceeded",
        )


def _patch(cloud: LocalCloud, environment: Resource, request: ArmRequest) -> Change:
    _refuse_while_busy(environment)
    given: Json = member(request.body, "properties")
    shown = {name: value for name, value in environment.properties.items() if name in _WRITABLE}
    merged = {**shown, **given}
    return _write(cloud, request, environment, merged, environment.body["location"])


_WRITABLE = (
    "appLogsConfiguration",
    "workloadProfiles",
    "zoneRedundant",
    "vnetConfiguration",
    "customDomainConfiguration",
    "peerAuthentication",
    "peerTrafficConfiguration",
    "publicNetworkAccess",
    "daprAIInstrumentationKey",
)


def _write(cloud: LocalCloud, request: ArmRequest, old: Resource | None, given: Json, location: str) -> Change:
    profiles: list[Json] = objects(given, "workloadProfiles")
    _check_profiles(cloud, old, profiles, location)
    logs: Json = dict(member(given, "appLogsConfiguration"))
    analytics = member(logs, "logAnalyticsConfiguration")
    if analytics:
        logs["logAnalyticsConfiguration"] = {**analytics, "sharedKey": None}
    properties: Json = {
        "provisioningState": "Waiting" if old is None else "InfrastructureSetupInProgress",
        "defaultDomain": f"{request.id.name.lower()}.localhost",
        "staticIp": "127.0.0.1",
        "zoneRedundant": bool(given.get("zoneRedundant")),
        "vnetConfiguration": given.get("vnetConfiguration"),
        "daprAIInstrumentationKey": None,
        "daprAIConnectionString": None,
        "appLogsConfiguration": logs or {"destination": None, "logAnalyticsConfiguration": None},
        "workloadProfiles": profiles or None,
        "customDomainConfiguration": {
            "customDomainVerificationId": uuid.uuid5(uuid.NAMESPACE_OID, request.id.key).hex.upper() * 2,
            "dnsSuffix": None,
            "certificateValue": None,
            "certificatePassword": None,
            "thumbprint": None,
            "subjectName": None,
            "expirationDate": None,
        },
        "eventStreamEndpoint": f"{cloud.endpoints.data}{request.id.scope}/managedEnvironments/{request.id.name}/eventstream",
        "kedaConfiguration": {"version": "2.17.2"},
        "daprConfiguration": {"version": "1.13.6"},
        "infrastructureResourceGroup": None,
        "peerAuthentication": given.get("peerAuthentication") or {"mtls": {"enabled": False}},
        "peerTrafficConfiguration": given.get("peerTrafficConfiguration") or {"encryption": {"enabled": False}},
        "publicNetworkAccess": given.get("publicNetworkAccess") or "Enabled",
    }
    body = tracked_body(request, old, properties, utc_now())
    body["location"] = location
    private = {"sharedKey": analytics.get("sharedKey") or (old.private.get("sharedKey") if old else None)}
    resource = cloud.store.put(Resource(body["id"], TYPE, body, private))
    return Change(resource, old is None, lambda: _finish(cloud, resource.id))


async def _finish(cloud: LocalCloud, environment_id: str) -> None:
    await cloud.pass_time(cloud.settings.times.platform(cloud.settings.times.environment))
    found = cloud.store.get(environment_id)
    if found:
        cloud.store.put(found.with_properties(provisioningState="Succeeded"))


def _resume(cloud: LocalCloud, environment: Resource) -> Finish | None:
    done = environment.properties["provisioningState"] in ("Succeeded", "Failed")
    return None if done else lambda: _finish(cloud, environment.id)


def _refuse_while_busy(old: Resource | None) -> None:
    if old and old.properties["provisioningState"] not in ("Succeeded", "Failed", "Canceled"):
        raise ArmError(
            409,
            "ManagedEnvironmentOperationInProgress",
            f"Cannot modify managed environment '{old.name}' because there is another operation in progress.",
        )


def _check_profiles(cloud: LocalCloud, old: Resource | None, profiles: list[Json], location: str) -> None:
    names = _check_profile_names(profiles)
    before = {profile["name"] for profile in (objects(old.properties, "workloadProfiles"))} if old else set[str]()
    for profile in profiles:
        _check_profile(cloud, profile, location, "old" if profile.get("name") in before else "new")
    for app in apps_in(cloud, old):
        used = app.properties.get("workloadProfileName")
        if used and used in before and used not in names:
            raise ArmError(
                409,
                "WorkloadProfileInUse",
                f"Workload profile '{used}' cannot be removed because it is in use by container app '{app.name}'.",
            )


def _check_profile_names(profiles: list[Json]) -> list[str]:
    names = [str(profile.get("name")) for profile in profiles]
    if len(names) != len({name.lower() for name in names}):
        raise invalid("Workload profile names must be unique.", "WorkloadProfileNameNotUnique")
    return names


def _checked_profile(cloud: LocalCloud, profile: Json, location: str) -> Profile:
    """The type of a stated profile, which the place offers and whose counts are right."""
    kind, name = str(profile.get("workloadProfileType")), str(profile.get("name"))
    if kind not in cloud.settings.profiles:
        raise invalid(f"Workload profile type '{kind}' of '{name}' is not valid.", "InvalidWorkloadProfileType")
    if kind not in offered_profiles(cloud.settings, location):
        raise invalid(
            f"Workload profile type '{kind}' is not available in '{location}'.", "WorkloadProfileTypeNotAvailable"
        )
    known = cloud.settings.profiles[kind]
    counts = [profile.get(each) for each in ("minimumCount", "maximumCount")]
    if known.applicability == "Serverless":
        if any(count is not None for count in counts):
            raise invalid(
                f"Workload profile '{name}' of type '{kind}' must not state minimumCount or maximumCount.",
                "InvalidWorkloadProfileCount",
            )
        return known
    low, high = (count or 0 for count in counts)
    if type(low) is not int or type(high) is not int or not 0 <= low <= high or high < 1:
        raise invalid(
            f"minimumCount and maximumCount of workload profile '{name}' are not valid.", "InvalidWorkloadProfileCount"
        )
    return known


def _check_profile(cloud: LocalCloud, profile: Json, location: str, age: Literal["old", "new"]) -> None:
    known, kind = _checked_profile(cloud, profile, location), str(profile.get("workloadProfileType"))
    quota = gpu_quota(cloud.settings, location, known.usage) if known.usage else None
    if known.applicability == "Serverless":
        if age == "new" and quota == 0:
            raise _no_quota(kind, location, known.gpus, 0)
        return
    needed = int(profile.get("maximumCount") or 0) * known.gpus
    if quota is not None and needed > quota:
        raise _no_quota(kind, location, needed, quota)


def _no_quota(kind: str, location: str, needed: int, quota: int) -> ArmError:
    return ArmError(
        400,
        "MaxRegionalQuotaExceeded",
        f"The requested workload profile '{kind}' needs {needed} GPU(s) in region '{location}', but the quota of the "
        f"subscription is {quota}. Please request a quota increase or use another region.",
    )


def profile_types(cloud: LocalCloud, location: str, subscription: str) -> list[Json]:
    """`locations/{l}/availableManagedEnvironmentsWorkloadProfileTypes`."""
    kind = "Microsoft.App/availableManagedEnvironmentsWorkloadProfileTypes"
    return [
        {
            "id": f"/subscriptions/{subscription}/providers/{kind}/{name}",
            "name": name,
            "type": kind,
            "location": location,
            "properties": {
                "category": profile.category,
                "applicability": profile.applicability,
                "cores": profile.cores,
                "memoryGiB": profile.memory,
                "gpus": profile.gpus,
                "displayName": name,
            },
        }
        for name, profile in offered_profiles(cloud.settings, location).items()
    ]


def _remove(cloud: LocalCloud, environment: Resource) -> Finish | None:
    apps = apps_in(cloud, environment)
    if apps:
        raise ArmError(
            409,
            "ManagedEnvironmentNotEmpty",
            f"Managed environment '{environment.name}' cannot be deleted because it has container app '{apps[0].name}'.",
        )
    return None


def _checked_storage(given: Json) -> Json:
    """The azureFile of an environment's storage."""
    azure: Json = member(given, "azureFile")
    if not azure and not given.get("nfsAzureFile"):
        raise invalid("The storage must have azureFile or nfsAzureFile.", "ManagedEnvironmentStorageInvalidProperty")
    for required in ("accountName", "shareName", "accessMode") if azure else ():
        if not azure.get(required):
            raise invalid(
                f"The storage's '{required}' is missing.", "ManagedEnvironmentStorageInvalidProperty", required
            )
    if azure and azure.get("accessMode") not in ("ReadOnly", "ReadWrite"):
        raise invalid(
            "accessMode must be ReadOnly or ReadWrite.", "ManagedEnvironmentStorageInvalidProperty", "accessMode"
        )
    return azure


def _check_storage(_cloud: LocalCloud, request: ArmRequest, _lookup: Lookup) -> None:
    _checked_storage(member(request.body, "properties"))


def _put_storage(cloud: LocalCloud, request: ArmRequest) -> Change:
    environment = cloud.parent_of(request.id)
    given = member(request.body, "properties")
    azure = _checked_storage(given)
    old = cloud.store.get(request.id.text)
    key = azure.get("accountKey") or (old.private.get("accountKey") if old else None)
    shown: Json = (
        {**given, "azureFile": {n: v for n, v in azure.items() if n != "accountKey"}} if azure else dict(given)
    )
    if old and shown != old.properties and _users(cloud, environment, request.id.name):
        raise ArmError(
            409,
            "ManagedEnvironmentStorageInUse",
            f"Storage '{request.id.name}' is in use by container app '{_users(cloud, environment, request.id.name)[0]}': only "
            "its account key can be changed.",
        )
    body: Json = {"id": request.id.text, "name": request.id.name, "type": STORAGES, "properties": shown}
    stuck = old is not None and (request.id.group or "") in cloud.settings.stuck_keys
    private = {"accountKey": key, "mountKey": old.private["mountKey"] if old and stuck else key}
    return Change(cloud.store.put(Resource(request.id.text, STORAGES, body, private)), old is None)


def _remove_storage(cloud: LocalCloud, storage: Resource) -> Finish | None:
    environment = cloud.store.get(storage.id.split("/storages/")[0])
    users = _users(cloud, environment, storage.name)
    if users:
        raise ArmError(409, "ManagedEnvironmentStorageInUse", f"Storage '{storage.name}' is in use by '{users[0]}'.")
    return None


def _users(cloud: LocalCloud, environment: Resource | None, storage: str) -> list[str]:
    return [
        app.name
        for app in apps_in(cloud, environment)
        for volume in objects(app.properties["template"], "volumes")
        if volume.get("storageName") == storage
    ]


def _auth_token(cloud: LocalCloud, environment: Resource, _request: ArmRequest) -> Json:
    token, expires = cloud.data_token(environment.id)
    properties = {"token": token, "expires": expires}
    return {
        **{n: v for n, v in environment.body.items() if n in ("id", "name", "type", "location")},
        "properties": properties,
    }


TYPES = (
    ResourceType(
        TYPE,
        _put,
        check=_check,
        check_name=_check_name,
        patch=_patch,
        remove=_remove,
        resume=_resume,
        actions={"getauthtoken": _auth_token},
        style="azure-async",
    ),
    ResourceType(STORAGES, _put_storage, check=_check_storage, remove=_remove_storage, created_status=200),
)
