"""Container apps through Microsoft's SDK: real processes, probes, revisions, restarts, scaling, ingress, logs."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from sidecar.localcloud.core.ports import Promise
from tests.contract.localcloud.conftest import World, code_of, eventually
from tests.support.held import held

SERVER = Path(__file__).with_name("server.py")


@pytest.fixture(scope="module")
def environment(world: World, group: str) -> str:
    body = {
        "location": "westus3",
        "properties": {"workloadProfiles": [{"name": "Consumption", "workloadProfileType": "Consumption"}]},
    }
    return world.apps.managed_environments.begin_create_or_update(group, "apps-env", body).result().id


def app_body(environment: str, *, env: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """An app that runs server.py; its probes come often, and bear that a busy machine answers late."""
    container: dict[str, Any] = {
        "name": "main",
        "image": "example/server:1",
        "command": ["python3", str(SERVER)],
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
        "probes": [
            {
                "type": "Startup",
                "httpGet": {"path": "/health", "port": 8080},
                "periodSeconds": 1,
                "timeoutSeconds": 60,
                "failureThreshold": 240,
            },
            {
                "type": "Readiness",
                "httpGet": {"path": "/health", "port": 8080},
                "periodSeconds": 1,
                "timeoutSeconds": 60,
                "failureThreshold": 1,
            },
        ],
    }
    configuration = {
        "activeRevisionsMode": changes.get("mode", "Single"),
        "ingress": {"external": True, "targetPort": 8080, "allowInsecure": True, "traffic": changes.get("traffic")},
        "secrets": changes.get("secrets"),
    }
    scale = changes.get("scale", {"minReplicas": 1, "maxReplicas": 2})
    template: dict[str, Any] = {"containers": [container], "scale": scale}
    if suffix := changes.get("suffix"):
        template["revisionSuffix"] = suffix
    template["terminationGracePeriodSeconds"] = 2
    return {
        "location": "westus3",
        "properties": {"managedEnvironmentId": environment, "configuration": configuration, "template": template},
    }


def deployed(world: World, group: str, name: str, body: dict[str, Any], seconds: float = 120) -> str:
    """Creates or updates the app; its address once its newest revision is ready."""
    app = world.apps.container_apps.begin_create_or_update(group, name, body).result()
    latest = world.apps.container_apps.get(group, name).properties.latest_revision_name
    eventually(lambda: state_of(world, group, name, latest) in SERVING, seconds, f"{name} is ready")
    return f"http://{app.properties.configuration.ingress.fqdn}"


SERVING = {("Running", "Healthy"), ("RunningAtMaxScale", "Healthy")}


def state_of(world: World, group: str, name: str, revision: str) -> tuple[str, str]:
    """What a revision reads as: running state and health."""
    found = world.apps.container_apps_revisions.get_revision(group, name, revision).properties
    return found["runningState"], found["healthState"]


def replicas(world: World, group: str, name: str, revision: str | None = None) -> list[Any]:
    revision = revision or world.apps.container_apps.get(group, name).properties.latest_revision_name
    return world.apps.container_apps_revision_replicas.list_replicas(group, name, revision).value


def test_an_app_runs_its_command_and_answers_at_its_address(world: World, group: str, environment: str):
    secrets = [{"name": "key", "value": "s3cret-value"}]
    body = app_body(environment, env={"PLAIN": "yes"}, secrets=secrets)
    body["properties"]["template"]["containers"][0]["env"].append({"name": "KEY", "secretRef": "key"})
    url = deployed(world, group, "first", body)
    seen = httpx.get(f"{url}/env", timeout=60).json()
    assert seen["PLAIN"] == "yes"
    assert seen["KEY"] == "s3cret-value"
    assert seen["CONTAINER_APP_REVISION"].startswith("first--")
    assert seen["CONTAINER_APP_REPLICA_NAME"].startswith(seen["CONTAINER_APP_REVISION"] + "-")
    shown = world.apps.container_apps.get(group, "first")
    assert "s3cret-value" not in str(shown.as_dict()), "a secret is shown to nobody who reads the app"
    assert [s.value for s in world.apps.container_apps.list_secrets(group, "first").value] == ["s3cret-value"]
    revision = world.apps.container_apps_revisions.get_revision(group, "first", shown.properties.latest_revision_name)
    assert revision.properties.running_state == "Running", "it has one of two replicas"
    assert revision.properties.health_state == "Healthy"


def test_two_replicas_are_probed_each_on_a_port_of_its_own(world: World, group: str, environment: str):
    """A container has its ports to itself; replicas here share this machine's."""
    body = app_body(environment, env={"PROBE_PORT": "9090"}, scale={"minReplicas": 2, "maxReplicas": 2})
    (container,) = body["properties"]["template"]["containers"]
    live = {"type": "Liveness", "httpGet": {"path": "/health", "port": 9090}, "periodSeconds": 1, "timeoutSeconds": 60}
    container["probes"].append({**live, "failureThreshold": 2})
    url = deployed(world, group, "probed", body)
    eventually(lambda: len(replicas(world, group, "probed")) == 2, what="both replicas are there")

    def port() -> str:
        """Of either replica: both have as few requests."""
        return httpx.get(f"{url}/env", timeout=60).json()["PROBE_PORT"]

    seen: set[str] = set()
    eventually(lambda: len(seen.add(port()) or seen) == 2, what="both replicas have answered")
    assert "9090" not in seen
    assert {httpx.get(f"http://127.0.0.1:{each}/health", timeout=60).status_code for each in seen} == {200}
    assert [each.containers[0].restart_count for each in replicas(world, group, "probed")] == [0, 0]


