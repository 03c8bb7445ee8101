"""Subscriptions, tenants, locations, resource groups and the registration of providers."""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.identity import Subscription
from sidecar.localcloud.core.resource_id import group_id
from sidecar.localcloud.core.state import Resource

_NAME = re.compile(r"^[-\w._()]{1,90}$")
_FILTER = re.compile(r"(\w+)\s+eq\s+'([^']*)'")

# The types that a provider offers, as `GET /providers/{namespace}` lists them.
PROVIDER_TYPES: Mapping[str, tuple[str, ...]] = {
    "Microsoft.App": (
        "managedEnvironments",
        "managedEnvironments/storages",
        "containerApps",
        "containerApps/revisions",
    ),
    "Microsoft.Storage": ("storageAccounts", "storageAccounts/fileServices", "storageAccounts/fileServices/shares"),
    "Microsoft.OperationalInsights": ("workspaces",),
    "Microsoft.Resources": ("resourceGroups", "deployments"),
    "Microsoft.Authorization": ("roleAssignments",),
}
_VERSIONS: Mapping[str, list[str]] = {
    "Microsoft.App": ["2026-07-01", "2026-01-01", "2025-07-01", "2025-01-01", "2024-03-01", "2023-05-01"],
    "Microsoft.Storage": ["2026-09-01", "2025-06-01", "2024-01-01", "2023-05-01", "2022-05-01"],
    "Microsoft.OperationalInsights": ["2025-07-01", "2025-02-01", "2023-09-01", "2022-10-01"],
    "Microsoft.Resources": ["2026-06-01", "2025-04-01", "2024-07-01", "2021-04-01"],
    "Microsoft.Authorization": ["2022-04-01"],
}


def show_subscription(subscription: Subscription) -> Json:
    return {
        "id": f"/subscriptions/{subscription.id}",
        "subscriptionId": subscription.id,
        "tenantId": subscription.tenant,
        "displayName": subscription.name,
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    }


def show_tenants(cloud: LocalCloud) -> Json:
    return {
        "value": [
            {
                "id": f"/tenants/{tenant}",
                "tenantId": tenant,
                "tenantCategory": "Home",
                "displayName": f"Local cloud {number + 1}" if number else "Local cloud",
                "countryCode": "US",
                "country": "United States",
                "domains": ["localhost"],
                "tenantType": "AAD",
            }
            for number, tenant in enumerate(cloud.directory.tenants)
        ]
    }


def show_locations(cloud: LocalCloud, subscription: Subscription) -> Json:
    return {
        "value": [
            {
                "id": f"/subscriptions/{subscription.id}/locations/{name}",
                "name": name,
                "type": "Region",
                "displayName": shown,
                "regionalDisplayName": shown,
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended", "geographyGroup": "Local"},
            }
            for name, shown in cloud.settings.locations.items()
        ]
    }


def normal_location(cloud: LocalCloud, location: str) -> str:
    """`West US 3` and `westus3` are the same place; an unknown one is refused as ARM refuses it."""
    short = location.replace(" ", "").lower()
    if short not in cloud.settings.locations:
        known = ",".join(cloud.settings.locations)
        raise invalid(
            f"The provided location '{location}' is not available for resource group. List of available regions is "
            f"'{known}'.",
            "LocationNotAvailableForResourceGroup",
        )
    return short


def put_group(cloud: LocalCloud, subscription: Subscription, name: str, body: Json) -> tuple[Resource, int]:
    """Creates or updates a group; its location can't change."""
    if not _NAME.match(name) or name.endswith("."):
        raise invalid(
            f"The provided resource group name '{name}' has these invalid characters. The name can only be a letter, digit, "
            "'-', '.', '(', ')' or '_'.",
            "InvalidResourceGroupName",
        )
    if not isinstance(body.get("location"), str):
        raise invalid("The location property is required for this definition.", "LocationRequired")
    location = normal_location(cloud, body["location"])
    old = cloud.store.get(group_id(subscription.id, name))
    if old and old.body["location"] != location:
        raise ArmError(
            409,
            "InvalidResourceGroupLocation",
            f"Invalid resource group location '{location}'. The Resource group already exists in location "
            f"'{old.body['location']}'.",
        )
    shown: Json = {
        "id": old.id if old else group_id(subscription.id, name),
        "name": old.name if old else name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": location,
    }
    tags = body.get("tags", old.body.get("tags") if old else None)
    if tags is not None:
        shown["tags"] = tags
    if body.get("managedBy"):
        shown["managedBy"] = body["managedBy"]
    shown["properties"] = {"provisioningState": "Succeeded"}
    made = cloud.store.put(Resource(shown["id"], "Microsoft.Resources/resourceGroups", shown))
    return made, 200 if old else 201


