"""A release exchanged in the container that runs, where there is one GPU: beside the old server, in its turn, and failing."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.core.evaluation_runs import answers_of
from sidecar.core.workspace import open_workspace
from sidecar.gateway import revisions
from sidecar.gateway.files import open_share
from sidecar.words.errors import Cancelled, Conflict, EndpointError
from sidecar.workflows.history import releases
from sidecar.workflows.in_place import IN_TURN
from sidecar.workflows.preview import Preview, preview
from sidecar.workflows.restart import Patience
from tests.e2e.conftest import Home, Place, Sample, provisioned, until
from tests.e2e.rollouts import Asking, Told, faults, journal_of, look, run, struck
from tests.e2e.test_evaluate import ADAPTER, BASE, newest, put, rows_of

COUNTED = {"part": "arm", "kind": "delay", "seconds": 0}
WRITES: list[dict[str, Any]] = [
    *({**COUNTED, "method": each, "path": "/"} for each in ("PUT", "PATCH", "DELETE")),
    {**COUNTED, "method": "POST", "path": "/revisions/"},
]
WEIGHTS = "models/qlora/qlora/gpu_model/adapter/adapter_model.safetensors"
HELD = {"part": "files", "method": "PUT", "path": r"generations/\d+\.json\?comp=rename", "kind": "hold", "seconds": 240}
"""A release that has been checked, and is about to be made current."""
GOOD = {"measure": "exact", "model": ADAPTER, "bound": 0.95}
CRASH = "raise RuntimeError('the tokenizer of this release is wrong')\n"


@pytest.fixture(scope="module")
def serving(narrow: Home, sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An app that serves its first release."""
    with provisioned(narrow, tmp_path_factory.mktemp("in-place"), "in-place") as place:
        place.upload_models(sample[0])
        first = run(place, Told(), wish="auto")
        assert (first.strategy, first.generation, first.verified) == ("restart", 1, True)
        yield place


def version_of(place: Place) -> dict[str, Any]:
    seen = look(place)
    headers = {"Authorization": f"Bearer {place.api_key()}"}
    return httpx.get(f"{seen.url}/version", headers=headers, trust_env=False, timeout=240).json()


def replicas_of(place: Place) -> list[str]:
    where = place.around.app(place.config["ACA_APP_NAME"])
    return [each.name for found in revisions.revisions(where) for each in revisions.replicas(where, found.name)]


def previewed(place: Place) -> Preview:
    return preview(open_workspace(place.workspace), place.home.session(), journal_of(place, Told(), " of a look"))


@contextmanager
def gated(place: Place, sample: Sample, *thresholds: dict[str, Any], times: int = 1) -> Generator[None]:
    put(place, rows_of(sample)[::4] * times, thresholds=thresholds)
    try:
        yield
    finally:
        for each in (place.workspace / "infra").glob("evaluation.*"):
            each.unlink()


def edited(place: Place, text: str) -> None:
    (place.workspace / "inference" / "NOTE.md").write_text(text)


def test_a_changed_line_passes_its_gate_and_is_exchanged_beside_without_a_write_to_azure(
    serving: Place, sample: Sample
) -> None:
    before, ran = version_of(serving), replicas_of(serving)
    edited(serving, "beside")
    told = Told()
    with gated(serving, sample, GOOD):
        shown = previewed(serving)
        assert (shown.strategy, shown.form, shown.way, shown.downtime) == ("in-place", "beside", None, 0)
        assert "no request waits" in str(shown.sentence)
        assert any("asks the new server before it takes over" in str(each) for each in shown.notes)
        faults(serving, *WRITES)
        done = run(serving, told, wish="auto")
    hits = faults(serving)
    assert [each["seen"] for each in hits] == [0, 0, 0, 0]
    assert (done.strategy, done.form, done.verified) == ("in-place", "beside", True)
    assert f"Release {done.release[:12]} has passed its gate: 1 thresholds met." in told.text
    assert "Evaluating: " in told.text
    assert not done.pause
    now = version_of(serving)
    assert (now["release"], now["generation"]) == (done.release, str(done.generation))
    assert now["release"] != before["release"]
    assert now["replica"] == before["replica"]
    assert replicas_of(serving) == ran == list(done.replicas)
    assert look(serving).generation == done.generation


