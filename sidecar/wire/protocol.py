"""The wire between extension and sidecar: message models, the METHODS table, the TypeScript made from them."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from sidecar.words.errors import ConsentNeeded, SlipwayError
from sidecar.words.text import Text

CloudName = Literal["auto", "local", "azure", "azureChina", "azureUSGovernment"]


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
    next_command: str


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
    phase: str | None


class Status(Message):
    state: str
    phase: str | None
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
    cloud: CloudName
    scopes: list[str]
    tenant_id: str | None
    claims: str | None


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


def typescript() -> str:
    """The whole of extension/protocol.ts."""
    messages = [each for each in globals().values() if isinstance(each, type) and issubclass(each, Message)]
    lines = ["// GENERATED from sidecar/wire/protocol.py by `npm run fix`. Do not edit.", ""]
    for message in messages:
        if message is Message:
            continue
        lines.append(f"export interface {message.__name__} {{")
        for name, field in message.model_fields.items():
            lines.append(f"  readonly {to_camel(name)}: {_typescript_type(field.annotation)};")
        lines.extend(["}", ""])
    for table, entries in (("Methods", METHODS), ("Callbacks", CALLBACKS), ("Notifications", NOTIFICATIONS)):
        lines.append(f"export interface {table} {{")
        for name, method in entries.items():
            result = "void" if method.result is None else method.result.__name__
            lines.append(f'  readonly "{name}": {{')
            lines.append(f"    readonly params: {method.params.__name__};")
            lines.append(f"    readonly result: {result};")
            lines.append("  };")
        lines.extend(["}", ""])
    lines.extend([f"export const USER_ERROR = {USER_ERROR};", ""])
    return "\n".join(lines)


def _typescript_type(annotation: object) -> str:
    scalars: dict[object, str] = {
        str: "string",
        int: "number",
        float: "number",
        bool: "boolean",
        type(None): "null",
    }
    if annotation in scalars:
        return scalars[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Message):
        return annotation.__name__
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return f"readonly {_typescript_type(args[0])}[]"
    if origin is dict:
        return f"Readonly<Record<string, {_typescript_type(args[1])}>>"
    if origin is Literal:
        return " | ".join(f'"{each}"' for each in args)
    if origin in (types.UnionType, typing.Union):
        return " | ".join(_typescript_type(each) for each in args)
    raise TypeError(f"no TypeScript for {annotation!r}")
