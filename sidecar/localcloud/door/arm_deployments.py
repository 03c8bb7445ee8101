"""The routes of deployments: PUT, GET, list, validate, what-if, cancel, export, operations and their status."""

import asyncio
import json
import re
import uuid

from starlette.responses import JSONResponse, Response

from sidecar.localcloud.cloud import odata
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, as_object, member
from sidecar.localcloud.core.resource_id import group_id
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.deployments.deployments import ENDED
from sidecar.localcloud.deployments.planning import template_hash
from sidecar.localcloud.deployments.record import TYPE, Ordered
from sidecar.localcloud.deployments.validation import validated
from sidecar.localcloud.deployments.what_if import in_format, result_format, what_if
from sidecar.localcloud.door import arm
from sidecar.localcloud.door.arm import Call

_NAME = re.compile(r"[-\w.()]{1,64}")


def put(call: Call) -> Response:
    ordered = _ordered(call)
    record, created = call.deployments.start(ordered)
    return JSONResponse(
        dict(record.body), 201 if created else 200, headers={"Azure-AsyncOperation": _status_url(call, ordered)}
    )


def get(call: Call) -> Response:
    return JSONResponse(dict(_record(call).body))


def head(call: Call) -> Response:
    return Response(status_code=204 if call.cloud.store.get(_id(call)) else 404)


def delete(call: Call) -> Response:
    found = call.cloud.store.get(_id(call))
    if found is None:
        return Response(status_code=204)
    if found.properties["provisioningState"] not in ENDED:
        raise ArmError(409, "DeploymentActive", f"The deployment '{found.name}' is still active.")
    call.cloud.store.delete(found.id)
    return Response(status_code=204)


def list_all(call: Call) -> Response:
    scope = _scope(call)
    found = [
        each
        for each in call.cloud.store.under(f"{scope}/providers/Microsoft.Resources/deployments", TYPE)
        if each.id.lower().rsplit("/providers/", 1)[0] == scope.lower()
    ]
    alternatives = odata.parsed_filter(call.query.get("$filter", ""), ("provisioningState",))
    newest = [
        each
        for each in sorted(found, key=lambda each: each.properties["timestamp"], reverse=True)
        if not alternatives
        or any(all(odata.holds(c, each.properties["provisioningState"]) for c in wanted) for wanted in alternatives)
    ]
    return JSONResponse({"value": [dict(each.body) for each in newest[: odata.top(call.query)]]})


def validate(call: Call) -> Response:
    return JSONResponse(validated(call.cloud, call.deployments, _ordered(call)))


def start_what_if(call: Call) -> Response:
    """202 and a Location; what it found is there at the first poll."""
    ordered = _ordered(call)
    form = result_format(ordered)
    outcome: Json = {"status": "Succeeded", "properties": {"changes": []}}
    try:
        outcome["properties"] = {
            "correlationId": str(uuid.uuid4()),
            "changes": in_format(form, what_if(call.cloud, call.deployments, ordered)),
        }
    except ArmError as error:
        if error.status >= 500:
            raise
        outcome = {"status": "Failed", "error": error.body()}
    name = str(uuid.uuid4())
    call.cloud.store.put(Resource(f"/operations/{name}", "whatIf", outcome))
    asyncio.get_running_loop().call_later(600, call.cloud.store.delete, f"/operations/{name}")
    url = f"{call.cloud.endpoints.arm}/subscriptions/{call.subscription.id}/operationresults/{name}?api-version={call.version}"
    return Response(status_code=202, headers={"Location": url, "Retry-After": f"{call.cloud.settings.times.poll}"})


def operation_result(call: Call) -> Response:
    """What a subscription's Location URL answers: what a what-if found, or how another operation ended."""
    found = call.cloud.store.get(f"/operations/{call.names['operation']}")
    return JSONResponse(dict(found.body)) if found and found.type == "whatIf" else arm.operation_result(call)


def cancel(call: Call) -> Response:
    call.deployments.cancel(_record(call).id)
    return Response(status_code=204)


def export_template(call: Call) -> Response:
    template = _record(call).private.get("template")
    return JSONResponse({"template": template or {}})


def operations(call: Call) -> Response:
    record = _record(call)
    found = call.cloud.store.under(record.id, "deploymentOperation")
    own = [each for each in found if each.id.rsplit("/operations/", 1)[0].lower() == record.key]
    return JSONResponse({"value": [dict(each.body) for each in own[: odata.top(call.query)]]})


def operation(call: Call) -> Response:
    record = _record(call)
    found = call.cloud.store.get(f"{record.id}/operations/{call.names['operation']}")
    if found is None:
        raise ArmError(404, "DeploymentOperationNotFound", "The deployment operation could not be found.")
    return JSONResponse(dict(found.body))


def operation_status(call: Call) -> Response:
    """What a deployment's Azure-AsyncOperation URL answers: its state, read from its record."""
    record = _record(call)
    state = record.properties["provisioningState"]
    body: Json = {"status": state}
    if "error" in record.properties:
        body["error"] = record.properties["error"]
    retry = {} if state in ENDED else {"Retry-After": f"{call.cloud.settings.times.poll}"}
    return JSONResponse(body, headers=retry)


def calculate_hash(call: Call) -> Response:
    minified = json.dumps(call.body, separators=(",", ":"))
    return JSONResponse({"minifiedTemplate": minified, "templateHash": template_hash(call.body)})


def _scope(call: Call) -> str:
    subscription = call.subscription.id
    if group := call.names.get("group"):
        return call.cloud.group(subscription, group).id
    return f"/subscriptions/{subscription}"


def _id(call: Call) -> str:
    scope = f"/subscriptions/{call.subscription.id}"
    if group := call.names.get("group"):
        scope = group_id(call.subscription.id, group)
    return f"{scope}/providers/Microsoft.Resources/deployments/{call.names['name']}"


def _record(call: Call) -> Resource:
    scope = _scope(call)
    found = call.cloud.store.get(f"{scope}/providers/Microsoft.Resources/deployments/{call.names['name']}")
    if found is None:
        raise ArmError(404, "DeploymentNotFound", f"Deployment '{call.names['name']}' could not be found.")
    return found


def _ordered(call: Call) -> Ordered:
    properties = as_object(call.body.get("properties"))
    if properties is None:
        raise invalid("The request content was invalid: the deployment's properties are missing.")
    if not _NAME.fullmatch(call.names["name"]):
        raise invalid(
            f"The deployment name '{call.names['name']}' is not valid: up to 64 letters, digits, '-', '.', '_', '(' and ')'.",
            "InvalidDeploymentName",
        )
    if "group" not in call.names and not call.body.get("location"):
        raise invalid("The location property is required for a deployment at this scope.", "LocationRequired")
    if member(call.body, "identity").get("type") not in (None, "None"):
        raise invalid(
            "The property 'identity' of a deployment is not supported by the local cloud: a deployment asks nobody.",
            target="identity",
        )
    if properties.get("parameters") is not None and as_object(properties["parameters"]) is None:
        raise invalid("The deployment's parameters must be an object.")
    return Ordered.at(
        _scope(call),
        call.names["name"],
        properties,
        location=call.body.get("location"),
        tags=call.body.get("tags"),
        caller=call.caller.object_id,
    )


def _status_url(call: Call, ordered: Ordered) -> str:
    status = f"{ordered.id}/operationStatuses/{uuid.uuid4().int % 10**20:020d}"
    return f"{call.cloud.endpoints.arm}{status}?api-version={call.version}"