def test_a_release_that_does_not_pass_its_gate_does_not_take_over(serving: Place, sample: Sample) -> None:
    """The base answers otherwise than the adapter, by construction."""
    before, generation = version_of(serving), look(serving).generation
    edited(serving, "to be judged")
    with gated(serving, sample, GOOD, {"measure": "exact", "model": BASE, "bound": 0.95}):
        with pytest.raises(EndpointError) as missed:
            run(serving, Told(), wish="auto")
        edited(serving, "beside")  # what serves still
        report = serving.workspace / "infra" / "evaluations" / newest(serving).name / "report.md"
    assert missed.value.code == "GateMissed"
    assert f"{BASE}, exact matches >= 0.950: missed, it is 0.000." in str(missed.value)
    assert f"Release {before['release'][:12]} goes on serving." in str(missed.value)
    assert report.relative_to(serving.workspace).as_posix() in str(missed.value.suggestion)
    assert "Thresholds missed: 1 of 2." in report.read_text()
    assert (version_of(serving), look(serving).generation) == (before, generation)


@pytest.mark.long
def test_a_gate_that_was_killed_or_cancelled_is_gone_on_with(serving: Place, sample: Sample) -> None:
    """The candidate waits on behind the container's door for a while; what was answered is asked no second time."""
    before, had = version_of(serving)["release"], newest(serving).name
    edited(serving, "killed, then cancelled, then judged")
    told, cancelled = Told(), Told()
    with gated(serving, sample, GOOD, times=24):
        process = serving.home.start("deploy", str(serving.workspace), "--json")
        until(
            lambda: (
                (newest(serving).name != had and len(answers_of(newest(serving))) > 8) or process.poll() is not None
            ),
            180,
            "some answers",
        )
        process.kill()
        process.communicate()
        stored = answers_of(newest(serving))
        assert len(stored) > 8
        assert version_of(serving)["release"] == before
        cancelled.cancel_at("answers are stored already")
        with pytest.raises(Cancelled, match=f"Nothing was exchanged: release {before[:12]} goes on serving"):
            run(serving, cancelled, wish="auto")
        done = run(serving, told, wish="auto")
    assert "The container is at it already: that is followed." in cancelled.text
    assert "answers are stored already" in told.text
    now = answers_of(newest(serving))
    assert {name: each for name, each in now.items() if name in stored} == stored
    assert (done.form, version_of(serving)["release"]) == ("beside", done.release)


@pytest.mark.long
def test_in_turn_nobody_can_be_asked_before_so_that_a_missed_gate_brings_the_old_release_back(
    serving: Place, sample: Sample
) -> None:
    before = version_of(serving)
    file = serving.workspace / "inference" / "requirements.txt"
    packages = file.read_text()
    file.write_text(packages + "# judged in its turn\n")
    told = Told()
    told.cancel_at("which serves…")
    try:
        with gated(serving, sample, {**GOOD, "model": BASE}):
            with pytest.raises(Cancelled, match="its gate has not judged it"):
                run(serving, told, wish="auto")
            unjudged = version_of(serving)["release"]
            with pytest.raises(EndpointError) as missed:  # beside itself this time: it is no release to stay with
                run(serving, Told(), wish="auto")
    finally:
        file.write_text(packages)
    assert missed.value.code == "GateMissed"
    assert f"The release before, {before['release'][:12]}, serves again" in str(missed.value)
    assert version_of(serving)["release"] == before["release"] != unjudged


def test_a_release_that_fails_beside_is_told_with_its_reason_and_the_old_one_never_stops(serving: Place) -> None:
    before = version_of(serving)
    generation = look(serving).generation
    main = serving.workspace / "inference" / "__main__.py"
    good = main.read_text()
    main.write_text(good.replace("def main() -> int:\n", f"def main() -> int:\n    {CRASH}"))
    told = Told()
    try:
        with pytest.raises(EndpointError) as failed:
            run(serving, told, wish="auto")
    finally:
        main.write_text(good)
    assert f"Release {before['release'][:12]} goes on serving." in str(failed.value)
    assert "the tokenizer of this release is wrong" in (failed.value.detail or "")
    assert version_of(serving) == before
    assert look(serving).generation == generation  # nothing became current


