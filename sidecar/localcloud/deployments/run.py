"""DeploymentRun: a plan being carried out, each resource as soon as what it waits for is there."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sidecar.armlang.copies import expand, repeated
from sidecar.armlang.expressions import evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.json_values import written
from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.cloud.groups import put_group
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json, member, objects
from sidecar.localcloud.core.resource_id import parse_resource_id
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.deployments.declared_types import invalid_template, shown_type
from sidecar.localcloud.deployments.planning import Plan, Planned, mangled
from sidecar.localcloud.deployments.record import TYPE, Ordered
from sidecar.localcloud.deployments.scope_functions import LISTING
from sidecar.localcloud.resources import providers
from sidecar.localcloud.resources.resource_type import ArmRequest


class EndedFailed(ArmError):
    """A resource whose PUT was taken and that ended Failed. The deployment tells only that; the cause is in its operations."""

    def __init__(self, resource_id: str, cause: ArmError) -> None:
        super().__init__(cause.status, cause.code, cause.message, target=cause.target, details=cause.details)
        self.resource_id = resource_id

    def told(self) -> Json:
        """What the deployment's error says of it, and no more."""
        return {
            "code": "ResourceDeploymentFailure",
            "target": self.resource_id,
            "message": "The resource write operation failed to complete successfully, because it reached terminal provisioning "
            "state 'Failed'.",
        }


class DeploymentRun:
    """One deployment being carried out: each resource as soon as what it waits for is there."""

    def __init__(
        self,
        start_nested: Callable[[Ordered], asyncio.Task[None]],
        cloud: LocalCloud,
        ordered: Ordered,
        plan: Plan,
    ) -> None:
        self._start_nested = start_nested
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
            self._note(planned, began, "Running")
            try:
                await self._deploy(planned)
                self._note(planned, began, "Succeeded")
            except ArmError as error:
                self._note(planned, began, "Failed", error)
                failures.append(error)
            except asyncio.CancelledError:
                self._note(planned, began, "Canceled")  # what the provider has begun, it ends
                raise
            finally:
                done[planned.key].set()

        tasks = [asyncio.create_task(one(planned)) for planned in self._plan.resources]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        if failures:
            raise deployment_failed(self._ordered, failures)

    async def _deploy(self, planned: Planned) -> None:
        try:
            body = planned.body(self._functions)
        except ExpressionError as problem:
            raise invalid_template(planned.refusal(problem)) from problem
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
            try:
                await self._cloud.operations.complete(change.finish)
            except ArmError as cause:
                raise EndedFailed(change.resource.id, cause) from cause
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
        nested = self._ordered.nested(planned, body["properties"], location=body.get("location"), tags=body.get("tags"))
        if "/resourcegroups/" in nested.scope.lower():
            self._cloud.group(nested.subscription, nested.scope.rsplit("/", 1)[1])
        task = self._start_nested(nested)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
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
                loop = output.get("copy")
                value: Any = written(repeated(loop, scope) if loop else expand(output["value"], scope))
            except ExpressionError as problem:
                message = f"Unable to evaluate template outputs: '{name}'. Please see error details. {problem}"
                raise ArmError(400, "DeploymentOutputEvaluationFailed", message) from problem
            kind = str(output["type"])
            title = shown_type(kind)
            if kind.lower().startswith("secure"):
                shown[mangled(name)] = {"type": title}
                private[name] = {"type": kind, "value": value}
            elif value is None and output.get("nullable"):
                shown[mangled(name)] = {"type": title}
            else:
                shown[mangled(name)] = {"type": title, "value": value}
        return shown, private

    def _reading_functions(self) -> Mapping[str, Callable[..., Any]]:
        """reference() and list*(), which read what is there by then."""

        def reference(name: str, _version: str | None = None, full: str | None = None) -> Any:
            address, _ = self._address(name)
            body = self._read(address)  # of one whose condition is false too: it is read where it is there
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

        def secure_outputs(name: str, _version: str | None = None) -> Json:
            address, _ = self._address(name)
            found = self._cloud.store.get(address)
            if found is None or found.type != TYPE:
                raise ExpressionError(f"The deployment '{name}' could not be found.")
            outputs: Json = member(found.private, "outputs")
            return {key: entry["value"] for key, entry in outputs.items()}

        listing = {action.lower(): lister(action) for action in LISTING}
        return {"reference": reference, **listing, "listoutputswithsecurevalues": secure_outputs}

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

    def _note(self, planned: Planned, began: float, state: str, error: ArmError | None = None) -> None:
        """One deployment operation, as `…/operations` lists it, from its beginning on."""
        name = uuid.uuid5(uuid.NAMESPACE_URL, planned.key).hex[:16].upper()
        status = {400: "BadRequest", 409: "Conflict", 404: "NotFound"}.get(error.status, "Failed") if error else "OK"
        properties: Json = {
            "provisioningOperation": "Create",
            "provisioningState": state,
            "timestamp": utc_now(),
            "duration": f"PT{time.monotonic() - began:.7f}S",
            **({} if state == "Running" else {"statusCode": status}),
            "targetResource": {"id": planned.id, "resourceType": planned.type, "resourceName": planned.name},
        }
        if error:
            ended = {"status": "Failed"} if isinstance(error, EndedFailed) else {}
            properties["statusMessage"] = {**ended, "error": error.body()}
        body: Json = {"id": f"{self._ordered.id}/operations/{name}", "operationId": name, "properties": properties}
        self._cloud.store.put(Resource(body["id"], "deploymentOperation", body))


def deployment_failed(ordered: Ordered, errors: list[ArmError]) -> ArmError:
    return ArmError(
        400,
        "DeploymentFailed",
        "At least one resource deployment operation failed. Please list deployment operations for details. Please see "
        "https://aka.ms/arm-deployment-operations for usage details.",
        target=ordered.id,
        details=[error.told() if isinstance(error, EndedFailed) else error.body() for error in errors],
    )
