"""The main job's other verbs in a terminal, on real processes: a stopped app, the endpoint as code, diagnostics."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import httpx

from .conftest import Place, apps_of

RUNNERS = {
    "curl": ["bash", "-s"],
    "python": [sys.executable, "-"],
    "javascript": ["node", "--input-type=module", "-"],
}


def test_the_endpoint_as_code_is_answered_and_holds_no_key(deployed: Place) -> None:
    key = deployed.api_key()
    for language, program in RUNNERS.items():
        if shutil.which(program[0]) is None or (language == "curl" and shutil.which("curl") is None):
            continue  # not on this machine
        found = deployed.home.cli("snippet", str(deployed.workspace), "--language", language)
        assert key not in json.dumps(found)
        assert found["model"], "a replica is awake, and names it"
        for given, answered in ((key, True), ("wrong", False)):
            environ = {**os.environ, "SLIPWAY_API_KEY": given, "NO_PROXY": "*", "no_proxy": "*"}
            done = subprocess.run(
                program, input=found["code"], env=environ, capture_output=True, text=True, timeout=240, check=False
            )
            assert (done.returncode == 0) is answered, (language, given == key, done.stderr)
            assert done.stdout.strip() or not answered


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
    with apps_of(deployed) as client:
        listed = client.container_apps.list_secrets(
            deployed.config["RESOURCE_GROUP_NAME"], deployed.config["ACA_APP_NAME"]
        )
    stated = {each.value for each in listed.value} - {NOTHING}
    assert len(stated) > 1
    assert stated | {deployed.api_key()} <= secrets
    assert len(secrets) > 4
    assert [(name, each[:4]) for name, text in texts.items() for each in secrets if each in text] == []
    console = next(text for name, text in texts.items() if name.startswith("console-"))
    assert "ready after" in console
    assert json.loads(texts["status.json"])["state"] == "ready"
    assert json.loads(texts["app.json"])["name"] == deployed.config["ACA_APP_NAME"]
    assert "deploy" in texts["journal-deploy.jsonl"]
    assert json.loads(texts["about.json"])["cloud"] == "local"


NOTHING = "none"
"""What the template's secrets hold that nobody has stated."""

DEPLOY_SECRET = "slipway-deploy-key"
"""A secret's name, as the template states it; its value is none of the names."""


def secrets_of(place: Place) -> set[str]:
    """From the store's own files, of which only the cloud's owner can read any."""
    state = place.home.settings.local_state
    found: set[str] = set()

    def collect(value: object, name: str) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                if key not in ("secretRef", "passwordSecretRef"):  # the name of one
                    collect(each, f"secret {key}" if name == "secrets" and key == "value" else str(key))
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
    return {each for each in found if len(each) >= 16 and "/" not in each[:1]} - {DEPLOY_SECRET} | {place.api_key()}


def test_deploy_starts_an_app_that_was_stopped(deployed: Place) -> None:
    workspace = str(deployed.workspace)
    stopped = deployed.home.cli("stop", workspace)
    assert (stopped["running"], stopped["awake"]) == ("stopped", 0)
    assert deployed.status()["state"] == "stopped"
    previewed = deployed.home.cli("preview", workspace)
    assert any("is stopped: a deploy starts it" in each for each in previewed["notes"])
    assert deployed.deploy()["verified"]
    assert deployed.status()["state"] == "ready"

    warm = deployed.home.start("keep-warm", workspace)
    assert warm.stderr is not None
    assert "is kept warm, its GPU is awake and billed: asked at" in warm.stderr.readline()
    warm.send_signal(signal.SIGINT)
    out, _ = warm.communicate(timeout=240)
    assert (warm.returncode, "no longer kept warm" in out) == (0, True)


def test_no_request_is_refused_for_its_key_while_it_is_rotated(deployed: Place) -> None:
    """Callers with the old key ask all the time, until they have changed; then it is refused."""
    workspace, old = str(deployed.workspace), deployed.api_key()
    url = f"http://{deployed.config['ACA_APP_ENDPOINT']}/v1/models"

    def status_with(key: str) -> int:
        return httpx.get(url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=240).status_code

    seen: list[int] = []
    stop = threading.Event()

    def call() -> None:
        while not stop.wait(0.1):
            seen.append(status_with(old))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        rotated = deployed.home.cli("rotate-key", workspace)
        new = deployed.api_key()
        assert (rotated["between"], rotated["restarted"]) == (True, True)
        assert new not in json.dumps(rotated)
        assert new != old
        assert status_with(new) == 200
        again = deployed.home.cli("rotate-key", workspace)
        assert (again["between"], again["restarted"]) == (True, False)
        assert deployed.api_key() == new, "another key would drop the one that callers still have"
    finally:
        stop.set()
        caller.join()
    assert set(seen) == {200}
    finished = deployed.home.cli("rotate-key", workspace, "--finish")
    assert (finished["between"], finished["restarted"]) == (False, True)
    assert [status_with(new), status_with(old)] == [200, 401]
    assert deployed.home.cli("rotate-key", workspace, "--finish")["restarted"] is False
