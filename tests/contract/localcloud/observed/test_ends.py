"""What real Azure was seen to do at the end of a process, a replica and a revision, and to who waits for an answer then."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.contract.localcloud.conftest import World, eventually, start_cloud
from tests.contract.localcloud.observed.reading import (
    container_of,
    events,
    latest,
    raw,
    said,
    written,
)
from tests.contract.localcloud.observed.test_starts import seconds_of
from tests.contract.localcloud.test_apps import SERVING, app_body, deployed, state_of
from tests.support.evidence import evidence, same_shape
from tests.support.held import held

AWKWARD = Path(__file__).with_name("awkward_server.py")
BOUNDS = 0.05
"""Of what bounds the server's work: a grace of thirty seconds is one and a half here."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    times = {"poll": 0, "tick": 0.05, "scale": 0.02, "bounds": BOUNDS}
    world = start_cloud(tmp_path_factory.mktemp("ended"), settings={"times": times})
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    profiles = [
        {"name": "Consumption", "workloadProfileType": "Consumption"},
        {"name": "gpu", "workloadProfileType": "Consumption-GPU-NC8as-T4"},
    ]
    body = {"location": "westus3", "properties": {"workloadProfiles": profiles}}
    world.apps.managed_environments.begin_create_or_update("g", "env", body).result()
    yield world
    world.stop()


@pytest.fixture(scope="module")
def environment(cloud: World) -> str:
    return cloud.apps.managed_environments.get("g", "env").id


def awkward(environment: str, **variables: str) -> dict[str, Any]:
    """Probes that bear a busy machine at these bounds."""
    body = app_body(environment, env=variables, scale={"minReplicas": 1, "maxReplicas": 1})
    container = body["properties"]["template"]["containers"][0]
    container["command"] = ["python3", str(AWKWARD)]
    for each, failures in zip(container["probes"], (240, 40), strict=True):
        each["timeoutSeconds"] = 100
        each["failureThreshold"] = failures
    return body


class Waiting:
    """A request that is being answered, in the background: what came of it."""

    def __init__(self, url: str) -> None:
        self.came: httpx.Response | None = None
        self._thread = threading.Thread(target=self._ask, args=(url,))
        self._thread.start()

    def _ask(self, url: str) -> None:
        self.came = httpx.get(url, timeout=120)

    def answer(self) -> httpx.Response:
        self._thread.join(timeout=120)
        assert self.came is not None
        return self.came


def moment(world: World, name: str, message: str) -> float:
    return eventually(
        lambda: next((seconds_of(e["TimeStamp"]) for e in events(world, name) if message in e["Msg"]), None)
    )


STOPPED = "was terminated with exit code '' and reason 'ManuallyStopped'"
KILLED = "was terminated with exit code '137'"
RESET = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: connection termination"


@pytest.mark.fact(44, 56)
def test_who_waits_for_a_container_that_is_killed_gets_503(cloud: World, environment: str):
    captured = evidence("captured-outputs/liveness-kill.json")
    body = awkward(environment, IGNORE_TERM="1")
    body["properties"]["template"]["containers"][0]["probes"].append(
        {
            "type": "Liveness",
            "httpGet": {"path": "/health", "port": 8080},
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 3,
        }
    )
    body["properties"]["template"]["terminationGracePeriodSeconds"] = 30
    url = deployed(cloud, "g", "killed", body)
    waiting = Waiting(f"{url}/hang")
    came = waiting.answer()
    assert (came.status_code, came.text) == (captured["inFlightRequests"]["status"], RESET)
    eventually(lambda: any(KILLED in message for _, message in said(cloud, "killed")))

    def plain(text: str) -> str:
        return re.sub(r"[\d.]+ seconds|liveness-lab|'?main'?", "*", text.rstrip(".")).replace("'*'", "*")

    mine = [plain(message) for _, message in said(cloud, "killed") if "iveness" in message or "terminated" in message]
    theirs = [plain(line.partition(" ")[2]) for line in captured["inFlight"] if "Readiness" not in line]
    assert mine[:4] == theirs[:4], "three failures, then the kill"
    assert any(KILLED in message for message in mine[4:])
    waited = moment(cloud, "killed", KILLED) - moment(cloud, "killed", "reason 'ProbeFailure'")
    assert waited >= 34 * BOUNDS, "34 s of Azure's"