def test_a_reload_is_told_by_the_new_server_not_by_the_old_one_of_the_same_release(
    serving: Place, sample: Sample
) -> None:
    """What the new server refuses is its own word: for a moment the ingress may still ask the old one."""
    config = serving.config
    with open_share(serving.around, config["STORAGE_ACCOUNT_NAME"], config["FILE_SHARE_NAME"]) as share:
        whole = share.read(WEIGHTS)
        share.replace(WEIGHTS, whole[:-1000])
        try:
            done = run(serving, Told(), wish="auto")
        finally:
            share.replace(WEIGHTS, whole)
    assert (done.strategy, done.code_changed, done.verified) == ("in-place", False, False)
    assert [each.name for each in done.refused] == ["gpu_model"]


def test_with_other_packages_the_old_server_goes_first_and_the_wait_is_measured(serving: Place) -> None:
    file = serving.workspace / "inference" / "requirements.txt"
    file.write_text(file.read_text() + "# another line\n")
    before, ran = version_of(serving), replicas_of(serving)
    shown = previewed(serving)
    assert (shown.strategy, shown.form) == ("in-place", "in turn")
    assert shown.downtime
    with Asking(serving) as asking:
        done = run(serving, told := Told(), wish="auto")
    assert (done.form, done.verified, replicas_of(serving)) == ("in turn", True, ran)
    assert done.pause is not None
    assert done.pause > 0
    assert f"Requests waited for {done.pause:.1f} s." in told.text
    assert version_of(serving)["release"] == done.release != before["release"]
    assert set(asking.statuses) == {200}
    assert max(asking.took) >= done.pause * 0.5  # one of them waited in the meantime


def test_one_that_fails_in_its_turn_starts_the_old_one_again_and_makes_it_current(serving: Place) -> None:
    before = version_of(serving)
    file = serving.workspace / "inference" / "requirements.txt"
    main = serving.workspace / "inference" / "__main__.py"
    good, packages = main.read_text(), file.read_text()
    main.write_text(good.replace("def main() -> int:\n", f"def main() -> int:\n    {CRASH}"))
    file.write_text(packages + "# one more\n")
    try:
        with Asking(serving) as asking, pytest.raises(EndpointError) as failed:
            run(serving, Told(), wish="auto")
    finally:
        main.write_text(good)
        file.write_text(packages)
    assert f"The release before, {before['release'][:12]}, serves again" in str(failed.value)
    assert look(serving).state == "ready"
    session, journal = serving.home.session(), journal_of(serving, Told(), " of a look")
    (current,) = [each for each in releases(open_workspace(serving.workspace), session, journal) if each.current]
    made = current.generation
    assert (made.number, made.cause, current.served) == (failed.value.restored, "failed", True)
    assert made.release == before["release"]
    assert version_of(serving)["release"] == before["release"]
    assert set(asking.statuses) == {200}


def test_a_full_disk_of_the_container_is_told_and_nothing_is_exchanged(serving: Place) -> None:
    before = version_of(serving)
    edited(serving, "no room")
    (server, *_) = sorted(serving.home.replica_processes(), key=lambda each: each.create_time(), reverse=True)
    supervisor = server.parent()
    assert supervisor is not None
    unlimited = resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, (4096, unlimited[1]))
    try:
        with pytest.raises(EndpointError) as failed:
            run(serving, Told(), wish="auto")
    finally:
        resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, unlimited)
    assert failed.value.code == "DiskFull"
    assert f"Release {before['release'][:12]} goes on serving." in str(failed.value)
    assert version_of(serving) == before


@pytest.mark.parametrize("same", [True, pytest.param(False, marks=pytest.mark.long)])
def test_of_two_deployers_at_once_the_same_code_serves_and_other_code_is_told(
    serving: Place, tmp_path: Path, *, same: bool
) -> None:
    """The second finds the first one's exchange under way. Where it is its own release it follows that, whoever is faster at each
    step; else it waits, and is told before it has started anything."""
    edited(serving, f"one of two, same: {same}")
    other = serving
    if not same:
        other = replace(serving, workspace=shutil.copytree(serving.workspace, tmp_path / "other"))
        edited(other, "the other of two")
    told = Told()
    with ThreadPoolExecutor(2) as pool:
        faults(serving, {**HELD, "times": 2})
        try:
            one = pool.submit(run, serving, Told(), wish="auto")
            until(lambda: struck(serving) == 1, 180, "the first release to be checked")
            two = pool.submit(run, other, told, wish="auto", who=" of another")
            if same:
                until(lambda: struck(serving) == 2, 180, "the second deployer, at the same exchange")
            else:
                until(lambda: "Waiting for another exchange" in told.text, 180, "the second deployer to wait")
        finally:
            faults(serving)
        first, failure = one.result(), two.exception()
    assert version_of(serving)["release"] == first.release
    if same:
        assert (two.result().release, two.result().generation) == (first.release, first.generation)
    else:
        assert isinstance(failure, Conflict)
        assert failure.code == "DeployedMeanwhile"
        assert "beside the one that serves" not in told.text


