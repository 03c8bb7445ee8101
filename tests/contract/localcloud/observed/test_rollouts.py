"""What real Azure was seen to do when a revision restarts or another takes its place, and what requests meet meanwhile.

Each test names the numbers of the facts that it reproduces; where there is a capture, its shape or words are compared.
"""

import re
import threading
from pathlib import Path

import httpx
import pytest

from tests.contract.localcloud.conftest import World, eventually
from tests.contract.localcloud.observed.reading import Asking, events, latest, raw, revision_of, said, written
from tests.contract.localcloud.test_apps import SERVING, app_body, deployed, replicas, state_of
from tests.support.evidence import evidence
from tests.support.held import held

# Restarts and rollouts


@pytest.mark.fact(63, 74, 75, 76, 79)
def test_a_restart_is_rolling_with_one_extra_and_no_request_fails(cloud: World, environment: str):
    scale = {"minReplicas": 3, "maxReplicas": 3}
    url = deployed(cloud, "g", "rolls", app_body(environment, env={"START_AFTER": "1.5"}, scale=scale))
    revision = latest(cloud, "rolls")
    eventually(lambda: revision_of(cloud, "rolls")["replicas"] == 3)
    eventually(lambda: all(c["ready"] for r in replicas(cloud, "g", "rolls") for c in r.properties.containers))
    before = {each.name for each in replicas(cloud, "g", "rolls")}
    asking = Asking(f"{url}/env", lambda answer: answer.json()["CONTAINER_APP_REPLICA_NAME"])
    cloud.apps.container_apps_revisions.restart_revision("g", "rolls", revision)
    assert not before.isdisjoint({each.name for each in replicas(cloud, "g", "rolls")}), "it is not waited for"
    counts: set[int] = set()
    states: set[tuple[str, str]] = set()

    def over() -> bool:
        counts.add(revision_of(cloud, "rolls")["replicas"])
        states.add(state_of(cloud, "g", "rolls", revision))
        return {each.name for each in replicas(cloud, "g", "rolls")}.isdisjoint(before)

    eventually(over)
    answered = asking.end()
    assert set(answered) <= before | {each.name for each in replicas(cloud, "g", "rolls")}, "every request was answered"
    assert max(counts) == 4
    assert states == {("RunningAtMaxScale", "Healthy")}, "nothing else in the revision tells of it"
    stopped = ("ContainerTerminated", "Container 'main' was terminated with exit code '' and reason 'ManuallyStopped'")
    assert said(cloud, "rolls").count(stopped) == 3
    hashes = (
        {name.rsplit("-", 2)[1] for name in before},
        {r.name.rsplit("-", 2)[1] for r in replicas(cloud, "g", "rolls")},
    )
    assert len(hashes[0]) == len(hashes[1]) == 1
    assert hashes[0] != hashes[1]


@pytest.mark.fact(78, 128, 129)
def test_with_one_gpu_a_restart_never_ends_and_nothing_says_so(cloud: World, environment: str):
    body = app_body(environment, scale={"minReplicas": 1, "maxReplicas": 1})
    body["properties"]["workloadProfileName"] = "gpu"
    url = deployed(cloud, "g", "gpu", body)
    revision = latest(cloud, "gpu")
    old = replicas(cloud, "g", "gpu")[0].name
    cloud.apps.container_apps_revisions.restart_revision("g", "gpu", revision)
    new = eventually(lambda: next((r for r in replicas(cloud, "g", "gpu") if r.name != old), None))
    assigned = ("AssigningReplica", f"Replica '{new.name}' has been scheduled to run on a node.")
    eventually(lambda: said(cloud, "gpu").count(assigned) >= 2, what="said again and again")
    assert not [
        each for each in events(cloud, "gpu") if each["ReplicaName"] == new.name and each["Reason"] == "PullingImage"
    ]
    read = revision_of(cloud, "gpu")
    theirs = evidence("acr-network-path-pe-direct/02-revision-list-pre-fix.json")
    stuck = next(each.get("properties", each) for each in theirs if each.get("properties", each)["active"])
    for key in ("healthState", "runningState", "replicas", "provisioningState"):
        assert read[key] == stuck[key], key
    assert httpx.get(f"{url}/env", timeout=60).json()["CONTAINER_APP_REPLICA_NAME"] == old
    cloud.apps.container_apps_revisions.deactivate_revision("g", "gpu", revision)
    eventually(lambda: not replicas(cloud, "g", "gpu"))
    assert state_of(cloud, "g", "gpu", revision) == ("Stopped", "Healthy")
    cloud.apps.container_apps_revisions.activate_revision("g", "gpu", revision)
    eventually(
        lambda: state_of(cloud, "g", "gpu", revision) in SERVING, what="the GPU is free after the old one has gone"
    )
    cloud.apps.container_apps.begin_delete("g", "gpu").result()


