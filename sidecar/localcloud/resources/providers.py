"""Which provider answers for a resource type, and what ARM itself does around it: find, put, patch, delete, act."""

from collections.abc import Mapping

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.registration import require_registered
from sidecar.localcloud.core.errors import ArmError, invalid, not_found
from sidecar.localcloud.core.fields import Json
from sidecar.localcloud.core.resource_id import ResourceId
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources import containerapps, environments, loganalytics, revisions, storage
from sidecar.localcloud.resources.not_here import require_here
from sidecar.localcloud.resources.opaque import opaque_type
from sidecar.localcloud.resources.resource_type import Answer, ArmRequest, Change, Finish, Lookup, ResourceType

TYPES: Mapping[str, ResourceType] = {
    each.name.lower(): each
    for module in (storage, loganalytics, environments, containerapps, revisions)
    for each in module.TYPES
}


def type_of(name: str) -> ResourceType:
    return TYPES.get(name.lower()) or opaque_type(name)


def is_known(name: str) -> bool:
    return name.lower() in TYPES


def known(resource_id: ResourceId) -> ResourceId:
    """The id with its type in the provider's own casing."""
    return ResourceId(resource_id.scope, type_of(resource_id.type).name, resource_id.names)


def find(cloud: LocalCloud, resource_id: ResourceId) -> Resource:
    """The resource; ArmError ResourceNotFound (or ResourceGroupNotFound) where there is none."""
    kind = type_of(resource_id.type)
    found = kind.find(cloud, resource_id) if kind.find else cloud.store.get(resource_id.text)
    if found is None:
        if resource_id.group:
            cloud.group(resource_id.subscription, resource_id.group)
        raise not_found(kind.name, "/".join(resource_id.names), resource_id.group)
    return found


def listed(cloud: LocalCloud, type_name: str, under: str) -> list[Resource]:
    """Resources of a type below a subscription, a group or a parent resource."""
    kind = type_of(type_name)
    if kind.listed:
        return kind.listed(cloud, under)
    return cloud.store.under(under, kind.name)


def put(cloud: LocalCloud, request: ArmRequest) -> Change:
    kind = type_of(request.id.type)
    if kind.put is None:
        raise ArmError(405, "MethodNotAllowed", f"The resource type '{kind.name}' can't be written.")
    if request.id.group:
        cloud.group(request.id.subscription, request.id.group)
    if request.id.subscription:
        require_registered(cloud, cloud.subscription(request.id.subscription), kind.name.partition("/")[0])
    _check_shape(request, kind)
    _check_location(cloud, request, kind)
    return kind.put(cloud, request)


def check(cloud: LocalCloud, request: ArmRequest, lookup: Lookup) -> None:
    """What can be said against a PUT before anything is made: ArmError, ARM's own or the provider's."""
    kind = type_of(request.id.type)
    _check_shape(request, kind)
    if kind.check_name:
        kind.check_name(request.id.name)
    _check_location(cloud, request, kind)
    if kind.check:
        kind.check(cloud, request, lookup)


def check_name(request: ArmRequest) -> None:
    """The same where no more than the name is known."""
    kind = type_of(request.id.type)
    if kind.check_name:
        kind.check_name(request.id.name)


def _check_shape(request: ArmRequest, kind: ResourceType) -> None:
    require_here(kind.name, request.body)
    location = request.body.get("location")
    if _tracked(kind) and location is not None and not isinstance(location, str):
        raise invalid("The location must be a string.", "InvalidRequestContent", "location")
    properties = request.body.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise invalid("The properties must be an object.", "InvalidRequestContent", "properties")


def _check_location(cloud: LocalCloud, request: ArmRequest, kind: ResourceType) -> None:
    location = request.body.get("location")
    known = cloud.settings.locations
    if _tracked(kind) and location and location.replace(" ", "").lower() not in known:
        raise invalid(
            f"The provided location '{location}' is not available for resource type '{kind.name}'. List of available regions "
            f"for the resource type is '{','.join(known)}'.",
            "LocationNotAvailableForResourceType",
        )


def _tracked(kind: ResourceType) -> bool:
    return kind.name.count("/") == 1 and kind.name.lower() in TYPES


def patch(cloud: LocalCloud, request: ArmRequest) -> Change:
    kind = type_of(request.id.type)
    if kind.patch is None:
        raise ArmError(405, "MethodNotAllowed", f"The resource type '{kind.name}' can't be patched.")
    found = find(cloud, request.id)
    _check_shape(request, kind)
    return kind.patch(cloud, found, request)


def remove(cloud: LocalCloud, resource: Resource) -> Finish | None:
    """Deletes the resource and what is under it; what is returned is left to be done in the background."""
    kind = type_of(resource.type)
    if kind.put is None:
        raise ArmError(405, "MethodNotAllowed", f"The resource type '{kind.name}' can't be deleted.")
    finish = kind.remove(cloud, resource) if kind.remove else None
    cloud.store.delete(resource.id)
    return finish


def act(cloud: LocalCloud, request: ArmRequest, action: str) -> Answer:
    kind = type_of(request.id.type)
    handler = kind.actions.get(action.lower())
    if handler is None:
        raise ArmError(
            404, "InvalidResourceType", f"The action '{action}' is not known for the resource type '{kind.name}'."
        )
    return handler(cloud, find(cloud, request.id), request)


def show(cloud: LocalCloud, resource: Resource) -> Json:
    return type_of(resource.type).show(cloud, resource)


def resume(cloud: LocalCloud) -> None:
    """Takes up what a stop of the cloud cut off."""
    for resource in cloud.store:
        kind = type_of(resource.type) if resource.type.lower() in TYPES else None
        if kind and kind.resume and (finish := kind.resume(cloud, resource)):
            cloud.operations.adopt(resource.id, finish)
