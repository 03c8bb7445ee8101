"""What real Azure was seen to do with revisions, replicas and their logs, done here by real processes.

Each test names the numbers of the facts that it reproduces; where there is a capture, its shape or words are compared.
"""

import functools
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.contract.localcloud.conftest import World, code_of, eventually, start_cloud
from tests.contract.localcloud.test_apps import SERVING, app_body, deployed, replicas, state_of
from tests.support.evidence import evidence, same_shape

TIMES = {"poll": 0, "tick": 0.05, "scale": 0.02, "bounds": 0.2}
PASSWORD = "registry-password"
SETTINGS = {
    "times": TIMES,
    "registries": {"registry.example": {"password": PASSWORD, "missing": ["app:gone"]}},
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = start_cloud(tmp_path_factory.mktemp("observed"), settings=SETTINGS)
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
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cloud whose bounds are a tenth as long again, for what takes Azure minutes."""
    world = start_cloud(tmp_path_factory.mktemp("hasty"), settings={"times": {**TIMES, "bounds": 0.02}})
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    world.apps.managed_environments.begin_create_or_update(
        "g", "env", {"location": "westus3", "properties": {}}
    ).result()
    yield world
    world.stop()


@pytest.fixture(scope="module")
def environment(cloud: World) -> str:
    return cloud.apps.managed_environments.get("g", "env").id


def raw(world: World, path: str) -> Any:
    """An answer of ARM as it came, below the group's container apps."""
    base = f"/subscriptions/{world.subscription}/resourceGroups/g/providers/Microsoft.App/containerApps"
    with world.http() as http:
        return http.get(f"{base}/{path}", params={"api-version": "2025-07-01"}).json()


def revision_of(world: World, name: str, revision: str | None = None) -> dict[str, Any]:
    revision = revision or raw(world, name)["properties"]["latestRevisionName"]
    return raw(world, f"{name}/revisions/{revision}")["properties"]


def events(world: World, name: str) -> list[dict[str, Any]]:
    token = world.apps.container_apps.get_auth_token("g", name).properties.token
    with httpx.Client(verify=world.known["caFile"], headers={"Authorization": f"Bearer {token}"}) as http:
        found = http.get(
            raw(world, name)["properties"]["eventStreamEndpoint"], params={"follow": "false", "tailLines": "300"}
        )
    return [json.loads(line) for line in found.text.splitlines()]


def said(world: World, name: str) -> list[tuple[str, str]]:
    return [(event["Reason"], event["Msg"]) for event in events(world, name)]


def written(world: World, name: str, body: dict[str, Any]) -> None:
    world.apps.container_apps.begin_create_or_update("g", name, body).result()


def container_of(world: World, name: str) -> dict[str, Any]:
    found = eventually(lambda: raw(world, f"{name}/revisions/{latest(world, name)}/replicas")["value"])
    return found[-1]["properties"]["containers"][0]


def latest(world: World, name: str) -> str:
    return raw(world, name)["properties"]["latestRevisionName"]


def python(body: dict[str, Any], code: str) -> dict[str, Any]:
    body["properties"]["template"]["containers"][0]["command"] = ["python3", "-c", code]
    return body


class Asking:
    """Asks an address again and again in the background; what came of each request."""

    def __init__(self, url: str, answer: Callable[[httpx.Response], str], timeout: float = 20) -> None:
        self.seen: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(url, answer, timeout))
        self._thread.start()

    def _ask(self, url: str, answer: Callable[[httpx.Response], str], timeout: float) -> None:
        while not self._stop.wait(0.02):
            try:
                found = httpx.get(url, timeout=timeout)
                self.seen.append(answer(found) if found.status_code == 200 else str(found.status_code))
            except httpx.TimeoutException:
                self.seen.append("no answer")

    def end(self) -> list[str]:
        self._stop.set()
        self._thread.join()
        return self.seen


# Crash loops


