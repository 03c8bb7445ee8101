"""The sidecar's death amid an exchange in place: a Deploy is killed at every step of its journal, and the next one finishes."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from sidecar.core.workspace import open_workspace
from sidecar.gateway.session import open_session
from sidecar.workflows.observe import api_key
from tests.bench.deploy import Ground
from tests.contract.localcloud.conftest import eventually
from tests.faults.rolling.callers import Caller
from tests.faults.rolling.table import Told
from tests.support.contained import ROOT

SECONDS = 120
LOOKS = ("look", "check", "sync")
"""Steps at which nothing has been changed yet: where a run is killed there, so is the next one, a step later."""


def swept(ground: Ground, form: str) -> Told:
    workspace = open_workspace(str(ground.project))
    key = api_key(workspace, open_session(ground.settings, "local"))
    endpoint = json.loads((workspace.infra / "inference.config.json").read_text())["ACA_APP_ENDPOINT"]
    wrong: list[str] = []
    with Caller(f"http://{endpoint}", key) as caller:
        change(ground, form, "counted")
        steps = [step for step, _ in ground.deploy(f"counted {form}", "in-place").steps if step != "done"]
        came = 0
        for number, step in enumerate(steps):
            before = caller.release()
            change(ground, form, f"killed {number}")
            came += killed_at(ground, number + 1)
            if step in LOOKS:
                wrong += [] if caller.release() == before else [f"{step}: another release serves"]
                continue
            done = json.loads(begun(ground).communicate(timeout=SECONDS)[0])
            if "release" not in done:
                wrong.append(f"{step}: the next run: {done['error']['code']}: {done['error']['message']}")
            elif done["strategy"] != "in-place" or caller.release() != done["release"]:
                wrong.append(f"{step}: {done['strategy']}; another release serves than {done['release'][:12]}")
    wrong += [caller.counts()] if caller.failed else []
    told = "; ".join(wrong) or "each run after finished"
    seen = f"killed at {came} of {len(steps)} steps ({', '.join(steps)}), {caller.counts()}; {told}"
    return Told("somebody serves, no request fails; re-run finishes", seen, not wrong and came == len(steps))


def killed_at(ground: Ground, steps: int) -> bool:
    """Whether it was alive when it had written down so many steps."""
    before = len(ground.entries())
    process = begun(ground)
    eventually(lambda: len(ground.entries()) >= before + steps or process.poll() is not None, SECONDS)
    alive = process.poll() is None
    process.kill()
    process.communicate()
    return alive


def begun(ground: Ground) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sidecar", "deploy", str(ground.project), "--cloud", "local", "--json"]
    return subprocess.Popen(
        command, cwd=ROOT, env=ground.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def change(ground: Ground, form: str, text: str) -> None:
    ground.edit(f"{form} {text}")
    if form == "in turn":
        ground.other_packages(f"{text} {time.time()}")
