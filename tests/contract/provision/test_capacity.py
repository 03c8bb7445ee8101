"""*Provision* where a region has no place left."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.words.errors import CloudError
from tests.contract.localcloud.conftest import QUICK, start_cloud
from tests.contract.provision.conftest import new_project


@pytest.mark.fact(92)
def test_a_region_without_capacity_is_named_with_the_way_out(tmp_path: Path) -> None:
    """Only the write finds it out: the deployment fails in its middle, and another region goes through."""
    world = start_cloud(tmp_path / "cloud", "--throwaway", settings={**QUICK, "full_locations": ["westus3"]})
    try:
        world.register()
        world.groups.resource_groups.create_or_update("full", {"location": "westus3"})
        project = new_project(world, tmp_path / "project", "full")
        with pytest.raises(CloudError, match="West US 3") as error:
            project.provision()
        assert error.value.code == "ManagedEnvironmentNoAvailableCapacityInRegion"
        assert "State another `location`" in str(error.value.suggestion)
        project.state(location="eastus")
        project.provision()
        assert project.names("Microsoft.App/managedEnvironments")
    finally:
        world.stop()
