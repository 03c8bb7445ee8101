"""The template functions that depend on where a deployment runs: ids, the group, the subscription, time and chance."""

import datetime
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.dates import format_time
from sidecar.localcloud.core.fields import Json

LISTING = ("listKeys", "listSecrets", "sharedKeys", "listAccountSas", "listCredentials")
"""The functions that ask a resource's provider, as reference() reads the resource."""
READING = frozenset(("reference", "listoutputswithsecurevalues", *(name.lower() for name in LISTING)))
"""Those that the local cloud answers only once the resource is there."""


@dataclass(frozen=True)
class Place:
    """The scope of a deployment: a subscription, or a resource group of it."""

    subscription: Json
    """As subscription() returns it: id, subscriptionId, tenantId, displayName."""
    group: Json | None
    """As resourceGroup() returns it; None at subscription scope."""
    deployment: Json = field(default_factory=dict[str, Any])
    environment: Json = field(default_factory=dict[str, Any])

    @property
    def scope(self) -> str:
        return self.group["id"] if self.group else self.subscription["id"]

    @property
    def subscription_id(self) -> str:
        return self.subscription["subscriptionId"]


def place_functions(place: Place) -> Mapping[str, Callable[..., Any]]:
    """The functions (names in lower case) that mean something different in each scope."""

    def resource_group() -> Json:
        if place.group is None:
            raise ExpressionError("The template function 'RESOURCEGROUP' is not expected at this location.")
        return place.group

    def tenant_resource_id(kind: str, *names: str) -> str:
        return _id("", kind, names)

    def extension_resource_id(scope: str, kind: str, *names: str) -> str:
        return _id(scope, kind, names)

    return {
        "resourcegroup": resource_group,
        "subscription": lambda: place.subscription,
        "tenant": lambda: {
            "countryCode": "US",
            "displayName": "Local cloud",
            "id": f"/tenants/{place.subscription['tenantId']}",
            "tenantId": place.subscription["tenantId"],
        },
        "deployment": lambda: place.deployment,
        "environment": lambda: place.environment,
        "resourceid": lambda *arguments: _resource_id(place, arguments),
        "subscriptionresourceid": lambda *arguments: _subscription_resource_id(place, arguments),
        "tenantresourceid": tenant_resource_id,
        "extensionresourceid": extension_resource_id,
        "deployer": lambda: {"objectId": "", "tenantId": place.subscription["tenantId"]},
    }


def chance_functions(now: float) -> Mapping[str, Callable[..., Any]]:
    """newGuid() and utcNow(), which only a parameter's default may use."""
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)

    def utc_now(form: str = "yyyyMMddTHHmmssZ") -> str:
        return format_time(moment, form)

    return {"newguid": lambda: str(uuid.uuid4()), "utcnow": utc_now}


def canonical_id(resource_id: str) -> str:
    """A group is written `/subscriptions/S/resourceGroups/G`, also where it was named as a resource of its provider."""
    return resource_id.replace("/providers/Microsoft.Resources/resourceGroups/", "/resourceGroups/")


def _resource_id(place: Place, arguments: tuple[Any, ...]) -> str:
    before, kind, names = _split(arguments)
    subscription, group = place.subscription_id, place.group["name"] if place.group else None
    if len(before) == 1:
        group = before[0]
    elif len(before) == 2:
        subscription, group = before
    scope = f"/subscriptions/{subscription}" + (f"/resourceGroups/{group}" if group else "")
    return _id(scope, kind, names)


def _subscription_resource_id(place: Place, arguments: tuple[Any, ...]) -> str:
    before, kind, names = _split(arguments)
    return _id(f"/subscriptions/{before[0] if before else place.subscription_id}", kind, names)


def _split(arguments: tuple[Any, ...]) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    at = next((at for at, value in enumerate(arguments[:3]) if isinstance(value, str) and "/" in value), None)
    if at is None or not all(isinstance(value, str) for value in arguments):
        raise ExpressionError("Unable to evaluate template language function 'resourceId': a resource type is missing.")
    return arguments[:at], arguments[at], arguments[at + 1 :]


def _id(scope: str, kind: str, names: tuple[str, ...]) -> str:
    namespace, *types = kind.split("/")
    parts = [part for name in names for part in name.split("/")] if len(names) != len(types) else list(names)
    if len(parts) != len(types):
        raise ExpressionError(
            f"Unable to evaluate template language function 'resourceId': the type '{kind}' requires '{len(types)}' "
            f"resource name argument(s)."
        )
    pairs = "".join(f"/{each}/{name}" for each, name in zip(types, parts, strict=True))
    return canonical_id(f"{scope}/providers/{namespace}{pairs}")
