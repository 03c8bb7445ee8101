"""The two clouds of these tests: one as quick as can be, one whose bounds are a tenth as long again."""

from collections.abc import Iterator

import pytest

from tests.contract.localcloud.conftest import World, start_cloud
from tests.contract.localcloud.observed.reading import PASSWORD, TIMES

SETTINGS = {
    "times": TIMES,
    "registries": {"registry.example": {"password": PASSWORD, "missing": ["app:gone"]}},
}


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def environment(cloud: World) -> str:
    return cloud.apps.managed_environments.get("g", "env").id
