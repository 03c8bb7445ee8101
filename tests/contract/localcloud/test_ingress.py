"""The ingress where an app is slow, silent, broken or never ready, with Azure's limits made short by settings."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.localcloud.conftest import QUICK, World, cloud_with_environment, eventually
from tests.contract.localcloud.test_apps import app_body, deployed, replicas

IDLE = 3.0
LIMITS = {**QUICK["times"], "bounds": 1, "activation_deadline": 6, "ingress_idle": IDLE, "drain": 1}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cloud whose limits are seconds, with a group `g` and an environment in it."""
    with cloud_with_environment(tmp_path_factory.mktemp("impatient"), {"times": LIMITS}) as world:
        yield world


@pytest.fixture(scope="module")
def environment(impatient: World) -> str:
    return impatient.apps.managed_environments.get("g", "env").id


def stored(world: World, name: str) -> dict[str, Any]:
    """An app as the cloud keeps it, with the ports of its labels."""
    records = [json.loads(file.read_text()) for file in (world.state / "resources").glob("*.json")]
    return next(record for record in records if record["id"].lower().endswith(f"/containerapps/{name}"))


def test_a_label_reaches_its_revision_by_port_and_by_host(impatient: World, environment: str):
    body = app_body(environment, mode="Multiple", suffix="a", env={"ANSWER": "a"})
    url = deployed(impatient, "g", "labels", body)
    body = app_body(environment, mode="Multiple", suffix="b", env={"ANSWER": "b"})
    body["properties"]["configuration"]["ingress"]["traffic"] = [
        {"revisionName": "labels--a", "weight": 0, "label": "blue"},
        {"latestRevision": True, "weight": 100},
    ]
    deployed(impatient, "g", "labels", body)
    eventually(lambda: httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] == "b")
    blue = {"Host": "labels---blue.example.org"}
    assert {httpx.get(f"{url}/env", headers=blue, timeout=60).json()["ANSWER"] for _ in range(5)} == {"a"}
    port = stored(impatient, "labels")["private"]["labelPorts"]["blue"]
    assert {httpx.get(f"http://127.0.0.1:{port}/env", timeout=60).json()["ANSWER"] for _ in range(5)} == {"a"}
    assert httpx.get(f"{url}/env", headers={"Host": "labels---green.example.org"}, timeout=60).status_code == 404
    impatient.apps.container_apps_revisions.deactivate_revision("g", "labels", "labels--a")
    eventually(lambda: httpx.get(f"{url}/env", headers=blue, timeout=60).status_code == 404)


@pytest.mark.fact(14, 15)
def test_a_revision_that_is_never_ready_is_degraded_at_the_deadline_while_the_old_one_serves(
    impatient: World, environment: str
):
    url = deployed(impatient, "g", "deadline", app_body(environment, env={"ANSWER": "old"}))
    late = app_body(environment, env={"ANSWER": "new", "START_AFTER": "600"})
    impatient.apps.container_apps.begin_create_or_update("g", "deadline", late).result()
    app = impatient.apps.container_apps.get("g", "deadline").properties
    assert app.provisioning_state == "Succeeded", "the operation's success is not the revision's"

    def degraded() -> Any:
        assert httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] == "old"
        new = impatient.apps.container_apps_revisions.get_revision("g", "deadline", app.latest_revision_name)
        return new.properties["runningState"] == "Degraded" and new.properties

    revision = eventually(degraded)
    assert revision["runningStateDetails"] == "Deployment Progress Deadline Exceeded. 0/1 replicas ready."
    assert (revision["healthState"], revision["provisioningState"]) == ("Unhealthy", "Provisioned")
    assert "provisioningError" not in revision
    shown = impatient.apps.container_apps.get("g", "deadline").properties
    assert shown.latest_ready_revision_name == shown.latest_revision_name == app.latest_revision_name
    assert httpx.get(f"{url}/env", timeout=60).json()["ANSWER"] == "old"


def test_a_silence_longer_than_the_idle_limit_is_504_or_ends_the_stream(impatient: World, environment: str):
    url = deployed(impatient, "g", "silent", app_body(environment))
    silent = httpx.get(f"{url}/slow?seconds=30", timeout=120)
    assert (silent.status_code, silent.text) == (504, "stream timeout")
    lines: list[str] = []
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("GET", f"{url}/stream?count=2&pause=30", timeout=60) as answer,
    ):
        lines.extend(answer.iter_lines())
    assert answer.status_code == 200
    with httpx.stream("GET", f"{url}/stream?count=12&pause={IDLE / 10}", timeout=60) as answer:
        assert len(list(answer.iter_lines())) == 12, "a stream that is not silent so long passes whole"


def test_a_replica_that_breaks_off_is_503_and_one_that_talks_nonsense_502(impatient: World, environment: str):
    url = deployed(impatient, "g", "broken", app_body(environment))
    broken = httpx.get(f"{url}/break", timeout=60)
    assert broken.status_code == 503
    assert "reset reason: connection termination" in broken.text
    nonsense = httpx.get(f"{url}/nonsense", timeout=60)
    assert nonsense.status_code == 502
    assert "reset reason: protocol error" in nonsense.text
    assert httpx.get(f"{url}/env", timeout=60).status_code == 200


def test_connections_to_a_replica_stay_open_until_it_closes_them(impatient: World, environment: str):
    url = deployed(impatient, "g", "kept", app_body(environment))
    first = httpx.get(f"{url}/peer", timeout=60).text
    assert {httpx.get(f"{url}/peer", timeout=60).text for _ in range(5)} == {first}, (
        "other clients come by the same connection"
    )
    assert httpx.get(f"{url}/last", timeout=60).status_code == 200, "the replica says Connection: close"
    second = httpx.get(f"{url}/peer", timeout=60).text
    assert second != first
    assert httpx.get(f"{url}/peer", timeout=60).text == second


@pytest.mark.fact(44)
def test_a_request_on_a_kept_connection_that_its_replica_closes_is_lost(impatient: World, environment: str):
    url = deployed(impatient, "g", "lost", app_body(environment))
    assert httpx.get(f"{url}/peer", timeout=60).status_code == 200
    lost = httpx.get(f"{url}/break", timeout=60)
    assert (lost.status_code, "reset reason: connection termination" in lost.text) == (503, True)
    assert httpx.get(f"{url}/broken", timeout=60).text == "1", "it was not asked again in silence"


def test_a_cold_start_that_takes_too_long_is_504(impatient: World, environment: str):
    scale = {"minReplicas": 0, "maxReplicas": 1, "cooldownPeriod": 1}
    body = app_body(environment, env={"START_AFTER": "600"}, scale=scale)
    impatient.apps.container_apps.begin_create_or_update("g", "cold", body).result()
    eventually(lambda: not replicas(impatient, "g", "cold"), what="scaled to zero")
    url = f"http://{impatient.apps.container_apps.get('g', 'cold').properties.configuration.ingress.fqdn}"
    held = httpx.get(f"{url}/env", timeout=120)
    assert (held.status_code, held.text) == (504, "stream timeout")
