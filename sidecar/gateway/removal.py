"""What a project has made, by its deployments' own record, and how that is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sidecar.gateway.apps import WRITE_SECONDS, environment_of, group_client, jobs_of
from sidecar.gateway.patience import ENDED_BADLY
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.resources import deployments_client, exists, project_of, resources_client, storage_client
from sidecar.gateway.translation import not_found, translated
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
        if properties is not None and project_of(each) == project:
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
            doing,
            lambda: client.resources.begin_delete_by_id(resource_id, api_version=version),
            WRITE_SECONDS,
            lambda: _left(client, resource_id, version),
        )


def _left(client: Any, resource_id: str, version: str) -> str:
    """A deletion's word: what is gone is done; what stands there is being deleted, or was not."""
    try:
        found = client.resources.get_by_id(resource_id, api_version=version)
    except not_found():
        return "Succeeded"
    state = str((found.properties or {}).get("provisioningState") or "")
    return state if state in ENDED_BADLY else "Deleting"


@dataclass(frozen=True)
class Use:
    """A storage of one of the group's environments: the share that it stands for, and the apps and jobs that mount it."""

    environment: str
    storage: str
    account: str
    share: str
    mounted_by: tuple[str, ...]


def uses(place: GroupPlace) -> list[Use]:
    """Of the shares that this group's environments know. An environment of another group is not looked at."""
    with translated(Text("Listing what mounts the shares")), group_client(place) as client:
        mounting: dict[tuple[str, str], list[str]] = {}
        for each in (*client.container_apps.list_by_subscription(), *jobs_of(client)):
            template = None if each.properties is None else each.properties.template
            for volume in (template.volumes or []) if template is not None else []:
                key = (environment_of(each.properties).lower(), str(volume.storage_name or "").lower())
                mounting.setdefault(key, []).append(str(each.name))
        found: list[Use] = []
        for environment in client.managed_environments.list_by_resource_group(place.group):
            storages = client.managed_environments_storages.list(place.group, str(environment.name)).value or []
            for storage in storages:
                azure = None if storage.properties is None else storage.properties.azure_file
                if azure is not None:
                    users = mounting.get((str(environment.id).lower(), str(storage.name).lower()), [])
                    names = (str(environment.id), str(storage.name), str(azure.account_name), str(azure.share_name))
                    found.append(Use(*names, mounted_by=tuple(users)))
    return found


def logging_to(place: GroupPlace, workspace_id: str) -> list[str]:
    """The group's environments that send their logs to this workspace."""
    with (
        translated(Text("Reading the workspace {name}", name=workspace_id.rpartition("/")[2])),
        resources_client(place.session, place.subscription_id) as client,
    ):
        workspace: Any = client.resources.get_by_id(workspace_id, api_version=API_VERSIONS[type_of(workspace_id)])
    customer = str((workspace.properties or {}).get("customerId") or "")
    with translated(Text("Listing the environments of {name}", name=place.group)), group_client(place) as client:
        listed = list(client.managed_environments.list_by_resource_group(place.group))
    return [str(each.name) for each in listed if customer and _logs_to(each) == customer]


def _logs_to(environment: Any) -> str:
    logs = None if environment.properties is None else environment.properties.app_logs_configuration
    known = None if logs is None else logs.log_analytics_configuration
    return "" if known is None else str(known.customer_id or "")


def shares_of(place: GroupPlace, account: str) -> list[str]:
    doing = Text("Listing the shares of {account}", account=account)
    with translated(doing), storage_client(place.session, place.subscription_id) as client:
        return [str(each.name) for each in client.file_shares.list(place.group, account)]
