"""Resource groups: created, changed, and which of the resources in one a list's filter lets through."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sidecar.localcloud.cloud import odata
from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.subscriptions import normal_location
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.identity import Subscription
from sidecar.localcloud.core.resource_id import group_id, parse_resource_id
from sidecar.localcloud.core.state import Resource

_NAME = re.compile(r"^[-\w._()]{1,90}$")
Conditions = Sequence[Mapping[str, str]]


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


_OF_RESOURCES = ("tagName", "tagValue", "resourceType", "resourceGroup", "name", "location")


def matching(
    resources: list[Resource], query: Mapping[str, str], known: Sequence[str] = _OF_RESOURCES
) -> list[Resource]:
    """Those that `$filter` and `$top` let through."""
    alternatives = odata.parsed_filter(query.get("$filter", ""), known)
    for each in alternatives:
        _require_whole_tags(each, query["$filter"])
    kept = [each for each in resources if not alternatives or any(_fits(each, wanted) for wanted in alternatives)]
    return kept[: odata.top(query)]


def _require_whole_tags(conditions: Conditions, text: str) -> None:
    """Tags are asked for by name, or by name and value, equal and alone: Azure takes nothing else beside them."""
    names = [each["name"] for each in conditions]
    if not {"tagName", "tagValue"} & set(names):
        return
    kinds = {each["kind"] for each in conditions if each["name"] == "tagValue"} | {
        "eq" if each["kind"] == "startswith" else each["kind"] for each in conditions if each["name"] == "tagName"
    }
    if sorted(names) not in (["tagName"], ["tagName", "tagValue"]) or kinds != {"eq"}:
        raise odata.refused_filter(text)


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


def _fits(resource: Resource, wanted: Conditions) -> bool:
    if any(each["name"] == "tagName" for each in wanted):
        return _is_tagged(resource, {each["name"]: each for each in wanted})
    group = parse_resource_id(resource.id)
    actual = {
        "resourceType": resource.type,
        "location": str(resource.body.get("location", "")).replace(" ", ""),
        "resourceGroup": str(group.group if group else ""),
        "name": resource.name,
    }
    return all(odata.holds(each, actual[each["name"]]) for each in wanted)


def _is_tagged(resource: Resource, wanted: Mapping[str, Mapping[str, str]]) -> bool:
    tags: Json = member(resource.body, "tags")
    held = [str(value) for name, value in tags.items() if odata.holds(wanted["tagName"], name)]
    return bool(held) and ("tagValue" not in wanted or wanted["tagValue"]["value"] in held)
