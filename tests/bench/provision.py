"""What a Provision costs: HTTP requests by the local cloud's own record, and the sidecar's CPU time, first and repeated.

    npm run bench -- provision [--goals]

Each run is a process of its own, as a person's is: `slipway provision` in a terminal, which nobody sits at.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.core.scaffold import scaffold
from sidecar.core.workspace import open_workspace
from sidecar.gateway import resources
from sidecar.gateway.local import known_local_cloud, runs
from sidecar.gateway.session import open_session, settings_from
from tests.bench.report import Report, goal_arguments

ROOT = Path(__file__).resolve().parents[2]
GROUP = "bench"
FIRST, AGAIN, CPU = 60, 15, 1.5
READING = ("/listkeys", "/listsecrets", "/getauthtoken", "/whatif", "/checknameavailability", "/token")
"""What is asked by POST and changes nothing."""


@dataclass(frozen=True)
class Run:
    requests: list[tuple[str, str]]
    """Method and path of everything that passed the doors of ARM and of the authority."""
    seconds: float
    """CPU time of the process."""

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [
            (method, path)
            for method, path in self.requests
            if method not in ("GET", "HEAD") and not path.lower().endswith(READING)
        ]


@dataclass(frozen=True)
class Ground:
    """A home with a local cloud of its own, and a project in it."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        state = self.folder / "state"
        return {**os.environ, "SLIPWAY_STATE": str(state), "SLIPWAY_LOCAL_RECORD": str(self.folder / "traffic")}

    def prepare(self) -> str:
        """A cloud, a group and a workspace; the subscription's id."""
        cloud = self.folder / "state" / "localcloud"
        cloud.mkdir(parents=True)
        (self.folder / "traffic").mkdir()
        (cloud / "settings.json").write_text(json.dumps({"times": {"scale": 0.02, "cooldown_scale": 1}}))
        session = open_session(settings_from(self.environ), "local")
        assert session.local is not None
        subscription = session.local.subscriptions[0][0]
        resources.create_group(session, subscription, GROUP, "westus3")
        self.project.mkdir()
        scaffold(open_workspace(str(self.project)), settings_from(self.environ).state)
        return subscription

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def passed(self) -> list[tuple[str, str]]:
        lines = [line for file in (self.folder / "traffic").glob("*.jsonl") for line in file.read_text().splitlines()]
        return [(str(each["method"]), urlsplit(str(each["url"])).path) for each in map(json.loads, lines)]

    def run(self, subscription: str, *verb: str) -> Run:
        before = len(self.passed())
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "sidecar", *verb, str(self.project), "--cloud", "local"]
        command += ["--subscription", subscription, "--group", GROUP, "--yes"]
        done = subprocess.run(command, cwd=ROOT, env=self.environ, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.stdout + done.stderr)
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        return Run(self.passed()[before:], seconds)

    def stop(self) -> None:
        known = known_local_cloud(self.folder / "state" / "localcloud")
        if known is not None and runs(known):
            os.kill(known.pid, 15)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="npm run bench -- provision")
    goal_arguments(parser)
    parser.add_argument("--list", action="store_true", help="print the requests of each run")
    options = parser.parse_args(arguments)
    goals = ("first: requests", "repeated: requests", "repeated: writes", "first: CPU", "repeated: CPU")
    report = Report(goals)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        ground = Ground(Path(folder))
        try:
            subscription = ground.prepare()
            runs_of = {name: ground.run(subscription, verb) for name, verb in RUNS}
        finally:
            ground.stop()
    for name, run in runs_of.items():
        told(report, name, run, listed=options.list)
    first, again = runs_of["first"], runs_of["repeated"]
    report.goal("first: requests", len(first.requests) <= FIRST, f"first: {len(first.requests)} of {FIRST} requests")
    report.goal(
        "repeated: requests", len(again.requests) <= AGAIN, f"repeated: {len(again.requests)} of {AGAIN} requests"
    )
    report.goal("repeated: writes", not again.writes, f"repeated: {len(again.writes)} writes")
    report.goal("first: CPU", first.seconds <= CPU, f"first: {first.seconds:.2f} of {CPU} s of CPU")
    report.goal("repeated: CPU", again.seconds <= CPU, f"repeated: {again.seconds:.2f} of {CPU} s of CPU")
    report.end(options.goals)


RUNS = (("plan", "plan"), ("first", "provision"), ("repeated", "provision"), ("plan again", "plan"))


def told(report: Report, name: str, run: Run, *, listed: bool) -> None:
    methods = Counter(method for method, _ in run.requests)
    report.figure(f"{name}: requests", len(run.requests), methods=dict(methods), writes=len(run.writes))
    report.figure(f"{name}: CPU seconds", run.seconds)
    if listed:
        for method, path in run.requests:
            print(f"  {method:<6} {'/'.join(path.split('/')[3:]) or path}")


if __name__ == "__main__":
    main(sys.argv[1:])
