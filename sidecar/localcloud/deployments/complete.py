"""The mode Complete: what a group holds and the template does not is deleted once all of the template is there."""

from collections.abc import Collection

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.resource_id import parse_resource_id
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources import providers

_RANK = {"microsoft.app/containerapps": 0, "microsoft.app/managedenvironments": 1}


def left_over(cloud: LocalCloud, scope: str, deployed: Collection[str]) -> list[Resource]:
    """Resources of a group that are neither deployed nor hold what is, in the order in which they can be deleted."""
    keys = {each.lower() for each in deployed}
    found: list[Resource] = []
    for stored in cloud.store.under(scope):
        address = parse_resource_id(stored.id)
        top = address is not None and len(address.names) == 1 and "location" in stored.body
        held = stored.key in keys or any(key.startswith(f"{stored.key}/") for key in keys)
        if top and not held and stored.type != "Microsoft.Resources/deployments":
            found.append(stored)
    return sorted(found, key=lambda each: _RANK.get(each.type.lower(), 2))


async def delete_left_over(cloud: LocalCloud, scope: str, deployed: Collection[str]) -> None:
    for each in left_over(cloud, scope, deployed):
        current = cloud.store.get(each.id)
        rest = providers.remove(cloud, current) if current else None
        if rest:
            await rest()
