"""The wait of *Deploy* and the look of *Status*, which see inside a replica that does not answer yet; on a GPU quota of one."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.mgmt.storage import StorageManagementClient

from sidecar.core.journal import Event, Journal
from sidecar.core.sync import pack
from sidecar.core.workspace import open_workspace
from sidecar.gateway import revisions
from sidecar.gateway.files import open_share
from sidecar.words.errors import Cancelled, EndpointError
from sidecar.workflows.deploy import Result, deploy
from sidecar.workflows.observe import Status, status
from sidecar.workflows.publish import Published, publish
from sidecar.workflows.restart import Patience

from .conftest import Home, Place, Sample, apps_of, delete_apps, new_place, until

WITHIN = 15
"""Seconds from a cause until it is told."""

BROKEN = "import sys\nprint('the code speaks', flush=True)\nimport no_such_module_anywhere\n"


SLOWLY = """import time
for percent in (30, 60):
    print(f"slipway: phase loading-base {percent}%", flush=True)
    time.sleep(4)
"""
"""The sample's megabyte loads between two looks; a real base takes minutes."""


@dataclass
class Told:
    """What a person saw, with the moment; `stop` is their cancel button."""

    lines: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    stop: threading.Event = field(default_factory=threading.Event)

    def listen(self, event: Event) -> None:
        self.lines.append((time.monotonic(), str(event.text)))

    def at(self, part: str) -> float:
        return next((moment for moment, line in self.lines if part in line), 0.0)

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)


def run(place: Place, told: Told, patience: Patience | None = None) -> Result:
    journal = Journal(place.home.folder / "journal", "test", told.listen, told.stop)
    return deploy(open_workspace(place.workspace), place.home.session(), journal, patience=patience or Patience())


def look(place: Place) -> Status:
    return status(open_workspace(place.workspace), place.home.session())


@contextlib.contextmanager
def provisioned(home: Home, folder: Path, name: str) -> Generator[Place]:
    place = new_place(home, folder / "project", name)
    place.provision()
    try:
        yield place
    finally:
        delete_apps(place)


BRIEF = {"scale": 0.02, "cooldown_scale": 1, "bounds": 0.2}
"""Grace and drain are a fifth of Azure's too."""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose region has one GPU, as a new subscription's."""
    home = Home(tmp_path_factory.mktemp("narrow"))
    home.hasten(times=BRIEF, default_gpu_quota=1)
    yield home
    home.stop_cloud()