def test_a_restart_replaces_replicas_under_new_names(world: World, group: str, environment: str):
    url = deployed(world, group, "restarts", app_body(environment))
    before = {replica.name for replica in replicas(world, group, "restarts")}
    revision = world.apps.container_apps.get(group, "restarts").properties.latest_revision_name
    world.apps.container_apps_revisions.restart_revision(group, "restarts", revision)
    after = eventually(lambda: {r.name for r in replicas(world, group, "restarts")} - before)
    eventually(lambda: {r.name for r in replicas(world, group, "restarts")} == after, what="the old one has left")
    assert httpx.get(f"{url}/env", timeout=60).json()["CONTAINER_APP_REPLICA_NAME"] in after
    one = world.apps.container_apps_revision_replicas.get_replica
    assert {one(group, "restarts", revision, name).name for name in after} == after


def test_single_mode_keeps_the_old_revision_until_the_new_one_is_ready(world: World, group: str, environment: str):
    url = deployed(world, group, "single", app_body(environment, env={"ANSWER": "old"}))
    failures: list[Any] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = httpx.get(f"{url}/env", timeout=60)
            if answer.status_code != 200:
                failures.append(answer.status_code)
            time.sleep(0.02)  # sleeps: between two looks

    asking = threading.Thread(target=ask)
    asking.start()
    deployed(world, group, "single", app_body(environment, env={"ANSWER": "new", "START_AFTER": "2"}))
    eventually(lambda: httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] == "new")
    stop.set()
    asking.join()
    assert failures == [], "no request fails during the switch"
    found = list(world.apps.container_apps_revisions.list_revisions(group, "single"))
    eventually(
        lambda: (
            [r.properties.active for r in world.apps.container_apps_revisions.list_revisions(group, "single")]
            == [False, True]
        )
    )
    assert len(found) == 2


def test_the_same_template_makes_no_new_revision(world: World, group: str, environment: str):
    body = app_body(environment)
    deployed(world, group, "same", body)
    body["properties"]["configuration"]["maxInactiveRevisions"] = 5
    deployed(world, group, "same", body)
    assert len(list(world.apps.container_apps_revisions.list_revisions(group, "same"))) == 1


