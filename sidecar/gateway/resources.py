"""Subscriptions, resource groups, providers, existing resources and deployments, through Azure Resource Manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session
from sidecar.gateway.translation import busy_for, innermost_of, is_lost, not_found, translated, word
from sidecar.words.azure_codes import advice_for
from sidecar.words.errors import CloudError, NotFound
from sidecar.words.text import Text

if TYPE_CHECKING:
    from azure.mgmt.resource.deployments import DeploymentsMgmtClient
    from azure.mgmt.resource.resources import ResourceManagementClient

TERMINAL = frozenset({"Succeeded", "Failed", "Canceled"})
ACTIVE = "DeploymentActive"
MARK, OWNER, PLAN = "slipway-asked", "slipway-project", "slipway-plan"


@dataclass(frozen=True)
class Tags:
    """What Slipway writes on a deployment. `project`: whose it is. `plan`: digest of the plan that was agreed to, empty where
    none was. `mark`: by it the one who asked for the deployment knows it again."""

    project: str = ""
    plan: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Subscription:
    id: str
    name: str
    tenant_id: str


@dataclass(frozen=True)
class Region:
    """`place`: latitude and longitude; None where Azure does not tell."""

    name: str
    shown: str
    geography: str
    place: tuple[float, float] | None


@dataclass(frozen=True)
class Group:
    name: str
    location: str
    id: str


@dataclass(frozen=True)
class Operation:
    """One resource's part of a deployment."""

    resource_type: str
    name: str
    state: str
    code: str | None
    message: str | None


@dataclass(frozen=True)
class Deployment:
    id: str
    name: str
    state: str
    outputs: dict[str, str]
    """Those that are there and hold something."""
    code: str | None
    message: str | None
    tags: Tags = Tags()

    @property
    def finished(self) -> bool:
        return self.state in TERMINAL


def subscriptions(session: Session) -> list[Subscription]:
    from azure.mgmt.resource.subscriptions import SubscriptionClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    with (
        translated(Text("Listing subscriptions")),
        SubscriptionClient(session.credential, **session.arm_options()) as client,
    ):
        return [
            Subscription(str(each.subscription_id), str(each.display_name), str(each.tenant_id or ""))
            for each in client.subscriptions.list()
            if each.state in (None, "Enabled", "Warned")
        ]


def locations(session: Session, subscription_id: str) -> list[tuple[str, str]]:
    """Name and display name of each region, sorted by the latter."""
    return sorted(((each.name, each.shown) for each in regions(session, subscription_id)), key=lambda each: each[1])


def regions(session: Session, subscription_id: str) -> list[Region]:
    from azure.mgmt.resource.subscriptions import SubscriptionClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    with (
        translated(Text("Listing regions")),
        SubscriptionClient(session.credential, **session.arm_options()) as client,
    ):
        return [_region(each) for each in client.subscriptions.list_locations(subscription_id)]


def _region(found: Any) -> Region:
    said: Any = found.metadata
    geography = "" if said is None else str(said.geography_group or "")
    place = (
        None
        if said is None or not (said.latitude and said.longitude)
        else (float(said.latitude), float(said.longitude))
    )
    return Region(str(found.name), str(found.display_name), geography, place)


def groups(session: Session, subscription_id: str) -> list[Group]:
    with translated(Text("Listing resource groups")), resources_client(session, subscription_id) as client:
        found = [Group(str(each.name), str(each.location), str(each.id)) for each in client.resource_groups.list()]
    return sorted(found, key=lambda each: each.name.lower())


def group(session: Session, subscription_id: str, name: str) -> Group:
    with (
        translated(Text("Reading the resource group {name}", name=name)),
        resources_client(session, subscription_id) as client,
    ):
        try:
            found = client.resource_groups.get(name)
        except not_found() as error:
            raise NotFound(
                Text("There is no resource group {name} in the subscription.", name=name),
                Text("Create it first (in a terminal: create-group), or choose another one."),
                code="ResourceGroupNotFound",
            ) from error
    return Group(str(found.name), str(found.location), str(found.id))


def create_group(session: Session, subscription_id: str, name: str, location: str) -> Group:
    doing = Text("Creating the resource group {name}", name=name)
    with translated(doing), resources_client(session, subscription_id) as client:
        body: Any = {"location": location}
        made = session.once_free(doing, lambda: client.resource_groups.create_or_update(name, body), repeatable=True)
    return Group(str(made.name), str(made.location), str(made.id))


