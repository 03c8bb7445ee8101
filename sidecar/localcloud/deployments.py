"""Microsoft.Resources/deployments: runs a plan, keeps what happened, answers for outputs and operations."""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sidecar.expressions import ExpressionError, Scope, evaluate

from . import providers
from .cloud import LocalCloud
from .envelope import ArmError
from .fields import member, objects
from .groups import put_group
from .operations import utc_now
from .parameters import invalid_template, resolve_parameters
from .planning import Plan, Planned, expand, mangled, plan_template, template_hash, user_functions
from .resource_id import parse_resource_id
from .resource_type import ArmRequest
from .scope_functions import Place, chance_functions, place_functions
from .state import Resource

log = logging.getLogger(__name__)
Json = dict[str, Any]
TYPE = "Microsoft.Resources/deployments"
ENDED = ("Succeeded", "Failed", "Canceled")


@dataclass(frozen=True)
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


class Deployments:
    """The deployments that run at this moment, and how to start and cancel them."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._running: dict[str, asyncio.Task[None]] = {}

    @property
    def running(self) -> int:
        return len(self._running)

    def plan(self, ordered: Ordered, keep_unknown: Mapping[str, Callable[..., Any]] | None = None) -> Plan:
        """Parameters resolved, resources listed; nothing is created. `keep_unknown` is what-if's."""
        template = _template(ordered)
        place = self.place(ordered)
        functions = {**place_functions(place), **(keep_unknown or {})}
        defaults = chance_functions(self._cloud.now())
        parameters = resolve_parameters(
            template,
            member(ordered.properties, "parameters"),
            _defaults_scope(template, functions, {} if keep_unknown else defaults),
            keep_unknown or {},
        )
        return plan_template(template, parameters, place, functions)

    def place(self, ordered: Ordered) -> Place:
        subscription = self._cloud.subscription(ordered.subscription)
        group: Json | None = None
        if "/resourcegroups/" in ordered.scope.lower():
            found = self._cloud.store.get(ordered.scope)
            # A group that the deployment around this one will create: validate and what-if need it before.
            planned = {"id": ordered.scope, "name": ordered.scope.rsplit("/", 1)[1], "location": ordered.location or ""}
            group = dict(found.body) if found else {**planned, "type": "Microsoft.Resources/resourceGroups", "tags": {}}
        shown: Json = {
            "id": f"/subscriptions/{subscription.id}",
            "subscriptionId": subscription.id,
            "tenantId": subscription.tenant,
            "displayName": subscription.name,
        }
        deployment = {"name": ordered.name, "location": ordered.location, "properties": {"mode": "Incremental"}}
        environment = {
            "name": "LocalCloud",
            "resourceManager": self._cloud.endpoints.arm,
            "authentication": {"loginEndpoint": self._cloud.endpoints.arm, "tenant": "common"},
            "suffixes": {"storage": self._cloud.endpoints.files.removeprefix("https://")},
        }
        return Place(shown, group, deployment, environment)

    def start(self, ordered: Ordered) -> tuple[Resource, bool]:
        """Accepts a deployment and runs it in the background. (its record, whether it is new)"""
        old = self._cloud.store.get(ordered.id)
        if old and old.properties["provisioningState"] not in ENDED:
            raise ArmError(
                409,
                "DeploymentActive",
                f"The deployment with resource id '{ordered.id}' cannot be saved, because this would overwrite an existing "
                "deployment which is still active. Please see https://aka.ms/arm-deploy for usage details.",
            )
        plan = self.plan(ordered)
        record = self._cloud.store.put(_record(ordered, plan))
        self._running[record.key] = asyncio.create_task(self._run(ordered, plan, record))
        return record, old is None

    def cancel(self, deployment_id: str) -> None:
        found = self._cloud.store.get(deployment_id)
        if found is None:
            raise _no_deployment(deployment_id)
        task = self._running.get(found.key)
        if task is None:
            raise ArmError(
                409,
                "DeploymentCannotBeCancelled",
                f"The deployment '{found.name}' cannot be cancelled because it is not running: its state is "
                f"'{found.properties['provisioningState']}'.",
            )
        task.cancel("cancelled by a client")

    def resume(self) -> None:
        """Runs again what a stop of the cloud cut off: a deployment is idempotent."""
        for record in self._cloud.store:
            if (
                record.type == TYPE
                and record.properties["provisioningState"] not in ENDED
                and "order" in record.private
            ):
                order = Ordered(**record.private["order"])
                self._running[record.key] = asyncio.create_task(self._run_again(order, record))

    async def stop(self) -> None:
        for task in list(self._running.values()):
            task.cancel("the cloud stops")
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _run_again(self, ordered: Ordered, record: Resource) -> None:
        try:
            plan = self.plan(ordered)
        except (ArmError, ExpressionError) as problem:
            error = problem if isinstance(problem, ArmError) else ArmError(400, problem.code, str(problem))
            self._end(record, "Failed", error=_failed(ordered, [error]))
            return
        await self._run(ordered, plan, record)

    async def _run(self, ordered: Ordered, plan: Plan, record: Resource) -> None:
        record = self._cloud.store.put(record.with_properties(provisioningState="Running"))
        run = _Run(self, self._cloud, ordered, plan)
        try:
            await run.execute()
            outputs, private = run.outputs()
            self._end(record, "Succeeded", outputs=outputs, private=private, created=run.created)
        except asyncio.CancelledError as cancelled:
            if "the cloud stops" in str(cancelled):
                raise
            self._end(record, "Canceled", created=run.created)
        except ArmError as error:
            self._end(record, "Failed", error=error, created=run.created)
        except Exception:
            # The boundary of a background task: the deployment fails as ARM's would, the log shows where.
            log.exception("deployment %s failed", ordered.name)
            broken = ArmError(500, "InternalServerError", "The local cloud failed to run the deployment; see its log.")
            self._end(record, "Failed", error=broken, created=run.created)
        finally:
            self._running.pop(record.key, None)

    def _end(
        self,
        record: Resource,
        state: str,
        *,
        outputs: Json | None = None,
        private: Json | None = None,
        error: ArmError | None = None,
        created: list[str] | None = None,
    ) -> None:
        began = datetime.fromisoformat(record.properties["timestamp"])
        now = utc_now()
        seconds = (datetime.fromisoformat(now) - began).total_seconds()
        changes: Json = {"provisioningState": state, "timestamp": now, "duration": f"PT{seconds:.7f}S"}
        if outputs is not None:
            changes["outputs"] = outputs
        if created is not None and state == "Succeeded":
            changes["outputResources"] = [{"id": each} for each in sorted(set(created), key=str.lower)]
        if error is not None:
            changes["error"] = error.body()
        ended = replace(record.with_properties(**changes), private={"outputs": private or {}})
        if self._cloud.store.get(record.id):
            self._cloud.store.put(ended)


