"""Replica: the containers of a revision as processes on this machine, from assignment to removal."""

import asyncio
import contextlib
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import psutil

from sidecar.localcloud.core.ports import Promise
from sidecar.localcloud.core.settings import Times
from sidecar.localcloud.runtime.configuration import ContainerTemplate, Template
from sidecar.localcloud.runtime.containers import Container, ContainerSpec, Prepared, Restart, Trouble
from sidecar.localcloud.runtime.layers import container_environment, make_layer, plain_path, replace_mounts
from sidecar.localcloud.runtime.logs import Event, Events, Line, Log, stream_time
from sidecar.localcloud.runtime.probes import probes_of
from sidecar.localcloud.runtime.upstreams import Upstreams

log = logging.getLogger(__name__)
Phase = Literal["Assigning", "Running", "Stopping", "Gone"]
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, kw_only=True)
class ReplicaSpec:
    """All that a replica needs to know; worked out before it starts."""

    revision: str
    template: Template
    target_port: int | None
    grace: float
    folder: Path
    """Its writable layer; removed with it."""
    environment: Mapping[str, str]
    """What the platform sets."""
    machine: Mapping[str, str]
    """The cloud's own variables, of which a few are passed on."""
    secrets: Mapping[str, str]
    image_python: Path | None
    """None where the image has not been built."""
    pull: Callable[[ContainerTemplate], int]
    """The size of a container's image in bytes; raises NotPulled."""
    mounts: Callable[[Path], Mapping[str, Path]]
    """Mount path → folder for this replica's layer; raises Unmountable."""
    times: Times
    keep: Callable[[str], Callable[[Line], None]]
    """Container → what keeps its lines for longer than the replica is there."""
    bare: bool = False
    """Whether the image has PyTorch and pip alone."""


