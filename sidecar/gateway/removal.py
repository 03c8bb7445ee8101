"""What a project has made, by its deployments' own record, and how that is taken away."""

from __future__ import annotations

from typing import Any, cast

from sidecar.gateway.apps import WRITE_SECONDS
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.resources import deployments_client, exists, resources_client, storage_client
from sidecar.gateway.translation import translated
from sidecar.words.text import Text

API_VERSIONS = {
    "microsoft.app/containerapps": "2025-07-01",
    "microsoft.app/managedenvironments": "2025-07-01",
    "microsoft.app/managedenvironments/storages": "2025-07-01",
    "microsoft.operationalinsights/workspaces": "2023-09-01",
    "microsoft.storage/storageaccounts": "2023-05-01",
    "microsoft.storage/storageaccounts/fileservices/shares": "2023-05-01",
}
"""As the shipped template names them."""


def made_by(place: GroupPlace, project: str) -> tuple[str, ...]:
    """Ids of what the group's deployments with this project's id have written. What they only referred to is not among them;
    nor is what was made by a deployment that Azure has dropped from its history."""
    with (
        translated(Text("Listing the deployments of {name}", name=place.group)),
        deployments_client(place.session, place.subscription_id) as client,
    ):
        found = list(client.deployments.list_by_resource_group(place.group))
    made: list[str] = []
    for each in found:
        properties: Any = each.properties
        stated = cast("dict[str, Any]", (properties.parameters if properties is not None else None) or {})
        if properties is not None and (stated.get("projectId") or {}).get("value") == project:
            made += [str(one.id) for one in properties.output_resources or [] if one.id]
    return tuple(dict.fromkeys(made))


def type_of(resource_id: str) -> str:
    """`microsoft.app/managedenvironments/storages`, of a resource's id."""
    namespace, *rest = resource_id.lower().rpartition("/providers/")[2].split("/")
    return "/".join([namespace, *rest[::2]])


def is_there(place: GroupPlace, resource_id: str) -> bool:
    return exists(place, resource_id, API_VERSIONS[type_of(resource_id)])


def delete(place: GroupPlace, resource_id: str) -> None:
    """Returns when ARM says that it is done; one that is not there is done."""
    doing = Text("Deleting {name}", name=resource_id.rpartition("/")[2])
    version = API_VERSIONS[type_of(resource_id)]
    with translated(doing), resources_client(place.session, place.subscription_id) as client:
        place.session.completed(
            doing, lambda: client.resources.begin_delete_by_id(resource_id, api_version=version), WRITE_SECONDS
        )


def shares_of(place: GroupPlace, account: str) -> list[str]:
    doing = Text("Listing the shares of {account}", account=account)
    with translated(doing), storage_client(place.session, place.subscription_id) as client:
        return [str(each.name) for each in client.file_shares.list(place.group, account)]
