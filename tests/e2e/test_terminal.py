"""The main job in a terminal, on real processes: provision, deploy, ask, reload, look, start again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import pytest

from sidecar.core.journal import unfinished
from sidecar.core.workspace import CONFIG_KEYS
from sidecar.gateway import resources

from .conftest import ROOT, Home, Place, Sample, alive, new_place, until


def client(place: Place) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"http://{place.config['ACA_APP_ENDPOINT']}/v1", api_key=place.api_key(), max_retries=0
    )


def ask(place: Place, model: str, question: str) -> str:
    answer = client(place).chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], temperature=0, max_tokens=64
    )
    return (answer.choices[0].message.content or "").strip()


def models(place: Place) -> tuple[str, str]:
    """Base and adapter by their names."""
    listed = [each.id for each in client(place).models.list()]
    base = next(each for each in listed if "/" in each)
    return base, next(each for each in listed if each != base)


def test_provision_writes_the_six_keys_and_both_models_answer(deployed: Place, sample: Sample) -> None:
    assert list(deployed.config) == list(CONFIG_KEYS)
    assert all(deployed.config.values())
    base, adapter = models(deployed)
    for each in sample[1][:3]:
        assert ask(deployed, base, each.question) == each.base
        assert ask(deployed, adapter, each.question) == each.adapter


def test_provision_again_changes_nothing(deployed: Place) -> None:
    before = deployed.status()
    key = deployed.api_key()
    deployed.provision()
    after = deployed.status()
    assert (after["revision"], after["replicas"]) == (before["revision"], before["replicas"])
    assert deployed.api_key() == key


def test_deploy_without_a_change_reloads_and_with_one_runs_the_new_code(deployed: Place) -> None:
    first = deployed.deploy()
    assert first["runsOn"] == deployed.status()["runsOn"], "what answers is told by Deploy itself"
    assert (first["runsOn"]["device"], first["runsOn"]["attention"]) == ("cpu", "dense")
    assert not first["codeChanged"]
    (deployed.workspace / "inference" / "NOTE.txt").write_text("a change")
    second = deployed.deploy()
    assert second["codeChanged"]
    assert second["generation"] == first["generation"] + 1
    assert second["release"] != first["release"]
    assert (first["strategy"], second["strategy"], second["form"]) == ("in-place", "in-place", "beside")
    assert second["replicas"] == first["replicas"]
    assert second["verified"]


def test_deploy_works_from_the_configuration_alone(deployed: Place, tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "inference.config.json").write_text(json.dumps(deployed.config))
    deployed.home.cli("init", str(tmp_path))
    for path in (tmp_path / "infra").rglob("*"):
        if path.is_file() and path.name != "inference.config.json":
            path.unlink()
    answer = deployed.home.cli("deploy", str(tmp_path))
    assert answer["url"] == f"http://{deployed.config['ACA_APP_ENDPOINT']}"


def test_looking_tells_state_revision_and_replica_and_a_login_link_is_single_use(deployed: Place) -> None:
    found = deployed.status()
    assert found["state"] == "ready"
    assert [each["state"] for each in found["replicas"]] == ["Running"]
    assert set(found["hashes"]) == {found["base"], *found["adapters"]}
    assert {len(each) for each in found["hashes"].values()} == {64}
    assert (found["runsOn"]["device"], found["runsOn"]["gpu"]) == ("cpu", None)
    assert "float" in found["runsOn"]["dtype"]
    assert [each["serves"] for each in found["revisions"]] == [True]
    link = deployed.home.cli("endpoint", str(deployed.workspace))["loginUrl"]
    first = httpx.get(link, timeout=60)
    assert first.status_code == 303
    assert "set-cookie" in first.headers
    assert "set-cookie" not in httpx.get(link, timeout=60).headers


def test_no_secret_in_anything_written(deployed: Place) -> None:
    """Keys stand in the local cloud's own 0600 store and nowhere else."""
    secrets = {deployed.api_key().encode()}
    state = deployed.home.settings.local_state
    hits = [
        path.relative_to(deployed.home.folder)
        for folder in (deployed.home.folder, deployed.workspace)
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077 and any(each in path.read_bytes() for each in secrets)
    ]
    assert hits == []
    assert (state / "cloud.json").stat().st_mode & 0o077 == 0


