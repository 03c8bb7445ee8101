"""How long a changed line takes, from the request at a running sidecar until the model answers with it; and a bare start.

    npm run bench -- deploy [--goals] [--rounds 5]

Everything is on this machine: the local cloud, one app with the sample model, no load. The actions run in this process, as in a
sidecar that runs already. The bare start is the release's own start commands, run as the container runs them, until a token is
answered; it is measured before each deploy. A figure tells seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from sidecar.core.journal import Event
from sidecar.core.scaffold import scaffold
from sidecar.core.workspace import open_workspace, target_of
from sidecar.doors.demo import sample_models, upload_models
from sidecar.gateway import resources, revisions
from sidecar.gateway.local import known_local_cloud, runs
from sidecar.gateway.place import AppPlace, GroupPlace
from sidecar.gateway.session import open_session, settings_from
from sidecar.wire import protocol as wire
from sidecar.words.names import StrategyWish
from sidecar.workflows.actions import deploy_action, provision_action
from sidecar.workflows.context import Context
from tests.bench.adapters import PUSHED, pushed
from tests.bench.peers import free_port
from tests.bench.report import Report, goal_arguments

ABOVE, ABOVE_P95, RESTART_ABOVE = 1.5, 3.0, 3.0
GROUP = "bench"
BESIDE = "beside: at most 1.5 s above the bare start (median)"
SLOWEST = "beside: at most 3 s above the bare start (p95)"
NO_PAUSE = "beside: no pause"
OUR_PART = "restart: our part at most 3 s above the bare start (median)"
REVISED = "revision: our part at most 3 s above the bare start (median)"
GOALS = (BESIDE, SLOWEST, NO_PAUSE, OUR_PART, REVISED, PUSHED)
NOT_ITS_OWN = ("SLIPWAY_SUPERVISOR_FD", "SLIPWAY_PRIVATE_SOCKET", "SLIPWAY_CONTROL")
"""Variables by which a server knows its supervisor: without them it listens by itself."""


@dataclass
class Ground:
    """A home with a local cloud of its own, and a project in it. `gpus`: its quota. `waits`: multiplies how long an old revision
    is kept."""

    folder: Path
    lines: list[str] = field(default_factory=list[str])
    gpus: int = 3
    waits: float = 1.0

    def __post_init__(self) -> None:
        state = str(self.folder / "state")
        self.environ = {**os.environ, "SLIPWAY_STATE": state, "SLIPWAY_WAIT_SCALE": str(self.waits)}
        self.settings = settings_from(self.environ)
        self.project = self.folder / "project"

    @property
    def context(self) -> Context:
        return Context(self.settings, self._hear, threading.Event())

    def _hear(self, event: Event) -> None:
        self.lines.append(str(event.text))

    def prepare(self) -> None:
        """Provisioned, with the sample's models, and deployed once."""
        cloud = self.settings.local_state
        cloud.mkdir(parents=True)
        (cloud / "settings.json").write_text(
            json.dumps({"times": {"scale": 0.02, "cooldown_scale": 1}, "default_gpu_quota": self.gpus})
        )
        session = open_session(self.settings, "local")
        assert session.local is not None
        subscription = session.local.subscriptions[0][0]
        resources.create_group(session, subscription, GROUP, "westus3")
        self.project.mkdir()
        workspace = open_workspace(str(self.project))
        scaffold(workspace, self.settings.state)
        asked = wire.ProvisionParams(
            folder=str(self.project), cloud="local", subscription_id=subscription, resource_group=GROUP,
            consents=CONSENTS, digest=None, begins=True, operation="provision",
        )  # fmt: skip
        provision_action(asked, self.context)
        upload_models(session, workspace, sample_models(self.settings, threading.Event())[0])
        self.deploy("first", "auto")

    def deploy(self, name: str, strategy: StrategyWish) -> Done:
        began = time.time()
        done = deploy_action(
            wire.DeployParams(
                folder=str(self.project), cloud="local", code="workspace", stop_unanswered=False, strategy=strategy,
                consents=CONSENTS, operation=name,
            ),
            self.context,
        )  # fmt: skip
        return Done(done, began, time.time(), self._steps(name))

    def _steps(self, operation: str) -> list[tuple[str, float]]:
        return [
            (str(each["step"]), float(each["time"])) for each in self.entries() if each.get("operation") == operation
        ]

    def entries(self) -> list[dict[str, Any]]:
        """Of the journal of deploys; a line that is just being written is not one yet."""
        file = next((self.settings.state / "journals").glob("*-deploy.jsonl"))
        return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]

    def edit(self, text: str) -> None:
        (self.project / "inference" / "NOTE.md").write_text(text)

    def other_packages(self, text: str) -> None:
        file = self.project / "inference" / "requirements.txt"
        file.write_text(f"{file.read_text().rstrip()}\n# {text}\n")

    def bare_start(self) -> float:
        """Seconds from the start commands to a token, by themselves: as the server that runs was started."""
        known = self.server()
        port, key = free_port(), known.environ()["SLIPWAY_API_KEY"]
        environ = {name: value for name, value in known.environ().items() if name not in NOT_ITS_OWN}
        environ |= {"CONTAINER_APP_PORT": str(port), "SLIPWAY_BIND_HOST": "127.0.0.1"}
        began = time.monotonic()
        supervisor = known.parent()
        assert supervisor is not None, "its container runs"
        process = subprocess.Popen(
            ["/bin/bash", "-c", supervisor.cmdline()[-1]], cwd=known.cwd(), env=environ, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _one_token(f"http://127.0.0.1:{port}", key, process)
            return time.monotonic() - began
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def server(self) -> psutil.Process:
        """The one that its supervisor, the parent, has started last for a release."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                known = process.environ()
            except psutil.Error:
                continue
            if "SLIPWAY_SUPERVISOR_FD" in known and known.get("SLIPWAY_MOUNT", "").startswith(str(self.folder)):
                found.append(process)
        return max(found, key=psutil.Process.create_time)

    def place(self) -> AppPlace:
        target = target_of(open_workspace(str(self.project)))
        session = open_session(self.settings, "local")
        return GroupPlace(session, target.subscription_id, target.resource_group).app(target.app)

    def stop(self) -> None:
        known = known_local_cloud(self.settings.local_state)
        if known is not None and runs(known):
            os.kill(known.pid, signal.SIGTERM)


CONSENTS = ["local-image", "gpu-profile"]


@dataclass(frozen=True)
class Done:
    deployed: wire.Deployed
    began: float
    ended: float
    steps: list[tuple[str, float]]

    @property
    def seconds(self) -> float:
        """Until the model has answered with it: what is written down afterwards is not waited for by anybody's request."""
        return self.at("record", self.ended) - self.began

    def at(self, wanted: str, otherwise: float) -> float:
        return next((at for step, at in self.steps if step == wanted), otherwise)

    @property
    def phases(self) -> dict[str, float]:
        """How long each step took, until the next began; `opening`: before the first."""
        moments = [("opening", self.began), *self.steps]
        ends = [*(at for _, at in self.steps), self.ended]
        return {name: round(end - at, 2) for (name, at), end in zip(moments, ends, strict=True)}


def _one_token(url: str, key: str, process: subprocess.Popen[bytes]) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        while not _ready(client):
            if process.poll() is not None:
                raise SystemExit(f"the bare server has ended with {process.returncode}")
            time.sleep(0.02)  # sleeps: between two looks
        model = client.get("/v1/models").json()["data"][0]["id"]
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        client.post("/v1/chat/completions", json=body).raise_for_status()


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="npm run bench -- deploy")
    goal_arguments(parser)
    parser.add_argument("--rounds", type=int, default=10, help="deploys beside; a third as many of each other kind")
    options = parser.parse_args(arguments)
    report, few = Report(GOALS), max(1, options.rounds // 3)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        ground = Ground(Path(folder))
        try:
            ground.prepare()
            pushed(report, ground.project, sample_models(ground.settings, threading.Event())[0], ground.context, few)
            beside(report, ground, options.rounds)
            in_turn(report, ground, few)
            restarts(report, ground, few)
            revised(report, ground, few)
        finally:
            ground.stop()
    report.end(options.goals)


def beside(report: Report, ground: Ground, rounds: int) -> None:
    bare, above, pauses = list[float](), list[float](), list[float]()
    for number in range(rounds):
        bare.append(ground.bare_start())
        ground.edit(f"beside {number}")
        done = ground.deploy(f"beside-{number}", "in-place")
        if done.deployed.form != "beside":
            raise SystemExit(f"it was exchanged {done.deployed.form}, not beside")
        above.append(done.seconds - bare[-1])
        pauses.append(done.deployed.pause or 0.0)
        report.figure("beside: edit to answer", done.seconds, bare=round(bare[-1], 2), phases=done.phases)
    report.figure("bare start (median)", median(bare))
    report.figure(
        "beside: above the bare start (median)", median(above), all=[round(each, 2) for each in sorted(above)]
    )
    report.goal(BESIDE, median(above) <= ABOVE, f"{BESIDE} ({median(above):.2f} s)")
    report.goal(SLOWEST, p95(above) <= ABOVE_P95, f"{SLOWEST} ({p95(above):.2f} s)")
    report.goal(NO_PAUSE, max(pauses) == 0.0, f"{NO_PAUSE} ({max(pauses):.2f} s)")


def in_turn(report: Report, ground: Ground, rounds: int) -> None:
    pauses = list[float]()
    for number in range(rounds):
        ground.other_packages(f"in turn {number}")
        done = ground.deploy(f"in-turn-{number}", "in-place")
        pauses.append(done.deployed.pause or 0.0)
        report.figure("in turn: edit to answer", done.seconds, pause=pauses[-1], phases=done.phases)
    report.figure("in turn: the longest pause", max(pauses))


class Platform:
    """Looks, beside the deploy, since when the platform calls a new replica ready and, where it is to be `alone`, lists no old
    one."""

    def __init__(self, place: AppPlace, *, alone: bool = True) -> None:
        self._place = place
        self._alone = alone
        self._old = set(self._names())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.since: float | None = None

    def __enter__(self) -> Platform:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _names(self) -> dict[str, bool]:
        found = [each for each in revisions.revisions(self._place) if each.active]
        return {each.name: each.ready for one in found for each in revisions.replicas(self._place, one.name)}

    def _run(self) -> None:
        while not self._stop.is_set() and self.since is None:
            now = self._names()
            new = set(now) - self._old
            if new and all(now[each] for each in new) and not (self._alone and self._old & set(now)):
                self.since = time.time()
            self._stop.wait(0.1)


def restarts(report: Report, ground: Ground, rounds: int) -> None:
    """The platform's part, a bare start in it: from the restart that was asked for until ARM lists new replicas alone, ready."""
    above = list[float]()
    for number in range(rounds):
        bare = ground.bare_start()
        ground.edit(f"restart {number}")
        with Platform(ground.place()) as seen:
            done = ground.deploy(f"restart-{number}", "restart")
        platform = (seen.since or done.ended) - done.at("restart", done.began)
        above.append(done.seconds - platform)
        report.figure(
            "restart: edit to answer",
            done.seconds,
            bare=round(bare, 2),
            platform=round(platform, 2),
            phases=done.phases,
        )
    report.figure(
        "restart: our part above the bare start (median)", median(above), all=[round(each, 2) for each in above]
    )
    report.goal(OUR_PART, median(above) <= RESTART_ABOVE, f"{OUR_PART} ({median(above):.2f} s)")


def revised(report: Report, ground: Ground, rounds: int) -> None:
    """The platform's part, a bare start in it: its writes of the app, and from that which makes the revision until ARM calls the
    replica ready. The answer is the one at the app's address, before the release is written down as current."""
    above = list[float]()
    for number in range(rounds):
        bare = ground.bare_start()
        ground.edit(f"revision {number}")
        with Platform(ground.place(), alone=False) as seen:
            done = ground.deploy(f"revision-{number}", "revision")
        answered = done.at("switch", done.ended)
        starts = (seen.since or answered) - done.at("beside", done.began)
        platform = done.phases["pin"] + starts + done.phases["shift"]
        above.append(answered - done.began - platform)
        report.figure(
            "revision: edit to answer",
            answered - done.began,
            bare=round(bare, 2),
            platform=round(platform, 2),
            phases=done.phases,
        )
    report.figure(
        "revision: our part above the bare start (median)", median(above), all=[round(each, 2) for each in above]
    )
    report.goal(REVISED, median(above) <= RESTART_ABOVE, f"{REVISED} ({median(above):.2f} s)")


def p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]


if __name__ == "__main__":
    main(sys.argv[1:])
