"""ARM's own answers: subscriptions, groups, providers, resources of any type, and the polling of operations."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from sidecar.localcloud.cloud import groups, odata, registration, subscriptions, tags
from sidecar.localcloud.cloud.api_versions import require_version
from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.capacity import gpu_rows, location_usages
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.identity import Caller, Subscription
from sidecar.localcloud.core.resource_id import ResourceId, group_id, parse_resource_id
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.deployments.deployments import Deployments
from sidecar.localcloud.door import listed
from sidecar.localcloud.door.roles import permissions_of
from sidecar.localcloud.resources import environments, providers, storage
from sidecar.localcloud.resources.environment_usages import profile_states as states_of
from sidecar.localcloud.resources.environment_usages import usages
from sidecar.localcloud.resources.namespaces import require_listable, require_type
from sidecar.localcloud.resources.resource_type import Answer, ArmRequest, Change, Finish, Style


@dataclass(frozen=True, kw_only=True)
class Call:
    """One authenticated request at the door of ARM."""

    cloud: LocalCloud
    deployments: Deployments
    method: str
    path: str
    query: Mapping[str, str]
    body: Json
    caller: Caller
    names: Mapping[str, str]
    """What the route's pattern found in the path."""

    @property
    def version(self) -> str:
        return self.query.get("api-version", "")

    @property
    def subscription(self) -> Subscription:
        return self.cloud.subscription(self.names["subscription"])


def list_subscriptions(call: Call) -> Response:
    mine = [each for each in call.cloud.directory.subscriptions if each.tenant == call.caller.tenant]
    return JSONResponse({"value": [_shown_subscription(call, each) for each in mine]})


def get_subscription(call: Call) -> Response:
    return JSONResponse(_shown_subscription(call, call.subscription))


def _shown_subscription(call: Call, subscription: Subscription) -> Json:
    tagged = member(tags.read_tags(call.cloud, f"/subscriptions/{subscription.id}")["properties"], "tags")
    return {**subscriptions.show_subscription(subscription), **({"tags": tagged} if tagged else {})}


def list_tenants(call: Call) -> Response:
    return JSONResponse(subscriptions.show_tenants(call.cloud))


def list_locations(call: Call) -> Response:
    return JSONResponse(subscriptions.show_locations(call.cloud, call.subscription))


def list_groups(call: Call) -> Response:
    found = call.cloud.store.under(f"/subscriptions/{call.subscription.id}", "Microsoft.Resources/resourceGroups")
    return JSONResponse(
        {"value": [dict(each.body) for each in groups.matching(found, call.query, ("tagName", "tagValue"))]}
    )


def get_group(call: Call) -> Response:
    return JSONResponse(dict(call.cloud.group(call.subscription.id, call.names["group"]).body))


def head_group(call: Call) -> Response:
    found = call.cloud.store.get(group_id(call.subscription.id, call.names["group"]))
    return Response(status_code=204 if found else 404)


def put_group(call: Call) -> Response:
    made, status = groups.put_group(call.cloud, call.subscription, call.names["group"], call.body)
    return JSONResponse(dict(made.body), status)


def patch_group(call: Call) -> Response:
    group = call.cloud.group(call.subscription.id, call.names["group"])
    return JSONResponse(dict(groups.patch_group(call.cloud, group, call.body).body))


def delete_group(call: Call) -> Response:
    """Everything in the group is deleted, apps before their environment, in the background."""
    group = call.cloud.group(call.subscription.id, call.names["group"])
    cloud = call.cloud

    async def finish() -> None:
        inside = cloud.store.under(group.id)
        rank = {"microsoft.app/containerapps": 0, "microsoft.app/managedenvironments": 1}
        for resource in sorted(inside, key=lambda each: (rank.get(each.type.lower(), 2), each.id.count("/"))):
            current = cloud.store.get(resource.id)
            if current and _is_top(current):
                rest = providers.remove(cloud, current)
                if rest:
                    await rest()
        cloud.store.delete(group.id)

    return _accepted(call, group, finish)


