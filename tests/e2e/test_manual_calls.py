"""Every call of `slipway` that README and the extension's pages show, run as it stands there, in a project's order."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.manual import PAGES, shown_calls

from .conftest import ROOT, Home, Sample, where

ELSEWHERE = {
    "slipway demo": "tests/e2e/test_start.py",
    "slipway bicep install": "tests/unit/sidecar/test_bicep_install.py",
}
"""As `npm start`, which is the same; and what fetches from where Microsoft releases, which a stand-in plays."""

NOT_HERE = ("az login", "pipx install", "code --install-extension", "pip install slipway-", "npm run package")
"""What is shown beside them and needs an account, a desktop VS Code or another environment: test_wheel.py installs the wheel,
install.spec.ts the .vsix."""

BEFORE = (
    "slipway init",
    "slipway update",
    "slipway bicep check infra/provision/inference.bicep",
    "slipway interrupted",
    "slipway preflight",
    "slipway preflight --json",
    "slipway plan",
    "slipway plan --output plan.json --json",
    "slipway apply plan.json --yes --json",
    "slipway sample",
    "slipway provision && slipway deploy",
)
AFTER = (
    "slipway provision",
    "slipway status",
    "slipway status --json",
    "slipway endpoint",
    "slipway api-key",
    "slipway snippet",
    "slipway snippet --language url",
    "slipway logs",
    "slipway logs --system",
    "slipway diagnose",
    "slipway diagnostics --out FILE.zip",
    "slipway diagnostics --out diagnostics.zip",
    "slipway upload MODEL",
    "slipway preview",
    "slipway deploy --yes --json",
    "slipway evaluate",
    "slipway evaluate --yes --json",
    "slipway ci init",
    "slipway mcp",
    "slipway releases",
    "slipway rollback",
    "slipway rotate-key",
    "slipway plan --output FILE --json",
    "slipway apply FILE",
    "slipway stop",
    "slipway start",
    "slipway deploy",
    "slipway cancel",
    "slipway delete",
)
FOLLOWING = ("slipway logs --follow", "slipway keep-warm")
"""They go on until Ctrl-C, which is what a person does."""
FAILS = {"slipway delete": 2}
"""Exit codes that are right here: a person writes the app's name, and nobody sits at this terminal."""
CONSENT = 3
"""Where a question is and nobody sits at the terminal; then the call is run again with --yes."""
NAMED = {"slipway upload": "slipway upload MODEL", "slipway diagnostics": "slipway diagnostics --out FILE.zip"}
"""Verbs that the tables name without what they always take."""


def shown() -> set[str]:
    """The calls as they are run: what stands in brackets is left out."""
    found = {call for page in PAGES for call in shown_calls(page.read_text(encoding="utf-8"))}
    plain = {re.sub(r" *\[[^]]*\]", "", each) for each in found}
    return {NAMED.get(each, each) for each in plain}


def test_no_call_is_left_out() -> None:
    tried = {*BEFORE, *AFTER, *FOLLOWING, *ELSEWHERE}
    assert shown() - tried == set(), "they are shown, and nobody has tried them"
    assert all((ROOT / file).exists() for file in ELSEWHERE.values())


class Terminal:
    """A shell in the project's folder, with `slipway` on its PATH, and the place named as a pipeline names it."""

    def __init__(self, home: Home, folder: Path, group: str, model: Path) -> None:
        subscription, region = where(home)
        home.cli("create-group", "--name", group, "--location", region, "--subscription", subscription)
        tools = folder / "tools"
        tools.mkdir()
        program = tools / "slipway"
        program.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -c "from sidecar.__main__ import console; raise SystemExit(console())" "$@"\n'
        )
        program.chmod(0o755)
        self.project = folder / "project"
        self.project.mkdir()
        self._model = model
        self._environ = home.environ | {
            "PATH": f"{tools}:{home.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "AZURE_SUBSCRIPTION_ID": subscription,
            "AZURE_RESOURCE_GROUP": group,
        }

    def start(self, call: str) -> subprocess.Popen[str]:
        words = call.replace("MODEL", f'"{self._model}"').replace("FILE.zip", "found.zip").replace("FILE", "again.json")
        return subprocess.Popen(
            ["/bin/sh", "-c", words if "&&" in words else f"exec {words}"],
            cwd=self.project,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, calls: Iterable[str]) -> list[str]:
        """What did not end as it has to."""
        wrong: list[str] = []
        for call in calls:
            process = self.start(call)
            out, err = process.communicate(timeout=600)
            if process.returncode == CONSENT and "--yes" not in call:
                process = self.start(f"{call} --yes")
                out, err = process.communicate(timeout=600)
            if process.returncode != FAILS.get(call, 0):
                wrong.append(f"{call} ended with {process.returncode}:\n{out[-1500:]}\n{err[-1500:]}")
        return wrong


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_each_is_run_as_it_stands(own_home: Home, sample: Sample, tmp_path: Path) -> None:
    (adapter,) = [each.parent for each in sample[0].rglob("adapter_config.json")][:1]
    terminal = Terminal(own_home, tmp_path, "manual", adapter)
    assert terminal.run(BEFORE) == []
    for call in FOLLOWING:
        process = terminal.start(call)
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stdout if "logs" in call else process.stderr
        assert said.readline(), call
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        assert process.returncode in {0, 130}, call
    (terminal.project / "inference" / "NOTE.md").write_text("another release")
    question = {"prompt": "What is a slipway?", "contains": "ramp"}
    (terminal.project / "infra" / "smoke.json").write_text(json.dumps([question]))  # what is evaluated, too
    wrong = terminal.run(AFTER)
    app = json.loads((terminal.project / "infra" / "inference.config.json").read_text())["ACA_APP_NAME"]
    wrong += terminal.run([f"slipway delete --name {app} --yes"])
    assert not wrong, "\n\n".join(wrong)