def test_traffic_follows_weights_and_labels_in_multiple_mode(world: World, group: str, environment: str):
    url = deployed(world, group, "many", app_body(environment, mode="Multiple", suffix="a", env={"ANSWER": "a"}))
    body = app_body(environment, mode="Multiple", suffix="b", env={"ANSWER": "b"})
    body["properties"]["configuration"]["ingress"]["traffic"] = [
        {"revisionName": "many--a", "weight": 100, "label": "blue"},
    ]
    deployed(world, group, "many", body)
    assert {httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] for _ in range(10)} == {"a"}
    traffic = [{"revisionName": "many--a", "weight": 50}, {"latestRevision": True, "weight": 50}]
    body["properties"]["configuration"]["ingress"]["traffic"] = traffic
    deployed(world, group, "many", body)
    eventually(lambda: {httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] for _ in range(30)} == {"a", "b"})
    world.apps.container_apps_revisions.deactivate_revision(group, "many", "many--a")
    eventually(lambda: {httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] for _ in range(10)} == {"b"})
    body["properties"]["configuration"]["ingress"]["traffic"] = [{"latestRevision": True, "weight": 90}]
    with pytest.raises(Exception, match="must equal 100"):
        world.apps.container_apps.begin_create_or_update(group, "many", body).result()


def test_an_unready_replica_gets_no_traffic(world: World, group: str, environment: str):
    url = deployed(world, group, "gated", app_body(environment))
    assert httpx.post(f"{url}/unready", timeout=60).status_code == 200
    eventually(lambda: not any(c["ready"] for r in replicas(world, group, "gated") for c in r.properties.containers))
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/env", timeout=2)


def test_an_exit_is_terminated_counted_and_restarted(world: World, group: str, environment: str):
    url = deployed(world, group, "crash", app_body(environment))
    httpx.post(f"{url}/exit", timeout=60)
    container = eventually(
        lambda: next(
            (c for r in replicas(world, group, "crash") for c in r.properties.containers if c["restartCount"] > 0), None
        )
    )
    assert container["restartCount"] >= 1
    eventually(lambda: httpx.get(f"{url}/env", timeout=60).status_code == 200)
    events = system_events(world, group, "crash")
    assert any("was terminated with exit code '3'" in event for event in events)


def test_an_app_at_zero_wakes_for_a_request_and_sleeps_again(world: World, group: str, environment: str):
    scale = {"minReplicas": 0, "maxReplicas": 1, "cooldownPeriod": 200}
    # Not waited for until it is ready: on a busy machine it is asleep again before anybody looks.
    made = world.apps.container_apps.begin_create_or_update(
        group, "sleeper", app_body(environment, scale=scale)
    ).result()
    url = f"http://{made.properties.configuration.ingress.fqdn}"
    started = "has been scheduled to run on a node"  # said for good: it may have gone again by now
    eventually(lambda: any(started in each for each in system_events(world, group, "sleeper")), what="it starts")
    eventually(lambda: not replicas(world, group, "sleeper"), what="scaled to zero")
    revision = world.apps.container_apps.get(group, "sleeper").properties.latest_revision_name
    state = world.apps.container_apps_revisions.get_revision(group, "sleeper", revision).properties.running_state
    assert state == "ScaledToZero"
    assert httpx.get(f"{url}/env", timeout=120).status_code == 200, "held while a replica starts"
    eventually(lambda: not replicas(world, group, "sleeper"), what="scaled to zero again")


def test_replicas_follow_concurrent_requests(world: World, group: str, environment: str, tmp_path: Path):
    rules = [{"name": "http", "http": {"metadata": {"concurrentRequests": "1"}}}]
    scale = {"minReplicas": 1, "maxReplicas": 3, "cooldownPeriod": 50, "rules": rules}
    url = deployed(world, group, "busy", app_body(environment, scale=scale))
    with ThreadPoolExecutor(3) as pool, held(tmp_path / "answers") as answers:
        for _ in range(3):
            pool.submit(httpx.get, f"{url}/until?file={answers}", timeout=240)
        eventually(lambda: len(replicas(world, group, "busy")) == 3)
    eventually(lambda: len(replicas(world, group, "busy")) == 1)


