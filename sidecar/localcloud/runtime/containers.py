"""Container: one command of a replica as a real process, with its probes, exit codes, restarts and console log."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sidecar.localcloud.runtime.logs import EventKind, Log
from sidecar.localcloud.runtime.probes import Health, Probe, observe, run_probe

State = Literal["Waiting", "Running", "Terminated"]
Restart = Literal["always", "until-success"]
Report = Callable[[EventKind, str, str], None]
"""(kind, reason, message) of a system event."""


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One command of a replica. An init container runs until it succeeds, then is done."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    probes: tuple[Probe, ...]
    grace: float
    backoff: float
    backoff_limit: float
    restart: Restart


class Container:
    """Runs until it is stopped: start, probe, notice the end, wait, start again."""

    def __init__(self, spec: ContainerSpec, log: Log, port_of: Callable[[int], int], report: Report) -> None:
        self.spec = spec
        self.log = log
        self.state: State = "Waiting"
        self.details = "ContainerCreating"
        self.exit_code: int | None = None
        self.restarts = 0
        self.started = False
        self.ready = False
        self.pid: int | None = None
        self._port_of = port_of
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    async def run(self) -> None:
        backoff = self.spec.backoff
        while not self._stopping:
            began = time.monotonic()
            await self._run_once()
            if self._stopping or (self.spec.restart == "until-success" and self.exit_code == 0):
                return
            # A container that ran for a while starts afresh; one that keeps crashing waits longer each time.
            backoff = self.spec.backoff if time.monotonic() - began > 10 * backoff + 30 else backoff
            self.details = (
                f"CrashLoopBackOff: back-off {backoff:g}s restarting failed container, exit code {self.exit_code}"
            )
            self._report("Warning", "BackOff", f"Back-off {backoff:g}s restarting failed container {self.spec.name}")
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, self.spec.backoff_limit)
            self.restarts += 1

    async def stop(self) -> None:
        """SIGTERM, the grace period, then SIGKILL; returns when the process group is gone."""
        self._stopping = True
        self.ready = False
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return
        self._order(b"T")
        try:
            async with asyncio.timeout(self.spec.grace):
                await process.wait()
        except TimeoutError:
            self._report("Warning", "Killing", f"Container {self.spec.name} did not end within {self.spec.grace:g} s")
            self._order(b"K")
            await process.wait()

    def kill(self) -> None:
        self._stopping = True
        self._order(b"K")

    def _order(self, letter: bytes, process: asyncio.subprocess.Process | None = None) -> None:
        process = process or self._process
        if process and process.returncode is None and process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.write(letter)

    async def _run_once(self) -> None:
        supervisor = Path(__file__).with_name("supervisor.py")
        self.started, self.ready = False, False
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(supervisor),
            *self.spec.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(self.spec.environment),
            cwd=self.spec.folder / "work",
            start_new_session=True,
            umask=0o022,
        )
        self._process, self.pid = process, process.pid
        self.state, self.details = "Running", ""
        self._report("Normal", "ContainerStarted", f"Started container '{self.spec.name}'")
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
        self.state, self.ready, self.pid = "Terminated", False, None
        self.details = f"exit code {self.exit_code}"
        kind = "Normal" if self.exit_code == 0 or self._stopping else "Warning"
        self._report(
            kind,
            "ContainerTerminated",
            f"Container '{self.spec.name}' was terminated with exit code '{self.exit_code}'",
        )

    async def _read(self, stream: asyncio.StreamReader | None, name: str) -> None:
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:  # a line longer than the reader's buffer: its pieces are kept
                line = await stream.read(65536)
            if not line:
                return
            self.log.write(name, line.decode(errors="replace").rstrip("\r\n"))

    async def _probe(self) -> None:
        startup = [probe for probe in self.spec.probes if probe.kind == "Startup"]
        for probe in startup:
            if not await self._until_concluded(probe):
                self._fail(probe)
                return
        self.started = True
        readiness = [probe for probe in self.spec.probes if probe.kind == "Readiness"]
        liveness = [probe for probe in self.spec.probes if probe.kind == "Liveness"]
        if not readiness:
            self.ready = True
        await asyncio.gather(*(self._watch_ready(p) for p in readiness), *(self._watch_alive(p) for p in liveness))

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
            health = await self._observe(probe, health)
            self.ready = health.passed is True
            await asyncio.sleep(probe.period)

    async def _watch_alive(self, probe: Probe) -> None:
        health = Health()
        await asyncio.sleep(probe.initial_delay)
        while health.passed is not False:
            health = await self._observe(probe, health)
            await asyncio.sleep(probe.period if health.passed is not False else 0)
        self._fail(probe)

    async def _observe(self, probe: Probe, health: Health) -> Health:
        problem = await run_probe(probe, self._port_of(probe.port))
        if problem and health.failures == 0:
            self._report("Warning", "ProbeFailed", problem)
        return observe(health, probe, "failure" if problem else "success")

    def _fail(self, probe: Probe) -> None:
        self._report(
            "Warning", "ContainerUnhealthy", f"Container {self.spec.name} failed {probe.kind} probe, will be restarted"
        )
        self._order(b"T")
        asyncio.get_running_loop().call_later(self.spec.grace, self._order, b"K", self._process)