def _is_top(resource: Resource) -> bool:
    address = parse_resource_id(resource.id)
    return address is not None and len(address.names) == 1


def list_resources(call: Call) -> Response:
    """Tracked resources of a subscription or group, in brief."""
    names = call.names
    under = f"/subscriptions/{call.subscription.id}"
    if "group" in names:
        under = call.cloud.group(call.subscription.id, names["group"]).id
    found = [each for each in call.cloud.store.under(under) if _is_top(each) and "location" in each.body]
    found = [each for each in found if each.type != "Microsoft.Resources/deployments"]
    brief = ("id", "name", "type", "location", "tags", "kind", "sku", "identity", "managedBy", "systemData")
    wanted = groups.expanded(call.query)
    return JSONResponse(
        {
            "value": [
                {name: each.body[name] for name in brief if name in each.body}
                | {"tags": member(each.body, "tags")}
                | {name: value for name, value in _more_of(each).items() if name in wanted}
                for each in groups.matching(found, call.query)
            ]
        }
    )


def _more_of(resource: Resource) -> Json:
    """What `$expand` of a list of resources adds. Some providers show the times among their properties, or nowhere."""
    shown = member(resource.body, "systemData")
    created = shown.get("createdAt") or resource.properties.get("creationTime")
    changed = shown.get("lastModifiedAt") or resource.private.get("changedAt") or created
    found = {"createdTime": created, "changedTime": changed}
    found["provisioningState"] = resource.properties.get("provisioningState")
    return {name: value for name, value in found.items() if value}


def list_providers(call: Call) -> Response:
    shown = [registration.show_provider(call.cloud, call.subscription, name) for name in registration.PROVIDER_TYPES]
    return JSONResponse({"value": shown})


def get_provider(call: Call) -> Response:
    return JSONResponse(registration.show_provider(call.cloud, call.subscription, call.names["namespace"]))


def register_provider(call: Call) -> Response:
    state = "Registered" if call.names["action"].lower() == "register" else "NotRegistered"
    registration.show_provider(call.cloud, call.subscription, call.names["namespace"])
    return JSONResponse(registration.register(call.cloud, call.subscription, call.names["namespace"], state))


def check_storage_name(call: Call) -> Response:
    return JSONResponse(storage.check_name(call.cloud, call.body))


def permissions(call: Call) -> Response:
    get_group(call)  # 404 where there is no such group
    return JSONResponse({"value": permissions_of(call.caller)})


def app_usages(call: Call) -> Response:
    cloud, place = call.cloud, subscriptions.normal_location(call.cloud, call.names["location"])
    in_use = {(place, row): cloud.runtime.gpus_in_use(place, row) for row in gpu_rows(cloud.settings)}
    return JSONResponse({"value": location_usages(cloud.settings, cloud.store, place, in_use)})


def profile_types(call: Call) -> Response:
    place = subscriptions.normal_location(call.cloud, call.names["location"])
    return JSONResponse({"value": environments.profile_types(call.cloud, place, call.subscription.id)})


def environment_usages(call: Call) -> Response:
    return JSONResponse({"value": usages(call.cloud, _environment(call))})


def profile_states(call: Call) -> Response:
    return JSONResponse({"value": states_of(call.cloud, _environment(call))})


def _environment(call: Call) -> Resource:
    scope = group_id(call.subscription.id, call.names["group"])
    return providers.find(call.cloud, ResourceId(scope, environments.TYPE, (call.names["environment"],)))


def operation_status(call: Call) -> Response:
    """What an Azure-AsyncOperation URL answers."""
    found = call.cloud.operations.get(call.names["operation"])
    if found is None:
        raise ArmError(404, "OperationNotFound", f"The operation '{call.names['operation']}' was not found.")
    body: Json = {
        "id": call.path,
        "name": found.name,
        "status": found.body["status"],
        "startTime": found.body["startTime"],
    }
    if "error" in found.body:
        body["error"] = found.body["error"]
    if "endTime" in found.body:
        body["endTime"] = found.body["endTime"]
        return JSONResponse(body)
    return JSONResponse(body, headers=_retry(call.cloud))