def test_a_stream_passes_as_it_comes_and_a_lost_client_is_noticed(
    world: World, group: str, environment: str, tmp_path: Path
):
    url = deployed(world, group, "stream", app_body(environment))
    with contextlib.ExitStack() as rest:
        address = f"{url}/stream?count=3&pause=0&file={rest.enter_context(held(tmp_path / 'rest'))}"
        with httpx.stream("GET", address, timeout=60) as answer:
            lines = answer.iter_lines()
            first = next(lines)  # while the others are not written yet
            rest.close()
            assert [first, *lines] == ["line 0", "line 1", "line 2"]
    with httpx.stream("GET", f"{url}/stream?count=1000&pause=0.05", timeout=60) as answer:
        next(answer.iter_lines())
    eventually(lambda: httpx.get(f"{url}/lost", timeout=60).json() >= 1, what="the replica saw the client leave")


def test_bodies_and_keep_alive_pass_the_ingress(world: World, group: str, environment: str):
    url = deployed(world, group, "bodies", app_body(environment))
    with httpx.Client(timeout=60) as client:
        for size in (0, 10, 1_000_000):
            answer = client.post(f"{url}/echo", content=b"x" * size)
            assert answer.status_code == 200
            assert len(answer.content) == size
    chunked = httpx.post(f"{url}/echo", content=iter([b"a" * 1000, b"b" * 1000]), timeout=60)
    assert chunked.content == b"a" * 1000 + b"b" * 1000


def test_malformed_requests_at_the_ingress_get_4xx(world: World, group: str, environment: str):
    url = deployed(world, group, "bad", app_body(environment))
    host, port = url.removeprefix("http://").split(":")
    for sent in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: " + b"b" * 100_000 + b"\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(sent)
            assert connection.recv(100).split()[1].startswith(b"4")
    assert httpx.get(f"{url}/env", timeout=60).status_code == 200


def test_a_stopped_app_answers_404_and_starts_again(world: World, group: str, environment: str):
    url = deployed(world, group, "halt", app_body(environment))
    world.apps.container_apps.begin_stop(group, "halt").result()
    eventually(lambda: not replicas(world, group, "halt"))
    answer = httpx.get(f"{url}/env", timeout=60)
    assert answer.status_code == 404
    assert "stopped or does not exist" in answer.text
    assert world.apps.container_apps.get(group, "halt").properties.running_status == "Stopped"
    world.apps.container_apps.begin_start(group, "halt").result()
    eventually(lambda: httpx.get(f"{url}/env", timeout=60).status_code == 200)


def test_a_command_that_cannot_run_says_so(world: World, group: str, environment: str):
    body = app_body(environment)
    del body["properties"]["template"]["containers"][0]["command"]
    world.apps.container_apps.begin_create_or_update(group, "imageonly", body).result()
    container = eventually(lambda: [c for r in replicas(world, group, "imageonly") for c in r.properties.containers])[0]
    assert container["runningState"] == "Waiting"
    eventually(lambda: any("pulls no images" in event for event in system_events(world, group, "imageonly")))


def test_a_command_that_insists_on_its_port_runs_one_replica_at_a_time(world: World, group: str, environment: str):
    promise = Promise("127.0.0.1")
    port = promise.port

    def fixed(answer: str) -> dict[str, Any]:
        body = app_body(
            environment, env={"FIXED_PORT": str(port), "ANSWER": answer}, scale={"minReplicas": 2, "maxReplicas": 2}
        )
        body["properties"]["configuration"]["ingress"]["targetPort"] = port
        for probe in body["properties"]["template"]["containers"][0]["probes"]:
            probe["httpGet"]["port"] = port
        return body

    url = deployed(world, group, "fixed", fixed("one"))
    assert httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] == "one"
    eventually(lambda: len(replicas(world, group, "fixed")) == 1)
    deployed(world, group, "fixed", fixed("two"))

    def answer() -> str | None:
        came = httpx.get(f"{url}/env", timeout=60)
        return came.json()["ANSWER"] if came.status_code == 200 else None

    eventually(lambda: answer() == "two")
    promise.end()


