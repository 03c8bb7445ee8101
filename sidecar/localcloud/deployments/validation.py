"""Validate: a deployment checked as far as ARM checks it before anything runs."""

import uuid

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.fields import Json
from sidecar.localcloud.deployments.deployments import Deployments
from sidecar.localcloud.deployments.planning import Plan, template_hash
from sidecar.localcloud.deployments.preflight import nested_plan, preflight
from sidecar.localcloud.deployments.record import TYPE, Ordered, plan_dependencies, plan_providers


def validated(cloud: LocalCloud, deployments: Deployments, ordered: Ordered) -> Json:
    """What POST …/validate answers when nothing is wrong."""
    plan = deployments.plan(ordered)
    preflight(cloud, ordered, plan, deployments.plan)
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
            nested = nested_plan(ordered, plan, planned, deployments.plan)
            found += all_ids(deployments, nested[0], nested[1]) if nested else []
    return found
