"""An image from a registry that wants a login: stated by parameters, given to new apps and to those that are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from sidecar.words.errors import CloudError, SlipwayError
from tests.contract.localcloud.conftest import QUICK, World, start_cloud
from tests.contract.provision.conftest import GROUPS, Project, new_project

SERVER, PASSWORD = "acme.example", "the-registrys-password"
IMAGE = f"{SERVER}/models/server:1"
PULLER = "Microsoft.ManagedIdentity/userAssignedIdentities"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    identities = [f"/subscriptions/{'0' * 8}-0000-0000-0000-{'1' * 12}/resourceGroups/x/providers/{PULLER}/puller"]
    registries = {SERVER: {"password": PASSWORD, "pullers": identities}}
    made = start_cloud(tmp_path_factory.mktemp("registry"), "--throwaway", settings={**QUICK, "registries": registries})
    made.register()
    yield made
    assert made.stop() == 0


@pytest.fixture
def project(world: World, tmp_path: Path) -> Project:
    group = f"g{next(GROUPS)}"
    world.groups.resource_groups.create_or_update(group, {"location": "westus3"})
    return new_project(world, tmp_path / "project", group)


def app_of(project: Project) -> dict[str, Any]:
    (name,) = project.names("Microsoft.App/containerApps")
    return project.world.apps.container_apps.get(project.group, name).as_dict()


def secrets_of(project: Project) -> dict[str, str]:
    (name,) = project.names("Microsoft.App/containerApps")
    held = project.world.apps.container_apps.list_secrets(project.group, name).value
    return {str(each.name): str(each.value) for each in held}


def logins_of(project: Project) -> list[dict[str, Any]]:
    held = app_of(project)["properties"]["configuration"]["registries"]
    return [{name: value for name, value in each.items() if value} for each in held]


NOT_WHOLE: tuple[tuple[dict[str, str], str], ...] = (
    ({"username": "me", "passwordSecretRef": "x"}, "ContainerAppRegistryServerRequired"),
    ({"server": SERVER, "username": "me"}, "ContainerAppRegistryCredentialRequired"),
    ({"server": SERVER, "username": "me", "passwordSecretRef": "x"}, "ContainerAppSecretRefNotFound"),
)
"""Logins that Container Apps can't take."""


def refusal(project: Project, registry: dict[str, str]) -> str:
    app = app_of(project)
    body: Any = {"location": app["location"], "properties": {"configuration": {"registries": [registry]}}}
    with pytest.raises(HttpResponseError) as refused:
        project.world.apps.container_apps.begin_update(project.group, app["name"], body).result()
    return "" if refused.value.error is None else str(refused.value.error.code)


def test_a_new_app_pulls_with_the_password_that_is_stated(project: Project) -> None:
    """Without it the registry refuses; a wrong combination stops before anything moves. The password is told nowhere."""
    project.state(image=IMAGE, registryServer="other.example", registryUser="me", registryPassword=PASSWORD)
    with pytest.raises(SlipwayError) as refused:
        project.provision()
    assert refused.value.code == "OtherRegistry"
    assert project.names("Microsoft.App/managedEnvironments") == []
    project.state(registryServer=None, registryUser=None, registryPassword=None)
    with pytest.raises(CloudError) as unauthorized:
        project.provision()
    assert "UNAUTHORIZED" in str(unauthorized.value)

    project.state(registryServer=SERVER, registryUser="me", registryPassword=PASSWORD)
    project.provision()
    assert logins_of(project) == [{"server": SERVER, "username": "me", "passwordSecretRef": "registry-password"}]
    assert secrets_of(project)["registry-password"] == PASSWORD
    assert not any(PASSWORD in each for each in project.said)
    project.provision()
    assert any("is as the parameters state it" in each for each in project.said)


def test_an_app_that_is_there_gets_login_and_image_in_one_write(project: Project) -> None:
    project.provision()
    before = secrets_of(project)
    project.state(image=IMAGE, registryServer=SERVER, registryUser="me", registryPassword=PASSWORD)
    project.provision()
    found = app_of(project)["properties"]
    assert found["provisioningState"] == "Succeeded"
    assert found["template"]["containers"][0]["image"] == IMAGE
    assert secrets_of(project) == {**before, "registry-password": PASSWORD}

    project.state(registryPassword="renewed")
    project.provision()
    assert any("The login for the registry acme.example changes." in each for each in project.said)
    assert secrets_of(project) == {**before, "registry-password": "renewed"}
    for registry, code in NOT_WHOLE:
        assert refusal(project, registry) == code


def test_an_identity_pulls_where_it_has_the_right(project: Project, world: World) -> None:
    puller = f"/subscriptions/{'0' * 8}-0000-0000-0000-{'1' * 12}/resourceGroups/x/providers/{PULLER}/puller"
    project.state(image=IMAGE, registryServer=SERVER, registryIdentity=puller.replace("puller", "stranger"))
    with pytest.raises(CloudError, match="UNAUTHORIZED"):
        project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    world.apps.container_apps.begin_delete(project.group, name).result()
    project.state(registryIdentity=puller)
    project.provision()
    app = app_of(project)
    assert app["identity"]["type"] == "UserAssigned"
    assert list(app["identity"]["userAssignedIdentities"]) == [puller]
    assert logins_of(project) == [{"server": SERVER, "identity": puller}]
    assert secrets_of(project)["registry-password"] == "none"
