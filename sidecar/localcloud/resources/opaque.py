"""Resource types that the local cloud knows nothing of: stored, echoed as Succeeded, readable by reference()."""

import uuid

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.resources.resource_type import ArmRequest, Change, ResourceType, tracked_body

_TRACKED_ONLY = ("location", "tags", "properties", "systemData")


def opaque_type(name: str) -> ResourceType:
    return ResourceType(name, _put)


def _put(cloud: LocalCloud, request: ArmRequest) -> Change:
    old = cloud.store.get(request.id.text)
    given: Json = member(request.body, "properties")
    properties: Json = {**given, **_computed(cloud, request), "provisioningState": "Succeeded"}
    further = {
        name: value for name, value in request.body.items() if name not in (*_TRACKED_ONLY, "id", "name", "type")
    }
    if sku := member(further, "sku"):
        further["sku"] = {"tier": sku.get("name"), **sku}
    body = tracked_body(request, old, properties, utc_now(), further)
    return Change(cloud.store.put(Resource(body["id"], request.id.type, body)), created=old is None)


def _computed(cloud: LocalCloud, request: ArmRequest) -> Json:
    """Read-only properties that templates commonly read of what they have just created."""
    kind, name = request.id.type.lower(), request.id.name
    stable = uuid.uuid5(uuid.NAMESPACE_URL, request.id.key)
    if kind == "microsoft.containerregistry/registries":
        return {"loginServer": f"{name.lower()}.azurecr.io"}
    if kind == "microsoft.managedidentity/userassignedidentities":
        return {
            "principalId": str(stable),
            "clientId": str(uuid.uuid5(stable, "client")),
            "tenantId": cloud.subscription(request.id.subscription).tenant,
        }
    return {}
