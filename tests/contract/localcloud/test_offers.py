"""What a region offers and what an app reads back of it: GPU profiles, disk, mount options, suffixes of revisions."""

from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import QUICK, World, code_of, start_cloud
from tests.contract.localcloud.test_apps import app_body

T4, A100 = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100"
BOTH = ("australiaeast", "brazilsouth", "eastus", "italynorth", "swedencentral", "westus", "westus3")
T4_ONLY = (
    *("centralindia", "francecentral", "japaneast", "northcentralus", "southcentralus", "southeastasia", "southindia"),
    *("westeurope", "westus2"),
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = start_cloud(tmp_path_factory.mktemp("offers"), settings=QUICK)
    world.register()
    world.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    profiles = [{"name": "c", "workloadProfileType": "Consumption"}, {"name": "gpu", "workloadProfileType": T4}]
    body: Any = {"location": "westus3", "properties": {"workloadProfiles": profiles}}
    world.apps.managed_environments.begin_create_or_update("g", "env", body).result()
    yield world
    world.stop()


@pytest.fixture(scope="module")
def environment(cloud: World) -> str:
    return str(cloud.apps.managed_environments.get("g", "env").id)


def offered(world: World, location: str) -> dict[str, Any]:
    return {each.name: each.properties for each in world.apps.available_workload_profiles.get(location)}


@pytest.mark.fact(125)
def test_gpus_are_offered_where_the_documentation_has_them(cloud: World):
    for location in BOTH:
        assert {T4, A100} <= offered(cloud, location).keys(), location
    for location in T4_ONLY:
        found = offered(cloud, location)
        assert T4 in found, location
        assert A100 not in found, location
    assert not {T4, A100} & offered(cloud, "northeurope").keys()


@pytest.mark.fact(126)
def test_a_gpu_profile_has_its_size_and_takes_no_counts(cloud: World):
    found = offered(cloud, "westus3")
    assert (found[T4].cores, found[T4].memory_gi_b, found[T4].gpus) == (8, 56, 1)
    assert (found[A100].cores, found[A100].memory_gi_b, found[A100].gpus) == (24, 220, 1)
    for kind in (T4, A100):
        counted = {"name": "g", "workloadProfileType": kind, "minimumCount": 0}
        body: Any = {"location": "westus3", "properties": {"workloadProfiles": [counted]}}
        with pytest.raises(HttpResponseError) as refused:
            cloud.apps.managed_environments.begin_create_or_update("g", "counted", body)
        assert code_of(refused.value) == "InvalidWorkloadProfileCount"


def read_back(world: World, name: str, body: dict[str, Any]) -> dict[str, Any]:
    world.apps.container_apps.begin_create_or_update("g", name, body).result()
    path = f"/subscriptions/{world.subscription}/resourceGroups/g/providers/Microsoft.App/containerApps/{name}"
    with world.http() as http:
        shown = http.get(f"{path}?api-version=2025-07-01").json()["properties"]["template"]
    world.apps.container_apps.begin_delete("g", name).result()
    return shown


@pytest.mark.fact(124)
@pytest.mark.parametrize(
    ("cpu", "memory", "disk"), [(0.25, "0.5Gi", "1Gi"), (0.5, "1Gi", "2Gi"), (1, "2Gi", "4Gi"), (2, "4Gi", "8Gi")]
)
def test_the_disk_follows_the_cores(cloud: World, environment: str, cpu: float, memory: str, disk: str):
    body = app_body(environment, scale={"minReplicas": 0, "maxReplicas": 1})
    body["properties"]["template"]["containers"][0]["resources"] = {"cpu": cpu, "memory": memory}
    assert read_back(cloud, "disk", body)["containers"][0]["resources"]["ephemeralStorage"] == disk


@pytest.mark.fact(124)
def test_on_a_gpu_no_disk_is_stated(cloud: World, environment: str):
    body = app_body(environment, scale={"minReplicas": 0, "maxReplicas": 1})
    body["properties"]["workloadProfileName"] = "gpu"
    body["properties"]["template"]["containers"][0]["resources"] = {"cpu": 8, "memory": "56Gi"}
    assert read_back(cloud, "gpudisk", body)["containers"][0]["resources"]["ephemeralStorage"] == ""


@pytest.mark.fact(122)
def test_mount_options_are_a_free_text(cloud: World, environment: str):
    azure = {"accountName": "nobody", "accountKey": "bm8=", "shareName": "share", "accessMode": "ReadWrite"}
    storage: Any = {"properties": {"azureFile": azure}}
    cloud.apps.managed_environments_storages.create_or_update("g", "env", "files", storage)
    body = app_body(environment, scale={"minReplicas": 0, "maxReplicas": 1})
    options = "file_mode=0777,dir_mode=0777,actimeo=1,mfsymlinks,nosharesock"
    volume = {"name": "share", "storageType": "AzureFile", "storageName": "files", "mountOptions": options}
    body["properties"]["template"]["volumes"] = [volume]
    assert read_back(cloud, "mounting", body)["volumes"] == [volume]


@pytest.mark.fact(135)
def test_a_suffix_can_not_be_used_again_while_its_revision_is_there(cloud: World, environment: str):
    create = cloud.apps.container_apps.begin_create_or_update
    made = create("g", "suffixes", app_body(environment, suffix="one")).result()
    assert made.properties.configuration.max_inactive_revisions == 100
    create("g", "suffixes", app_body(environment, suffix="two")).result()
    again = app_body(environment, suffix="one", env={"CHANGED": "1"})
    with pytest.raises(HttpResponseError) as refused:
        create("g", "suffixes", again).result()
    assert "Suffix" in code_of(refused.value)
    cloud.apps.container_apps.begin_delete("g", "suffixes").result()
