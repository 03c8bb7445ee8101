"""Replica: the containers of a revision as processes on this machine, from assignment to removal."""

import asyncio
import contextlib
import logging
import secrets
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.runtime.configuration import ContainerTemplate, Template
from sidecar.localcloud.runtime.containers import Container, ContainerSpec, Restart
from sidecar.localcloud.runtime.layers import container_environment, make_layer, replace_mounts
from sidecar.localcloud.runtime.logs import Event, EventKind, Log
from sidecar.localcloud.runtime.probes import probes_of

log = logging.getLogger(__name__)
Phase = Literal["Assigning", "Pulling", "Mounting", "Running", "Stopping", "Gone"]
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Unmountable(Exception):
    """A volume can't be mounted; the message is the mount command's."""


@dataclass(frozen=True)
class ReplicaSpec:
    """All that a replica needs to know; worked out before it starts."""

    app: str
    revision: str
    template: Template
    target_port: int | None
    folder: Path
    """Its writable layer; removed with it."""
    environment: Mapping[str, str]
    """What the platform sets."""
    machine: Mapping[str, str]
    """The cloud's own variables, of which a few are passed on."""
    secrets: Mapping[str, str]
    image_python: Path | None
    """None where the image has not been built."""
    mounts: Callable[[Path], Mapping[str, Path]]
    """Mount path → folder for this replica's layer; raises Unmountable."""
    backoff: float
    backoff_limit: float


class Replica:
    def __init__(self, name: str, spec: ReplicaSpec, events: Log, logs: Path) -> None:
        self.name = name
        self.spec = spec
        self.created = utc_now()
        self.phase: Phase = "Assigning"
        self.details = ""
        self.port = _free_port()
        self.ignores_port = False
        self.in_flight = 0
        self.containers: list[Container] = []
        self._events = events
        self._logs = logs
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        running = bool(self.containers) and all(container.ready for container in self.containers)
        return running and self.phase == "Running"

    @property
    def running_state(self) -> str:
        states = {container.state for container in self.containers}
        return "Running" if self.phase == "Running" and states == {"Running"} else "NotRunning"

    def wait_for(self, reason: str, message: str) -> None:
        """Notes why the replica is not started yet; said once in the system log."""
        if not self.details:
            self.report("Warning", reason, f"Replica '{self.name}' is {message}")
        self.details = f"{reason}: {message}"

    def start(self) -> None:
        self.phase, self.details = "Pulling", ""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends every process of the replica and removes its layer."""
        if self.phase == "Gone":
            return
        self.phase = "Stopping"
        await asyncio.gather(*(container.stop() for container in self.containers))
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for container in self.containers:
            container.kill()
            container.log.end()
        self.phase = "Gone"
        await asyncio.to_thread(shutil.rmtree, self.spec.folder, ignore_errors=True)

    def report(self, kind: EventKind, reason: str, message: str) -> None:
        event = Event(self.spec.app, reason, message, self.spec.revision, self.name, kind)
        self._events.write("system", event.text())

    async def _run(self) -> None:
        self.report("Normal", "AssigningReplica", f"Replica '{self.name}' has been scheduled to run on a node.")
        try:
            await self._prepare_and_run()
        except Unmountable as problem:
            self.details = f"VolumeMountFailure: {problem}"
            self.report("Warning", "VolumeMountFailure", str(problem))
        except Exception:
            # The boundary of a background task: the replica shows that it failed, the log shows where.
            log.exception("replica %s failed", self.name)
            self.details = "InternalError: the local cloud could not run this replica; see its log"

    async def _prepare_and_run(self) -> None:
        template, spec = self.spec.template, self.spec
        cannot = _cannot_run(spec)
        if cannot:
            self.details = cannot
            self.report("Warning", "ImagePullFailure", cannot)
            return
        image = template.containers[0].image
        self.phase = "Pulling"
        self.report("Normal", "PullingImage", f"Pulling image '{image}'")
        binaries = await asyncio.to_thread(make_layer, spec.folder, spec.image_python or Path())
        self.report(
            "Normal", "PulledImage", f"Successfully pulled image '{image}' (the prepared environment of this machine)"
        )
        self.phase = "Mounting"
        mounts = spec.mounts(spec.folder)
        self.phase = "Running"
        for entry in template.init_containers:
            first = self._container(entry, binaries, mounts, "until-success")
            self.containers = [first]
            await first.run()
        self.containers = [self._container(entry, binaries, mounts, "always") for entry in template.containers]
        await asyncio.gather(*(container.run() for container in self.containers), self._find_port())

    def _container(
        self, entry: ContainerTemplate, binaries: Path, mounts: Mapping[str, Path], restart: Restart
    ) -> Container:
        own = {
            variable.name: self.spec.secrets.get(variable.secret, "") if variable.secret else variable.value
            for variable in entry.variables
        }
        platform = {
            **self.spec.environment,
            "CONTAINER_APP_PORT": str(self.port),
            "CONTAINER_APP_REPLICA_NAME": self.name,
        }
        mine = {mount.path: mounts[mount.path] for mount in entry.mounts}
        variables = {**platform, **own, **_kept(platform)}
        spec = ContainerSpec(
            name=entry.name,
            command=[replace_mounts(part, mine) for part in (*entry.command, *entry.arguments)],
            environment=container_environment(variables, binaries, self.spec.machine, mine),
            folder=self.spec.folder,
            probes=probes_of(entry.probes, self.spec.target_port) if restart == "always" else (),
            grace=self.spec.template.grace,
            backoff=self.spec.backoff,
            backoff_limit=self.spec.backoff_limit,
            restart=restart,
        )
        console = Log(self._logs / f"{self.name}.{entry.name}.log")
        return Container(spec, console, self._reached, self.report)

    def _reached(self, port: int) -> int:
        """Where a port of the container is on this machine: its ingress port is the one that this replica was given."""
        return self.port if port == self.spec.target_port else port

    async def _find_port(self) -> None:
        """A command that ignores CONTAINER_APP_PORT listens on the target port itself: then that one is used."""
        target = self.spec.target_port
        while target is not None and not self.ignores_port and not await _connects(self.port):
            if self.containers[0].pid and await asyncio.to_thread(_group_listens, self.containers[0].pid, target):
                self.port, self.ignores_port = target, True
            await asyncio.sleep(0.5)


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


def _cannot_run(spec: ReplicaSpec) -> str | None:
    for container in spec.template.containers:
        if not container.command:
            return (
                f"ImageCannotRun: the local cloud pulls no images, so '{container.image}' has no command of its "
                "own here. Give the container a command."
            )
    if spec.image_python is None:
        return (
            "ImageNotBuilt: the environment that stands in for the image has not been built. Build it with "
            "`python -m sidecar.localcloud.image`."
        )
    return None


def _letters(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def _connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _group_listens(pid: int, port: int) -> bool:
    try:
        members = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for member in members
            for connection in member.net_connections("tcp")
        )
    except psutil.Error:
        return False
