"""A deployment as it was asked for, checked; and as its GET shows it: providers, dependencies, parameters."""

import json
import uuid
from dataclasses import dataclass, replace
from typing import Self

from sidecar.armlang.expressions import evaluate
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.errors import ArmError, invalid
from sidecar.localcloud.core.fields import Json, as_object, member
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.deployments.declared_types import invalid_template
from sidecar.localcloud.deployments.planning import Plan, Planned, template_hash

TYPE = "Microsoft.Resources/deployments"


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """A deployment as it was asked for: where, by whom, and its properties."""

    id: str
    name: str
    scope: str
    """Id of the subscription or group."""
    subscription: str
    location: str | None
    properties: Json
    tags: Json | None
    caller: str
    outer: str | None = None
    """Id of the deployment around it; None for one that a client asked for."""

    @classmethod
    def at(
        cls, scope: str, name: str, properties: Json, *, location: str | None, tags: Json | None, caller: str
    ) -> Self:
        return cls(
            id=f"{scope}/providers/{TYPE}/{name}",
            name=name,
            scope=scope,
            subscription=scope.split("/")[2],
            location=location,
            properties=properties,
            tags=tags,
            caller=caller,
        )

    def nested(
        self, planned: Planned, properties: Json, *, location: str | None = None, tags: Json | None = None
    ) -> Self:
        """A deployment that is a resource of this one."""
        scope = planned.id.rpartition("/providers/")[0]
        made = self.at(
            scope,
            planned.name,
            {"mode": "Incremental", **properties},
            location=location,
            tags=tags,
            caller=self.caller,
        )
        return replace(made, outer=self.id)


def checked_template(ordered: Ordered) -> Json:
    checked = as_object(ordered.properties.get("template"))
    if ordered.properties.get("templateLink") and ordered.properties.get("template") is None:
        raise ArmError(400, "InvalidTemplateDeployment", "Linked templates can't be read by the local cloud.")
    if checked is None:
        raise ArmError(400, "InvalidTemplate", "Deployment template validation failed: 'The template is missing.'.")
    schema = str(checked.get("$schema", ""))
    if "deploymentTemplate.json" not in schema and "DeploymentTemplate.json" not in schema:
        raise invalid_template("Required property '$schema' not found or not that of a deployment template.")
    if "contentVersion" not in checked or "resources" not in checked:
        missing = "contentVersion" if "contentVersion" not in checked else "resources"
        raise invalid_template(f"Required property '{missing}' not found in JSON.")
    if ordered.properties.get("mode") not in ("Incremental", "Complete"):
        raise ArmError(400, "InvalidRequestContent", "The deployment's 'mode' must be Incremental or Complete.")
    return checked


def require_understood(ordered: Ordered) -> None:
    """What a deployment asks beside its template: refused by name where nothing here would do it."""
    stated = ordered.properties
    for name, what in _NOT_HERE.items():
        if stated.get(name) not in (None, {}, []):
            raise invalid(
                f"The property '{name}' of a deployment is not supported by the local cloud: {what}.", target=name
            )
    level = str(member(stated, "debugSetting").get("detailLevel") or "none")
    if level.lower() != "none":
        what = "requests and responses are not kept"
        raise invalid(f"The debugSetting '{level}' is not supported by the local cloud: {what}.", target="debugSetting")
    evaluated = str(member(stated, "expressionEvaluationOptions").get("scope") or "NotSpecified")
    if evaluated.lower() not in ("notspecified", "inner", "outer"):
        raise invalid(f"The value '{evaluated}' of 'expressionEvaluationOptions.scope' is not valid.")
    if (checked := stated.get("validationLevel")) not in (None, "Provider", "ProviderNoRbac", "Template"):
        raise invalid(f"The value '{checked}' of 'validationLevel' is not valid.", target="validationLevel")
    if stated.get("mode") == "Complete" and ordered.outer:
        raise invalid("A nested deployment must have the mode 'Incremental'.", "InvalidDeploymentMode")
    if stated.get("mode") == "Complete" and "/resourcegroups/" not in ordered.scope.lower():
        raise invalid(
            "The deployment mode 'Complete' is not supported at this scope: use 'Incremental'.", "InvalidDeploymentMode"
        )


_NOT_HERE = {
    "onErrorDeployment": "a failed deployment is not followed by another",
    "parametersLink": "linked parameters can't be read",
    "extensionConfigs": "there are no extensions",
}


def deployment_record(ordered: Ordered, plan: Plan) -> Resource:
    template = checked_template(ordered)
    body: Json = {"id": ordered.id, "name": ordered.name, "type": TYPE}
    if ordered.location:
        body["location"] = ordered.location
    if ordered.tags:
        body["tags"] = ordered.tags
    body["properties"] = {
        "templateHash": template_hash(template),
        "parameters": plan.parameters.shown(),
        "mode": ordered.properties["mode"],
        "provisioningState": "Accepted",
        "timestamp": utc_now(),
        "duration": "PT0S",
        "correlationId": str(uuid.uuid4()),
        "providers": plan_providers(plan),
        "dependencies": plan_dependencies(plan),
    }
    # Kept to run again after a restart; the file is the owner's only, and the values are removed when it has ended.
    order = {**ordered.__dict__, "properties": json.loads(json.dumps(ordered.properties))}
    order["properties"].pop("externalInputs", None)
    order["properties"]["parameters"] = {
        name: {"value": value} for name, value in plan.parameters.values.items() if value is not None
    }
    return Resource(ordered.id, TYPE, body, {"order": order})


def plan_providers(plan: Plan) -> list[Json]:
    """The types that a deployment touches, by provider, in the template's order."""
    found: dict[str, dict[str, list[str | None]]] = {}
    for planned in plan.resources:
        if planned.existing or not planned.wanted:
            continue
        namespace, _, kind = planned.type.partition("/")
        location = evaluate(planned.source.get("location"), planned.scope)
        places = found.setdefault(namespace, {}).setdefault(kind, [])
        place = str(location).replace(" ", "").lower() if location else None
        if place not in places:
            places.append(place)
    return [
        {
            "namespace": namespace,
            "resourceTypes": [{"resourceType": kind, "locations": places} for kind, places in kinds.items()],
        }
        for namespace, kinds in found.items()
    ]


def plan_dependencies(plan: Plan) -> list[Json]:
    """What each resource waits for, as a deployment's GET lists it: stated first, then read by reference or list."""
    by_key = {planned.key: planned for planned in plan.resources}
    found: list[Json] = []
    for planned in plan.resources:
        if planned.existing or not planned.wanted:
            continue
        waits: list[Json] = []
        for each in dict.fromkeys(planned.depends_on):
            other = by_key.get(each.lower())
            if other and not other.existing and other.wanted:
                waits.append(_named(other))
        for each, version, action in planned.refers_to:
            other = by_key[each.lower()]
            if not other.existing and other.wanted:
                waits.append(
                    _named(other)
                    | ({"apiVersion": version} if version else {})
                    | ({"actionName": action} if action else {})
                )
        if waits:
            found.append({"dependsOn": waits, **_named(planned)})
    return found


def _named(planned: Planned) -> Json:
    return {"id": planned.id, "resourceType": planned.type, "resourceName": planned.name}
