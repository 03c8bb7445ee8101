"""The workflow that `slipway ci init` writes, run step by step as GitHub's runner would, against the local cloud.

What is an action of somebody else's (checkout, Python, the sign-in, the upload of reports) is not run here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sidecar.core.workspace import open_workspace
from sidecar.workflows.observe import api_key

from .conftest import ROOT, Place, Sample
from .test_evaluate import ADAPTER, BASE, put, rows_of

GOOD = {"measure": "exact", "model": ADAPTER, "bound": 0.95}


@dataclass
class Runner:
    """GitHub's, as far as steps see it: a step runs where none before it has failed, unless it says `always()`."""

    place: Place
    folder: Path
    variables: dict[str, str]
    document: dict[str, Any]
    exits: dict[str, int] = field(default_factory=dict[str, int])
    said: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def job(self) -> dict[str, Any]:
        return self.document["jobs"]["deploy"]

    @property
    def summary(self) -> str:
        return (self.folder / "summary.md").read_text()

    def environ(self) -> dict[str, str]:
        stated = {name: self.filled(str(value)) for name, value in self.job["env"].items()}
        path = f"{self.folder / 'tools'}:{os.environ['PATH']}"
        files = {"GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_OUTPUT": "output.txt", "RUNNER_TEMP": "temp"}
        runner = {name: str(self.folder / each) for name, each in files.items()}
        own = {"CI": "true", "GITHUB_ACTIONS": "true", "PATH": path, "PYTHONPATH": str(ROOT)}
        return {**self.place.home.environ, **own, **runner, **stated}

    def filled(self, text: str) -> str:
        return re.sub(r"\$\{\{ *vars\.(\w+) *\}\}", lambda found: self.variables[found[1]], text)

    def run(self, *names: str) -> None:
        """These steps, or all; those that are no commands count as done."""
        where = self.place.workspace / self.job["defaults"]["run"]["working-directory"]
        assert self.job["defaults"]["run"]["shell"] == "bash"
        for step in self.job["steps"]:
            name, wanted = str(step["name"]), step.get("if") == "always()" or not any(self.exits.values())
            if "run" not in step or not wanted or (names and name not in names):
                continue
            script = self.folder / "step.sh"
            script.write_text(str(step["run"]))
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script], cwd=where, env=self.environ(),
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False,
            )  # fmt: skip
            self.exits[name], self.said[name] = done.returncode, done.stdout + done.stderr


def runner_of(place: Place, folder: Path) -> Runner:
    """A runner with pip and slipway: that the wheel can be installed is test_wheel.py's."""
    tools = folder / "tools"
    tools.mkdir()
    (folder / "temp").mkdir()
    (tools / "pip").write_text('#!/bin/sh\n[ "$1 $3" = "install ../slipway.whl" ] && echo "installed $3"\n')
    call = f'exec "{sys.executable}" -c "from sidecar.__main__ import console; raise SystemExit(console())" "$@"'
    (tools / "slipway").write_text(f"#!/bin/sh\n{call}\n")
    for each in tools.iterdir():
        each.chmod(0o755)
    made = place.home.cli("ci", "init", str(place.workspace))
    document = yaml.safe_load((place.workspace / made["file"]).read_text())
    where = {"AZURE_SUBSCRIPTION_ID": place.subscription, "AZURE_RESOURCE_GROUP": place.group}
    assert {each["name"]: each["value"] for each in made["variables"]} == {
        **where, "AZURE_CLIENT_ID": None, "AZURE_TENANT_ID": None, "SLIPWAY_WHEEL": None,
    }  # fmt: skip
    return Runner(place, folder, {**where, "SLIPWAY_WHEEL": "../slipway.whl"}, document)


def test_each_step_of_the_workflow_does_its_part_and_a_missed_threshold_fails_the_job(
    deployed: Place, sample: Sample, tmp_path: Path
) -> None:
    put(deployed, rows_of(sample)[::4], thresholds=[GOOD])
    runner = runner_of(deployed, tmp_path)
    runner.run()
    steps = ("Install Slipway", "Preflight", "Plan", "Apply", "Deploy", "Evaluate")
    assert runner.exits == dict.fromkeys(steps, 0), runner.said
    assert "has passed its gate: 1 thresholds met" in runner.said["Deploy"]
    assert f"{ADAPTER} is better than {BASE}" in runner.summary
    assert "# " in runner.summary.splitlines()[0], "the plan's page comes first"
    reports = {each.name: each for each in (tmp_path / "temp" / "slipway").iterdir()}
    assert set(reports) == {"preflight.txt", "plan.json", "provisioned.json", "deployed.json"}
    assert json.loads(reports["deployed.json"].read_text())["verified"] is True
    uploaded = runner.job["steps"][-1]["with"]["path"].split()[-1]
    assert list(deployed.workspace.glob(uploaded)), "where the step looks the reports are"
    key = api_key(open_workspace(deployed.workspace), deployed.home.session())
    assert key
    assert not [each for each in (*reports.values(), tmp_path / "summary.md") if key in each.read_text()]

    put(deployed, rows_of(sample)[::4], thresholds=[{**GOOD, "model": BASE}], gate=False)
    again = Runner(deployed, tmp_path, runner.variables, runner.document)
    again.run("Evaluate")
    assert again.exits == {"Evaluate": 1}
    assert "missed, it is 0.000" in again.summary