def provider_state(session: Session, subscription_id: str, namespace: str) -> str:
    """`Registered`, `NotRegistered`, `Registering`, …"""
    with (
        translated(Text("Reading the registration of {namespace}", namespace=namespace)),
        resources_client(session, subscription_id) as client,
    ):
        return word(client.providers.get(namespace).registration_state)


def register_provider(session: Session, subscription_id: str, namespace: str) -> None:
    doing = Text("Registering {namespace}", namespace=namespace)
    with translated(doing), resources_client(session, subscription_id) as client:
        session.once_free(doing, lambda: client.providers.register(namespace), repeatable=True)


def exists(place: GroupPlace, resource_id: str, api_version: str) -> bool:
    """Whether a resource of any type is there."""
    with (
        translated(Text("Looking for {id}", id=resource_id.rpartition("/providers/")[2])),
        resources_client(place.session, place.subscription_id) as client,
    ):
        try:
            client.resources.get_by_id(resource_id, api_version=api_version)
        except not_found():
            return False
    return True


def storage_keys(place: GroupPlace, account: str) -> list[str]:
    """Every key of the account: each opens it, whichever is in use."""
    with (
        translated(Text("Reading the key of the storage account {name}", name=account)),
        storage_client(place.session, place.subscription_id) as client,
    ):
        found = client.storage_accounts.list_keys(place.group, account).keys_property or []
    return [str(each.value) for each in found if each.value]


def storage_key(place: GroupPlace, account: str) -> tuple[str, str]:
    """The account's first key, and the base URL of its file service."""
    with (
        translated(Text("Reading the key of the storage account {name}", name=account)),
        storage_client(place.session, place.subscription_id) as client,
    ):
        properties = client.storage_accounts.get_properties(place.group, account)
        keys = client.storage_accounts.list_keys(place.group, account).keys_property or []
    endpoints = properties.primary_endpoints
    url = endpoints.file if endpoints is not None else None
    if not keys or not url:
        raise CloudError(
            Text("The storage account {name} gives no key or no file service.", name=account),
            Text("Check that it is a general-purpose account and that you may list its keys."),
            code="StorageAccountUnusable",
        )
    return str(keys[0].value), str(url)


def find_deployment(place: GroupPlace, name: str) -> Deployment | None:
    try:
        return deployment(place, name)
    except NotFound:
        return None


def deployment(place: GroupPlace, name: str) -> Deployment:
    with (
        translated(Text("Following the deployment {name}", name=name)),
        deployments_client(place.session, place.subscription_id) as client,
    ):
        found = client.deployments.get(place.group, name)
    properties = found.properties
    if properties is None:
        raise CloudError(Text("The deployment {name} has no state.", name=name), code="DeploymentUnreadable")
    code, message = innermost_of(properties.error)
    return Deployment(
        id=str(found.id),
        name=str(found.name),
        state=word(properties.provisioning_state),
        outputs=outputs_of(properties.outputs),
        code=code,
        message=message or None,
        tags=_tags_of(found.tags),
    )


def _tags_of(found: Mapping[str, str] | None) -> Tags:
    said = found or {}
    return Tags(said.get(OWNER) or "", said.get(PLAN) or "", said.get(MARK) or "")


def outputs_of(shown: object) -> dict[str, str]:
    """Names and values; what is no output, or is null, is left out: whoever needs it misses it."""
    if not isinstance(shown, dict):
        return {}
    named = cast("dict[str, object]", shown)
    values = {
        name: cast("dict[str, object]", each).get("value") for name, each in named.items() if isinstance(each, dict)
    }
    return {name: value for name, value in values.items() if isinstance(value, str) and value}


def active_deployments(place: GroupPlace) -> list[str]:
    """Names of the deployments of the group that have not ended."""
    return [name for name, _ in _active(place)]


def active_of(place: GroupPlace, project: str) -> list[str]:
    """The same, of one project alone."""
    return [name for name, whose in _active(place) if whose == project]


def _active(place: GroupPlace) -> list[tuple[str, str]]:
    """Name, and the project's id, of the deployments that have not ended."""
    with (
        translated(Text("Listing the deployments of {name}", name=place.group)),
        deployments_client(place.session, place.subscription_id) as client,
    ):
        listed = list(client.deployments.list_by_resource_group(place.group))
    found: list[tuple[str, str]] = []
    for each in listed:
        if each.properties is None or word(each.properties.provisioning_state) in TERMINAL:
            continue
        found.append((str(each.name), project_of(each)))
    return found


