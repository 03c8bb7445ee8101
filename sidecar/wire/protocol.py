"""The wire between extension and sidecar: message models and the METHODS table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from sidecar.words.errors import ConsentNeeded, SlipwayError
from sidecar.words.names import AzureCloud, CloudName, Phase, State
from sidecar.words.text import Text


class Message(BaseModel):
    """One JSON object on the wire: camelCase names, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Sentence(Message):
    """A message for a person: the extension translates the template and fills in the arguments."""

    message: str
    args: dict[str, str]


class CloudParams(Message):
    cloud: CloudName


class Subscription(Message):
    id: str
    name: str
    tenant_id: str
    cloud: CloudName


class Subscriptions(Message):
    subscriptions: list[Subscription]
    problems: list[Sentence]


class SubscriptionParams(Message):
    cloud: CloudName
    subscription_id: str


class ResourceGroup(Message):
    name: str
    location: str


class ResourceGroups(Message):
    resource_groups: list[ResourceGroup]


class Location(Message):
    name: str
    display_name: str


class Locations(Message):
    locations: list[Location]


class CreateResourceGroupParams(Message):
    cloud: CloudName
    subscription_id: str
    name: str
    location: str


class FolderParams(Message):
    folder: str


class WorkspaceDefaults(Message):
    subscription_id: str | None
    resource_group: str | None


class WorkspaceSummary(Message):
    defaults: WorkspaceDefaults
    provisioned: bool
    has_template: bool
    has_code: bool
    clouds: list[CloudName]
    """Where `auto` looks for subscriptions: on some machines the local cloud can't run."""
    problems: list[Sentence]


class Created(Message):
    created: list[str]


class ProvisionParams(Message):
    folder: str
    cloud: CloudName
    subscription_id: str
    resource_group: str
    consents: list[str]
    operation: str


class Provisioned(Message):
    endpoint: str
    url: str
    portal_url: str | None
    config_path: str
    deployment: str


class DeployParams(Message):
    folder: str
    cloud: CloudName
    consents: list[str]
    operation: str


class RefusedAdapter(Message):
    """An adapter on the share that the server does not serve; `reason` is the server's own word."""

    name: str
    reason: str


class Deployed(Message):
    endpoint: str
    url: str
    release: str
    generation: int
    code_changed: bool
    verified: bool
    replicas: list[str]
    base: str | None
    adapters: list[str]
    refused: list[RefusedAdapter]
    notes: list[Sentence]


class FolderCloudParams(Message):
    folder: str
    cloud: CloudName


class EndpointLink(Message):
    url: str
    login_url: str | None
    note: Sentence | None


class Replica(Message):
    name: str
    state: str
    phase: Phase | None


class Status(Message):
    state: State
    phase: Phase | None
    revision: str | None
    replicas: list[Replica]
    endpoint: str | None
    url: str | None
    app: str | None
    reason: Sentence | None
    base: str | None
    adapters: list[str]
    refused: list[RefusedAdapter]
    notes: list[Sentence]
    failure: bool


class ApiKey(Message):
    api_key: str


class TokenParams(Message):
    cloud: AzureCloud
    scopes: list[str]
    tenant_id: str | None
    claims: str | None
    silent: bool


class Token(Message):
    token: str
    expires_on: int


class Progress(Message):
    operation: str
    text: Sentence
    increment: float | None


class Log(Message):
    level: Literal["debug", "info", "warning", "error"]
    text: Sentence


class Failure(Message):
    """The `data` of a -32000 answer."""

    code: str
    message: Sentence
    suggestion: Sentence | None
    consent: str | None
    detail: str | None


@dataclass(frozen=True)
class Method:
    params: type[Message]
    result: type[Message] | None


METHODS: dict[str, Method] = {
    "slipway/subscriptions": Method(CloudParams, Subscriptions),
    "slipway/resourceGroups": Method(SubscriptionParams, ResourceGroups),
    "slipway/locations": Method(SubscriptionParams, Locations),
    "slipway/createResourceGroup": Method(CreateResourceGroupParams, ResourceGroup),
    "slipway/workspace": Method(FolderParams, WorkspaceSummary),
    "slipway/init": Method(FolderParams, Created),
    "slipway/provision": Method(ProvisionParams, Provisioned),
    "slipway/deploy": Method(DeployParams, Deployed),
    "slipway/endpoint": Method(FolderCloudParams, EndpointLink),
    "slipway/status": Method(FolderCloudParams, Status),
    "slipway/apiKey": Method(FolderCloudParams, ApiKey),
}
"""Requests from the extension."""

CALLBACKS: dict[str, Method] = {"slipway/token": Method(TokenParams, Token)}
"""Requests to the extension."""

NOTIFICATIONS: dict[str, Method] = {
    "slipway/progress": Method(Progress, None),
    "slipway/log": Method(Log, None),
}
"""Notifications to the extension."""

USER_ERROR = -32000


def sentence(text: Text) -> Sentence:
    return Sentence(message=text.message, args=dict(text.args))


def failure(error: SlipwayError) -> Failure:
    return Failure(
        code=error.code,
        message=sentence(error.message),
        suggestion=None if error.suggestion is None else sentence(error.suggestion),
        consent=error.consent if isinstance(error, ConsentNeeded) else None,
        detail=error.detail,
    )
