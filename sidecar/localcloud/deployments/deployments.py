"""Microsoft.Resources/deployments: runs a plan, keeps what happened, answers for outputs and operations."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, get_args

from sidecar.armlang.values import ExpressionError
from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.deployments.complete import delete_left_over
from sidecar.localcloud.deployments.declared_types import invalid_template
from sidecar.localcloud.deployments.planner import planned_deployment
from sidecar.localcloud.deployments.planning import Plan
from sidecar.localcloud.deployments.preflight import preflight
from sidecar.localcloud.deployments.record import TYPE, Ordered, checked_template, deployment_record
from sidecar.localcloud.deployments.run import DeploymentRun, deployment_failed
from sidecar.localcloud.deployments.scope_functions import Place

log = logging.getLogger(__name__)
End = Literal["Succeeded", "Failed", "Canceled"]
ENDED: tuple[End, ...] = get_args(End)


class Deployments:
    """The deployments that run at this moment, and how to start and cancel them."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._running: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    @property
    def running(self) -> int:
        return len(self._running)

    def plan(self, ordered: Ordered, keep_unknown: Mapping[str, Callable[..., Any]] | None = None) -> Plan:
        """Parameters resolved, resources listed; nothing is created. `keep_unknown` is what-if's."""
        template = checked_template(ordered)
        try:
            given: Json = member(ordered.properties, "parameters")
            inputs: Json = member(ordered.properties, "externalInputs")
            place, now = self.place(ordered), self._cloud.now()
            return planned_deployment(template, given, place, now, keep_unknown or {}, inputs)
        except ExpressionError as problem:
            raise ArmError(400, problem.code, f"Deployment template validation failed: '{problem}'.") from problem
        except RecursionError as problem:
            raise invalid_template("The template is nested too deeply.") from problem

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
        if old and old.key in self._running:
            raise ArmError(
                409,
                "DeploymentActive",
                f"The deployment with resource id '{ordered.id}' cannot be saved, because this would overwrite an existing "
                "deployment which is still active. Please see https://aka.ms/arm-deploy for usage details.",
            )
        plan = self.plan(ordered)
        preflight(self._cloud, ordered, plan, self.plan)
        record = self._cloud.store.put(deployment_record(ordered, plan))
        self._running[record.key] = asyncio.create_task(self._run(ordered, plan, record))
        return record, old is None

    def start_task(self, ordered: Ordered) -> asyncio.Task[None]:
        """The same for a nested deployment: its task, to wait for."""
        record, _ = self.start(ordered)
        return self._running[record.key]

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
        task.cancel()

    def resume(self) -> None:
        """Runs again what a stop of the cloud cut off: a deployment is idempotent. One inside another runs with that one."""
        for record in filter(self._cut_off, self._cloud.store):
            order = Ordered(**record.private["order"])
            around = self._cloud.store.get(order.outer) if order.outer else None
            if around is None or not self._cut_off(around):
                self._running[record.key] = asyncio.create_task(self._run_again(order, record))

    def _cut_off(self, record: Resource) -> bool:
        return record.type == TYPE and record.properties["provisioningState"] not in ENDED and "order" in record.private

    async def stop(self) -> None:
        self._stopping = True
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _run_again(self, ordered: Ordered, record: Resource) -> None:
        try:
            plan = self.plan(ordered)
        except (ArmError, ExpressionError) as problem:
            error = problem if isinstance(problem, ArmError) else ArmError(400, problem.code, str(problem))
            self._end(record, "Failed", error=deployment_failed(ordered, [error]))
            self._running.pop(record.key, None)
            return
        await self._run(ordered, plan, record)

    async def _run(self, ordered: Ordered, plan: Plan, record: Resource) -> None:
        record = self._cloud.store.put(record.with_properties(provisioningState="Running"))
        run = DeploymentRun(self.start_task, self._cloud, ordered, plan)
        try:
            await run.execute()
            if ordered.properties["mode"] == "Complete":
                await delete_left_over(self._cloud, ordered.scope, run.created)
            outputs, private = run.outputs()
            self._end(record, "Succeeded", outputs=outputs, private=private, created=run.created)
        except asyncio.CancelledError:
            if self._stopping:
                raise  # it stays Running on disk, and the next start runs it again
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
        state: End,
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
        ended = replace(
            record.with_properties(**changes), private={"outputs": private or {}, "template": _template_of(record)}
        )
        if self._cloud.store.get(record.id):
            self._cloud.store.put(ended)


def _no_deployment(deployment_id: str) -> ArmError:
    name = deployment_id.rsplit("/", 1)[1]
    return ArmError(404, "DeploymentNotFound", f"Deployment '{name}' could not be found.")


def _template_of(record: Resource) -> Json:
    """The template as it was sent, for exportTemplate; its parameters' values are not kept."""
    return member(member(member(record.private, "order"), "properties"), "template") or member(
        record.private, "template"
    )
