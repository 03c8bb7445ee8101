"""Validate: a deployment checked as far as ARM checks it before anything runs."""

import uuid

from sidecar.armlang.expressions import Deferred, ExpressionError, evaluate
from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.registration import require_registered
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.deployments.deployments import Deployments
from sidecar.localcloud.deployments.parameters import invalid_template
from sidecar.localcloud.deployments.planning import Plan, nested_properties, template_hash
from sidecar.localcloud.deployments.record import TYPE, Ordered, plan_dependencies, plan_providers


def validated(cloud: LocalCloud, deployments: Deployments, ordered: Ordered) -> Json:
    """What POST …/validate answers when nothing is wrong."""
    plan = deployments.plan(ordered)
    for planned in plan.resources:
        if planned.wanted and not planned.existing:
            require_registered(cloud, cloud.subscription(planned.id.split("/")[2]), planned.type.partition("/")[0])
    body: Json = {"id": ordered.id, "name": ordered.name, "type": TYPE}
    if ordered.location:
        body["location"] = ordered.location
    if ordered.tags:
        body["tags"] = ordered.tags
    ids = [*all_ids(deployments, ordered, plan)]
    return {
        **body,
        "properties": {
            "templateHash": template_hash(ordered.properties["template"]),
            "parameters": plan.parameters.shown(),
            "mode": ordered.properties["mode"],
            "provisioningState": "Succeeded",
            "timestamp": utc_now(),
            "duration": "PT0S",
            "correlationId": str(uuid.uuid4()),
            "providers": plan_providers(plan),
            "dependencies": plan_dependencies(plan),
            "validatedResources": [{"id": each} for each in ids],
        },
    }


def all_ids(deployments: Deployments, ordered: Ordered, plan: Plan) -> list[str]:
    """Ids of what a deployment would write, those of nested deployments included."""
    found: list[str] = []
    for planned in plan.resources:
        if not planned.wanted or planned.existing:
            continue
        found.append(planned.id)
        if planned.nested:
            nested = nested_plan(deployments, ordered, plan, planned.id)
            found += all_ids(deployments, nested[0], nested[1]) if nested else []
    return found


def nested_plan(deployments: Deployments, ordered: Ordered, plan: Plan, nested_id: str) -> tuple[Ordered, Plan] | None:
    """The plan of a nested deployment; None where its parameters are known only once the outer one runs."""
    planned = next(each for each in plan.resources if each.id == nested_id)
    try:
        properties = nested_properties(member(planned.source, "properties"), planned.scope)
    except (ExpressionError, Deferred):
        return None
    inner = ordered.nested(planned, properties, location=_location_of_group(plan, planned.id))
    try:
        return inner, deployments.plan(inner)
    except (ExpressionError, Deferred) as problem:
        raise invalid_template(f"The nested deployment '{planned.name}' is not valid: {problem}") from problem


def _location_of_group(plan: Plan, nested_id: str) -> str | None:
    """Where the group of a nested deployment will be, when this plan creates it."""
    group = nested_id.split("/providers/")[0].lower()
    found = [each for each in plan.resources if each.key == group]
    return str(evaluate(found[0].source.get("location"), found[0].scope)) if found else None