class Replica:
    def __init__(self, name: str, spec: ReplicaSpec, events: Events, logs: Path) -> None:
        self.name = name
        self.spec = spec
        self.created = stream_time()
        self.phase: Phase = "Assigning"
        self._promise = Promise("127.0.0.1")
        self.port = self._promise.port
        self._other_promises: dict[int, Promise] = {}
        """Ports that probes ask beside the target port → those of this machine."""
        self.ignores_port = False
        self.listening: int | None = None
        """The port that it was seen to listen on in place of its target port."""
        self.in_flight = 0
        self.upstreams = Upstreams(spec.times.bound(spec.times.upstream_idle))
        self.stale_since: float | None = None
        """time.monotonic() from which on the app is asked on another port than it was made for."""
        self.containers: list[Container] = []
        self._first_have_ended = False
        """Whether the containers are those that serve, no longer one that runs before them."""
        self._assigned_at: float | None = None
        self._events = events
        self._logs = logs
        self._task: asyncio.Task[None] | None = None

    @property
    def hash(self) -> str:
        return self.name.rsplit("-", 2)[1]

    @property
    def ready(self) -> bool:
        return self._serving and all(container.ready for container in self.containers)

    @property
    def alive(self) -> bool:
        """Every container runs and has passed its startup probe."""
        return self._serving and all(container.started for container in self.containers)

    @property
    def _serving(self) -> bool:
        return self.phase == "Running" and self._first_have_ended

    @property
    def trouble(self) -> tuple[Trouble, str] | None:
        """What keeps it from running, and in which container."""
        for container in self.containers:
            if container.trouble:
                return container.trouble, container.spec.name
        return None

    @property
    def running_state(self) -> Literal["Running", "NotRunning"]:
        states = {container.state for container in self.containers}
        return "Running" if self._serving and states == {"Running"} else "NotRunning"

    def port_for(self, target: int | None) -> int | None:
        """Where this machine reaches the replica's `target` port; None where nothing listens on it."""
        return self.port if target is not None and target == self.spec.target_port else None

    def console(self, container: str) -> Log | None:
        """The console log of one container; None where it was never created."""
        found = [each for each in self.containers if each.spec.name == container and each.id]
        return found[0].log if found else None

    def assign(self) -> None:
        """Says that it is to run on a node; again from time to time, where none takes it."""
        now = time.monotonic()
        again = self.spec.times.platform(self.spec.times.reassign)
        if self._assigned_at is None or now - self._assigned_at > again:
            self._assigned_at = now
            text = f"Replica '{self.name}' has been scheduled to run on a node."
            self._report(Event("AssigningReplica", text))

    def start(self, wait: float) -> None:
        """Begins to run it, `wait` seconds after a node took it."""
        self.phase = "Running"
        self._task = asyncio.create_task(self._run(wait))

    def leave(self) -> None:
        """It gets no more requests; those that it has go on."""
        self.phase = "Stopping"
        self.upstreams.end()

    async def stop(self) -> None:
        """Ends every process of the replica and removes its layer."""
        if self.phase == "Gone":
            return
        self.leave()
        await asyncio.gather(*(container.stop() for container in self.containers))
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for container in self.containers:
            container.kill()
            container.log.end()
        self.phase = "Gone"
        for promise in (self._promise, *self._other_promises.values()):
            promise.end()
        await asyncio.to_thread(shutil.rmtree, self.spec.folder, ignore_errors=True)

    def _report(self, event: Event) -> None:
        self._events.report(replace(event, revision=self.spec.revision, replica=self.name))

    async def _run(self, wait: float) -> None:
        try:
            await self._prepare_and_run(wait)
        except Exception:
            # The boundary of a background task: the log shows where it failed; the replica stays, and is never ready.
            log.exception("replica %s failed", self.name)

    async def _prepare_and_run(self, wait: float) -> None:
        await asyncio.sleep(wait)
        template, spec = self.spec.template, self.spec
        binaries = spec.folder / "bin"
        if spec.image_python is not None:
            binaries = await asyncio.to_thread(make_layer, spec.folder, spec.image_python, bare=spec.bare)
        for entry in template.init_containers:
            first = self._container(entry, binaries, "until-success")
            self.containers = [first]
            await first.run()
        self.containers = [self._container(entry, binaries, "always") for entry in template.containers]
        self._first_have_ended = True
        await asyncio.gather(*(container.run() for container in self.containers), self._find_port())

    def _container(self, entry: ContainerTemplate, binaries: Path, restart: Restart) -> Container:
        spec = ContainerSpec(
            name=entry.name,
            image=entry.image,
            folder=self.spec.folder,
            probes=probes_of(entry.probes, self.spec.target_port) if restart == "always" else (),
            grace=self.spec.grace,
            times=self.spec.times,
            restart=restart,
            pull=lambda: self.spec.pull(entry),
            prepare=lambda: self._prepared(entry, binaries),
        )
        console = Log(self._logs / f"{self.name}.{entry.name}.log", self.spec.keep(entry.name))
        return Container(spec, console, self._reached, self._report)

    def _prepared(self, entry: ContainerTemplate, binaries: Path) -> Prepared:
        """The container's command and variables; every volume is mounted anew."""
        mounts = self.spec.mounts(self.spec.folder)
        own = {
            variable.name: self.spec.secrets.get(variable.secret, "") if variable.secret else variable.value
            for variable in entry.variables
        }
        platform = {
            **self.spec.environment,
            "CONTAINER_APP_PORT": str(self.port),
            "CONTAINER_APP_REPLICA_NAME": self.name,
        }
        own |= self._own_ports(entry, own)
        mine = {mount.path: plain_path(mounts[mount.path]) for mount in entry.mounts}
        variables = {**platform, **own, **_kept(platform)}
        return Prepared(
            command=[replace_mounts(part, mine) for part in (*entry.command, *entry.arguments)],
            environment=container_environment(variables, binaries, self.spec.machine, mine),
        )

    def _own_ports(self, entry: ContainerTemplate, variables: Mapping[str, str]) -> dict[str, str]:
        """Variables that tell the container a port for its probes, with one of this machine for this replica alone."""
        probed = {str(probe.port) for probe in entry.probes if probe.port != self.spec.target_port}
        told = {name: int(value) for name, value in variables.items() if name.endswith("_PORT") and value in probed}
        for port in told.values():
            if port not in self._other_promises:
                self._other_promises[port] = Promise("127.0.0.1")
        return {name: str(self._other_promises[port].port) for name, port in told.items()}

    def _reached(self, port: int) -> int:
        """Where a port of the container is on this machine: its ingress port is the one that this replica was given."""
        if port == self.spec.target_port:
            return self.port
        return other.port if (other := self._other_promises.get(port)) else port

    async def _find_port(self) -> None:
        """A command that ignores CONTAINER_APP_PORT listens on the target port itself: then that one is used. One that listens
        on neither has a port that does not match; ports that only probes ask are meant to be others."""
        target = self.spec.target_port
        while target is not None and not self.ignores_port and not await _connects(self.port):
            ports = await asyncio.to_thread(_listened, self.containers[0].pid) if self.containers[0].pid else set[int]()
            ports -= {each.port for each in self._other_promises.values()}
            if target in ports:
                self.port, self.ignores_port = target, True
            elif self.port not in ports:
                self.listening = min(ports, default=None)
            await asyncio.sleep(0.5)
        self.listening = None


@dataclass(frozen=True)
class ReplicaNames:
    """Names in ACA's way: `<revision>-<hash>-<five>`; a restart changes the hash."""

    revision: str
    hash: str = field(default_factory=lambda: _letters(10))

    def next(self) -> str:
        return f"{self.revision}-{self.hash}-{_letters(5)}"


def _kept(platform: Mapping[str, str]) -> dict[str, str]:
    """What the platform sets wins over a template's variable of the same name."""
    return {name: value for name, value in platform.items() if name.startswith("CONTAINER_APP_")}


def _letters(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


async def _connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _listened(pid: int) -> set[int]:
    """The ports that a process and its children listen on."""
    try:
        members = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return {
            connection.laddr.port
            for member in members
            for connection in member.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
    except psutil.Error:
        return set()