def operation_result(call: Call) -> Response:
    """What a Location URL answers: 202 until the end, then the resource; where it is gone 204 (200 for a group)."""
    found = call.cloud.operations.get(call.names["operation"])
    if found is None:
        raise ArmError(404, "OperationNotFound", f"The operation '{call.names['operation']}' was not found.")
    if found.body["status"] == "InProgress":
        own = f"{call.cloud.endpoints.arm}{call.path}?api-version={call.version}"
        return Response(status_code=202, headers={"Location": own, **_retry(call.cloud)})
    if found.body["status"] == "Failed":
        error = found.body["error"]
        raise ArmError(409, error["code"], error["message"], details=error.get("details"))
    resource = call.cloud.store.get(found.body["resourceId"])
    if resource is None:
        # As in Azure: the deletion of a group, polled at its subscription, ends with 200, one by a provider with 204.
        return Response(status_code=204 if "namespace" in call.names else 200)
    return JSONResponse(providers.show(call.cloud, resource))


def resource(call: Call) -> Response:
    """Any resource, collection or action of a provider, by the shape of its path."""
    address = parse_resource_id(call.path)
    if address is not None:
        odata.require_known(call.query, ())
        _require_type(call, address.type, call.path)
        return _on_resource(call, providers.known(_with_group(call, address)))
    parent, _, last = call.path.rstrip("/").rpartition("/")
    if call.method == "POST":
        owner = parse_resource_id(parent)
        if owner is None:
            raise _unknown(call)
        _require_type(call, owner.type, parent)
        _require_plain_action(call.query, last)
        request = _request(call, providers.known(_with_group(call, owner)))
        return _answer(call, providers.act(call.cloud, request, last))
    if call.method == "GET":
        return _list(call, parent, last)
    raise _unknown(call)


def _require_type(call: Call, kind: str, place: str) -> None:
    """A type that Azure has, in a version that it has."""
    require_type(kind, call.version, call.cloud.settings.unknown_types)
    stored = call.cloud.store.get(place)
    location = str((stored.body if stored else call.body).get("location") or "")
    require_version(kind, call.version, location, ", ".join(call.cloud.settings.locations))


def _require_plain_action(query: Mapping[str, str], action: str) -> None:
    """Of OData's options an action takes `$expand=kerb` alone: Kerberos keys, which no account here has, of listKeys."""
    keys = action.lower() in ("listkeys", "regeneratekey") and query.get("$expand", "kerb").lower() == "kerb"
    odata.require_known(query, ("$expand",) if keys else ())


def _unknown(call: Call) -> ArmError:
    return ArmError(
        404, "InvalidResourceType", f"The resource type could not be found for '{call.method} {call.path}'."
    )


def _with_group(call: Call, address: ResourceId) -> ResourceId:
    """The id as ARM writes it: `resourceGroups`, and the group's name as it was created."""
    if address.group is None or not address.scope.lower().endswith(f"/{address.group.lower()}"):
        return address
    found = call.cloud.store.get(group_id(address.subscription, address.group))
    scope = found.id if found else group_id(address.subscription, address.group)
    return ResourceId(scope, address.type, address.names)


def _request(call: Call, address: ResourceId) -> ArmRequest:
    return ArmRequest(address, call.body, call.query, call.caller.object_id)


def _on_resource(call: Call, address: ResourceId) -> Response:
    cloud, request = call.cloud, _request(call, address)
    if call.method in ("GET", "HEAD"):
        found = providers.find(cloud, address)
        return JSONResponse(providers.show(cloud, found)) if call.method == "GET" else Response(status_code=204)
    if call.method == "PUT":
        change = providers.put(cloud, request)
        kind = providers.type_of(address.type)
        return _changed(call, change, kind.created_status if change.created else 200, kind.style)
    if call.method == "PATCH":
        return _changed(call, providers.patch(cloud, request), 200, "location")
    if call.method == "DELETE":
        return _delete(call, address)
    raise _unknown(call)