def project_of(deployment: Any) -> str:
    """The id of the project that began a deployment, as the SDK gives it: its tag, since not every template has a parameter for
    it; an older Slipway's only parameter. Empty where it is nobody's of ours."""
    tagged = str((deployment.tags or {}).get(OWNER) or "")
    stated = cast("dict[str, Any]", (None if deployment.properties is None else deployment.properties.parameters) or {})
    return tagged or str((stated.get("projectId") or {}).get("value") or "")


Asked = Literal["accepted", "active", "lost"]
"""What came of asking for a deployment: taken; refused, since one of this name is under way; sent, and no answer came."""


def start_deployment(
    place: GroupPlace,
    name: str,
    template: dict[str, object],
    parameters: dict[str, dict[str, object]],
    tags: Tags,
) -> Asked:
    """Asks for the deployment (mode Incremental) and returns when ARM has accepted it; follow it with deployment(). What was sent
    without an answer is not sent again here: it may be under way."""
    properties = {"mode": "Incremental", "template": template, "parameters": parameters}
    body: Any = {
        "properties": properties,
        "tags": {MARK: tags.mark, OWNER: tags.project, **({PLAN: tags.plan} if tags.plan else {})},
    }
    doing = Text("Starting the deployment {name}", name=name)
    with translated(doing), deployments_client(place.session, place.subscription_id) as client:

        def ask() -> Asked:
            try:
                client.deployments.begin_create_or_update(place.group, name, body, polling=False, retry_read=0)
            except Exception as error:
                if is_lost(error):
                    return "lost"
                if busy_for(error) == ACTIVE:
                    return "active"
                raise
            return "accepted"

        return place.session.once_free(doing, ask)


def cancel_deployment(place: GroupPlace, name: str) -> None:
    doing = Text("Cancelling the deployment {name}", name=name)
    with translated(doing), deployments_client(place.session, place.subscription_id) as client:
        place.session.once_free(doing, lambda: client.deployments.cancel(place.group, name))


def deployment_operations(place: GroupPlace, name: str) -> list[Operation]:
    with (
        translated(Text("Reading the operations of {name}", name=name)),
        deployments_client(place.session, place.subscription_id) as client,
    ):
        found: list[Operation] = []
        for each in client.deployment_operations.list(place.group, name):
            properties = each.properties
            target = properties.target_resource if properties is not None else None
            if properties is None or target is None:
                continue
            code, message = _status_error(properties.status_message)
            kind, resource = str(target.resource_type), str(target.resource_name)
            found.append(Operation(kind, resource, word(properties.provisioning_state), code, message))
    return found


def failure_of(operations: list[Operation], outcome: Deployment) -> CloudError:
    """Why a deployment failed: the failed resource's own code and sentence rather than ARM's wrapping."""
    failed = next((each for each in operations if each.state == "Failed" and each.code), None)
    if failed is not None:
        return CloudError(
            Text(
                "{type} {name}: {message}",
                type=failed.resource_type,
                name=failed.name,
                message=failed.message or failed.code,
            ),
            advice_for(failed.code) or Text("Correct the cause and run Provision again: what exists already is kept."),
            code=failed.code,
        )
    return CloudError(
        Text(
            "The deployment {name} ended as {state}: {message}",
            name=outcome.name,
            state=outcome.state,
            message=outcome.message or "",
        ),
        advice_for(outcome.code) or Text("Run Provision again: what exists already is kept."),
        code=outcome.code or f"Deployment{outcome.state}",
    )


def _status_error(status: Any) -> tuple[str | None, str | None]:
    """From an operation's statusMessage: the SDK's model of it, or its JSON as text."""
    code, message = innermost_of(status if isinstance(status, str) else getattr(status, "error", None))
    return code, message or None


def resources_client(session: Session, subscription_id: str) -> ResourceManagementClient:
    from azure.mgmt.resource.resources import ResourceManagementClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    return ResourceManagementClient(session.credential, subscription_id, **session.arm_options())


def deployments_client(session: Session, subscription_id: str) -> DeploymentsMgmtClient:
    from azure.mgmt.resource.deployments import DeploymentsMgmtClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    return DeploymentsMgmtClient(session.credential, subscription_id, **session.arm_options())


def storage_client(session: Session, subscription_id: str) -> Any:
    from azure.mgmt.storage import StorageManagementClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    return StorageManagementClient(session.credential, subscription_id, **session.arm_options())