@pytest.mark.fact(8, 11, 16, 22, 57, 58, 59, 60, 62, 70, 71, 77, 89, 107, 111)
def test_a_container_that_ends_again_and_again(cloud: World, environment: str):
    written(cloud, "crash", python(app_body(environment), "import sys; print('Traceback: it broke'); sys.exit(3)"))
    failed = eventually(lambda: (r := revision_of(cloud, "crash"))["runningState"] == "Failed" and r)
    captured = evidence("revision-provisioning-failure/01-revision-list.json")
    theirs = next(each["properties"] for each in captured if each["properties"]["provisioningState"] == "Failed")
    for key in ("provisioningState", "runningState", "healthState", "active", "replicas", "trafficWeight"):
        assert failed[key] == theirs[key], key
    assert failed["provisioningError"] == "Container crashing: main"
    assert failed["runningStateDetails"] == "1/1 Container crashing: main"
    assert failed["fqdn"] != raw(cloud, "crash")["properties"]["configuration"]["ingress"]["fqdn"]
    app = raw(cloud, "crash")["properties"]
    assert (app["provisioningState"], app["runningStatus"]) == ("Succeeded", "Running"), "the app says nothing of it"

    replica = eventually(
        lambda: next(
            (
                each
                for each in raw(cloud, f"crash/revisions/{latest(cloud, 'crash')}/replicas")["value"]
                if each["properties"]["containers"][0]["runningState"] == "Waiting"
                and "CrashLoopBackOff" in each["properties"]["containers"][0]["runningStateDetails"]
            ),
            None,
        )
    )
    theirs = evidence("revision-provisioning-failure/05-replicas-failed.json")[0]
    same_shape(theirs["properties"], replica["properties"])
    assert replica["type"] == theirs["type"]
    container = replica["properties"]["containers"][0]
    assert container["runningStateDetails"] == theirs["properties"]["containers"][0]["runningStateDetails"]
    assert replica["properties"]["runningStateDetails"] == ""
    assert container["execEndpoint"].startswith("wss://")
    assert container["logStreamEndpoint"].startswith("https://")

    found = said(cloud, "crash")
    assert (
        "ContainerTerminated",
        "Container 'main' was terminated with exit code '3' and reason 'ProcessExited'",
    ) in found
    assert ("ProcessExited", "Container 'main' was terminated with exit code '3'") in found
    assert not {reason for reason, _ in found} & NEVER_SEEN
    token = cloud.apps.container_apps.get_auth_token("g", "crash").properties.token
    with httpx.Client(verify=cloud.known["caFile"], headers={"Authorization": f"Bearer {token}"}) as http:
        console = http.get(container["logStreamEndpoint"], params={"follow": "false"}).text
    assert "F Traceback: it broke" in console, "the last instance's lines stay readable while it waits"


NEVER_SEEN = {
    "BackOff",
    "ReplicaCreated",
    "ReplicaRemoved",
    "RevisionFailed",
    "RevisionRestarted",
    "ContainerUnhealthy",
    "Killing",
    "VolumeMountFailure",
    "ImagePullFailure",
}


@pytest.mark.fact(65, 66)
def test_the_wait_between_two_starts_doubles(cloud: World, environment: str):
    written(cloud, "ladder", python(app_body(environment), "raise SystemExit(1)"))
    starts = eventually(
        lambda: len(found := [e for e in events(cloud, "ladder") if e["Reason"] == "ContainerStarted"]) >= 5 and found
    )
    moments = [seconds_of(each["TimeStamp"]) for each in starts]
    waits = [later - sooner for sooner, later in itertools.pairwise(moments)]
    ladder = [10 * TIMES["scale"] * 2**step for step in range(len(waits))]
    for wait, least in zip(waits, ladder, strict=True):
        assert wait >= least
    assert waits[-1] > waits[0]


def seconds_of(stamp: str) -> float:
    hours, minutes, seconds = re.split("[:]", stamp.split(" ")[1])
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@pytest.mark.fact(67, 112)
def test_a_program_that_is_not_there_leaves_no_console_log(cloud: World, environment: str):
    body = app_body(environment)
    body["properties"]["template"]["containers"][0]["command"] = ["no-such-program"]
    written(cloud, "missing", body)
    eventually(lambda: revision_of(cloud, "missing")["healthState"] == "Unhealthy")
    text = next(message for reason, message in said(cloud, "missing") if reason == "ContainerTerminated")
    capture = evidence("image-size-startup-delay/system-logs-large.json")
    theirs = next(each["Msg"] for each in capture if "ContainerCreateFailure" in each["Msg"])
    assert text.partition(". ")[0].replace("'main'", "'app'") == theirs.partition(". ")[0]
    assert 'executable file not found in $PATH: unknown")' in text
    token = cloud.apps.container_apps.get_auth_token("g", "missing").properties.token
    with httpx.Client(verify=cloud.known["caFile"], headers={"Authorization": f"Bearer {token}"}) as http:
        answer = http.get(container_of(cloud, "missing")["logStreamEndpoint"], params={"follow": "false"})
    assert answer.status_code == 404


