"""A deployment whose app names an image that its registry does not have: what it tells, and what only its operations do."""

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import QUICK, World, start_cloud
from tests.contract.localcloud.test_deployments import template
from tests.support.evidence import evidence, same_shape, without_nulls

SERVER = "registry2.example"
REGISTRY = {SERVER: {"password": "known", "missing": ["labacr:does-not-exist"]}}
APP = "Microsoft.App/containerApps"


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = start_cloud(tmp_path_factory.mktemp("refused"), settings={**QUICK, "registries": REGISTRY})
    made.register()
    made.groups.resource_groups.create_or_update("g", {"location": "westus3"})
    yield made
    made.stop()


def resources(app: str) -> list[dict[str, Any]]:
    environment = {
        "type": "Microsoft.App/managedEnvironments",
        "apiVersion": "2025-07-01",
        "name": "env",
        "location": "westus3",
        "properties": {},
    }
    configuration = {
        "secrets": [{"name": "registry", "value": "known"}],
        "registries": [{"server": SERVER, "username": "me", "passwordSecretRef": "registry"}],
    }
    container = {"name": "app", "image": f"{SERVER}/labacr:does-not-exist"}
    properties = {
        "managedEnvironmentId": "[resourceId('Microsoft.App/managedEnvironments', 'env')]",
        "configuration": configuration,
        "template": {"containers": [container]},
    }
    stated = {"type": APP, "apiVersion": "2025-07-01", "name": app, "location": "westus3", "properties": properties}
    return [environment, {**stated, "dependsOn": ["env"]}]


@pytest.mark.fact(86, 87)
def test_the_cause_of_a_failed_resource_is_in_the_operations_only(world: World):
    result = evidence("acr-pull-failure/01-deployment-result.json")["error"]
    captured = evidence("acr-pull-failure/01-deployment-operations-failed.json")[0]
    app = captured["resourceName"]
    body: Any = {"properties": {"mode": "Incremental", "template": template(resources(app))}}
    with pytest.raises(HttpResponseError):
        world.deployments.deployments.begin_create_or_update("g", "main", body).result()
    deployment = f"/subscriptions/{world.subscription}/resourceGroups/g/providers/Microsoft.Resources/deployments/main"
    with world.http() as http:
        ours = http.get(f"{deployment}?api-version=2025-04-01").json()["properties"]["error"]
        listed = http.get(f"{deployment}/operations?api-version=2025-04-01").json()["value"]
    same_shape(without_nulls(result), ours)
    assert (ours["code"], ours["message"], ours["target"]) == (result["code"], result["message"], deployment)
    told, theirs = ours["details"][0], result["details"][0]
    assert (told["code"], told["message"]) == (theirs["code"], theirs["message"])
    assert told["target"] == f"{deployment.partition('/providers/')[0]}/providers/{APP}/{app}"
    (failed,) = (each["properties"] for each in listed if each["properties"]["provisioningState"] == "Failed")
    assert failed["targetResource"]["resourceName"] == app
    assert failed["statusMessage"] == without_nulls(captured["statusMessage"])