class _Run:
    """One deployment being carried out: each resource as soon as what it waits for is there."""

    def __init__(self, deployments: Deployments, cloud: LocalCloud, ordered: Ordered, plan: Plan) -> None:
        self._deployments = deployments
        self._cloud = cloud
        self._ordered = ordered
        self._plan = plan
        self.created: list[str] = []
        self._functions = self._reading_functions()

    async def execute(self) -> None:
        done: dict[str, asyncio.Event] = {planned.key: asyncio.Event() for planned in self._plan.resources}
        failures: list[ArmError] = []

        async def one(planned: Planned) -> None:
            for key in self._plan.waits_for(planned):
                await done[key].wait()
            if failures or not planned.wanted or planned.existing:
                done[planned.key].set()
                return
            began = time.monotonic()
            try:
                await self._deploy(planned)
                self._note(planned, began, None)
            except ArmError as error:
                self._note(planned, began, error)
                failures.append(error)
            finally:
                done[planned.key].set()

        tasks = [asyncio.create_task(one(planned)) for planned in self._plan.resources]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        if failures:
            raise _failed(self._ordered, failures)

    async def _deploy(self, planned: Planned) -> None:
        try:
            body = planned.body(self._functions)
        except ExpressionError as problem:
            raise invalid_template(
                f"The template resource '{planned.name}' is not valid: {problem} Please see "
                "https://aka.ms/arm-functions for usage details."
            ) from problem
        if planned.nested:
            await self._deploy_nested(planned, body)
            return
        if planned.type.lower() == "microsoft.resources/resourcegroups":
            subscription = self._cloud.subscription(planned.id.split("/")[2])
            made, _ = put_group(self._cloud, subscription, planned.name, body)
            self.created.append(made.id)
            return
        address = parse_resource_id(planned.id)
        if address is None:
            raise invalid_template(f"The resource id '{planned.id}' is not valid.")
        request = ArmRequest(providers.known(address), body, {}, self._ordered.caller)
        change = await self._put_when_free(request)
        if change.finish:
            await change.finish()
        self.created.append(change.resource.id)

    async def _put_when_free(self, request: ArmRequest) -> Any:
        """ARM tries again for a while when a provider says that another operation is in progress."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return providers.put(self._cloud, request)
            except ArmError as error:
                if not error.code.endswith("OperationInProgress") or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)

    async def _deploy_nested(self, planned: Planned, body: Json) -> None:
        scope = planned.id.split("/providers/Microsoft.Resources/deployments/")[0]
        nested = Ordered(
            planned.id,
            planned.name,
            scope,
            planned.id.split("/")[2],
            body.get("location"),
            {"mode": "Incremental", **body["properties"]},
            body.get("tags"),
            self._ordered.caller,
        )
        if "/resourcegroups/" in scope.lower():
            self._cloud.group(nested.subscription, scope.rsplit("/", 1)[1])
        record, _ = self._deployments.start(nested)
        task = self._deployments._running[record.key]
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel("cancelled with the deployment around it")
            raise
        ended = self._cloud.store.get(planned.id)
        if ended is None or ended.properties["provisioningState"] != "Succeeded":
            inner: Json = (ended.properties.get("error") if ended else None) or {}
            raise ArmError(
                409,
                inner.get("code", "DeploymentFailed"),
                inner.get("message", f"The nested deployment '{planned.name}' did not succeed."),
                details=inner.get("details"),
            )
        self.created += [each["id"] for each in objects(ended.properties, "outputResources")]

    def outputs(self) -> tuple[Json, Json]:
        """(as a GET shows them, with ARM's names; the secure ones, for reference() of a deployment around this one)"""
        shown: Json = {}
        private: Json = {}
        scope = replace(self._plan.scope, functions={**self._plan.scope.functions, **self._functions})
        for name, output in self._plan.outputs.items():
            try:
                if evaluate(output.get("condition", True), scope) is not True:
                    continue
                stated = (
                    {"copy": [{"name": "value", **output["copy"]}]} if "copy" in output else {"value": output["value"]}
                )
                value = expand(stated, scope)["value"]
            except ExpressionError as problem:
                message = f"Unable to evaluate template outputs: '{name}'. Please see error details. {problem}"
                raise ArmError(400, "DeploymentOutputEvaluationFailed", message) from problem
            kind = str(output["type"])
            if kind.lower().startswith("secure"):
                shown[mangled(name)] = {"type": kind[:1].upper() + kind[1:]}
                private[name] = {"type": kind, "value": value}
            elif value is None and output.get("nullable"):
                shown[mangled(name)] = {"type": kind[:1].upper() + kind[1:]}
            else:
                shown[mangled(name)] = {"type": kind[:1].upper() + kind[1:], "value": value}
        return shown, private

    def _reading_functions(self) -> Mapping[str, Callable[..., Any]]:
        """reference() and list*(), which read what is there by then."""

        def reference(name: str, _version: str | None = None, full: str | None = None) -> Any:
            address, planned = self._address(name)
            if planned and not planned.wanted:
                raise ExpressionError(f"The resource '{name}' is not deployed, its condition is false.")
            body = self._read(address)
            return body if str(full).lower() == "full" else member(body, "properties")

        def lister(action: str) -> Callable[..., Any]:
            def call(name: str, _version: str | None = None, _body: Any = None) -> Any:
                address, _ = self._address(name)
                found = parse_resource_id(address)
                if found is None:
                    raise ExpressionError(f"'{name}' is not the id of a resource.")
                request = ArmRequest(providers.known(found), {}, {}, self._ordered.caller)
                return providers.act(self._cloud, request, action)

            return call

        actions = ("listKeys", "listSecrets", "sharedKeys", "listAccountSas", "listCredentials")
        return {"reference": reference, **{action.lower(): lister(action) for action in actions}}

    def _address(self, name: str) -> tuple[str, Planned | None]:
        planned = self._plan.find(name)
        if planned:
            return planned.id, planned
        if not name.startswith("/"):
            raise ExpressionError(f"The resource '{name}' is not defined in the template.")
        return name, None

    def _read(self, resource_id: str) -> Json:
        found = self._cloud.store.get(resource_id)
        if found and found.type == TYPE:
            private: Json = member(found.private, "outputs")
            outputs = {**(member(found.properties, "outputs")), **private}
            return {**found.body, "properties": {**found.properties, "outputs": outputs}}
        if found and found.type == "Microsoft.Resources/resourceGroups":
            return dict(found.body)
        address = parse_resource_id(resource_id)
        if address is None:
            raise ExpressionError(f"'{resource_id}' is not the id of a resource.")
        return providers.show(self._cloud, providers.find(self._cloud, providers.known(address)))

    def _note(self, planned: Planned, began: float, error: ArmError | None) -> None:
        """One deployment operation, as `…/operations` lists it."""
        name = uuid.uuid5(uuid.NAMESPACE_URL, planned.key).hex[:16].upper()
        status = {400: "BadRequest", 409: "Conflict", 404: "NotFound"}.get(error.status, "Failed") if error else "OK"
        properties: Json = {
            "provisioningOperation": "Create",
            "provisioningState": "Failed" if error else "Succeeded",
            "timestamp": utc_now(),
            "duration": f"PT{time.monotonic() - began:.7f}S",
            "trackingId": str(uuid.uuid4()),
            "statusCode": status,
            "targetResource": {"id": planned.id, "resourceType": planned.type, "resourceName": planned.name},
        }
        if error:
            properties["statusMessage"] = {"error": error.body()}
        body: Json = {"id": f"{self._ordered.id}/operations/{name}", "operationId": name, "properties": properties}
        self._cloud.store.put(Resource(body["id"], "deploymentOperation", body))


def _template(ordered: Ordered) -> Json:
    template = ordered.properties.get("template")
    if ordered.properties.get("templateLink") and template is None:
        raise ArmError(400, "InvalidTemplateDeployment", "Linked templates can't be read by the local cloud.")
    if not isinstance(template, dict):
        raise ArmError(400, "InvalidTemplate", "Deployment template validation failed: 'The template is missing.'.")
    checked: Json = dict(template)  # pyright: ignore[reportUnknownArgumentType]
    schema = str(checked.get("$schema", ""))
    if "deploymentTemplate.json" not in schema and "DeploymentTemplate.json" not in schema:
        raise invalid_template("Required property '$schema' not found or not that of a deployment template.")
    if "contentVersion" not in checked or "resources" not in checked:
        missing = "contentVersion" if "contentVersion" not in checked else "resources"
        raise invalid_template(f"Required property '{missing}' not found in JSON.")
    if ordered.properties.get("mode") not in ("Incremental", "Complete"):
        raise ArmError(400, "InvalidRequestContent", "The deployment's 'mode' must be Incremental or Complete.")
    return checked


def _defaults_scope(template: Json, functions: Mapping[str, Any], chance: Mapping[str, Any]) -> Scope:
    return Scope(functions={**functions, **chance}, user_functions=user_functions(template, functions))


def _record(ordered: Ordered, plan: Plan) -> Resource:
    template = _template(ordered)
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


def _failed(ordered: Ordered, errors: list[ArmError]) -> ArmError:
    return ArmError(
        400,
        "DeploymentFailed",
        "At least one resource deployment operation failed. Please list deployment operations for details. Please see "
        "https://aka.ms/arm-deployment-operations for usage details.",
        target=ordered.id,
        details=[error.body() for error in errors],
    )


def _no_deployment(deployment_id: str) -> ArmError:
    name = deployment_id.rsplit("/", 1)[1]
    return ArmError(404, "DeploymentNotFound", f"Deployment '{name}' could not be found.")