@pytest.mark.fact(51, 52, 93, 94, 95, 96, 99, 100, 101)
def test_a_startup_probe_that_fails_kills_in_the_captured_words(cloud: World, environment: str):
    body = app_body(environment)
    body["properties"]["template"]["containers"][0]["probes"] = [
        {"type": "Startup", "httpGet": {"path": "/no", "port": 8080}, "periodSeconds": 1, "failureThreshold": 3}
    ]
    written(cloud, "badprobe", body)
    eventually(lambda: [r for r, _ in said(cloud, "badprobe")].count("ContainerTerminated") >= 2)
    ours = events(cloud, "badprobe")
    theirs = evidence("revision-provisioning-failure/04-system-logs.json")
    same_shape(theirs[0], ours[0])
    same_shape(theirs[2], next(each for each in ours if each["Reason"] == "PullingImage"))
    assert [each["Reason"] for each in ours[:2]] == [each["Reason"] for each in theirs[:2]]

    def cycle(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
        """One start, from the pull to the end, its names and figures taken out."""
        begin = next(at for at, each in enumerate(found) if each["Reason"] == "ContainerCreated")
        end = next(at for at, each in enumerate(found) if at > begin and each["Reason"] == "ContainerTerminated")
        names = ("'main'", "'app'"), ("Container main", "Container app")
        texts = [functools.reduce(lambda text, pair: text.replace(*pair), names, each["Msg"]) for each in found]
        words = [re.sub("status code: .*", "status code: *", text) for text in texts]
        return [(found[at]["Type"], found[at]["Reason"], words[at]) for at in range(begin, end + 1)]

    assert cycle(ours) == cycle(theirs)
    counts = [each["Count"] for each in ours if each["Msg"] == "Probe of StartUp failed with status code: 404"]
    assert counts == list(range(1, len(counts) + 1)), "cumulative, for the same text of the same replica"
    precise, whole = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{7} \+0000 UTC", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC"
    for each in ours[2:]:
        of_container = each["Reason"] in ("PullingImage", "ContainerStarted", "ProbeFailed", "ContainerTerminated")
        assert re.fullmatch(precise if of_container else whole, each["TimeStamp"]) or not of_container


# Images


@pytest.mark.fact(27, 80, 81)
def test_an_image_that_is_refused_fails_the_write_and_leaves_an_app_without_anything(cloud: World, environment: str):
    body = app_body(environment)
    container = body["properties"]["template"]["containers"][0]
    container["image"] = "no-such-registry.invalid/fake/image:notexist"
    with pytest.raises(Exception, match="no such host") as refused:
        written(cloud, "badimage", body)
    captured = evidence("captured-outputs/image-refused-variants.json")["cases"][0]["message"]
    shared = "Failed to provision revision for container app"
    assert shared in captured
    assert shared in str(refused.value)
    assert code_of(refused.value) == "ContainerAppOperationError"
    app = raw(cloud, "badimage")["properties"]
    theirs = evidence("acr-pull-failure/02-containerapp-show-baseline.json")
    assert app["provisioningState"] == theirs["provisioningState"]
    assert (app["latestRevisionName"], app["latestRevisionFqdn"]) == (None, None)
    for key in ("fqdn", "traffic", "transport", "exposedPort"):
        assert app["configuration"]["ingress"][key] == theirs["ingress"][key], key
    assert "eventStreamEndpoint" not in app
    assert raw(cloud, "badimage/revisions")["value"] == []
    container["image"] = "example/server:1"
    deployed(cloud, "g", "badimage", body)
    repaired = raw(cloud, "badimage")["properties"]
    assert repaired["configuration"]["ingress"]["fqdn"]
    assert repaired["eventStreamEndpoint"]


@pytest.mark.fact(82, 84)
def test_a_registry_that_takes_its_consent_back_is_met_at_the_node_and_recovers_by_itself(
    cloud: World, environment: str
):
    def body(password: str) -> dict[str, Any]:
        made = app_body(environment, secrets=[{"name": "registry", "value": password}])
        made["properties"]["template"]["containers"][0]["image"] = "registry.example/app:1"
        credentials = [{"server": "registry.example", "username": "me", "passwordSecretRef": "registry"}]
        made["properties"]["configuration"]["registries"] = credentials
        return made

    with pytest.raises(Exception, match="UNAUTHORIZED"):
        written(cloud, "private", body("wrong"))
    deployed(cloud, "g", "private", body(PASSWORD))
    revision = latest(cloud, "private")
    before = {each.name for each in replicas(cloud, "g", "private")}
    written(cloud, "private", body("rotated"))
    cloud.apps.container_apps_revisions.restart_revision("g", "private", revision)

    def waits() -> bool:
        containers = [
            c for r in replicas(cloud, "g", "private") if r.name not in before for c in r.properties.containers
        ]
        return any("ImagePullBackOff" in (each["runningStateDetails"] or "") for each in containers)

    eventually(waits)
    found = said(cloud, "private")
    theirs = evidence("acr-network-path-pe-direct/06-system-logs-pre-fix.json")
    for reason in ("ImagePullUnauthorized", "ContainerTerminated"):
        message = next(
            each["Msg"] for each in theirs if each["Reason"] == reason and "ManuallyStopped" not in each["Msg"]
        )
        assert any(
            mine.replace("'main'", "'app'").partition(". GET")[0] == message for why, mine in found if why == reason
        ), reason
    # The revision reads well all the while: it is served by the replica that was there before.
    assert state_of(cloud, "g", "private", revision) in SERVING
    written(cloud, "private", body(PASSWORD))
    eventually(
        lambda: {r.name for r in replicas(cloud, "g", "private")}.isdisjoint(before), what="it went on by itself"
    )


# Restarts and rollouts


@pytest.mark.fact(63, 74, 75, 76, 79)
def test_a_restart_is_rolling_with_one_extra_and_no_request_fails(cloud: World, environment: str):
    scale = {"minReplicas": 3, "maxReplicas": 3}
    url = deployed(cloud, "g", "rolls", app_body(environment, env={"START_AFTER": "0.5"}, scale=scale))
    revision = latest(cloud, "rolls")
    eventually(lambda: revision_of(cloud, "rolls")["replicas"] == 3)
    eventually(lambda: all(c["ready"] for r in replicas(cloud, "g", "rolls") for c in r.properties.containers))
    before = {each.name for each in replicas(cloud, "g", "rolls")}
    asking = Asking(f"{url}/env", lambda answer: answer.json()["CONTAINER_APP_REPLICA_NAME"])
    began = time.monotonic()
    cloud.apps.container_apps_revisions.restart_revision("g", "rolls", revision)
    assert time.monotonic() - began < 3
    counts: set[int] = set()
    states: set[tuple[str, str]] = set()

    def over() -> bool:
        counts.add(revision_of(cloud, "rolls")["replicas"])
        states.add(state_of(cloud, "g", "rolls", revision))
        return {each.name for each in replicas(cloud, "g", "rolls")}.isdisjoint(before)

    eventually(over, seconds=60)
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
    assert httpx.get(f"{url}/env").json()["CONTAINER_APP_REPLICA_NAME"] == old
    cloud.apps.container_apps_revisions.deactivate_revision("g", "gpu", revision)
    eventually(lambda: not replicas(cloud, "g", "gpu"))
    assert state_of(cloud, "g", "gpu", revision) == ("Stopped", "Healthy")
    cloud.apps.container_apps_revisions.activate_revision("g", "gpu", revision)
    eventually(
        lambda: state_of(cloud, "g", "gpu", revision) in SERVING, what="the GPU is free after the old one has gone"
    )
    cloud.apps.container_apps.begin_delete("g", "gpu").result()


@pytest.mark.fact(19, 20, 21, 23, 24, 26, 28, 29, 30, 31, 33, 98)
def test_a_rollout_in_single_mode_serves_with_the_old_one_until_the_new_one_is_ready(cloud: World, environment: str):
    url = deployed(cloud, "g", "single", app_body(environment, env={"ANSWER": "old"}))
    old = latest(cloud, "single")
    assert re.fullmatch(r"single--[a-z][a-z0-9]{6}", old)
    asking = Asking(f"{url}/env", lambda answer: answer.json()["ANSWER"])
    written(cloud, "single", app_body(environment, env={"ANSWER": "new", "START_AFTER": "2"}))
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
    eventually(lambda: httpx.get(f"{url}/env").json()["ANSWER"] == "new")
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
    answer = httpx.get(f"{url}/env")
    assert answer.status_code == 503
    assert "delayed connect error: Connection refused" in answer.text
    assert state_of(cloud, "g", "port", revision) == ("RunningAtMaxScale", "Healthy")
    body["properties"]["configuration"]["ingress"]["targetPort"] = 8080
    written(cloud, "port", body)
    eventually(lambda: httpx.get(f"{url}/env").status_code == 200)
    eventually(lambda: revision_of(cloud, "port")["replicas"] == 1)
    assert [each.name for each in replicas(cloud, "g", "port")] == [old], "the one that never left is right again"


@pytest.mark.fact(14, 102)
def test_an_app_that_listens_elsewhere_is_told_so(hasty: World):
    code = "import http.server as h\nh.ThreadingHTTPServer(('127.0.0.1', 0), h.BaseHTTPRequestHandler).serve_forever()"
    body = python(app_body(hasty.apps.managed_environments.get("g", "env").id), code)
    body["properties"]["template"]["containers"][0]["probes"] = []
    written(hasty, "elsewhere", body)
    told = eventually(
        lambda: next((e for e in events(hasty, "elsewhere") if e["Reason"] == "Pending:PortMismatch"), None)
    )
    theirs = evidence("ingress-target-port-mismatch/09-kql-after-trigger-portmismatch-sample-raw.txt")
    assert re.sub(r"\d+", "N", told["Msg"]) in re.sub(r"\d+", "N", theirs)
    assert told["Type"] == "Normal"
    assert told["ReplicaName"]
    eventually(
        lambda: "does not match the listening port" in (revision_of(hasty, "elsewhere")["runningStateDetails"] or "")
    )


# Requests while nothing is ready


@pytest.mark.fact(40, 41, 42, 117)
def test_a_request_is_held_until_a_replica_is_ready_and_then_answered(cloud: World, environment: str):
    written(cloud, "held", app_body(environment, env={"START_AFTER": "3", "ANSWER": "late"}))
    url = f"http://{raw(cloud, 'held')['properties']['configuration']['ingress']['fqdn']}"
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/health", timeout=1)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/env", timeout=1)
    answer = httpx.get(f"{url}/env", timeout=20)
    assert (answer.status_code, answer.json()["ANSWER"]) == (200, "late")


