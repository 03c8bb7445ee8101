"""A resource that is taken and then ends Failed: what the deployment tells of it, and what only its operations do."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sidecar.localcloud.cloud.cloud import Endpoints, LocalCloud
from sidecar.localcloud.cloud.groups import put_group
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.resource_id import group_id
from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.core.state import Resource, Store
from sidecar.localcloud.deployments.deployments import Deployments
from sidecar.localcloud.deployments.record import Ordered
from sidecar.localcloud.resources import providers
from sidecar.localcloud.resources.resource_type import ArmRequest, Change
from sidecar.localcloud.runtime.app_runtime import Surroundings
from sidecar.localcloud.runtime.runtime import Runtime
from tests.support.evidence import evidence, same_shape, without_nulls

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
APP = "Microsoft.App/containerApps"


@pytest.fixture
def cloud(tmp_path: Path) -> LocalCloud:
    settings, store = Settings(preregistered=("Microsoft.App",)), Store(tmp_path)
    runtime = Runtime(Surroundings(tmp_path, settings, store, "127.0.0.1", lambda: None))
    made = LocalCloud(tmp_path, settings, Endpoints("https://arm", "https://files", "https://data"), runtime, store)
    put_group(made, made.directory.subscriptions[0], "g", {"location": "westus3"})
    return made


def failing(message: str) -> Any:
    """Container Apps as it is when it takes an app and can't make its revision."""

    def put(cloud: LocalCloud, request: ArmRequest) -> Change:
        body = {
            "id": request.id.text,
            "name": request.id.name,
            "type": APP,
            "properties": {"provisioningState": "Failed"},
        }

        async def finish() -> None:
            raise ArmError(400, "ContainerAppOperationError", message)

        return Change(cloud.store.put(Resource(request.id.text, APP, body)), created=True, finish=finish)

    return dataclasses.replace(providers.type_of(APP), put=put, check=None)


@pytest.mark.fact(86, 87)
def test_the_cause_of_a_failed_resource_is_in_the_operations_only(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch):
    result = evidence("acr-pull-failure/01-deployment-result.json")
    operation = evidence("acr-pull-failure/01-deployment-operations-failed.json")[0]
    cause = operation["statusMessage"]["error"]
    monkeypatch.setitem(providers._TYPES, APP.lower(), failing(cause["message"]))
    resource = {"type": APP, "apiVersion": "2025-07-01", "name": operation["resourceName"], "properties": {}}
    template = {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": [resource]}
    scope = group_id(cloud.directory.subscriptions[0].id, "g")
    properties = {"mode": "Incremental", "template": template}
    ordered = Ordered.at(scope, "main", properties, location=None, tags=None, caller="someone")

    async def run() -> None:
        deployments = Deployments(cloud)
        record, _ = deployments.start(ordered)
        while deployments.running:
            await asyncio.sleep(0)
        assert record.properties["provisioningState"] == "Accepted"

    asyncio.run(run())
    ended = cloud.store.get(ordered.id)
    assert ended is not None
    ours = ended.properties["error"]
    same_shape(without_nulls(result["error"]), ours)
    assert ours["code"] == result["error"]["code"]
    assert ours["message"] == result["error"]["message"]
    told, theirs = ours["details"][0], result["error"]["details"][0]
    assert (told["code"], told["message"]) == (theirs["code"], theirs["message"])
    assert told["target"] == f"{scope}/providers/{APP}/{operation['resourceName']}"
    (noted,) = cloud.store.under(ordered.id, "deploymentOperation")
    same_shape(without_nulls(operation["statusMessage"]), noted.properties["statusMessage"])
    assert noted.properties["statusMessage"] == without_nulls(operation["statusMessage"])
    assert noted.properties["targetResource"]["resourceName"] == operation["resourceName"]
