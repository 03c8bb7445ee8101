"""The fault injector: each kind strikes as often as its rule says, is counted, and leaves an unarmed run alone."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import ROOT, World, code_of, eventually

Arm = Callable[..., None]


@pytest.fixture
def faults(world: World) -> Iterator[Arm]:
    def arm(*rules: dict[str, Any], seed: int = 0) -> None:
        answer = admin(world, "PUT", {"rules": list(rules), "seed": seed})
        assert answer.status_code == 200, answer.text

    yield arm
    arm()


def admin(world: World, method: str, body: Any = None, token: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token or world.known['adminToken']}"}
    url, trust = f"{world.arm}/admin/faults", world.known["caFile"]
    return httpx.request(method, url, json=body, headers=headers, verify=trust, timeout=60)


def hits(world: World) -> list[int]:
    return [rule["hits"] for rule in admin(world, "GET").json()["rules"]]


GROUPS = "/subscriptions/{}/resourcegroups?api-version=2025-04-01"


def listed(http: httpx.Client, world: World) -> httpx.Response:
    return http.get(GROUPS.format(world.subscription))


def test_the_admin_route_needs_its_token_and_refuses_nonsense(world: World):
    assert admin(world, "GET", token="wrong").status_code == 401
    assert admin(world, "PUT", {"rules": [{"path": "(", "unknown": 1}]}).status_code == 400
    assert admin(world, "PUT", {"rules": [{"path": "x" * 1_000_000}]}).status_code == 413


def test_a_status_strikes_as_often_as_said(world: World, faults: Arm):
    faults({"path": "/resourcegroups", "status": 503, "headers": {"Retry-After": "7"}, "times": 2, "skip": 1})
    with world.http() as http:
        answers = [listed(http, world) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    assert answers[1].headers["retry-after"] == "7"
    assert answers[1].json()["error"]["message"] == "Injected."
    assert hits(world) == [2]


def test_the_sdk_gets_over_two_503s(world: World, faults: Arm, group: str):
    faults({"path": "/resourcegroups", "status": 503, "times": 2})
    assert group in {each.name for each in world.groups.resource_groups.list()}
    assert hits(world) == [2]


def test_a_reset_before_has_no_effect_and_a_reset_after_has(world: World, faults: Arm):
    url = f"/subscriptions/{world.subscription}/resourcegroups/{{}}?api-version=2025-04-01"
    with world.http() as http:
        for kind, effect in (("reset-before", 404), ("reset-after", 204)):
            faults({"method": "PUT", "kind": kind})
            with pytest.raises(httpx.TransportError):
                http.put(url.format(kind), json={"location": "westus3"})
            assert hits(world) == [1]
            assert http.head(url.format(kind)).status_code == effect


def test_a_delay_delays_and_a_truncated_body_is_cut(world: World, faults: Arm):
    with world.http() as http:
        faults({"path": "/resourcegroups", "kind": "delay", "seconds": 0.5})
        began = time.monotonic()
        assert listed(http, world).status_code == 200
        assert time.monotonic() - began >= 0.5
        faults({"path": "/resourcegroups", "kind": "truncate"})
        with pytest.raises(httpx.TransportError):
            listed(http, world)


def test_an_operation_never_ends(world: World, faults: Arm, group: str):
    faults({"path": "/operationStatuses/", "kind": "never-ending", "times": None})
    body: Any = {"location": "westus3", "properties": {}}
    poller = world.apps.managed_environments.begin_create_or_update(group, "never-env", body)
    eventually(lambda: hits(world)[0] >= 3, what="three polls of the operation")
    assert not poller.done()
    faults()
    assert poller.result().properties.provisioning_state == "Succeeded"


def test_a_stale_read_shows_what_was_before(world: World, faults: Arm):
    url = f"/subscriptions/{world.subscription}/resourcegroups/stale?api-version=2025-04-01"
    with world.http() as http:
        http.put(url, json={"location": "westus3", "tags": {"n": "1"}})
        faults({"method": "GET", "path": "/resourcegroups/stale", "kind": "stale", "skip": 1})
        assert http.get(url).json()["tags"] == {"n": "1"}
        http.put(url, json={"location": "westus3", "tags": {"n": "2"}})
        assert http.get(url).json()["tags"] == {"n": "1"}
        assert http.get(url).json()["tags"] == {"n": "2"}


def test_chance_is_repeatable_by_seed(world: World, faults: Arm):
    runs: list[list[int]] = []
    with world.http() as http:
        for _ in range(2):
            faults({"path": "/resourcegroups", "status": 500, "times": None, "probability": 0.5}, seed=7)
            runs.append([listed(http, world).status_code for _ in range(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


def test_files_faults_are_xml(world: World, faults: Arm, group: str):
    body: Any = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {}}
    world.storage.storage_accounts.begin_create(group, "faultyfiles", body).result()
    share = world.share("faultyfiles", "faulty", group)
    share.create_share()
    faults({"part": "files", "status": 409, "code": "ShareBeingDeleted"})
    with pytest.raises(HttpResponseError) as refused:
        share.get_share_properties()
    assert refused.value.status_code == 409
    assert hits(world) == [1]


def test_the_tcp_proxy_resets_after_exactly_so_many_bytes(world: World):
    target = world.arm.removeprefix("https://")
    command = [
        sys.executable,
        "-m",
        "tests.support.tcp_proxy",
        "--target",
        target,
        "--mode",
        "reset",
        "--after",
        "100",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout
        port = json.loads(proxy.stdout.readline())["port"]
        url = f"https://127.0.0.1:{port}/metadata/endpoints"
        headers = {"Host": target}
        with pytest.raises(httpx.TransportError):
            httpx.get(url, headers=headers, verify=world.known["caFile"], timeout=60)
        assert httpx.get(url, headers=headers, verify=world.known["caFile"], timeout=60).status_code == 200
        proxy.terminate()


def test_a_duplicate_takes_effect_twice_and_the_second_answer_is_sent(world: World, faults: Arm):
    url = f"/subscriptions/{world.subscription}/resourcegroups/twice?api-version=2025-04-01"
    with world.http() as http:
        faults({"method": "PUT", "path": "/resourcegroups/twice", "kind": "duplicate"})
        assert http.put(url, json={"location": "westus3"}).status_code == 200, "the first would have answered 201"
        assert hits(world) == [1]
        assert http.get(url).json()["location"] == "westus3"
        body: Any = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {}}
        world.storage.storage_accounts.begin_create("twice", "twicekeys", body).result()
        share = world.share("twicekeys", "twice", "twice")
        share.create_share()
        share.get_file_client("new").upload_file(b"x")
        faults({"part": "files", "method": "PUT", "path": "comp=rename", "kind": "duplicate"})
        with pytest.raises(HttpResponseError) as refused:
            share.get_file_client("new").rename_file("renamed")
        assert refused.value.status_code == 404, "the second rename finds nothing to rename"
        assert hits(world) == [1]
        assert share.get_file_client("renamed").download_file().readall() == b"x"


def test_a_body_is_replaced_after_the_effect(world: World, faults: Arm):
    url = f"/subscriptions/{world.subscription}/resourcegroups/nonsense?api-version=2025-04-01"
    with world.http() as http:
        faults({"method": "PUT", "kind": "body", "status": 200, "body": "{not json", "headers": {"X-Mark": "1"}})
        answer = http.put(url, json={"location": "westus3"})
        assert (answer.status_code, answer.text, answer.headers["x-mark"]) == (200, "{not json", "1")
        assert hits(world) == [1]
        assert http.get(url).json()["name"] == "nonsense", "the request took effect"


@pytest.mark.parametrize("code", ["ContainerAppLockConflict"])
def test_a_code_of_azure_reaches_the_sdk(world: World, faults: Arm, group: str, code: str):
    faults({"method": "PUT", "path": "/managedEnvironments/", "status": 409, "code": code})
    body: Any = {"location": "westus3", "properties": {}}
    with pytest.raises(HttpResponseError) as refused:
        world.apps.managed_environments.begin_create_or_update(group, "coded", body)
    assert (refused.value.status_code, code_of(refused.value)) == (409, code)