@pytest.mark.fact(40, 41)
def test_a_held_request_is_answered_by_the_revision_that_mends_the_first(cloud: World, environment: str):
    written(cloud, "mended", app_body(environment, env={"START_AFTER": "600"}))
    url = f"http://{raw(cloud, 'mended')['properties']['configuration']['ingress']['fqdn']}"
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/env", timeout=30).json()["ANSWER"]))
    asking.start()
    written(cloud, "mended", app_body(environment, env={"ANSWER": "mended"}))
    asking.join()
    assert answers == ["mended"]


@pytest.mark.fact(46)
def test_a_request_that_is_held_too_long_ends_as_azures(hasty: World):
    written(hasty, "toolong", app_body(hasty.apps.managed_environments.get("g", "env").id, env={"START_AFTER": "600"}))
    url = f"http://{raw(hasty, 'toolong')['properties']['configuration']['ingress']['fqdn']}"
    held = httpx.get(f"{url}/env", timeout=90)
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
    assert [httpx.get(f"http://{own}/env").json()["ANSWER"] for _ in range(5)] == ["good"] * 5
    host = {"Host": "shares--good.sampleenv.example.org"}
    assert [httpx.get(f"{url}/env", headers=host).json()["ANSWER"] for _ in range(5)] == ["good"] * 5


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
    assert httpx.get(f"{url}/env", timeout=5).json()["ANSWER"] == "a"