@pytest.fixture
def place(narrow: Home, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    with provisioned(narrow, tmp_path, request.node.name[:40]) as place:
        yield place


@pytest.mark.fact(42, 111, 128)
def test_a_model_that_is_not_there_is_named_within_seconds_and_status_says_the_same(place: Place) -> None:
    """The likeliest first failure: nothing on the share. It was waited for, for half an hour, and never told."""
    until(lambda: look(place).state == "waiting-for-first-deploy", 120, "the replica to wait for its first deploy")
    told = Told()
    with pytest.raises(EndpointError) as error:
        run(place, told)
    ended = time.monotonic()
    assert error.value.code == "ModelLoadFailed"
    assert "no base model under" in str(error.value.message)
    assert error.value.detail is not None
    assert "slipway: failed: no base model under" in error.value.detail
    assert ended - told.at("Installing dependencies") < WITHIN
    assert "nobody is cut off" in told.text
    found = look(place)
    assert found.state == "failed"
    assert "no base model under" in str(found.reason)


@pytest.mark.fact(65, 66, 109, 111)
def test_code_that_dies_at_import_ends_the_wait_with_the_end_of_its_log(place: Place) -> None:
    (place.workspace / "inference" / "__main__.py").write_text(BROKEN)
    with pytest.raises(EndpointError) as error:
        run(place, Told())
    assert error.value.code == "ContainerCrashed"
    assert error.value.detail is not None
    assert "the code speaks" in error.value.detail
    assert "No module named 'no_such_module_anywhere'" in error.value.detail
    shown = place.home.cli("deploy", str(place.workspace), expect=1)["error"]
    assert "no_such_module_anywhere" in shown["detail"]
    assert look(place).state == "failed"


@pytest.mark.fact(63, 73, 128)
def test_with_one_gpu_the_old_replica_goes_first_and_the_downtime_is_said_before(place: Place, sample: Sample) -> None:
    place.upload_models(sample[0])
    main = place.workspace / "inference" / "__main__.py"
    main.write_text(SLOWLY + main.read_text())
    first = Told()
    deployed = run(place, first)
    assert deployed.verified
    assert "nobody is cut off" in first.text
    percents = [first.at(f"Loading the base model ({percent} %)…") for percent in (30, 60)]
    assert 0 < percents[0] < percents[1]
    assert "Installing dependencies…" in first.text
    again = Told()
    reloaded = run(place, again)
    assert reloaded.verified
    assert not set(reloaded.replicas) & set(deployed.replicas)
    assert "does not answer for about" in again.text
    assert again.at("does not answer for about") < again.at("Ending the replica of")
    (announced,) = (int(found[1]) for line in again.lines if (found := re.search(r"for about (\d+) s", line[1])))
    lasted = again.at("Asking the model…") - again.at("Ending the replica of")
    assert 0.5 * announced <= lasted <= 1.5 * announced, (announced, lasted)
    assert look(place).state == "ready"


def test_a_damaged_bundle_is_replaced_whether_its_size_tells_or_only_its_digest(place: Place, sample: Sample) -> None:
    place.upload_models(sample[0])
    first = run(place, Told())
    config = place.config
    bundle = f".slipway/{config['ACA_APP_NAME']}/releases/{first.release}"
    with open_share(place.around, config["STORAGE_ACCOUNT_NAME"], config["FILE_SHARE_NAME"]) as share:
        good = share.read(bundle)
        share.replace(bundle, good[:10])
        told = Told()
        assert run(place, told).release == first.release
        assert "is damaged: it is replaced" in told.text
        assert share.read(bundle) == good
        # an older release runs in its place, so that only what /version says gives it away
        (place.workspace / "inference" / "NOTE.txt").write_text("another release")
        second = run(place, Told())
        other = f".slipway/{config['ACA_APP_NAME']}/releases/{second.release}"
        whole = share.read(other)
        share.replace(other, whole[:-1] + bytes([whole[-1] ^ 1]))
        told = Told()
        assert run(place, told).release == second.release
        assert "is damaged: it is replaced" in told.text
        assert share.read(other) == whole


def test_a_stray_and_a_damaged_generation_stop_no_deploy(place: Place, sample: Sample) -> None:
    place.upload_models(sample[0])
    config = place.config
    folder = f".slipway/{config['ACA_APP_NAME']}/generations"
    with open_share(place.around, config["STORAGE_ACCOUNT_NAME"], config["FILE_SHARE_NAME"]) as share:
        for name, content in (("notes.json", b"{}"), ("1 - Copy.json", b"x"), ("7.json", b"{")):
            share.replace(f"{folder}/{name}", content)
    told = Told()
    assert run(place, told).generation == 8
    assert "Generation 7 on the share can't be read and is skipped." in told.text


def test_two_deployers_of_the_same_code_both_succeed(place: Place, tmp_path: Path) -> None:
    """Whoever is second finds the bundle and the generation there, with the same content: that is no conflict."""
    release = pack(open_workspace(place.workspace).code)
    account, name = place.config["STORAGE_ACCOUNT_NAME"], place.config["FILE_SHARE_NAME"]
    journal = Journal(tmp_path / "journal", "test", lambda _: None, threading.Event())
    together = threading.Barrier(4)

    def publish_it(number: int) -> Published:
        with open_share(place.around, account, name) as share:
            together.wait()
            return publish(release, share, ".slipway/same", journal)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(publish_it, range(4)))
    assert {each.release for each in done} == {release.digest}
    assert {each.generation for each in done} == {1}
    assert sum(each.changed for each in done) == 1


def test_commands_that_change_into_the_mount_get_the_plain_tree(narrow: Home, sample: Sample, tmp_path: Path) -> None:
    place = new_place(narrow, tmp_path / "project", "entering")
    file = place.workspace / "infra" / "provision" / "inference.parameters.json"
    document = json.loads(file.read_text())
    document["parameters"]["defaultCommands"] = {"value": ["cd /mount", "python3 -m inference"]}
    file.write_text(json.dumps(document))
    place.provision()
    place.upload_models(sample[0])
    try:
        done = run(place, Told())
        assert done.verified
        assert done.release == ""
        with open_share(place.around, place.config["STORAGE_ACCOUNT_NAME"], place.config["FILE_SHARE_NAME"]) as share:
            assert share.exists("inference/__main__.py")
    finally:
        delete_apps(place)