@pytest.mark.fact(19, 20, 21, 23, 24, 26, 28, 29, 30, 31, 33, 98)
def test_a_rollout_in_single_mode_serves_with_the_old_one_until_the_new_one_is_ready(
    cloud: World, environment: str, tmp_path: Path
):
    url = deployed(cloud, "g", "single", app_body(environment, env={"ANSWER": "old"}))
    old = latest(cloud, "single")
    assert re.fullmatch(r"single--[a-z][a-z0-9]{6}", old)
    asking = Asking(f"{url}/env", lambda answer: answer.json()["ANSWER"])
    with held(tmp_path / "start") as start:
        written(cloud, "single", app_body(environment, env={"ANSWER": "new", "START_HELD": start}))
        assert latest(cloud, "single") == "single--0000001"
        first = revision_of(cloud, "single", old)["trafficWeight"], revision_of(cloud, "single")["trafficWeight"]
        assert first == (0, 100), "the weight is what is meant, not who serves"
        app = raw(cloud, "single")["properties"]
        eventually(lambda: raw(cloud, "single")["properties"]["latestReadyRevisionName"] == "single--0000001")
        assert not [c for r in replicas(cloud, "g", "single") for c in r.properties.containers if c["ready"]], (
            "Provisioned, and nothing in it is ready"
        )
        assert app["latestRevisionFqdn"] == revision_of(cloud, "single")["fqdn"]
        reasons = [reason for reason, _ in said(cloud, "single")]
        for reason in ("RevisionReady", "ContainerAppReady", "RollingRevisionCompleted"):
            assert reason in reasons, f"{reason} is said before anything is ready"
    eventually(lambda: httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] == "new")
    assert revision_of(cloud, "single", old)["runningState"] == "Deprovisioning"
    assert revision_of(cloud, "single", old)["active"]
    eventually(lambda: not revision_of(cloud, "single", old)["active"])
    answered = asking.end()
    assert set(answered) == {"old", "new"}, "no request failed"
    assert answered.index("new") == len([each for each in answered if each == "old"]), "the switch is one moment"
    eventually(lambda: state_of(cloud, "g", "single", old) == ("Stopped", "Healthy"))
    assert revision_of(cloud, "single", old)["createdTime"].endswith("+00:00")
    assert raw(cloud, f"single/revisions/{old}")["type"] == "Microsoft.App/containerapps/revisions"
    assert raw(cloud, "single")["location"] == "West US 3"
    assert replicas(cloud, "g", "single")[0].as_dict()["properties"]["createdTime"].endswith("Z")


@pytest.mark.fact(18)
def test_only_an_inactive_revision_says_when_it_was_last_active(cloud: World, environment: str):
    deployed(cloud, "g", "lastactive", app_body(environment))
    assert "lastActiveTime" not in revision_of(cloud, "lastactive")
    cloud.apps.container_apps_revisions.deactivate_revision("g", "lastactive", latest(cloud, "lastactive"))
    assert revision_of(cloud, "lastactive")["lastActiveTime"].endswith("+00:00")


@pytest.mark.fact(36, 37, 43)
def test_a_changed_port_rolls_the_same_revision_and_the_old_replica_is_asked_on_it(cloud: World, environment: str):
    body = app_body(environment, scale={"minReplicas": 1, "maxReplicas": 1})
    url = deployed(cloud, "g", "port", body)
    revision = latest(cloud, "port")
    old = replicas(cloud, "g", "port")[0].name
    body["properties"]["configuration"]["ingress"]["targetPort"] = 8081
    written(cloud, "port", body)
    assert latest(cloud, "port") == revision
    eventually(lambda: revision_of(cloud, "port")["replicas"] == 2)
    answer = httpx.get(f"{url}/env", timeout=60)
    assert answer.status_code == 503
    assert "delayed connect error: Connection refused" in answer.text
    assert state_of(cloud, "g", "port", revision) == ("RunningAtMaxScale", "Healthy")
    body["properties"]["configuration"]["ingress"]["targetPort"] = 8080
    written(cloud, "port", body)
    eventually(lambda: httpx.get(f"{url}/env", timeout=60).status_code == 200)
    eventually(
        lambda: [each.name for each in replicas(cloud, "g", "port")] == [old],
        what="the one that never left is right again",
    )