@pytest.mark.fact(45)
def test_an_app_that_is_stopped_or_has_no_ingress_answers_404(cloud: World, environment: str):
    body = awkward(environment)
    url = deployed(cloud, "g", "closed", body)
    ingress = body["properties"]["configuration"].pop("ingress")
    written(cloud, "closed", body)
    assert raw(cloud, "closed")["properties"]["configuration"].get("ingress") is None
    eventually(lambda: httpx.get(f"{url}/", timeout=60).status_code == 404)
    body["properties"]["configuration"]["ingress"] = ingress
    written(cloud, "closed", body)
    eventually(lambda: httpx.get(f"{url}/", timeout=120).status_code == 200)
    cloud.apps.container_apps.begin_stop("g", "closed").result()
    assert httpx.get(f"{url}/", timeout=60).status_code == 404


@pytest.mark.fact(69)
def test_a_worker_that_is_killed_inside_a_container_that_lives_on_leaves_no_trace(cloud: World, environment: str):
    """The server has to tell it: the platform's log, states and counts don't."""
    url = deployed(cloud, "g", "worker", awkward(environment, WORKER="1"))
    revision = latest(cloud, "worker")
    count = len(events(cloud, "worker"))
    came = httpx.get(f"{url}/die", timeout=120)
    assert (came.status_code, came.text) == (503, RESET)
    container = container_of(cloud, "worker")
    assert (container["runningState"], container["restartCount"]) == ("Running", 0)
    told = [message for _, message in said(cloud, "worker")[count:] if not message.startswith("Probe of")]
    assert told == []
    assert revision in {each["name"] for each in raw(cloud, "worker/revisions")["value"]}


@pytest.mark.fact(131)
def test_a_replica_with_a_gpu_is_killed_long_before_the_grace_that_its_template_asks_for(
    cloud: World, environment: str
):
    body = awkward(environment, IGNORE_TERM="1")
    body["properties"]["workloadProfileName"] = "gpu"
    body["properties"]["template"]["terminationGracePeriodSeconds"] = 600
    deployed(cloud, "g", "gpu", body)
    cloud.apps.container_apps_revisions.deactivate_revision("g", "gpu", latest(cloud, "gpu"))
    waited = moment(cloud, "gpu", KILLED) - moment(cloud, "gpu", STOPPED)
    assert 60 * BOUNDS <= waited < 300 * BOUNDS, "60 to 80 s of Azure's, where 600 were asked for"


@pytest.mark.fact(136)
def test_a_replica_is_drained_then_told_then_killed(cloud: World, environment: str):
    """Thirty seconds of each, where a request goes on and the template states nothing."""
    body = awkward(environment, IGNORE_TERM="1")
    del body["properties"]["template"]["terminationGracePeriodSeconds"]
    url = deployed(cloud, "g", "drained", body)
    waiting = Waiting(f"{url}/wait")
    eventually(lambda: any(c.status == "ESTABLISHED" and c.laddr.port == port_of(url) for c in connections(cloud)))
    began = time.time() % 86400
    cloud.apps.container_apps_revisions.deactivate_revision("g", "drained", latest(cloud, "drained"))
    told, killed = moment(cloud, "drained", STOPPED), moment(cloud, "drained", KILLED)
    assert (told - began) % 86400 >= 30 * BOUNDS - 0.1, "first its request has time to end"
    assert (killed - told) % 86400 >= 30 * BOUNDS, "then the process has"
    assert (waiting.answer().status_code, waiting.answer().text) == (503, RESET)


def connections(world: World) -> list[Any]:
    return psutil.Process(world.process.pid).net_connections("tcp")


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


@pytest.mark.fact(97, 103, 105)
def test_the_end_of_a_revision_is_told_as_captured(cloud: World, environment: str):
    """A warning among it means nothing: who looks for warnings finds one at every good rollout."""
    deployed(cloud, "g", "replaced", awkward(environment, ANSWER="old"))
    old = latest(cloud, "replaced")
    deployed(cloud, "g", "replaced", awkward(environment, ANSWER="new"))
    eventually(lambda: state_of(cloud, "g", "replaced", old) == ("Stopped", "Healthy"))
    eventually(lambda: any(STOPPED in message for _, message in said(cloud, "replaced")))
    theirs = evidence("acr-network-path-pe-direct/06-system-logs-pre-fix.json")
    left = next(each["RevisionName"] for each in theirs if each["Reason"] == "KEDAScalersStopped")
    end = [each for each in theirs if each["RevisionName"] == left and each["Reason"] in ENDING][-3:]
    mine = [each for each in events(cloud, "replaced") if each["RevisionName"] == old and each["Reason"] in ENDING][-3:]
    assert [as_told(each) for each in mine] == [as_told(each) for each in end]
    same_shape(end, mine)