def patch_group(cloud: LocalCloud, group: Resource, body: Json) -> Resource:
    changes = {name: body[name] for name in ("tags", "managedBy") if name in body}
    return cloud.store.put(replace(group, body={**group.body, **changes}))


def matching(resources: list[Resource], query: Mapping[str, str]) -> list[Resource]:
    """Those that `$filter` (tagName, tagValue, resourceType, name, location) and `$top` let through."""
    wanted = dict(_FILTER.findall(unquote(query.get("$filter", "").replace("+", " "))))
    kept = [resource for resource in resources if _fits(resource, wanted)]
    top = query.get("$top", "")
    return kept[: int(top)] if top.isdigit() else kept


def _fits(resource: Resource, wanted: Mapping[str, str]) -> bool:
    tags: Json = member(resource.body, "tags")
    if "tagName" in wanted:
        held = [value for name, value in tags.items() if name.lower() == wanted["tagName"].lower()]
        if not held or ("tagValue" in wanted and held[0] != wanted["tagValue"]):
            return False
    if "resourceType" in wanted and resource.type.lower() != wanted["resourceType"].lower():
        return False
    if "location" in wanted and str(resource.body.get("location", "")).lower() != wanted["location"].lower():
        return False
    return "name" not in wanted or resource.name.lower() == wanted["name"].lower()


def registration(cloud: LocalCloud, subscription: Subscription, namespace: str) -> str:
    """Registered or NotRegistered."""
    stored = cloud.store.get(f"/subscriptions/{subscription.id}/registrations/{namespace}")
    if stored:
        return stored.body["state"]
    known = {name.lower() for name in cloud.settings.preregistered}
    # Providers that we know nothing of are opaque: nothing is refused there.
    ours = namespace.lower() in {name.lower() for name in PROVIDER_TYPES}
    return "NotRegistered" if ours and namespace.lower() not in known else "Registered"


def register(cloud: LocalCloud, subscription: Subscription, namespace: str, state: str) -> Json:
    key = f"/subscriptions/{subscription.id}/registrations/{namespace}"
    cloud.store.put(Resource(key, "registration", {"state": state}))
    return show_provider(cloud, subscription, namespace)


def require_registered(cloud: LocalCloud, subscription: Subscription, namespace: str) -> None:
    if registration(cloud, subscription, namespace) != "Registered":
        raise ArmError(
            409,
            "MissingSubscriptionRegistration",
            f"The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how "
            "to register subscriptions.",
            details=[
                {
                    "code": "MissingSubscriptionRegistration",
                    "target": namespace,
                    "message": f"The subscription is not registered to use namespace '{namespace}'. See "
                    "https://aka.ms/rps-not-found for how to register subscriptions.",
                }
            ],
        )


def show_provider(cloud: LocalCloud, subscription: Subscription, namespace: str) -> Json:
    known = next((name for name in PROVIDER_TYPES if name.lower() == namespace.lower()), None)
    if known is None:
        raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
    places = list(cloud.settings.locations.values())
    return {
        "id": f"/subscriptions/{subscription.id}/providers/{known}",
        "namespace": known,
        "resourceTypes": [
            {
                "resourceType": kind,
                "locations": places,
                "apiVersions": _VERSIONS[known],
                "defaultApiVersion": _VERSIONS[known][0],
                "capabilities": "CrossResourceGroupResourceMove, SupportsTags, SupportsLocation",
            }
            for kind in PROVIDER_TYPES[known]
        ],
        "registrationState": registration(cloud, subscription, known),
        "registrationPolicy": "RegistrationFree" if known == "Microsoft.Resources" else "RegistrationRequired",
    }