# Scale


@pytest.mark.fact(104, 114, 118)
def test_scale_to_zero_and_back_is_told_by_keda(cloud: World, environment: str):
    scale = {"minReplicas": 0, "maxReplicas": 1, "cooldownPeriod": 60}
    url = deployed(cloud, "g", "sleeps", app_body(environment, scale=scale))
    revision = latest(cloud, "sleeps")
    eventually(lambda: state_of(cloud, "g", "sleeps", revision) == ("ScaledToZero", "Healthy"))
    assert httpx.get(f"{url}/env", timeout=20).status_code == 200
    found = said(cloud, "sleeps")
    theirs = {each["Log_s"].replace(each_name(each["Log_s"]), "X") for each in scale_events()}
    ours = {message.replace(revision, "X") for reason, message in found if reason.startswith("KEDAScaleTarget")}
    assert ours == theirs


def scale_events() -> list[dict[str, Any]]:
    found = evidence("troubleshooting-labs/scale-to-zero-502/system_logs.json")
    return [each for each in found if each["Reason_s"].startswith("KEDAScaleTarget")]


def each_name(text: str) -> str:
    found = re.search(r"k8se-apps/(\S+)", text)
    return found.group(1) if found else ""


# Logs


@pytest.mark.fact(109, 110)
def test_a_console_stream_begins_and_is_tagged_as_captured(cloud: World, environment: str):
    deployed(cloud, "g", "console", app_body(environment))
    token = cloud.apps.container_apps.get_auth_token("g", "console").properties.token
    with httpx.Client(verify=cloud.known["caFile"], headers={"Authorization": f"Bearer {token}"}) as http:
        text = http.get(container_of(cloud, "console")["logStreamEndpoint"], params={"follow": "false"}).text
    ours = [json.loads(line) for line in text.splitlines()]
    theirs = evidence("revision-provisioning-failure/06-console-logs.json")
    same_shape(theirs[:3], ours[:3])
    assert ours[0]["Log"] == theirs[0]["Log"].replace("'app'", "'main'")
    assert ours[1]["Log"].startswith("Successfully Connected to container: 'main' [Revision: 'console--")
    assert ours[2]["Log"].startswith("F ")
    assert theirs[2]["Log"].startswith("F ")