def test_an_app_of_an_older_slipway_is_brought_up_to_date_after_consent(
    narrow: Home, sample: Sample, tmp_path: Path
) -> None:
    said = subprocess.run(
        ["git", "show", "2b04a2e:infra/provision/inference.bicep"], capture_output=True, text=True, check=False
    )
    if said.returncode != 0:
        pytest.skip(f"there is no history here: {said.stderr.strip()}")
    place = new_place(narrow, tmp_path / "project", "older")
    provision = place.workspace / "infra" / "provision"
    (provision / "inference.bicep").write_text(said.stdout)
    (provision / "inference.json").unlink()
    place.provision()
    place.upload_models(sample[0])
    try:
        refused = place.home.cli("deploy", str(place.workspace), expect=3)["error"]
        assert refused["consent"] == "upgrade-app"
        assert "as a new revision" in refused["suggestion"]
        assert place.deploy()["verified"]
        with apps_of(place) as client:
            app = client.container_apps.get(place.group, place.config["ACA_APP_NAME"])
        assert app.properties is not None
        assert app.properties.template is not None
        command = (app.properties.template.containers or [])[0].command or []
        assert command[2] == Path("infra/provision/bootstrap.py").read_text()
        assert place.home.cli("deploy", str(place.workspace))["verified"]  # nothing is left to agree to
    finally:
        delete_apps(place)


def faults(place: Place, *rules: dict[str, Any]) -> list[dict[str, int]]:
    """Sets rules at the local cloud's door of faults; returns how often those before were met and struck."""
    known = json.loads((place.home.settings.local_state / "cloud.json").read_text())
    headers = {"Authorization": f"Bearer {known['adminToken']}"}
    with httpx.Client(base_url=known["arm"], verify=known["caFile"], headers=headers) as client:
        hits = client.get("/admin/faults").json()
        assert client.put("/admin/faults", json={"seed": 1, "rules": list(rules)}).status_code < 300
        return hits["rules"]


def test_a_log_stream_that_breaks_off_or_wants_a_newer_token_is_taken_up_again(place: Place) -> None:
    """It says nothing of it: streams end when they like."""
    (place.workspace / "inference" / "__main__.py").write_text(
        "import sys, time\n"
        "for number in range(12):\n"
        "    print('line', number, flush=True)\n"
        "    time.sleep(0.5)\n"
        "sys.exit(3)\n"
    )
    console: dict[str, Any] = {"part": "data", "path": "logstream"}
    faults(place, {**console, "kind": "reset-before", "times": 2}, {**console, "kind": "status", "status": 401})
    try:
        told = Told()
        with pytest.raises(EndpointError) as error:
            run(place, told)
    finally:
        hits = faults(place)
    assert error.value.code == "ContainerCrashed"
    assert [each["hits"] for each in hits] == [2, 1]
    told_lines = (error.value.detail or "").splitlines()
    numbers = [int(line.removeprefix("line ")) for line in told_lines if line.startswith("line ")]
    assert len(numbers) >= 12
    follows = [(number + 1) % 12 for number in numbers[:-1]]  # the container begins anew after each end
    assert numbers[1:] == follows
    assert "broke off" not in told.text


def test_the_logs_token_follows_no_redirect_to_another_host(place: Place) -> None:
    heard: list[bytes] = []
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.2)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = stranger.accept()
                    heard.append(connection.recv(65536))

        listening = threading.Thread(target=listen)
        listening.start()
        where = f"https://127.0.0.1:{stranger.getsockname()[1]}/stolen"
        rule: dict[str, Any] = {
            "part": "data",
            "kind": "status",
            "status": 302,
            "headers": {"Location": where},
            "times": None,
        }
        faults(place, rule)
        try:
            with pytest.raises(EndpointError):
                run(place, told, Patience(whole=20))
        finally:
            hits = faults(place)
            ended.set()
            listening.join()
    assert hits[0]["hits"] > 0
    assert "leads to another address" in told.text
    assert heard == []


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [("Ending the replica", 5), ("Waiting for the old replica", 5), ("Installing dependencies", 1.5)],
)
def test_a_cancel_is_heard_at_once_and_leaves_the_revision_active(place: Place, moment: str, seconds: float) -> None:
    """Also between the end of the old replica and the start of the new one, where nothing is active."""
    until(lambda: look(place).state == "waiting-for-first-deploy", 120, "the replica to wait for its first deploy")
    stop = threading.Event()
    pressed: list[float] = []

    def listen(event: Event) -> None:
        if moment in str(event.text) and not pressed:
            pressed.append(time.monotonic())
            stop.set()

    journal = Journal(place.home.folder / "journal", "test", listen, stop)
    with pytest.raises(Cancelled):
        deploy(open_workspace(place.workspace), place.home.session(), journal)
    assert time.monotonic() - pressed[0] < seconds
    found = revisions.revisions(place.around.app(place.config["ACA_APP_NAME"]))
    assert [each.active for each in found] == [True]