@pytest.mark.long  # a journey in VS Code cancels one too
def test_a_cancel_drops_what_was_tried_and_says_what_serves(serving: Place) -> None:
    before = version_of(serving)
    edited(serving, "cancelled")
    told = Told()
    told.cancel_at("Starting release")
    with pytest.raises(Cancelled) as cancelled:
        run(serving, told, wish="auto")
    assert (
        str(cancelled.value) == f"Cancelled. Nothing was exchanged: release {before['release'][:12]} goes on serving."
    )
    assert version_of(serving) == before
    edited(serving, "cancelled, then not")
    again = run(serving, Told(), wish="auto")  # nothing of it is in the way
    assert (again.form, again.verified) == ("beside", True)


@pytest.mark.long
def test_a_cancel_amid_an_exchange_in_turn_says_which_release_is_current_and_that_one_comes(serving: Place) -> None:
    """Nobody accepts then, so that the container can't be told: unless it has not begun, the new release takes over by itself."""
    before = version_of(serving)
    file = serving.workspace / "inference" / "requirements.txt"
    file.write_text(file.read_text() + "# cancelled in its turn\n")
    told = Told()
    told.cancel_at("Exchanging the server")
    with Asking(serving) as asking, pytest.raises(Cancelled) as cancelled:
        run(serving, told, wish="auto")
    (current,) = [
        each for each in serving.home.cli("releases", str(serving.workspace))["generations"] if each["current"]
    ]
    back = f"The release before, {before['release'][:12]}, is current again" in str(cancelled.value)
    assert back or f"Release {current['release'][:12]} is current already" in str(cancelled.value)
    assert (current["release"] == before["release"]) == back
    until(lambda: look(serving).state == "ready", 180, "a server to answer")
    assert version_of(serving)["release"] == current["release"]
    assert set(asking.statuses) == {200}


@pytest.mark.long
def test_an_exchange_in_turn_is_waited_for_as_long_as_a_start_may_take(serving: Place) -> None:
    """While nobody accepts the container can't be asked: for longer than a lost answer is borne otherwise."""
    file = serving.workspace / "inference" / "requirements.txt"
    main = serving.workspace / "inference" / "__main__.py"
    good = main.read_text()
    file.write_text(file.read_text() + "# slow\n")
    main.write_text(good.replace("def main() -> int:\n", 'def main() -> int:\n    __import__("time").sleep(45)\n'))
    told = Told()
    try:
        done = run(serving, told, Patience(again=1), wish="auto")
    finally:
        main.write_text(good)
    assert "Requests wait until the new server answers…" in told.text
    assert (done.form, done.verified) == ("in turn", True)
    assert done.pause is not None
    assert done.pause > 45


@pytest.mark.parametrize(
    "step",
    ["exchange", *(pytest.param(each, marks=pytest.mark.long) for each in ("push", "switch", "take-over", IN_TURN))],
)
def test_after_a_killed_run_the_next_one_finishes(serving: Place, step: str) -> None:
    """Whatever it was at: the next run finds the release on the share, the exchange in the container, or a current release that
    does not serve yet."""
    edited(serving, f"killed at {step}")
    if step == IN_TURN:
        file = serving.workspace / "inference" / "requirements.txt"
        file.write_text(file.read_text() + "# killed\n")
    process = serving.home.start("deploy", str(serving.workspace), "--json")
    try:
        until(lambda: step in steps(serving) or process.poll() is not None, 180, f"the step {step}")
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    assert version_of(serving)["base"]  # somebody serves
    done = serving.deploy()
    assert (done["strategy"], done["verified"]) == ("in-place", True)
    assert version_of(serving)["release"] == done["release"]
    assert look(serving).generation == done["generation"]


def steps(place: Place) -> list[str]:
    """Of the run that was begun last."""
    files = (place.home.folder / "state" / "journals").glob("*-deploy.jsonl")
    lines = [line for file in files for line in file.read_text().splitlines()]
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    return [each["step"] for each in entries if each["operation"] == entries[-1]["operation"]]