def test_console_lines_are_streamed_with_the_apps_token_only(world: World, group: str, environment: str):
    url = deployed(world, group, "talks", app_body(environment))
    endpoint = replicas(world, group, "talks")[0].properties.containers[0]["logStreamEndpoint"]
    token = world.apps.container_apps.get_auth_token(group, "talks").properties.token
    with httpx.Client(verify=world.known["caFile"], timeout=60) as http:
        assert http.get(endpoint, headers={"Authorization": f"Bearer {world.token()}"}).status_code == 401
        params = {"follow": "true", "tailLines": "300", "output": "text"}
        with http.stream("GET", endpoint, params=params, headers={"Authorization": f"Bearer {token}"}) as stream:
            lines = stream.iter_lines()
            assert "Connecting to the container 'main'..." in next(lines)
            assert "Successfully Connected to container: 'main'" in next(lines)
            assert "stdout F listening" in next(lines)
            httpx.post(f"{url}/say?text=hello", timeout=60)
            assert any("hello" in line for line in lines)


def system_events(world: World, group: str, name: str) -> list[str]:
    app = world.apps.container_apps.get(group, name)
    token = world.apps.container_apps.get_auth_token(group, name).properties.token
    url = app.properties.event_stream_endpoint
    headers = {"Authorization": f"Bearer {token}"}
    parameters = {"follow": "false", "tailLines": "300"}
    return httpx.get(
        url, params=parameters, headers=headers, verify=world.known["caFile"], timeout=60
    ).text.splitlines()


def test_deleting_an_app_ends_its_processes(world: World, group: str, environment: str):
    url = deployed(world, group, "gone", app_body(environment))
    process = psutil.Process(httpx.get(f"{url}/pid", timeout=60).json())
    world.apps.container_apps.begin_delete(group, "gone").result()
    eventually(lambda: not process.is_running())
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/env", timeout=60)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: p["template"].update(containers=[]), "ContainerAppContainerRequired"),
        (
            lambda p: p["template"]["containers"][0].update(resources={"cpu": 1, "memory": "9Gi"}),
            "ContainerAppInvalidResourceTotal",
        ),
        (lambda p: p.update(workloadProfileName="none"), "WorkloadProfileNameNotFound"),
        (lambda p: p["template"].update(terminationGracePeriodSeconds=-1), "InvalidRequestContent"),
        (lambda p: p["template"]["containers"][0].update(args=[1]), "InvalidRequestContent"),
        (lambda p: p["template"]["scale"].update(minReplicas=5, maxReplicas=2), "ContainerAppInvalidScaleSettings"),
        (
            lambda p: p["template"]["containers"][0]["probes"][0].update(failureThreshold=241),
            "ContainerAppProbeFailureThresholdOutOfRange",
        ),
        (
            lambda p: p["template"]["containers"][0]["env"].append({"name": "K", "secretRef": "no"}),
            "ContainerAppSecretRefNotFound",
        ),
        (lambda p: p.update(managedEnvironmentId="/subscriptions/x"), "ManagedEnvironmentNotFound"),
    ],
)
def test_what_azure_refuses_is_refused(world: World, group: str, environment: str, change: Any, code: str):
    body = app_body(environment)
    change(body["properties"])
    with pytest.raises(Exception) as refused:
        world.apps.container_apps.begin_create_or_update(group, "refused", body).result()
    assert code_of(refused.value) == code
