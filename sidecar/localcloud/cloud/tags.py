"""Tags as a resource of their own, at a subscription, a group or a resource: what is written there is on what it stands on."""

from dataclasses import replace

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.errors import ArmError, invalid, not_found
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.resource_id import group_id, parse_resource_id
from sidecar.localcloud.core.state import Resource

TYPE = "Microsoft.Resources/tags"
_SUFFIX = f"/providers/{TYPE}/default"
_MOST, _LONGEST_NAME, _LONGEST_VALUE = 50, 512, 256


def read_tags(cloud: LocalCloud, scope: str) -> Json:
    """What a GET of the tags at `scope` answers: empty where nothing is tagged."""
    holder = _holder(cloud, scope)
    return {
        "id": f"{holder.id.removesuffix(_SUFFIX)}{_SUFFIX}",
        "name": "default",
        "type": TYPE,
        "properties": {"tags": dict(member(holder.body, "tags"))},
    }


def replace_tags(cloud: LocalCloud, scope: str, body: Json) -> Json:
    return _written(cloud, scope, _stated(body))


def patch_tags(cloud: LocalCloud, scope: str, body: Json) -> Json:
    """Replace, Merge, or Delete of those that are named; with a value only where it is that."""
    operation = str(body.get("operation") or "")
    stated = _stated(body)
    before: dict[str, str] = dict(member(_holder(cloud, scope).body, "tags"))
    kept = {name.lower(): name for name in before}
    if operation.lower() == "replace":
        return _written(cloud, scope, stated)
    if operation.lower() not in ("merge", "delete"):
        raise invalid(f"The tags patch operation '{operation}' is not one of 'Replace, Merge, Delete'.")
    for name, value in stated.items():
        held = kept.get(name.lower())
        if operation.lower() == "merge":
            before[held or name] = value
        elif held and value in ("", before[held]):
            del before[held]
    return _written(cloud, scope, before)


def remove_tags(cloud: LocalCloud, scope: str) -> None:
    _written(cloud, scope, {})


def _written(cloud: LocalCloud, scope: str, tags: dict[str, str]) -> Json:
    holder = _holder(cloud, scope)
    cloud.store.put(replace(holder, body={**holder.body, "tags": tags}))
    return read_tags(cloud, scope)


def _stated(body: Json) -> dict[str, str]:
    tags = member(member(body, "properties"), "tags")
    if len(tags) > _MOST:
        raise invalid(f"The number of tags '{len(tags)}' is more than '{_MOST}'.", "InvalidTagsCount")
    for name, value in tags.items():
        if not isinstance(value, str):
            raise invalid(f"The value of the tag '{name}' must be a string.")
        if len(name) > _LONGEST_NAME or len(value) > _LONGEST_VALUE:
            raise invalid(
                f"The tag '{name[:40]}' is too long: '{_LONGEST_NAME}' characters for a name, '{_LONGEST_VALUE}' for a value.",
                "InvalidTagNameCharacters",
            )
    return dict(tags)


def _holder(cloud: LocalCloud, scope: str) -> Resource:
    """What the tags stand on. A subscription's are kept in a record of their own."""
    parts = scope.strip("/").split("/")
    subscription = cloud.subscription(parts[1])
    if len(parts) == 2:
        place = f"/subscriptions/{subscription.id}{_SUFFIX}"
        return cloud.store.get(place) or Resource(place, TYPE, {})
    if len(parts) == 4 and parts[2].lower() == "resourcegroups":
        return cloud.group(subscription.id, parts[3])
    address = parse_resource_id(scope)
    if address is None:
        raise ArmError(404, "InvalidResourceType", f"There are no tags at '{scope}'.")
    found = cloud.store.get(address.text)
    if found is None and address.group:
        cloud.group(subscription.id, address.group)
        found = cloud.store.get(address.text.replace(address.scope, group_id(subscription.id, address.group)))
    if found is None:
        raise not_found(address.type, "/".join(address.names), address.group)
    if "location" not in found.body and found.type != "Microsoft.Resources/deployments":
        raise invalid(
            f"Tags are not supported for resources of the type '{found.type}'.", "TagsNotSupportedForResource"
        )
    return found
