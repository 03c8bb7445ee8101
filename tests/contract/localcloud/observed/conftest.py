"""The two clouds of these tests: one as quick as can be, one whose bounds are a tenth as long again.

Both end with the last of the tests: crash loops that are probed on would take a tenth of a core from those after them."""

from collections.abc import Iterator

import pytest

from tests.contract.localcloud.conftest import World, cloud_with_environment
from tests.contract.localcloud.observed.reading import PASSWORD, TIMES

SETTINGS = {
    "times": TIMES,
    "registries": {"registry.example": {"password": PASSWORD, "missing": ["app:gone"]}},
}


@pytest.fixture(scope="package")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    profiles = [
        {"name": "Consumption", "workloadProfileType": "Consumption"},
        {"name": "gpu", "workloadProfileType": "Consumption-GPU-NC8as-T4"},
    ]
    with cloud_with_environment(tmp_path_factory.mktemp("observed"), SETTINGS, profiles) as world:
        yield world


@pytest.fixture(scope="package")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cloud whose bounds are a tenth as long again, for what takes Azure minutes."""
    with cloud_with_environment(tmp_path_factory.mktemp("hasty"), {"times": {**TIMES, "bounds": 0.02}}) as world:
        yield world


@pytest.fixture(scope="package")
def environment(cloud: World) -> str:
    return cloud.apps.managed_environments.get("g", "env").id
