"""AppRuntime: one container app at work. Looks again and again at what should run, and makes it so."""

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.localcloud.core.capacity import GpuNeed, gpu_need
from sidecar.localcloud.core.fields import member
from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.core.state import Resource, Store
from sidecar.localcloud.runtime.configuration import configuration_of, template_of
from sidecar.localcloud.runtime.ingress import Ingress
from sidecar.localcloud.runtime.logs import Event, EventKind, Log
from sidecar.localcloud.runtime.mounts import mounts_of
from sidecar.localcloud.runtime.replicas import Replica, ReplicaNames, ReplicaSpec
from sidecar.localcloud.runtime.scaling import Candidate, Demand, desired_replicas, routes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What an app's runtime needs of the cloud that it runs in."""

    folder: Path
    settings: Settings
    store: Store
    ingress_host: str
    image_python: Callable[[], Path | None]
    """The python of the built image; None as long as there is none."""


class AppRuntime:
    """Owns the app's ingress and its replicas. What should be is in the store, what is is here."""

    def __init__(self, app_id: str, around: Surroundings, gpus_in_use: Callable[[str, str], int]) -> None:
        self.id = app_id
        self.name = app_id.rsplit("/", 1)[-1]
        self.around = around
        self.folder = around.folder / "apps" / app_id.lower().strip("/").replace("/", "_")[-100:]
        self.events = Log(self.folder / "system.log")
        self.replicas: dict[str, list[Replica]] = {}
        self.ingress = Ingress(self)
        self._gpus_in_use = gpus_in_use
        self._gpus: dict[Replica, GpuNeed] = {}
        self._names: dict[str, ReplicaNames] = {}
        self._retiring: dict[Replica, asyncio.Task[None]] = {}
        self._last_used: dict[str, float] = {}
        self._wanted_since: dict[str, float] = {}
        self._fixed_port = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # What others ask

    @property
    def resource(self) -> Resource | None:
        return self.around.store.get(self.id)

    @property
    def busy_at(self) -> float:
        """When (time.monotonic) the ingress was last used; now, while a request is in flight."""
        return time.monotonic() if any(self.ingress.in_flight.values()) else self.ingress.last_request

    def revisions(self) -> list[Resource]:
        """Oldest first."""
        found = self.around.store.under(self.id, "Microsoft.App/containerApps/revisions")
        return sorted(found, key=lambda revision: revision.properties["createdTime"])

    def is_active(self, revision: str) -> bool:
        return any(each.name == revision and each.properties["active"] for each in self.revisions())

    def routes(self) -> Mapping[str, int]:
        """Weight of traffic by revision."""
        app = self.resource
        if app is None:
            return {}
        configuration = configuration_of(app.properties["configuration"])
        candidates = [
            Candidate(
                revision.name, revision.properties["active"], revision.properties["provisioningState"] == "Provisioned"
            )
            for revision in self.revisions()
        ]
        traffic = configuration.ingress.traffic if configuration.ingress else ()
        return routes(traffic, candidates, configuration.mode)

    def gpus(self, location: str, row: str) -> int:
        held = [need for replica, need in self._gpus.items() if replica.phase != "Gone"]
        return sum(need.count for need in held if (need.location, need.row) == (location, row))

    def wake(self) -> None:
        self._wake.set()

    def report(self, reason: str, message: str, revision: str = "", kind: EventKind = "Normal") -> None:
        self.events.write("system", Event(self.name, reason, message, revision, kind=kind).text())

    def begin(self, revision: str) -> None:
        """The revision is new, was activated or restarted: it starts with one replica, then the cooldown counts."""
        self._last_used.pop(revision, None)
        self._wanted_since.pop(revision, None)
        self.wake()

    def restart(self, revision: str) -> None:
        """Replaces every replica of the revision, in the background."""
        self.report("RevisionRestarted", f"Restarting revision '{revision}'", revision)
        self._names[revision] = ReplicaNames(revision)
        for replica in self.replicas.pop(revision, []):
            self._retire(replica)
        self.begin(revision)

    # Lifetime

    def start(self) -> None:
        shutil.rmtree(self.folder / "layers", ignore_errors=True)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        await self.ingress.stop()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for group in self.replicas.values():
            for replica in group:
                self._retire(replica)
        self.replicas = {}
        await asyncio.gather(*self._retiring.values())
        self.events.end()

    async def _run(self) -> None:
        while True:
            try:
                await self.ingress.listen()
                self._reconcile()
            except Exception:
                # One look that fails must not end the app; the next one tries again.
                log.exception("looking after %s failed", self.name)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.around.settings.times.tick)
            self._wake.clear()

    # Decide and act

    def _reconcile(self) -> None:
        app = self.resource
        if app is None:
            return
        revisions = self.revisions()
        if configuration_of(app.properties["configuration"]).mode == "single":
            self._retire_replaced(revisions)
        running = [
            revision
            for revision in self.revisions()
            if revision.properties["active"] and not app.private.get("stopped")
        ]
        wanted = {revision.name: self._desired(revision) for revision in running}
        if self._fixed_port:
            # A command that insists on its port: one replica of the newest revision, and only when the last has gone.
            newest = next((revision.name for revision in reversed(running) if wanted[revision.name]), None)
            wanted = {name: min(1, count) if name == newest else 0 for name, count in wanted.items()}
        for name in [name for name in self.replicas if name not in wanted]:
            self._adjust(app, None, name, 0)
        for revision in running:
            self._adjust(app, revision, revision.name, wanted[revision.name])
            self._judge(revision, wanted[revision.name])
        self._fixed_port = self._fixed_port or any(r.ignores_port for group in self.replicas.values() for r in group)

    def _retire_replaced(self, revisions: list[Resource]) -> None:
        """Single mode: the newest revision takes over as soon as it is ready; until then the old one serves."""
        active = [revision for revision in revisions if revision.properties["active"]]
        if len(active) > 1 and active[-1].properties["provisioningState"] == "Provisioned":
            for old in active[:-1]:
                self.around.store.put(old.with_properties(active=False))
                self.report("RevisionDeactivating", f"Deactivating revision '{old.name}'", old.name)

    def _desired(self, revision: Resource) -> int:
        now = time.monotonic()
        count = len(self.replicas.get(revision.name, []))
        in_flight = self.ingress.in_flight.get(revision.name, 0)
        if revision.name not in self._last_used:
            count = max(count, 1)
            self._last_used[revision.name] = now
        if in_flight:
            self._last_used[revision.name] = now
        demand = Demand(in_flight, now - self._last_used[revision.name], count)
        return desired_replicas(template_of(revision.properties["template"]).scale, demand)

    def _adjust(self, app: Resource, revision: Resource | None, name: str, wanted: int) -> None:
        group = self.replicas.setdefault(name, [])
        while len(group) > wanted:
            replica = min(group, key=lambda each: (each.ready, each.in_flight))
            group.remove(replica)
            self._retire(replica)
        while revision and len(group) < wanted:
            group.append(self._new_replica(app, revision))
        for replica in group:
            if replica.phase == "Assigning":
                self._assign(app, replica)
        if not group:
            del self.replicas[name]

    def _assign(self, app: Resource, replica: Replica) -> None:
        """Starts a replica when its GPUs are free (and, for a fixed port, when its predecessor has gone)."""
        need = gpu_need(self.around.settings, self.around.store, app)
        if need and need.quota is not None and self._gpus_in_use(need.location, need.row) + need.count > need.quota:
            replica.wait_for("AssigningReplica", f"waiting for {need.count} GPU(s) of {need.row} in {need.location}")
            return
        if self._fixed_port and self._retiring:
            replica.wait_for("PortInUse", "waiting for the replica before it to leave its port")
            return
        if need:
            self._gpus[replica] = need
        replica.start()

    def _retire(self, replica: Replica) -> None:
        async def end() -> None:
            await replica.stop()
            self._gpus.pop(replica, None)
            self._retiring.pop(replica, None)
            replica.report("Normal", "ReplicaRemoved", f"Replica '{replica.name}' has been removed")
            self.wake()

        replica.phase = "Stopping"
        self._retiring[replica] = asyncio.create_task(end())

    def _judge(self, revision: Resource, wanted: int) -> None:
        """Notes on the revision that it became ready, or that it did not within ACA's deadline."""
        state = revision.properties["provisioningState"]
        group = self.replicas.get(revision.name, [])
        now = time.monotonic()
        if any(replica.ready for replica in group):
            if state != "Provisioned":
                self.around.store.put(revision.with_properties(provisioningState="Provisioned", provisioningError=None))
                self.report("RevisionReady", f"Successfully provisioned revision '{revision.name}'", revision.name)
                self.wake()
            return
        since = self._wanted_since.setdefault(revision.name, now)
        limit = self.around.settings.times.activation_deadline
        if wanted and state == "Provisioning" and now - since > limit:
            error = f"Deployment Progress Deadline Exceeded. 0/{wanted} replicas ready."
            self.around.store.put(revision.with_properties(provisioningState="Failed", provisioningError=error))
            self.report("RevisionFailed", error, revision.name, "Warning")

    def _new_replica(self, app: Resource, revision: Resource) -> Replica:
        name = self._names.setdefault(revision.name, ReplicaNames(revision.name)).next()
        ingress = configuration_of(app.properties["configuration"]).ingress
        template = template_of(revision.properties["template"])
        layer = self.folder / "layers" / name
        self.report("ReplicaCreated", f"Creating replica '{name}'", revision.name)
        spec = ReplicaSpec(
            app=self.name,
            revision=revision.name,
            template=template,
            target_port=ingress.target_port if ingress else None,
            folder=layer,
            environment={
                "CONTAINER_APP_NAME": self.name,
                "CONTAINER_APP_REVISION": revision.name,
                "CONTAINER_APP_HOSTNAME": self.ingress.address,
                "SLIPWAY_BIND_HOST": "127.0.0.1",
            },
            machine=os.environ,
            secrets=member(app.private, "secrets"),
            image_python=self.around.image_python(),
            mounts=lambda folder: mounts_of(self.around.store, self.around.folder, app, template, folder),
            backoff=self.around.settings.times.backoff,
            backoff_limit=self.around.settings.times.backoff_limit,
        )
        return Replica(name, spec, self.events, self.folder / "console")
