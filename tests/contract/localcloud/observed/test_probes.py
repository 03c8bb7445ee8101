"""What real Azure was seen to do with apps that start slowly, hang, or fail one probe alone: done here by real processes."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.localcloud.conftest import World, eventually
from tests.contract.localcloud.observed.reading import container_of, events, latest, raw, revision_of, said, written
from tests.contract.localcloud.test_apps import SERVING, app_body, deployed, state_of
from tests.support.evidence import evidence

AWKWARD = Path(__file__).with_name("awkward_server.py")


def awkward(environment: str, probes: list[dict[str, Any]], **variables: str) -> dict[str, Any]:
    body = app_body(environment, env=variables, scale={"minReplicas": 1, "maxReplicas": 1})
    container = body["properties"]["template"]["containers"][0]
    container["command"] = ["python3", str(AWKWARD)]
    container["probes"] = probes
    return body


def probe(kind: str, **changes: int) -> dict[str, Any]:
    """On the health route, every second (of the cloud's bounds)."""
    return {
        "type": kind,
        "httpGet": {"path": "/health", "port": 8080},
        "periodSeconds": 1,
        "timeoutSeconds": 60,
        **changes,
    }


STARTUP = probe("Startup", failureThreshold=240)


def address(world: World, name: str) -> str:
    return f"http://{raw(world, name)['properties']['configuration']['ingress']['fqdn']}"


@pytest.mark.fact(47)
def test_without_a_readiness_probe_of_its_own_an_app_is_asked_before_it_is_ready(
    cloud: World, environment: str, tmp_path: Path
):
    """A socket that takes connections is all that the platform's own probe sees."""
    captured = evidence("captured-outputs/revision-update-single.json")["scenarios"]
    assert next(each for each in captured if each["id"] == "S5")["answeredWhileAppNotReady"] > 0
    loading = tmp_path / "loading"
    loading.touch()
    written(cloud, "unprobed", awkward(environment, [], LOADING=str(loading)))
    first = httpx.get(f"{address(cloud, 'unprobed')}/", timeout=120)
    assert (first.status_code, first.text) == (503, "loading"), "the app's own words, while it is not ready"
    written(cloud, "probed", awkward(environment, [STARTUP, probe("Readiness")], LOADING=str(loading), ANSWER="ready"))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.get, f"{address(cloud, 'probed')}/", timeout=120)
        eventually(lambda: any(reason == "ProbeFailed" for reason, _ in said(cloud, "probed")), what="it listens")
        assert not asked.done()
        loading.unlink()
        assert asked.result().text == "ready", "held until it is ready"


@pytest.mark.fact(48)
def test_an_app_that_hangs_without_a_liveness_probe_of_its_own_reads_well(cloud: World, environment: str):
    captured = evidence("captured-outputs/liveness-kill.json")["noLivenessProbe"]
    url = deployed(cloud, "g", "hangs", awkward(environment, [STARTUP]))
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/hang", timeout=1)
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{url}/", timeout=1)
    read = revision_of(cloud, "hangs")
    # A maximum of one replica, so that running well reads RunningAtMaxScale.
    assert (read["healthState"], read["runningState"].removesuffix("AtMaxScale")) == (
        captured["healthState"],
        captured["runningState"],
    )
    assert container_of(cloud, "hangs")["restartCount"] == 0


@pytest.mark.fact(53)
def test_a_startup_budget_below_the_start_is_a_loop_and_one_above_is_health(cloud: World, environment: str):
    """Delay and period times threshold: 0.6 s and 48 s here, for starts of a minute and of 2 s."""
    short = awkward(environment, [probe("Startup", failureThreshold=3)], START_AFTER="60")
    written(cloud, "short", short)
    written(cloud, "long", awkward(environment, [STARTUP], START_AFTER="2"))
    eventually(lambda: state_of(cloud, "g", "long", latest(cloud, "long")) in SERVING, what="the budget is enough")
    eventually(lambda: revision_of(cloud, "short")["runningState"] == "Failed", what="the budget is too small")
    assert revision_of(cloud, "short")["healthState"] == "Unhealthy"

    def ended() -> list[str]:
        return [message for reason, message in said(cloud, "short") if reason == "ContainerTerminated"]

    eventually(lambda: len(ended()) >= 2, what="it is a loop")
    assert set(ended()) == {"Container 'main' was terminated with exit code '' and reason 'ProbeFailure'"}


@pytest.mark.fact(54)
def test_a_readiness_that_fails_alone_stops_traffic_and_nothing_else(cloud: World, environment: str, tmp_path: Path):
    captured = evidence("captured-outputs/readiness-only-failure.json")["apps"]
    theirs = next(each for each in captured if each["app"] == "ca-dep-ready-only")
    sick = tmp_path / "sick"
    body = awkward(environment, [STARTUP, probe("Readiness", failureThreshold=3)], SICK=str(sick))
    url = deployed(cloud, "g", "unready", body)
    sick.touch()
    eventually(lambda: revision_of(cloud, "unready")["runningState"] == theirs["runningState"])
    assert revision_of(cloud, "unready")["healthState"] == theirs["healthState"]
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/", timeout=1)
    failures = [message for reason, message in said(cloud, "unready") if reason == "ProbeFailed"]
    assert "Readiness Probe of Readiness reached failure threshold 3, changing status to Failure." in failures
    assert failures.count("Probe of Readiness failed with status code: 503") >= 3
    sick.unlink()
    eventually(lambda: state_of(cloud, "g", "unready", latest(cloud, "unready")) in SERVING, what="by itself")
    assert httpx.get(f"{url}/", timeout=120).status_code == 200
    assert container_of(cloud, "unready")["restartCount"] == theirs["restarts"] == 0


@pytest.mark.fact(55)
def test_a_liveness_that_fails_kills_at_the_threshold_and_the_revision_stays_failed(
    cloud: World, environment: str, tmp_path: Path
):
    captured = evidence("captured-outputs/readiness-only-failure.json")["apps"]
    theirs = next(each for each in captured if each["app"] == "ca-dep-both")
    sick = tmp_path / "sick"
    url = deployed(
        cloud,
        "g",
        "unlively",
        awkward(environment, [STARTUP, probe("Liveness", periodSeconds=5, failureThreshold=3)], SICK=str(sick)),
    )
    sick.touch()
    for count in (1, 2):
        wait_for_an_end(cloud, "unlively", count)
        sick.unlink()  # that the next start passes its startup probe
        eventually(lambda: container_of(cloud, "unlively")["started"])
        sick.touch()
    sick.unlink()
    cycle = [message for _, message in said(cloud, "unlively") if "iveness" in message or "terminated" in message]
    words = [re.sub(r"^\S+ ", "", line) for line in theirs["timeline"] if "Liveness" in line or "liveness" in line]
    assert cycle[:4] == [words[0], words[0], words[0], words[1].replace("ca-dep-both", "main")], "killed at the third"
    assert re.sub(r"^\S+ ", "", theirs["timeline"][-1]).replace("ca-dep-both", "main") in cycle
    read = eventually(lambda: (r := revision_of(cloud, "unlively"))["runningState"] == theirs["runningState"] and r)
    assert read["healthState"] == theirs["healthState"]
    eventually(lambda: container_of(cloud, "unlively")["ready"], what="the cause is gone")
    assert revision_of(cloud, "unlively")["runningState"] == "Failed", "it did not recover with its cause"
    assert httpx.get(f"{url}/", timeout=120).status_code == 200


def wait_for_an_end(world: World, name: str, count: int) -> None:
    eventually(lambda: [each["Reason"] for each in events(world, name)].count("ContainerTerminated") >= count)
