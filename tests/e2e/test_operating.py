"""The main job's other verbs in a terminal, on real processes: a stopped app, the endpoint as code, diagnostics."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import Place

RUNNERS = {
    "curl": ["bash", "-s"],
    "python": [sys.executable, "-"],
    "javascript": ["node", "--input-type=module", "-"],
}


@pytest.mark.parametrize("language", sorted(RUNNERS))
def test_the_endpoint_as_code_is_answered_and_holds_no_key(deployed: Place, language: str) -> None:
    program = RUNNERS[language]
    if shutil.which(program[0]) is None or (language == "curl" and shutil.which("curl") is None):
        pytest.skip(f"{program[0]} is not installed")
    found = deployed.home.cli("snippet", str(deployed.workspace), "--language", language)
    key = deployed.api_key()
    assert key not in json.dumps(found)
    assert found["model"], "a replica is awake, and names it"

    def run(key: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "SLIPWAY_API_KEY": key, "NO_PROXY": "*", "no_proxy": "*"}
        code = found["code"]
        return subprocess.run(program, input=code, env=environ, capture_output=True, text=True, timeout=60, check=False)

    done = run(key)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert run("wrong").returncode != 0, "a refusal is a failure there too"


def test_diagnostics_hold_no_secret_of_the_cloud(deployed: Place, tmp_path: Path) -> None:
    """Every secret that the local cloud keeps, and the key in the forms in which logs and settings would hold it."""
    file = tmp_path / "out" / "diagnostics.zip"
    done = deployed.home.cli("diagnostics", str(deployed.workspace), "--out", str(file))
    assert done["missing"] == []
    assert file.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(file) as archive:
        assert {each["name"] for each in done["contents"]} == set(archive.namelist())
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    secrets = secrets_of(deployed)
    assert deployed.api_key() in secrets
    assert len(secrets) > 3
    assert [(name, each[:4]) for name, text in texts.items() for each in secrets if each in text] == []
    console = next(text for name, text in texts.items() if name.startswith("console-"))
    assert "ready after" in console
    assert json.loads(texts["status.json"])["state"] == "ready"
    assert json.loads(texts["app.json"])["name"] == deployed.config["ACA_APP_NAME"]
    assert "deploy" in texts["journal-deploy.jsonl"]
    assert json.loads(texts["about.json"])["cloud"] == "local"


def secrets_of(place: Place) -> set[str]:
    """From the store's own files, of which only the cloud's owner can read any."""
    state = place.home.settings.local_state
    found: set[str] = set()

    def collect(value: object, name: str) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                collect(each, str(key))
        elif isinstance(value, list):
            for each in value:
                collect(each, name)
        elif isinstance(value, str) and any(word in name.lower() for word in ("secret", "key", "token", "password")):
            found.add(value)

    for file in state.rglob("*.json"):
        try:
            collect(json.loads(file.read_text()), file.stem)
        except (ValueError, UnicodeDecodeError):
            continue  # no document
    return {each for each in found if len(each) >= 16 and "/" not in each[:1]} | {place.api_key()}


def test_deploy_starts_an_app_that_was_stopped(deployed: Place) -> None:
    workspace = str(deployed.workspace)
    stopped = deployed.home.cli("stop", workspace)
    assert (stopped["running"], stopped["awake"]) == ("stopped", 0)
    assert deployed.status()["state"] == "stopped"
    assert deployed.deploy()["verified"]
    assert deployed.status()["state"] == "ready"