# Requests while nothing is ready


@pytest.mark.fact(40, 41, 42, 117)
def test_a_request_is_held_until_a_replica_is_ready_and_then_answered(cloud: World, environment: str, tmp_path: Path):
    with held(tmp_path / "start") as start:
        written(cloud, "held", app_body(environment, env={"START_HELD": start, "ANSWER": "late"}))
        url = f"http://{raw(cloud, 'held')['properties']['configuration']['ingress']['fqdn']}"
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{url}/health", timeout=1)
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{url}/env", timeout=1)
    answer = httpx.get(f"{url}/env", timeout=120)
    assert (answer.status_code, answer.json()["ANSWER"]) == (200, "late")


@pytest.mark.fact(40, 41)
def test_a_held_request_is_answered_by_the_revision_that_mends_the_first(cloud: World, environment: str):
    written(cloud, "mended", app_body(environment, env={"START_AFTER": "600"}))
    url = f"http://{raw(cloud, 'mended')['properties']['configuration']['ingress']['fqdn']}"
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/env", timeout=120).json()["ANSWER"]))
    asking.start()
    written(cloud, "mended", app_body(environment, env={"ANSWER": "mended"}))
    asking.join()
    assert answers == ["mended"]


@pytest.mark.fact(46)
def test_a_request_that_is_held_too_long_ends_as_azures(hasty: World):
    written(hasty, "toolong", app_body(hasty.apps.managed_environments.get("g", "env").id, env={"START_AFTER": "600"}))
    url = f"http://{raw(hasty, 'toolong')['properties']['configuration']['ingress']['fqdn']}"
    held = httpx.get(f"{url}/env", timeout=240)
    assert (held.status_code, held.text, held.headers["content-type"]) == (504, "stream timeout", "text/plain")


@pytest.mark.fact(34)
def test_in_multiple_mode_a_revision_that_is_never_ready_keeps_its_share(cloud: World, environment: str):
    body = app_body(environment, mode="Multiple", suffix="good", env={"ANSWER": "good"})
    url = deployed(cloud, "g", "shares", body)
    bad = app_body(environment, mode="Multiple", suffix="bad", env={"START_AFTER": "600"})
    traffic = [{"revisionName": "shares--good", "weight": 50}, {"latestRevision": True, "weight": 50}]
    bad["properties"]["configuration"]["ingress"]["traffic"] = traffic
    written(cloud, "shares", bad)
    asking = Asking(f"{url}/env", lambda answer: answer.json()["ANSWER"], timeout=0.5)
    eventually(lambda: {"good", "no answer"} <= set(asking.seen))
    assert set(asking.end()) == {"good", "no answer"}
    own = revision_of(cloud, "shares", "shares--good")["fqdn"]
    assert [httpx.get(f"http://{own}/env", timeout=60).json()["ANSWER"] for _ in range(5)] == ["good"] * 5
    host = {"Host": "shares--good.sampleenv.example.org"}
    assert [httpx.get(f"{url}/env", headers=host, timeout=60).json()["ANSWER"] for _ in range(5)] == ["good"] * 5


@pytest.mark.fact(35)
def test_weights_that_are_set_back_are_felt_at_once(cloud: World, environment: str):
    body = app_body(environment, mode="Multiple", suffix="a", env={"ANSWER": "a"})
    url = deployed(cloud, "g", "back", body)
    body = app_body(environment, mode="Multiple", suffix="b", env={"START_AFTER": "600"})
    written(cloud, "back", body)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/env", timeout=1)
    body["properties"]["configuration"]["ingress"]["traffic"] = [{"revisionName": "back--a", "weight": 100}]
    written(cloud, "back", body)
    assert httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] == "a"
