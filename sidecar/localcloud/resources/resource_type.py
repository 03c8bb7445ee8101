"""ResourceType: what a provider does with one type of resource; the values that pass between ARM and the providers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.resource_id import ResourceId
from sidecar.localcloud.core.state import Resource

Style = Literal["sync", "azure-async", "location"]
Finish = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class ArmRequest:
    """A request on one resource, after authentication."""

    id: ResourceId
    body: Json
    query: Mapping[str, str]
    caller: str
    """The object id of who asks: stands in systemData."""


@dataclass(frozen=True)
class Change:
    """What a PUT, PATCH or long action did at once, and what is left to do in the background."""

    resource: Resource
    created: bool = False
    finish: Finish | None = None


Answer = Json | Change | None
Lookup = Callable[[str], Json | None]
"""The body that the resource of an id has; in a preflight, also the one that the deployment would give it."""


def _shown(_cloud: LocalCloud, resource: Resource) -> Json:
    return dict(resource.body)


@dataclass(frozen=True)
class ResourceType:
    """`style` is how its long operations are polled: Azure-AsyncOperation, Location, or not at all."""

    name: str
    put: Callable[[LocalCloud, ArmRequest], Change] | None
    """None: nobody writes it, it comes about by itself."""
    check: Callable[[LocalCloud, ArmRequest, Lookup], None] | None = None
    """What the provider refuses in a PUT without touching anything: ArmError. ARM's preflight asks it before a deployment."""
    check_name: Callable[[str], None] | None = None
    """The same for the name alone, where the rest is not known yet."""
    show: Callable[[LocalCloud, Resource], Json] = _shown
    patch: Callable[[LocalCloud, Resource, ArmRequest], Change] | None = None
    remove: Callable[[LocalCloud, Resource], Finish | None] | None = None
    actions: Mapping[str, Callable[[LocalCloud, Resource, ArmRequest], Answer]] = field(
        default_factory=dict[str, Callable[[LocalCloud, Resource, ArmRequest], Answer]]
    )
    """POST …/{action}, by its name in lower case."""
    find: Callable[[LocalCloud, ResourceId], Resource | None] | None = None
    """Where the resource is not in the store: computed when asked for."""
    listed: Callable[[LocalCloud, str], list[Resource]] | None = None
    """The same for a list; the argument is the id of what is listed under."""
    resume: Callable[[LocalCloud, Resource], Finish | None] | None = None
    """What a start of the cloud has to take up again for this resource."""
    created_status: int = 201
    """What a PUT that creates answers."""
    style: Style = "sync"


def tracked_body(
    request: ArmRequest, old: Resource | None, properties: Json, now: str, further: Mapping[str, Any] | None = None
) -> Json:
    """The body of a resource with a location: what every provider shows beside its own properties."""
    created = (member(old.body, "systemData")) if old else {}
    body: Json = {
        "id": old.id if old else request.id.text,
        "name": old.name if old else request.id.name,
        "type": request.id.type,
    }
    location = request.body.get("location") or (old.body.get("location") if old else None)
    if location:
        body["location"] = location
    tags = request.body.get("tags", old.body.get("tags") if old else None)
    if tags is not None:
        body["tags"] = tags
    body["systemData"] = {
        "createdBy": created.get("createdBy", request.caller),
        "createdByType": "Application",
        "createdAt": created.get("createdAt", now),
        "lastModifiedBy": request.caller,
        "lastModifiedByType": "Application",
        "lastModifiedAt": now,
    }
    return {**body, **(further or {}), "properties": properties}
