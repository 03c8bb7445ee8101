"""AppRuntime: one container app at work. Looks again and again at what should run, and makes it so."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Mapping

from sidecar.localcloud.core.capacity import GpuNeed, gpu_need
from sidecar.localcloud.core.clock import revision_now
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.runtime.assembly import Assignment, Surroundings, archive_of, assembled
from sidecar.localcloud.runtime.conditions import (
    Condition,
    ReplicaView,
    RevisionView,
    Switch,
    condition_of,
    port_mismatch,
)
from sidecar.localcloud.runtime.configuration import AppRecord, Configuration, app_of, template_of
from sidecar.localcloud.runtime.courses import Course, unwatched
from sidecar.localcloud.runtime.ingress import Ingress
from sidecar.localcloud.runtime.logs import Event, Events
from sidecar.localcloud.runtime.replicas import Replica
from sidecar.localcloud.runtime.rolling import Member, next_step
from sidecar.localcloud.runtime.scaling import Demand, desired_replicas, weights

log = logging.getLogger(__name__)
_LOOK = 15
"""Seconds between two looks at the load of replicas that run; an app at zero is woken at once."""
_SAY_MISMATCH = 15
"""Seconds between two events on a port that does not match."""


class AppRuntime:
    """Owns the app's ingress and its replicas. What should be is in the store, what is is here."""

    def __init__(self, app_id: str, around: Surroundings, gpus_in_use: Callable[[str, str], int]) -> None:
        self.id = app_id
        self.name = app_id.rsplit("/", 1)[-1]
        self.around = around
        self.folder = around.folder / "apps" / app_id.lower().strip("/").replace("/", "_")[-100:]
        self.events = Events(self.name, self.folder / "system.log", archive_of(around, app_id).system)
        self.replicas: dict[str, list[Replica]] = {}
        """Those that are to run, by revision; who is told to end is in here no more."""
        self.ingress = Ingress(self)
        self._gpus_in_use = gpus_in_use
        self._gpus: dict[Replica, GpuNeed] = {}
        self._courses: dict[str, Course] = {}
        self._retiring: dict[Replica, asyncio.Task[None]] = {}
        self._fixed_port = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # What others ask

    @property
    def resource(self) -> Resource | None:
        return self.around.store.get(self.id)

    @property
    def record(self) -> AppRecord | None:
        app = self.resource
        return None if app is None else app_of(app)

    @property
    def busy_at(self) -> float:
        """When (time.monotonic) the ingress was last used; now, while a request is in flight."""
        return time.monotonic() if any(self.ingress.in_flight.values()) else self.ingress.last_request

    def revisions(self) -> list[Resource]:
        """Oldest first."""
        found = self.around.store.under(self.id, "Microsoft.App/containerApps/revisions")
        return sorted(found, key=lambda revision: revision.private.get("number", 0))

    def active(self) -> list[Resource]:
        """Oldest first."""
        return [revision for revision in self.revisions() if revision.properties["active"]]

    def is_active(self, revision: str) -> bool:
        return any(each.name == revision for each in self.active())

    def all_replicas(self, revision: str) -> list[Replica]:
        """Also those that are told to end and have not yet."""
        going = [replica for replica in self._retiring if replica.spec.revision == revision]
        return [*self.replicas.get(revision, []), *going]

    def intended(self) -> Mapping[str, int]:
        """Weight of traffic by revision as the configuration means it, ready or not."""
        names = [revision.name for revision in self.active()]
        configuration = self._configuration()
        return {} if configuration is None else weights(configuration.traffic, names, configuration.mode)

    def routes(self) -> Mapping[str, int]:
        """Weight of traffic by revision as requests go now. Single mode: to the revision that last took over."""
        configuration = self._configuration()
        if configuration is None or configuration.mode != "single":
            return self.intended()
        names = [revision.name for revision in self.active()]
        complete = [name for name in names if self._has_taken_over(name, names)]
        ready = [name for name in names if self._ready(name)]
        serving = (complete or ready or names)[-1:]
        return dict.fromkeys(serving, 100)

    def condition(self, revision: Resource) -> Condition:
        """What the revision reads as."""
        app = self.record
        course = self._courses.get(revision.name)
        now = time.monotonic()
        template = template_of(revision.properties["template"])
        view = RevisionView(
            switch=self._switch(app, revision, course),
            age=now - course.began if course else 1e9,
            unready=now - course.unready_since if course and course.unready_since else 0,
            maximum=template.scale.maximum,
            target_port=self._target_port(),
            replicas=[self._view(replica, now) for replica in self.replicas.get(revision.name, [])],
        )
        return condition_of(view, self.around.settings.times)

    def gpus(self, location: str, row: str) -> int:
        held = self._gpus.values()
        return sum(need.count for need in held if (need.location, need.row) == (location, row))

    def wake(self) -> None:
        self._wake.set()

    def report(self, event: Event) -> None:
        self.events.report(event)

    def begin(self, revision: str) -> None:
        """The revision is new or was activated: it starts with as many replicas as who serves has, then the cooldown counts."""
        serving = max((len(group) for group in self.replicas.values()), default=0)
        single = (configuration := self._configuration()) is not None and configuration.mode == "single"
        self._courses[revision] = Course(revision, max(1, serving if single else 1))
        self.wake()

    def restart(self, revision: str) -> None:
        """Replaces every replica of the revision, one after the other; no event names it."""
        course = self._course(revision)
        course.renew()
        if self._fixed_port:
            for replica in self.replicas.pop(revision, []):
                self._retire(replica)
        self.wake()

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
        ending = list(self._retiring.items())
        await asyncio.gather(*(replica.stop() for replica, _ in ending))
        for _, task in ending:
            task.cancel()
        await asyncio.gather(*(task for _, task in ending), return_exceptions=True)
        self.events.log.end()

    async def _run(self) -> None:
        while True:
            try:
                await self.ingress.listen()
                self._reconcile()
            except Exception:
                # One look that fails must not end the app; the next one tries again.
                log.exception("looking after %s failed", self.name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.around.settings.times.tick):
                    await self._wake.wait()
            self._wake.clear()

    # Decide and act

    def _reconcile(self) -> None:
        app = self.resource
        if app is None:
            return
        if app_of(app).configuration.mode == "single":
            self._take_over()
        running = [] if app_of(app).stopped else self.active()
        wanted = {revision.name: self._desired(revision) for revision in running}
        if self._fixed_port:
            # A command that insists on its port: one replica of the newest revision, and only when the last has gone.
            newest = next((revision.name for revision in reversed(running) if wanted[revision.name]), None)
            wanted = {name: min(1, count) if name == newest else 0 for name, count in wanted.items()}
        for name in [name for name in self.replicas if name not in wanted]:
            self._adjust(app, None, name, 0)
        for revision in running:
            self._adjust(app, revision, revision.name, wanted[revision.name])
            self._watch(revision.name)
        self._fixed_port = self._fixed_port or any(r.ignores_port for group in self.replicas.values() for r in group)

    def _take_over(self) -> None:
        """Single mode: the newest revision takes over when it is as many and as ready as the one before. What it replaces stays
        until its requests had time to end."""
        names = [revision.name for revision in self.active()]
        times = self.around.settings.times
        if len(names) > 1 and self._has_taken_over(names[-1], names):
            for name in names[:-1]:
                course = self._course(name)
                if course.leaving_since is None:
                    course.leaving_since = time.monotonic()
                    text = f"Deactivating old revisions for ContainerApp '{self.name}'"
                    self.report(Event("RevisionDeactivating", text))
        for revision in self.active()[:-1]:
            since = self._course(revision.name).leaving_since
            if since is not None and time.monotonic() - since > times.bound(times.drain):
                self.deactivate(revision)

    def deactivate(self, revision: Resource) -> None:
        ended = revision_now()
        self.around.store.put(revision.with_properties(active=False, lastActiveTime=ended))
        self._courses.pop(revision.name, None)
        for event in unwatched(revision.name):
            self.report(event)
        self.wake()

    def _has_taken_over(self, name: str, active: list[str]) -> bool:
        before = [self._ready(each) for each in active[: active.index(name)] if not self._is_leaving(each)]
        ready = self._ready(name)
        return ready > 0 and ready >= min(max(before, default=0), self._course(name).wanted)

    def _is_leaving(self, name: str) -> bool:
        return (course := self._courses.get(name)) is not None and course.leaving_since is not None

    def _ready(self, name: str) -> int:
        return sum(replica.ready for replica in self.replicas.get(name, []))

    def _desired(self, revision: Resource) -> int:
        now = time.monotonic()
        course = self._course(revision.name)
        scale = template_of(revision.properties["template"]).scale
        in_flight = self.ingress.in_flight.get(revision.name, 0)
        if in_flight:
            course.last_used = now
        running = course.wanted
        if course.first:
            running, course.first = max(running, course.first), 0
            course.last_used = now
        demand = Demand(in_flight, now - course.last_used, running)
        cooldown = self.around.settings.times.cooldown(scale.cooldown)
        wanted = max(running, 1) if self._is_leaving(revision.name) else desired_replicas(scale, demand, cooldown)
        looked = course.looks(now, self.around.settings.times.platform(_LOOK))
        if running and not looked:
            wanted = min(wanted, max(running, scale.minimum))
        for event in course.scaled_to(wanted):
            self.report(event)
        return wanted

    def _adjust(self, app: Resource, revision: Resource | None, name: str, wanted: int) -> None:
        group = self.replicas.setdefault(name, [])
        course = self._courses.get(name)
        self._notice_port(group)
        current = course.names(self._target_port()).hash if course else None
        members = [Member(replica.name, replica.hash == current, replica.ready, replica.in_flight) for replica in group]
        step = next_step(wanted, members)
        for replica in [replica for replica in group if replica.name in step.remove]:
            group.remove(replica)
            self._retire(replica)
        cold = not group
        for _ in range(step.add if revision else 0):
            group.append(self._new_replica(app, revision or app))
        for replica in group:
            if replica.phase == "Assigning":
                self._assign(app, replica, cold=cold)
        if not group:
            del self.replicas[name]

    def _notice_port(self, group: list[Replica]) -> None:
        """A new target port replaces the replicas of the same revision; until then they are asked on the new one."""
        target = self._target_port()
        for replica in group:
            if replica.spec.target_port == target:
                replica.stale_since = None
            elif replica.stale_since is None:
                replica.stale_since = time.monotonic()

    def _assign(self, app: Resource, replica: Replica, *, cold: bool) -> None:
        """Starts a replica when its GPUs are free (and, for a fixed port, when its predecessor has gone)."""
        replica.assign()
        need = gpu_need(self.around.settings, self.around.store, app)
        if need and need.quota is not None and self._gpus_in_use(need.location, need.row) + need.count > need.quota:
            return  # Azure says no more than that it is being assigned, again and again
        if self._fixed_port and self._retiring:
            return
        if need:
            self._gpus[replica] = need
        times = self.around.settings.times
        replica.start(times.platform(times.schedule_cold if cold else times.schedule))

    def _retire(self, replica: Replica) -> None:
        times = self.around.settings.times

        async def end() -> None:
            began = time.monotonic()
            if self.around.settings.gpu_release == "at-once":
                self._gpus.pop(replica, None)
            while replica.in_flight and time.monotonic() - began < times.bound(times.drain):
                await asyncio.sleep(0.05)
            await replica.stop()
            if self.around.settings.gpu_release == "deadline" and replica in self._gpus:
                await asyncio.sleep(max(0, began + times.bound(times.activation_deadline) - time.monotonic()))
            self._gpus.pop(replica, None)
            self._retiring.pop(replica, None)
            self.wake()

        replica.leave()
        self._retiring[replica] = asyncio.create_task(end())

    def _watch(self, name: str) -> None:
        """Notes since when nothing is ready, and says when a container listens elsewhere, also beside one that is ready."""
        group = self.replicas.get(name, [])
        course = self._course(name)
        now = time.monotonic()
        if not group or any(replica.ready for replica in group):
            course.unready_since = None
        else:
            course.unready_since = course.unready_since or now
        target, times = self._target_port(), self.around.settings.times
        for replica in (each for each in group if not each.ready):
            if replica.listening and target and now - course.told_mismatch > times.bound(_SAY_MISMATCH):
                course.told_mismatch = now
                text = port_mismatch(target, replica.listening)
                self.report(Event("Pending:PortMismatch", text, name, replica.name))

    # What is read for it

    def _course(self, name: str) -> Course:
        """Of an active revision; one that this process has not seen begins now, as after a restart of the cloud."""
        return self._courses.setdefault(name, Course(name, 1))

    def _configuration(self) -> Configuration | None:
        app = self.record
        return None if app is None else app.configuration

    def _target_port(self) -> int | None:
        app = self.record
        return None if app is None else app.target_port

    def _switch(self, app: AppRecord | None, revision: Resource, course: Course | None) -> Switch:
        if not revision.properties["active"]:
            return "leaving" if self.all_replicas(revision.name) else "inactive"
        if app is not None and app.stopped:
            return "stopped"
        return "leaving" if course and course.leaving_since is not None else "active"

    def _view(self, replica: Replica, now: float) -> ReplicaView:
        stale = None if replica.stale_since is None else now - replica.stale_since
        return ReplicaView(replica.ready, replica.alive, replica.trouble, replica.listening, stale)

    def _new_replica(self, app: Resource, revision: Resource) -> Replica:
        name = self._course(revision.name).names(self._target_port()).next()
        made_for = Assignment(name, revision, self.folder, self._target_port(), self.ingress.address)
        return Replica(name, assembled(self.around, app, made_for), self.events, self.folder / "console")
