"""Container: one command of a replica as a real process, with its pulls, mounts, probes, ends, restarts and console log."""

import asyncio
import contextlib
import datetime
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sidecar.localcloud.core.clock import now
from sidecar.localcloud.core.settings import Times
from sidecar.localcloud.runtime.logs import Event, EventKind, Log
from sidecar.localcloud.runtime.probes import PROBE_NAMES, Health, Kind, Probe, observe, run_probe, scaled

State = Literal["Waiting", "Running"]
"""`Terminated` was never seen on Azure, also not in a crash loop."""
Restart = Literal["always", "until-success"]
Waiting = Literal["", "PullingImage", "ContainerCreating", "ImagePullBackOff", "CrashLoopBackOff"]
"""What a container waits for: the reason in its details."""
_WELL_AFTER = 600
"""Seconds of the platform's after which a container that runs is well again, and its back-off begins anew."""
Trouble = Literal["crashing", "unpullable"]


class NotPulled(Exception):
    """The node can't pull the image. `unauthorized`: for want of a right; the message is the registry's."""

    def __init__(self, message: str = "", *, unauthorized: bool) -> None:
        super().__init__(message)
        self.unauthorized = unauthorized


class Unmountable(Exception):
    """A volume can't be mounted; the message is the mount command's."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a start of the container needs, worked out anew at each: its command and variables, mounts put in."""

    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One command of a replica. An init container runs until it succeeds, then is done."""

    name: str
    image: str
    folder: Path
    probes: tuple[Probe, ...]
    grace: float
    times: Times
    restart: Restart
    pull: Callable[[], int]
    """The image's size in bytes; raises NotPulled."""
    prepare: Callable[[], Prepared]
    """Mounts the volumes; raises Unmountable."""


