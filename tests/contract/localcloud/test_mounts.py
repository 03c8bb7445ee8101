"""Shares mounted into apps: what the replica sees, and what mount errors say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import World, code_of, eventually
from tests.contract.localcloud.test_apps import app_body, deployed, replicas, system_events


@pytest.fixture(scope="module")
def mounted(world: World, group: str) -> dict[str, Any]:
    return mounted_in(world, group)


def mounted_in(world: World, group: str) -> dict[str, Any]:
    """An environment with one share as storage."""
    account = "mounttests"
    body = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {}}
    world.storage.storage_accounts.begin_create(group, account, body).result()
    world.storage.file_shares.create(group, account, "models", {})
    environment = world.apps.managed_environments.begin_create_or_update(
        group,
        "mount-env",
        {
            "location": "westus3",
            "properties": {"workloadProfiles": [{"name": "Consumption", "workloadProfileType": "Consumption"}]},
        },
    ).result()
    key = world.storage.storage_accounts.list_keys(group, account).keys_property[0].value
    put_storage(world, group, key)
    return {"environment": environment.id, "account": account}


def put_storage(world: World, group: str, key: str, share: str = "models") -> Any:
    azure = {"accountName": "mounttests", "accountKey": key, "shareName": share, "accessMode": "ReadWrite"}
    return world.apps.managed_environments_storages.create_or_update(
        group, "mount-env", "models", {"properties": {"azureFile": azure}}
    )


def mounting(environment: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    body = app_body(environment, env={"WHERE": "/mount/data", "OTHER": "/mountain", **(env or {})})
    template = body["properties"]["template"]
    template["volumes"] = [{"name": "share", "storageType": "AzureFile", "storageName": "models"}]
    template["containers"][0]["volumeMounts"] = [{"volumeName": "share", "mountPath": "/mount"}]
    return body


def test_the_mount_path_is_the_shares_folder_wherever_it_stands_as_a_whole_path(world: World, group: str, mounted: Any):
    url = deployed(world, group, "mounts", mounting(mounted["environment"]))
    seen = httpx.get(f"{url}/env", timeout=60).json()
    folder = world.state / "shares" / "mounttests" / "models"
    assert Path(seen["WHERE"]) == folder / "data"
    assert seen["OTHER"] == "/mountain"
    share = world.share("mounttests", "models", group)
    share.get_file_client("held.txt").upload_file(b"x")
    httpx.post(f"{url}/hold", params={"path": str(folder / "held.txt")}, timeout=60)
    with pytest.raises(HttpResponseError) as refused:
        share.get_file_client("held.txt").delete_file()
    assert code_of(refused.value) == "SharingViolation"


def test_a_mount_path_is_one_word_to_a_shell_in_a_home_with_spaces(another: Callable[..., World], tmp_path: Path):
    """Unquoted, in either kind of quotes, in a variable and in code: all name the share's folder."""
    world = another(state=tmp_path / "a home (mine)")
    world.register()
    world.groups.resource_groups.create_or_update("spaced", {"location": "westus3"})
    made = mounted_in(world, "spaced")
    body = mounting(made["environment"])
    container = body["properties"]["template"]["containers"][0]
    server = " ".join(container["command"])
    container["command"] = ["/bin/bash", "-c"]
    container["args"] = [
        'set -e\ncd /mount\ntest -d "/mount"\ntest -d \'/mount\'\ntest "$WHERE" = "/mount/data"\n'
        f"python3 -c \"open('/mount/found', 'w')\"\nexec {server}"
    ]
    url = deployed(world, "spaced", "spaced", body)
    seen = httpx.get(f"{url}/env", timeout=60).json()
    folder = world.state / "shares" / "mounttests" / "models"
    assert Path(seen["WHERE"]).parent.resolve() == folder.resolve()
    assert (folder / "found").exists()


def test_a_storage_in_use_takes_a_new_key_only(world: World, group: str, mounted: Any):
    deployed(world, group, "mounts2", mounting(mounted["environment"]))
    with pytest.raises(HttpResponseError) as refused:
        put_storage(world, group, "AAAA", share="other")
    assert code_of(refused.value) == "ManagedEnvironmentStorageInUse"
    shown = world.apps.managed_environments_storages.get(group, "mount-env", "models")
    assert shown.properties.azure_file.account_key is None


def test_a_rotated_key_breaks_new_mounts_until_it_is_put_again(world: World, group: str, mounted: Any):
    url = deployed(world, group, "rotate", mounting(mounted["environment"]))
    keys = world.storage.storage_accounts.regenerate_key(group, "mounttests", {"keyName": "key1"}).keys_property
    assert httpx.get(f"{url}/env", timeout=60).status_code == 200, "what is mounted stays mounted"
    revision = world.apps.container_apps.get(group, "rotate").properties.latest_revision_name
    before = {each.name for each in replicas(world, group, "rotate")}
    world.apps.container_apps_revisions.restart_revision(group, "rotate", revision)
    eventually(lambda: "mount error(13): Permission denied" in " ".join(system_events(world, group, "rotate")))
    assert httpx.get(f"{url}/env", timeout=60).status_code == 200, (
        "the old replica serves as long as the new one can't start"
    )
    put_storage(world, group, keys[0].value)
    eventually(lambda: before.isdisjoint({each.name for each in replicas(world, group, "rotate")}), what="it heals")
    assert httpx.get(f"{url}/env", timeout=60).status_code == 200


def test_an_account_without_shared_keys_can_not_be_mounted(world: World, group: str, mounted: Any):
    world.storage.storage_accounts.update(group, "mounttests", {"properties": {"allowSharedKeyAccess": False}})
    try:
        world.apps.container_apps.begin_create_or_update(group, "nokeys", mounting(mounted["environment"])).result()
        eventually(lambda: "mount error(13)" in " ".join(system_events(world, group, "nokeys")))
    finally:
        world.storage.storage_accounts.update(group, "mounttests", {"properties": {"allowSharedKeyAccess": True}})
