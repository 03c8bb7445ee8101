"""The process itself: ready line, second instance, stop, SIGKILL, restart on the same state, idle exit."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.contract.localcloud.conftest import ROOT, World, eventually
from tests.contract.localcloud.test_apps import app_body, deployed
from tests.contract.localcloud.test_deployments import template

Start = Callable[..., World]


def has_ended(process: psutil.Process) -> bool:
    """One that nobody has waited for yet has ended all the same, and another under its old number is not it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def with_app(world: World) -> tuple[str, psutil.Process]:
    """A group, an environment and an app; its address and its process."""
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    body = {"location": "westus3", "properties": {}}
    environment = world.apps.managed_environments.begin_create_or_update("g", "env", body).result().id
    url = deployed(world, "g", "app", app_body(environment))
    return url, psutil.Process(httpx.get(f"{url}/pid", timeout=60).json())


def test_what_is_kept_is_for_its_owner_only(another: Start):
    world = another()
    for name in ("cloud.json", "identity.json", "tls/server.key"):
        assert (world.state / name).stat().st_mode & 0o077 == 0, name
    assert (world.state / "resources").stat().st_mode & 0o077 == 0


def test_a_second_instance_on_the_same_folder_names_the_first(another: Start):
    world = another()
    command = [sys.executable, "-m", "sidecar.localcloud", "--state", str(world.state)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == 1
    assert str(world.process.pid) in second.stderr


def test_several_run_side_by_side_with_keys_of_their_own(another: Start):
    first, second = another(), another()
    assert first.arm != second.arm
    assert first.known["clientSecret"] != second.known["clientSecret"]
    stranger = httpx.get(
        f"{second.arm}/subscriptions?api-version=2022-12-01",
        headers={"Authorization": f"Bearer {first.token()}"},
        verify=second.known["caFile"],
        timeout=60,
    )
    assert stranger.status_code == 401


def test_it_ends_with_the_process_that_it_was_started_for(another: Start):
    """However that one goes: closing a terminal killed `npm start` at times before it had ended its cloud."""
    companion = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    world = another("--with", str(companion.pid))
    _, replica = with_app(world)
    companion.kill()
    companion.wait()
    assert world.process.wait(120) == 0
    eventually(lambda: has_ended(replica), what="the replica ended")


def test_killing_the_cloud_ends_every_replica_and_nothing_is_lost(another: Start, tmp_path: Path):
    world = another(state=tmp_path / "kept")
    url, replica = with_app(world)
    os.kill(world.process.pid, signal.SIGKILL)
    world.process.wait()
    eventually(lambda: has_ended(replica), what="the replica ended")
    again = another(state=tmp_path / "kept")
    assert again.arm == world.arm, "ports are kept"
    assert again.known["clientSecret"] == world.known["clientSecret"]
    app = again.apps.container_apps.get("g", "app")
    assert f"http://{app.properties.configuration.ingress.fqdn}" == url
    eventually(lambda: _status(f"{url}/env") == 200, what="the app is back")


def test_ports_that_another_program_has_taken_are_left_to_it(another: Start, tmp_path: Path):
    """They kept the local cloud from ever starting again. What resources say of their addresses moves along."""
    world = another(state=tmp_path / "kept")
    with_app(world)
    account = {"location": "westus3", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
    world.storage.storage_accounts.begin_create("g", "moved", account).result()
    world.storage.file_shares.create("g", "moved", "share", {})
    world.stop()
    with contextlib.ExitStack() as taken:
        for port in world.known["ports"].values():
            taken.enter_context(socket.create_server(("127.0.0.1", port)))
        again = another(state=tmp_path / "kept")
        assert not set(again.known["ports"].values()) & set(world.known["ports"].values())
        again.share("moved", "share", "g").get_file_client("file").upload_file(b"it is there")
        found = again.storage.storage_accounts.get_properties("g", "moved")
        assert str(again.known["ports"]["files"]) in found.primary_endpoints.file
        app = again.apps.container_apps.get("g", "app")
        assert f":{again.known['ports']['data']}/" in app.properties.event_stream_endpoint


def test_a_clean_stop_ends_the_replicas_and_exits_0(another: Start):
    world = another()
    url, replica = with_app(world)
    assert world.stop() == 0
    assert has_ended(replica)
    assert _status(url) is None


def test_a_clean_stop_waits_for_no_connection_that_is_only_kept(another: Start):
    cloud = another()
    with cloud.http() as http:
        assert http.get("/metadata/endpoints?api-version=2022-09-01").status_code == 200
        assert cloud.stop() == 0  # the client keeps its connection till here, and does not hear TLS's farewell
    assert "graceful shutdown exceeded" not in (cloud.state / "logs" / "localcloud.log").read_text()


def test_a_throwaway_state_is_removed(another: Start, tmp_path: Path):
    world = another("--throwaway", state=tmp_path / "gone")
    assert world.stop() == 0
    assert not (tmp_path / "gone").exists()


def test_without_a_client_it_stops_by_itself(another: Start):
    world = another("--idle-exit", "5")  # longer than a busy machine takes to its first request
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    assert world.process.wait(timeout=120) == 0


def test_a_deployment_cut_off_is_finished_by_the_next_start(another: Start, tmp_path: Path):
    slow = {"times": {"poll": 0, "environment": 5}}
    world = another(state=tmp_path / "cut", settings=slow)
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"secret": {"type": "securestring", "defaultValue": "[newGuid()]"}},
        "resources": [
            {
                "type": "Microsoft.App/managedEnvironments",
                "apiVersion": "2025-07-01",
                "name": "env",
                "location": "westus3",
                "properties": {},
            }
        ],
        "outputs": {"NAME": {"type": "string", "value": "env"}},
    }
    body: Any = {"properties": {"mode": "Incremental", "template": template}}
    world.deployments.deployments.begin_create_or_update("g", "d", body, polling=False)
    os.kill(world.process.pid, signal.SIGKILL)
    world.process.wait()
    again = another(state=tmp_path / "cut", settings=slow)
    found = eventually(
        lambda: (d := again.deployments.deployments.get("g", "d")).properties.provisioning_state == "Succeeded" and d
    )
    assert found.properties.outputs == {"name": {"type": "String", "value": "env"}}
    assert again.apps.managed_environments.get("g", "env").properties.provisioning_state == "Succeeded"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_nested_deployment_cut_off_is_finished_with_the_one_around_it(
    another: Start, tmp_path: Path, how: signal.Signals
):
    slow = {"times": {"poll": 0, "environment": 5}}
    world = another(state=tmp_path / "cut", settings=slow)
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    environment = {
        "type": "Microsoft.App/managedEnvironments",
        "apiVersion": "2025-07-01",
        "name": "env",
        "location": "westus3",
        "properties": {},
    }
    inner = {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2025-04-01",
        "name": "inner",
        "properties": {"mode": "Incremental", "template": template([environment])},
    }
    body: Any = {"properties": {"mode": "Incremental", "template": template([inner])}}
    world.deployments.deployments.begin_create_or_update("g", "outer", body, polling=False)
    eventually(lambda: _deployed(world, "inner") == "Running")
    eventually(lambda: "env" in {each.name for each in world.groups.resources.list_by_resource_group("g")})
    world.process.send_signal(how)
    world.process.wait(timeout=120)
    again = another(state=tmp_path / "cut", settings=slow)
    eventually(lambda: _deployed(again, "outer") in ("Succeeded", "Failed"))
    assert (_deployed(again, "outer"), _deployed(again, "inner")) == ("Succeeded", "Succeeded")
    assert again.apps.managed_environments.get("g", "env").properties.provisioning_state == "Succeeded"


def test_state_of_another_version_is_refused_with_its_name(another: Start, tmp_path: Path):
    world = another(state=tmp_path / "old")
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    world.stop()
    record = next((tmp_path / "old" / "resources").glob("*.json"))
    record.write_text(json.dumps({**json.loads(record.read_text()), "version": 99}))
    command = [sys.executable, "-m", "sidecar.localcloud", "--state", str(tmp_path / "old")]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 1
    assert "another version (99)" in refused.stderr


def test_another_address_than_loopback_is_refused(tmp_path: Path):
    command = [sys.executable, "-m", "sidecar.localcloud", "--state", str(tmp_path / "s"), "--bind", "0.0.0.0"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 2
    assert "loopback" in refused.stderr


def _deployed(world: World, name: str) -> str | None:
    with world.http() as http:
        path = f"/subscriptions/{world.subscription}/resourcegroups/g/providers/Microsoft.Resources/deployments/{name}"
        found = http.get(path, params={"api-version": "2025-04-01"})
    return found.json()["properties"]["provisioningState"] if found.status_code == 200 else None


def _status(url: str) -> int | None:
    try:
        return httpx.get(url, timeout=60).status_code  # held until a replica is ready
    except httpx.ConnectError:
        return None