class Container:
    """Runs until it is stopped: pull, mount, start, probe, notice the end, wait, start again."""

    def __init__(
        self, spec: ContainerSpec, log: Log, reach: Callable[[int], int | None], report: Callable[[Event], None]
    ) -> None:
        self.spec = spec
        self.log = log
        self.waiting: Waiting = ""
        self.id: str | None = None
        """Once it was started."""
        self.exit_code: int | None = None
        self.restarts = 0
        self.started = False
        self.ready = False
        self.pid: int | None = None
        self._failures = 0
        self._trouble: Trouble | None = None
        self._has_exited = False
        self._began = 0.0
        self._since = ""
        self._pulled = False
        self._reach = reach
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._killed_by: Kind | None = None

    @property
    def trouble(self) -> Trouble | None:
        """Why it can't be kept running, from the second failure on, also while it happens to run; None again once it has run
        for long enough, or, where it could not even be started, as soon as it is ready."""
        return None if self.pid and self._ran_well() else self._trouble

    @property
    def state(self) -> State:
        return "Running" if self.pid else "Waiting"

    @property
    def details(self) -> str:
        if self.pid:
            return f"Container started at: {self._since}."
        return f"Container is waiting with reason: {self.waiting} on legion." if self.waiting else ""

    async def run(self) -> None:
        times = self.spec.times
        backoff = times.backoff
        while not self._stopping:
            ended = await self._attempt()
            if self._stopping or (self.spec.restart == "until-success" and self.exit_code == 0):
                return
            if self._failures == 1:
                backoff = times.backoff  # it is the first, or it had been well: it starts afresh
            self.waiting = "ImagePullBackOff" if ended == "not-pulled" else "CrashLoopBackOff"
            await asyncio.sleep(times.platform(backoff))
            backoff = min(backoff * 2, times.backoff_limit)
            self.restarts += 0 if ended == "not-pulled" else 1

    async def stop(self) -> None:
        """SIGTERM, the grace period, then SIGKILL; returns when the process group is gone."""
        self._stopping = True
        self.ready = False
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return
        self._terminated("", "ManuallyStopped")
        self._order(b"T")
        try:
            async with asyncio.timeout(self._until_kill()):
                await process.wait()
        except TimeoutError:
            self._order(b"K")
            await process.wait()
            self._say_killed()

    def kill(self) -> None:
        self._stopping = True
        self._order(b"K")

    def _until_kill(self) -> float:
        return self.spec.times.bound(self.spec.grace + self.spec.times.kill_after)

    def _order(self, letter: bytes, process: asyncio.subprocess.Process | None = None) -> None:
        process = process or self._process
        if process and process.returncode is None and process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.write(letter)

    async def _attempt(self) -> Literal["not-pulled", "ended"]:
        """One start and what came of it."""
        times = self.spec.times
        try:
            await self._pull()
        except NotPulled as problem:
            self._not_pulled(problem)
            return "not-pulled"
        self.waiting = "ContainerCreating"
        try:
            prepared = await asyncio.to_thread(self.spec.prepare)
        except Unmountable as problem:
            self._failed_to_start("VolumeMountFailure", str(problem))
            return "ended"
        # Each later start of the same container takes a tenth of a second there: nothing is prepared anew.
        await asyncio.sleep(times.platform(times.create if self.id is None else 0.1))
        program = prepared.command[0] if prepared.command else ""
        if not _is_there(program, prepared.environment.get("PATH", "")):
            detail = f'exec: \\"{program}\\": executable file not found in $PATH: unknown'
            text = (
                'Status(StatusCode="Unknown", Detail="failed to create shim task: OCI runtime create failed: runc create '
                f'failed: unable to start container process: {detail}")'
            )
            self._failed_to_start("ContainerCreateFailure", text)
            return "ended"
        await self._run_once(prepared)
        return "ended"

    async def _pull(self) -> None:
        times = self.spec.times
        self.waiting = "PullingImage"
        self._say("Normal", "PullingImage", f"Pulling image '{self.spec.image}'")
        await asyncio.sleep(0 if self._pulled else times.platform(times.pull))
        size = await asyncio.to_thread(self.spec.pull)
        took = "12ms" if self._pulled else f"{times.pull:.2f}s"
        self._pulled = True
        text = f'Successfully pulled image "{self.spec.image}" in {took}. Image size: {size} bytes.'
        self._say("Normal", "PulledImage", text)

    def _not_pulled(self, problem: NotPulled) -> None:
        self._count_failure("unpullable")
        if problem.unauthorized:
            self._say("Normal", "ImagePullUnauthorized", "Container pull image failed with unauthorized error.")
        self._terminated("", "ImagePullFailure", str(problem))

    def _failed_to_start(self, reason: str, text: str) -> None:
        self._count_failure("crashing")
        self.exit_code = 1
        self._terminated("1", reason, text)

    def _count_failure(self, trouble: Trouble) -> None:
        self._failures += 1
        self._trouble = trouble if self._failures > 1 else None

    def _ran_well(self) -> bool:
        return time.monotonic() - self._began > self.spec.times.platform(_WELL_AFTER)

    async def _run_once(self, prepared: Prepared) -> None:
        supervisor = Path(__file__).with_name("supervisor.py")
        self._killed_by = None
        self._say("Normal", "ContainerCreated", f"Created container '{self.spec.name}'")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(supervisor),
            *prepared.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(prepared.environment),
            cwd=self.spec.folder / "work",
            start_new_session=True,
            umask=0o022,
        )
        self._process, self.pid, self._began = process, process.pid, time.monotonic()
        self.id = self.id or secrets.token_hex(16)
        self.waiting, self._since = "", _american(now())
        self._say("Normal", "ContainerStarted", f"Started container '{self.spec.name}'")
        if self._stopping:
            self._order(b"K")
        readers = [
            asyncio.create_task(self._read(process.stdout, "stdout")),
            asyncio.create_task(self._read(process.stderr, "stderr")),
        ]
        probing = asyncio.create_task(self._probe())
        try:
            self.exit_code = await process.wait()
        finally:
            probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing
            if process.stdin:
                process.stdin.close()
        await asyncio.wait(readers, timeout=5)
        self.started, self.ready, self.pid = False, False, None
        if not self._stopping:
            if self._ran_well():
                self._failures = 0
            self._has_exited = True
            self._count_failure("crashing")
            self._say_ended()

    def _say_ended(self) -> None:
        if self._killed_by is None:
            self._terminated(f"{self.exit_code}", "ProcessExited")
            self._say_exit()
        elif self.exit_code == 137:
            self._say_killed()

    def _say_killed(self) -> None:
        """The second word on a container that did not end when it was told to."""
        self._say("Warning", "ProcessExited", f"Container '{self.spec.name}' was terminated with exit code '137'")

    def _say_exit(self) -> None:
        # The platform says an exit a second time, in pairs, in other words.
        for _ in range(2):
            text = f"Container '{self.spec.name}' was terminated with exit code '{self.exit_code}'"
            self._say("Warning", "ProcessExited", text)

    def _terminated(self, code: str, reason: str, text: str = "") -> None:
        said = f"Container '{self.spec.name}' was terminated with exit code '{code}' and reason '{reason}'"
        self._say("Warning", "ContainerTerminated", f"{said}. {text}" if text else said)

    def _say(self, kind: EventKind, reason: str, message: str) -> None:
        self._report(Event(reason, message, kind=kind))

    async def _read(self, stream: asyncio.StreamReader | None, name: Literal["stdout", "stderr"]) -> None:
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:  # a line longer than the reader's buffer: its pieces are kept
                line = await stream.read(65536)
            if not line:
                return
            self.log.write(name, line.decode(errors="replace").rstrip("\r\n"))

    # Probes

    async def _probe(self) -> None:
        probes = [scaled(probe, self.spec.times.bounds) for probe in self.spec.probes]
        for probe in [each for each in probes if each.kind == "Startup"]:
            if not await self._until_concluded(probe):
                self._fail(probe)
                return
        self.started = True
        readiness = [probe for probe in probes if probe.kind == "Readiness"]
        liveness = [probe for probe in probes if probe.kind == "Liveness"]
        if not readiness:
            self._found(ready=True)
        await asyncio.gather(*(self._watch_ready(p) for p in readiness), *(self._watch_alive(p) for p in liveness))

    def _found(self, *, ready: bool) -> None:
        self.ready = ready
        if ready and not self._has_exited:
            self._failures, self._trouble = 0, None

    async def _until_concluded(self, probe: Probe) -> bool:
        health = Health()
        await asyncio.sleep(probe.initial_delay)
        while health.passed is None:
            health = await self._observe(probe, health)
            if health.passed is None:
                await asyncio.sleep(probe.period)
        return health.passed

    async def _watch_ready(self, probe: Probe) -> None:
        health = Health()
        await asyncio.sleep(probe.initial_delay)
        while True:
            before = health.passed
            health = await self._observe(probe, health)
            if health.passed is False and before is not False:
                text = (
                    f"Readiness Probe of Readiness reached failure threshold {probe.failure_threshold}, changing status "
                    "to Failure."
                )
                self._say("Warning", "ProbeFailed", text)
            self._found(ready=health.passed is True)
            await asyncio.sleep(probe.period)

    async def _watch_alive(self, probe: Probe) -> None:
        health = Health()
        await asyncio.sleep(probe.initial_delay)
        while health.passed is not False:
            health = await self._observe(probe, health)
            await asyncio.sleep(probe.period if health.passed is not False else 0)
        self._fail(probe)

    async def _observe(self, probe: Probe, health: Health) -> Health:
        failure = await run_probe(probe, self._reach(probe.port))
        if failure:
            self._say("Warning", "ProbeFailed", failure.text)
        return observe(health, probe, "failure" if failure else "success")

    def _fail(self, probe: Probe) -> None:
        self._killed_by = probe.kind
        text = f"Container {self.spec.name} failed {PROBE_NAMES[probe.kind].lower()} probe, will be restarted"
        self._say("Warning", "ProbeFailed", text)
        self._terminated("", "ProbeFailure")
        self._order(b"T")
        asyncio.get_running_loop().call_later(self._until_kill(), self._order, b"K", self._process)


def _is_there(program: str, path: str) -> bool:
    if not program:
        return False
    return shutil.which(program, path=path) is not None or os.access(program, os.X_OK)


def _american(moment: datetime.datetime) -> str:
    """6/22/2026 3:13:24 PM: how a container's details date its start, in UTC."""
    hour = moment.hour % 12 or 12
    half = "PM" if moment.hour >= 12 else "AM"
    return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment.minute:02}:{moment.second:02} {half}"
