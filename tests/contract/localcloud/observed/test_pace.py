"""How long real Azure was seen to take for what it does by itself, at a tenth of it: writes, pulls, cold starts, a scale-out."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.localcloud.conftest import World, cloud_with_environment, eventually, start_cloud
from tests.contract.localcloud.observed.reading import events, latest, python, raw, revision_of, said, written
from tests.contract.localcloud.observed.test_starts import seconds_of
from tests.contract.localcloud.test_apps import app_body, deployed, replicas, state_of
from tests.support.evidence import evidence, same_shape

SCALE = 0.1
CRASHES = "raise SystemExit(1)"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    times = {"poll": 0, "tick": 0.05, "scale": SCALE, "bounds": 0.2, "cooldown_scale": 0.02}
    world = start_cloud(tmp_path_factory.mktemp("paced"), settings={"times": times})
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    body = {"location": "westus3", "properties": {}}
    world.apps.managed_environments.begin_create_or_update("g", "env", body).result()
    yield world
    world.stop()


@pytest.fixture(scope="module")
def environment(cloud: World) -> str:
    return cloud.apps.managed_environments.get("g", "env").id


@pytest.mark.fact(25)
@pytest.mark.parametrize(("name", "code"), [("well", None), ("broken", CRASHES)])
def test_a_write_takes_its_time_whatever_becomes_of_the_containers(
    cloud: World, environment: str, name: str, code: str | None
):
    body = app_body(environment)
    began = time.monotonic()
    written(cloud, name, body if code is None else python(body, code))
    took = time.monotonic() - began
    assert 15 * SCALE <= took < 600 * SCALE, "15 to 17 s of Azure's, and what this machine adds"
    assert raw(cloud, name)["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.fact(115)
def test_a_cold_start_is_the_platforms_before_it_is_the_processs(cloud: World, environment: str):
    captured = evidence("captured-outputs/cold-start-guide.json")["runs"]
    fastest = min(each["firstRequestMs"] for each in captured) / 1000
    scale = {"minReplicas": 0, "maxReplicas": 1}
    written(cloud, "cold", app_body(environment, scale=scale))
    url = f"http://{raw(cloud, 'cold')['properties']['configuration']['ingress']['fqdn']}"
    eventually(lambda: state_of(cloud, "g", "cold", latest(cloud, "cold")) == ("ScaledToZero", "Healthy"))
    clock = time.time() % 86400
    cold = asking(url)
    warm = min(asking(url) for _ in range(10))
    started = [seconds_of(each["TimeStamp"]) for each in events(cloud, "cold") if each["Reason"] == "ContainerStarted"]
    platform = (started[-1] - clock) % 86400
    assert platform >= fastest * SCALE * 0.9, "most of the time passes before the process begins"
    assert cold > platform
    assert warm < cold / 5


def asking(url: str) -> float:
    """Seconds of a request, without what it takes this machine to make a client."""
    with httpx.Client(timeout=240) as client:
        began = time.monotonic()
        assert client.get(f"{url}/env").status_code == 200
        return time.monotonic() - began


@pytest.mark.fact(83)
def test_each_start_of_a_container_pulls_and_later_ones_from_the_cache(cloud: World, environment: str):
    written(cloud, "pulls", python(app_body(environment), CRASHES))
    pulls = eventually(lambda: len(p := [m for r, m in said(cloud, "pulls") if r == "PulledImage"]) >= 3 and p)
    started = [m for r, m in said(cloud, "pulls") if r == "ContainerStarted"]
    assert len(started) >= 2, "one pull for each start"
    times = [re.search(r"in ([\d.]+)(ms|s)\. Image size: \d+ bytes\.$", text) for text in pulls]
    took = [float(t[1]) / (1000 if t[2] == "ms" else 1) for t in times if t]
    theirs = [
        re.sub(r'"\S+"|[\d.]+', "*", each["Msg"])
        for each in evidence("image-size-startup-delay/system-logs-small.json")
        if each["Reason"] == "PulledImage"
    ]
    assert {re.sub(r'"\S+"|[\d.]+', "*", text) for text in pulls} <= set(theirs)
    assert 1.6 <= took[0] <= 8.9, "between a small image and one of 409 MB"
    assert all(0.009 <= each <= 0.035 for each in took[1:]), "from the cache"


@pytest.mark.fact(64, 116)
def test_a_scale_out_lists_all_its_replicas_at_once_and_they_start_later(tmp_path: Path):
    """Load is looked at every fifteen seconds of Azure's. At half its time, so that a busy machine looks in between."""
    times = {"poll": 0, "tick": 0.05, "scale": 0.5, "bounds": 0.2, "cooldown_scale": 1}
    with cloud_with_environment(tmp_path / "scaling", {"times": times}) as cloud:
        scaled_out(cloud, cloud.apps.managed_environments.get("g", "env").id, times["scale"])


def scaled_out(cloud: World, environment: str, scale: float) -> None:
    rules = [{"name": "http", "http": {"metadata": {"concurrentRequests": "1"}}}]
    url = deployed(
        cloud, "g", "load", app_body(environment, scale={"minReplicas": 1, "maxReplicas": 6, "rules": rules})
    )
    stop = threading.Event()
    crowd = [threading.Thread(target=ask_until, args=(url, stop)) for _ in range(8)]
    for each in crowd:
        each.start()
    try:
        looks = [time.monotonic()]

        def whole() -> list[Any] | None:
            looks.append(time.monotonic())
            return found if len(found := listed_of(cloud, "load")) == 6 else None

        new = eventually(whole)
        assert time.monotonic() - looks[0] < 120 * scale, "15 s of Azure's, and what this machine adds"
        assert revision_of(cloud, "load")["replicas"] == 6
        waiting = [each for each in new if each["properties"]["runningState"] == "NotRunning"]
        assert waiting, "those that were listed first may run by now"
        captured = evidence("scale-rule-mismatch/14-replicas-load-15s-after-fix.json")
        theirs = next(each for each in captured if each["properties"]["runningState"] == "NotRunning")
        pulling = eventually(lambda: pulling_in(cloud, "load"))
        same_shape(theirs["properties"], pulling["properties"])
        eventually(lambda: all(c.ready for r in replicas(cloud, "g", "load") for c in r.properties.containers))
        assert time.monotonic() - looks[-2] >= 13 * scale, "scheduled, pulled and created: 15 s of Azure's"
    finally:
        stop.set()
        for each in crowd:
            each.join()


def listed_of(world: World, name: str) -> list[Any]:
    return raw(world, f"{name}/revisions/{latest(world, name)}/replicas")["value"]


def pulling_in(world: World, name: str) -> dict[str, Any] | None:
    return next(
        (
            each
            for each in listed_of(world, name)
            if "PullingImage" in each["properties"]["containers"][0]["runningStateDetails"]
        ),
        None,
    )


def ask_until(url: str, stop: threading.Event) -> None:
    while not stop.is_set():
        httpx.get(f"{url}/slow?seconds=0.5", timeout=60)  # what comes of it is no matter here