@pytest.mark.fact(113)
def test_a_stream_without_lines_says_that_it_is_alive_and_ends_after_a_while(cloud: World, environment: str):
    deployed(cloud, "g", "quiet", app_body(environment))
    token = cloud.apps.container_apps.get_auth_token("g", "quiet").properties.token
    with httpx.Client(verify=cloud.known["caFile"], headers={"Authorization": f"Bearer {token}"}, timeout=20) as http:
        lines = http.get(container_of(cloud, "quiet")["logStreamEndpoint"], params={"tailLines": "0"}).text.splitlines()
    assert [json.loads(line)["Log"] for line in lines[2:]] == ["No logs since last 60 seconds"] * 3


@pytest.mark.fact(106)
def test_a_storm_of_probes_pushes_the_rest_out(hasty: World):
    body = app_body(hasty.apps.managed_environments.get("g", "env").id)
    body["properties"]["template"]["containers"][0]["probes"] = [
        {"type": "Startup", "tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 240}
    ]
    written(hasty, "storm", body)
    eventually(lambda: len(events(hasty, "storm")) >= 302, seconds=30)
    eventually(lambda: "RevisionCreation" not in [reason for reason, _ in said(hasty, "storm")], seconds=30)


# Mounts


@pytest.mark.fact(119, 120)
def test_a_wrong_key_is_accepted_and_the_mount_fails_at_each_start_until_it_is_right(cloud: World, environment: str):
    body = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {}}
    cloud.storage.storage_accounts.begin_create("g", "observedfiles", body).result()
    cloud.storage.file_shares.create("g", "observedfiles", "models", {})

    def storage(key: str) -> None:
        azure = {"accountName": "observedfiles", "accountKey": key, "shareName": "models", "accessMode": "ReadWrite"}
        cloud.apps.managed_environments_storages.create_or_update(
            "g", "env", "observed", {"properties": {"azureFile": azure}}
        )

    storage("d3Jvbmc=")
    app = app_body(environment)
    template = app["properties"]["template"]
    template["volumes"] = [{"name": "share", "storageType": "AzureFile", "storageName": "observed"}]
    template["containers"][0]["volumeMounts"] = [{"volumeName": "share", "mountPath": "/mount"}]
    written(cloud, "mounts", app)
    eventually(lambda: revision_of(cloud, "mounts")["healthState"] == "Unhealthy")
    captured = evidence("captured-outputs/azure-files-wrong-key.json")["systemLog"][0]["Msg"]
    found = [
        message.replace("'main'", "'ca-azfiles-bad'") for _, message in said(cloud, "mounts") if "Mount" in message
    ]
    assert captured in found
    assert len(found) > 1, "it is tried again"
    storage(cloud.storage.storage_accounts.list_keys("g", "observedfiles").keys_property[0].value)
    eventually(lambda: state_of(cloud, "g", "mounts", latest(cloud, "mounts")) in SERVING, what="it heals by itself")
