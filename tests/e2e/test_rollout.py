"""How *Deploy* replaces what runs, on one GPU and on two, and what it puts on the share before."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.core.codefiles import read_tree
from sidecar.core.journal import Journal
from sidecar.core.releases import Generation
from sidecar.core.sync import pack
from sidecar.core.workspace import open_workspace
from sidecar.gateway.files import open_share
from sidecar.words.errors import EndpointError
from sidecar.workflows.publish import Published, is_current, make_current, upload
from sidecar.workflows.records import read_record
from sidecar.workflows.restart import Patience
from tests.drift import container_start
from tests.support.held import held

from .conftest import BRIEF, Home, Place, Sample, apps_of, delete_apps, new_place, provisioned
from .rollouts import Told, faults, look, run

SLOWLY = """import fcntl, time
for percent in (30, 60):
    print(f"slipway: phase loading-base {percent}%", flush=True)
    time.sleep(4)
    with open(f"FOLDER/{percent}", "rb") as seen:
        fcntl.flock(seen, fcntl.LOCK_SH)
"""
"""The sample's megabyte loads between two looks; a real base takes minutes, in any case until somebody has looked."""


@pytest.mark.fact(63, 73, 128)
def test_with_one_gpu_the_old_replica_goes_first_and_the_downtime_is_said_before(
    place: Place, sample: Sample, tmp_path: Path
) -> None:
    place.upload_models(sample[0])
    main = place.workspace / "inference" / "__main__.py"
    main.write_text(SLOWLY.replace("FOLDER", str(tmp_path)) + main.read_text())
    first = Told()
    with contextlib.ExitStack() as loading30, contextlib.ExitStack() as loading60:
        for percent, loading in (("30", loading30), ("60", loading60)):
            loading.enter_context(held(tmp_path / percent))
            first.once(f"Loading the base model ({percent} %)…", loading.close)
        deployed = run(place, first)
    assert deployed.verified
    assert "nobody is cut off" in first.text
    percents = [first.at(f"Loading the base model ({percent} %)…") for percent in (30, 60)]
    assert 0 < percents[0] < percents[1]
    again = Told()
    reloaded = run(place, again)
    assert reloaded.verified
    assert not set(reloaded.replicas) & set(deployed.replicas)
    assert "does not answer for about" in again.text
    assert again.at("does not answer for about") < again.at("Ending the replica of")
    (announced,) = (int(found[1]) for line in again.lines if (found := re.search(r"for about (\d+) s", line[1])))
    lasted = again.at("Asking the model…") - again.at("Ending the replica of")
    assert announced / 3 <= lasted <= 3 * announced, (announced, lasted)  # other tests may begin or end meanwhile
    assert look(place).state == "ready"


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_two_deployers_of_the_same_code_both_succeed(place: Place, tmp_path: Path) -> None:
    """Whoever is second finds the bundle and the generation there, with the same content: that is no conflict."""
    release = pack(read_tree(open_workspace(place.workspace).code), tmp_path / "bundle.tar")
    account, name = place.config["STORAGE_ACCOUNT_NAME"], place.config["FILE_SHARE_NAME"]
    journal = Journal(tmp_path / "journal", "test", lambda _: None, threading.Event())
    together = threading.Barrier(4)

    def publish_it(number: int) -> Published:
        with open_share(place.around, account, name) as share:
            together.wait()
            record = read_record(share, ".slipway/same", journal)
            upload(release, share, record, journal)
            if is_current(record, release.digest):
                return Published(release.digest, record.highest, changed=False)
            return make_current(share, record, Generation(0, release.digest), journal)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(publish_it, range(4)))
    assert {each.release for each in done} == {release.digest}
    assert {each.generation for each in done} == {1}
    assert sum(each.changed for each in done) == 1


def test_commands_that_change_into_the_mount_get_the_plain_tree(narrow: Home, sample: Sample, tmp_path: Path) -> None:
    place = new_place(narrow, tmp_path / "project", "entering")
    file = place.workspace / "infra" / "provision" / "inference.parameters.json"
    document = json.loads(file.read_text())
    document["parameters"]["defaultCommands"] = {
        "value": ["cd /mount", "python3 -m pip install --quiet -r inference/requirements.txt", "python3 -m inference"]
    }
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
        assert command[2] == container_start()
        again = place.home.cli("deploy", str(place.workspace))  # nothing is left to agree to
        assert (again["strategy"], again["verified"]) == ("in-place", True)  # it has a deploy key now
    finally:
        delete_apps(place)