def test_a_failed_deploy_says_why_and_the_next_one_works(deployed: Place) -> None:
    main = deployed.workspace / "inference" / "__main__.py"
    good = main.read_text()
    main.write_text("raise SystemExit('broken on purpose')\n")
    failed = deployed.home.cli("deploy", str(deployed.workspace), expect=1)
    assert failed["error"]["code"] == "ContainerCrashed"
    assert "broken on purpose" in failed["error"]["detail"], "the end of the container's log"
    assert deployed.status()["state"] == "ready", "the release before it goes on serving"
    main.write_text(good)
    assert deployed.deploy()["verified"]


def test_errors_have_exit_codes_and_say_what_to_do(home: Home, tmp_path: Path) -> None:
    missing = home.cli("deploy", str(tmp_path / "nowhere"), expect=1)["error"]
    assert missing["code"] == "WorkspaceError"
    unprovisioned = home.cli("deploy", str(tmp_path), "--yes", expect=1)["error"]
    assert unprovisioned["code"] == "NotProvisioned"
    assert "sidecar provision`" in unprovisioned["suggestion"]


def test_a_killed_sidecar_leaves_the_operation_running_and_the_next_run_adopts_it(home: Home, tmp_path: Path) -> None:
    place = new_place(home, tmp_path, "killed")
    process = home.start("provision", str(tmp_path), "--subscription", place.subscription, "--group", "killed", "--yes")
    assert process.stderr is not None
    for line in process.stderr:
        if "Starting the deployment" in line:
            break
    process.kill()
    process.wait()
    known = {
        name
        for file in (home.folder / "state" / "journals").glob("*-provision.jsonl")
        if (last := unfinished(file)) is not None and (name := str(last.facts.get("deployment", "")))
    }
    (name,) = known
    if resources.find_deployment(place.around, name) is not None:  # the PUT was out before the kill

        def ended() -> bool:
            found = resources.find_deployment(place.around, name)
            return found is not None and found.finished

        until(ended, 240, "the deployment to end without its sidecar")
        assert resources.deployment(place.around, name).state == "Succeeded"
    result = place.provision()
    # A PUT that was on its way at the kill may have come to its end by then: nothing is left to do, and nothing is begun again.
    assert result["deployment"] in {name, ""}
    made = resources.find_deployment(place.around, name)
    assert made is not None
    assert made.state == "Succeeded"
    assert result["endpoint"] == place.config["ACA_APP_ENDPOINT"]


@pytest.mark.long
def test_killing_the_local_cloud_ends_every_replica_and_the_next_run_works(
    own_home: Home, sample: Sample, tmp_path: Path
) -> None:
    place = new_place(own_home, tmp_path / "project", "g")
    place.provision()
    place.upload_models(sample[0])
    place.deploy()
    config = place.config
    processes = own_home.replica_processes()
    assert processes
    own_home.stop_cloud(signal.SIGKILL)
    until(lambda: not any(alive(each) for each in processes), 120, "the replicas to end")
    assert place.deploy()["verified"]
    assert place.config == config
    processes = own_home.replica_processes()
    own_home.stop_cloud()
    assert not any(alive(each) for each in processes)


def demo(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sidecar", "demo", "--folder", str(folder), *more],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_npm_start_verifies_once_and_the_second_time_stays_until_ctrl_c(tmp_path: Path) -> None:
    first = demo(tmp_path, "--once")
    said, _ = first.communicate(timeout=600)
    assert first.returncode == 0, said
    for expected in (
        "base model",
        "adapter",
        "The inference endpoint is available at http://",
        "API key",
        "curl",
        "OpenAI",
    ):
        assert expected in said
    assert Home(tmp_path).replica_processes() == []

    second = demo(tmp_path)
    assert second.stdout is not None
    lines: list[str] = []
    for line in second.stdout:
        lines.append(line)
        if "Press Ctrl-C" in line:
            break
    processes = Home(tmp_path).replica_processes()
    cloud = Home(tmp_path).cloud()
    assert processes
    assert alive(cloud)
    second.send_signal(signal.SIGINT)
    rest, _ = second.communicate(timeout=240)
    assert second.returncode == 0, "".join(lines) + rest
    assert not alive(cloud)
    assert not any(alive(each) for each in processes)