ENDING = ("KEDAScalersStopped", "ScaledObjectDeleted", "ContainerTerminated")


def as_told(event: dict[str, Any]) -> tuple[object, ...]:
    """What is told, by whom and of what, names and numbers taken out."""
    message = re.sub(r"ca-imgsize-acerjw\S*|sources\S*|\d+%", "*", event["Msg"].replace("'app'", "'main'"))
    if event["RevisionName"]:
        message = message.replace(event["RevisionName"], "*")
    return (
        event["Type"],
        event["Reason"],
        event["EventSource"],
        message,
        *(bool(event[k]) for k in ("RevisionName", "ReplicaName")),
    )


@pytest.mark.fact(97)
def test_events_name_their_source_and_a_creation_the_revision_before(cloud: World, environment: str):
    deployed(cloud, "g", "sources", awkward(environment, ANSWER="old"))
    old = latest(cloud, "sources")
    deployed(cloud, "g", "sources", awkward(environment, ANSWER="new"))
    captured = evidence("image-size-startup-delay/system-logs-large.json")
    mine = events(cloud, "sources")
    rollout = ("RevisionCreation", "KEDAScalersStarted", "RevisionReady", "RevisionUpdate", "AssigningReplica")
    theirs = {as_told(each) for each in captured if each["Reason"] in rollout}
    assert theirs <= {as_told(each) for each in mine}
    created = next(each for each in reversed(mine) if each["Reason"] == "RevisionCreation")
    assert created["RevisionName"] == old
    assert created["Msg"] == f"Creating a new revision: {latest(cloud, 'sources')}"
    assert {each["EventSource"] for each in mine} == {each["EventSource"] for each in captured}


@pytest.mark.fact(107, 108)
def test_no_event_has_a_name_that_azure_gave_up(cloud: World, environment: str):
    """PodUnhealthy, "Readiness probe failed: dial tcp …" and their kin are of 2022."""
    written(cloud, "oldnames", awkward(environment, START_AFTER="1"))
    eventually(lambda: state_of(cloud, "g", "oldnames", latest(cloud, "oldnames")) in SERVING)
    found = said(cloud, "oldnames")
    assert any(reason == "ProbeFailed" for reason, _ in found)
    assert not [reason for reason, message in found if reason.startswith("Pod") or "dial tcp" in message]


@pytest.mark.fact(32, 38)
def test_updates_in_quick_succession_leave_several_active_and_inactive_ones_stay_beyond_the_limit(
    cloud: World, environment: str, tmp_path: Path
):
    """The answers of the revision that was to be replaced are still asked for: its successors are not ready yet."""
    asked = evidence("revision-history-limit/06-app-config-t15m.json")["maxInactiveRevisions"]
    kept = evidence("revision-history-limit/05-revisions-t15m.json")
    body = awkward(environment, ANSWER="first")
    body["properties"]["configuration"]["maxInactiveRevisions"] = asked
    deployed(cloud, "g", "history", body)
    assert raw(cloud, "history")["properties"]["configuration"]["maxInactiveRevisions"] == asked
    with held(tmp_path / "start") as start:
        for number in range(3):
            made = awkward(environment, ANSWER=str(number), START_HELD=start)
            made["properties"]["configuration"]["maxInactiveRevisions"] = asked
            written(cloud, "history", made)
        found = raw(cloud, "history/revisions")["value"]
        assert len([each for each in found if each["properties"]["active"]]) >= 3, (
            "two or three older ones beside the newest"
        )
    eventually(lambda: len(inactive(cloud, "history")) == 3, what="they leave when the newest is ready")
    assert len([each for each in kept if not each["active"]]) > asked
    assert len(inactive(cloud, "history")) > asked, "and stay, inactive, beyond the limit"


def inactive(world: World, name: str) -> list[dict[str, Any]]:
    return [each for each in raw(world, f"{name}/revisions")["value"] if not each["properties"]["active"]]