def _delete(call: Call, address: ResourceId) -> Response:
    kind = providers.type_of(address.type)
    found = kind.find(call.cloud, address) if kind.find else call.cloud.store.get(address.text)
    if found is None:
        if address.group:
            call.cloud.group(address.subscription, address.group)
        return Response(status_code=204)
    finish = providers.remove(call.cloud, found)
    # Azure deletes workspaces, environments and apps in the background; the rest at once.
    if finish is None and kind.style != "azure-async":
        return Response(status_code=200)

    async def nothing() -> None:
        return

    return _accepted(call, found, finish or nothing)


def _answer(call: Call, answer: Answer) -> Response:
    if isinstance(answer, Change):
        return _changed(call, answer, 200, "location")
    return Response(status_code=200) if answer is None else JSONResponse(answer)


def _changed(call: Call, change: Change, status: int, style: Style) -> Response:
    if change.finish is None:
        return JSONResponse(providers.show(call.cloud, change.resource), status)
    if style == "location":
        return _accepted(call, change.resource, change.finish)
    operation = call.cloud.operations.start(change.resource.id, change.finish)
    url = f"{_operations(call, change.resource)}/operationStatuses/{operation.name}?api-version={call.version}"
    headers = {"Azure-AsyncOperation": url, **_retry(call.cloud)}
    return JSONResponse(providers.show(call.cloud, change.resource), status, headers=headers)


def _accepted(call: Call, resource: Resource, finish: Finish) -> Response:
    operation = call.cloud.operations.start(resource.id, finish)
    place = f"{_operations(call, resource)}/operationResults"
    if resource.type == "Microsoft.Resources/resourceGroups":
        place = f"{call.cloud.endpoints.arm}/subscriptions/{call.names['subscription']}/operationresults"
    headers = {"Location": f"{place}/{operation.name}?api-version={call.version}", **_retry(call.cloud)}
    # A PATCH can be polled either way; a failure is told where the state of the operation is.
    if resource.type == "Microsoft.OperationalInsights/workspaces" or call.method == "PATCH":
        status = f"{_operations(call, resource)}/operationStatuses"
        headers["Azure-AsyncOperation"] = f"{status}/{operation.name}?api-version={call.version}"
    return Response(status_code=202, headers=headers)


def _operations(call: Call, resource: Resource) -> str:
    namespace = resource.type.partition("/")[0]
    subscription_id = resource.id.split("/")[2]
    location = str(resource.body.get("location") or "global").replace(" ", "").lower()
    return f"{call.cloud.endpoints.arm}/subscriptions/{subscription_id}/providers/{namespace}/locations/{location}"


def _retry(cloud: LocalCloud) -> dict[str, str]:
    return {"Retry-After": f"{cloud.settings.times.poll}"}


def _list(call: Call, parent: str, kind: str) -> Response:
    """`…/providers/N/T` of a subscription or group, `…/name/T` of a resource."""
    scope, _, namespace = (
        parent.rpartition("/providers/") if "/" not in parent.rpartition("/providers/")[2] else ("", "", "")
    )
    if namespace:
        if "/resourcegroups/" in scope.lower():
            parts = scope.strip("/").split("/")
            scope = call.cloud.group(parts[1], parts[3]).id
        type_name, under = f"{namespace}/{kind}", scope
    else:
        owner = parse_resource_id(parent)
        if owner is None:
            raise _unknown(call)
        _require_type(call, f"{owner.type}/{kind}", parent)
        owner = providers.known(_with_group(call, owner))
        found = providers.find(call.cloud, owner)
        type_name, under = f"{owner.type}/{kind}", found.id
    _require_type(call, type_name, under)
    require_listable(type_name)
    values = [providers.show(call.cloud, each) for each in providers.listed(call.cloud, type_name, under)]
    return JSONResponse(listed.page(call.query, type_name, values, f"{call.cloud.endpoints.arm}{call.path}"))
