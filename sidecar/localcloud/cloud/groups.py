"""Resource groups: created, changed, and which of the resources in one a list's filter lets through."""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.subscriptions import normal_location
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.identity import Subscription
from sidecar.localcloud.core.resource_id import group_id, parse_resource_id
from sidecar.localcloud.core.state import Resource

_NAME = re.compile(r"^[-\w._()]{1,90}$")
_FILTER = re.compile(r"(\w+)\s+eq\s+'([^']*)'")


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
    """Those that `$filter` (tagName, tagValue, resourceType, resourceGroup, name, location) and `$top` let through."""
    wanted = dict(_FILTER.findall(unquote(query.get("$filter", "").replace("+", " "))))
    kept = [resource for resource in resources if _fits(resource, wanted)]
    top = query.get("$top", "")
    return kept[: int(top)] if top.isdigit() else kept


_EXPANDABLE = ("createdTime", "changedTime", "provisioningState")


def expanded(query: Mapping[str, str]) -> list[str]:
    """What `$expand` of a list of resources asks for."""
    asked = [each.strip() for each in query.get("$expand", "").split(",") if each.strip()]
    known = {each.lower(): each for each in _EXPANDABLE}
    if unknown := [each for each in asked if each.lower() not in known]:
        raise invalid(
            f"The expand value '{unknown[0]}' is not valid. The valid values are '{', '.join(_EXPANDABLE)}'.",
            "InvalidExpandQueryString",
        )
    return [known[each.lower()] for each in asked]


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
    group = parse_resource_id(resource.id)
    if "resourceGroup" in wanted and str(group.group if group else "").lower() != wanted["resourceGroup"].lower():
        return False
    return "name" not in wanted or resource.name.lower() == wanted["name"].lower()