@pytest.mark.fact(31, 74, 75, 76)
def test_with_a_second_gpu_a_deploy_is_no_outage_and_a_lost_restart_is_asked_for_again(
    own_home: Home, sample: Sample, tmp_path: Path
) -> None:
    """A restart that answers 200 and restarts nothing: once, and then for ever."""
    own_home.hasten(times=BRIEF, default_gpu_quota=2, gpu_release="at-once")
    with provisioned(own_home, tmp_path, "rolling") as place:
        place.upload_models(sample[0])
        first = run(place, Told())
        lost: dict[str, Any] = {
            "method": "POST",
            "path": "/restart",
            "kind": "status",
            "status": 200,
            "body": "",
            "times": 1,
        }
        faults(place, lost)
        with asked_all_the_while(place) as answers:
            told = Told()
            second = run(place, told, Patience(restart=10))
        assert second.verified
        assert "Nothing restarted: asking once more…" in told.text
        assert not set(first.replicas) & set(second.replicas)
        assert len(answers) > 10
        assert set(answers) == {200}
        faults(place, {**lost, "times": None})
        with pytest.raises(EndpointError) as error:
            run(place, Told(), Patience(restart=5))
        assert error.value.code == "NothingRestarted"
        faults(place)


@contextlib.contextmanager
def asked_all_the_while(place: Place) -> Generator[list[int]]:
    """What a caller gets meanwhile, request after request."""
    answers: list[int] = []
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=f"http://{place.config['ACA_APP_ENDPOINT']}", timeout=10) as client:
            while not ended.wait(0.2):
                answers.append(client.get("/health/ready").status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield answers
    finally:
        ended.set()
        asking.join()


@pytest.mark.fact(119, 120)
def test_a_share_whose_key_was_changed_is_named(place: Place, sample: Sample) -> None:
    place.upload_models(sample[0])
    run(place, Told())
    session = place.home.session()
    with StorageManagementClient(session.credential, place.subscription, **session.arm_options()) as client:
        for key in ("key1", "key2"):
            body: Any = {"keyName": key}
            client.storage_accounts.regenerate_key(place.group, place.config["STORAGE_ACCOUNT_NAME"], body)
    began = time.monotonic()
    with pytest.raises(EndpointError) as error:
        run(place, Told())
    assert error.value.code == "MountFailed"
    assert "mount error(13)" in str(error.value.message)
    assert "run Provision again" in str(error.value.suggestion)
    assert time.monotonic() - began < 120


@pytest.mark.fact(68)
def test_a_container_that_is_killed_without_an_order_lacked_memory(place: Place) -> None:
    (place.workspace / "inference" / "__main__.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(EndpointError) as error:
        run(place, Told())
    assert error.value.code == "OutOfMemory"


@pytest.mark.parametrize("release", ["at-once", "after-drain", "deadline"])
def test_whenever_the_gpu_comes_back_it_ends_right_or_with_a_named_cause(
    own_home: Home, sample: Sample, tmp_path: Path, release: str
) -> None:
    """Nobody has seen which of these Azure does."""
    own_home.hasten(times=BRIEF, gpu_release=release, default_gpu_quota=1)
    with provisioned(own_home, tmp_path, "release") as place:
        place.upload_models(sample[0])
        patience = Patience(release=60, assign=30, restart=30)
        if release != "deadline":
            assert run(place, Told(), patience).verified
            return
        with pytest.raises(EndpointError) as error:
            run(place, Told(), patience)
        assert error.value.code == "GpuNotReleased"
