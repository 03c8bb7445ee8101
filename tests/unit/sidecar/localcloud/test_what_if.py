"""What-if: what it says of the rest of a group, once, and of nothing that is only named in the deployment's properties."""

from pathlib import Path
from typing import Any

import pytest

from sidecar.localcloud.cloud.cloud import Endpoints, LocalCloud
from sidecar.localcloud.cloud.groups import put_group
from sidecar.localcloud.core.resource_id import group_id
from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.core.state import Resource, Store
from sidecar.localcloud.deployments.deployments import Deployments
from sidecar.localcloud.deployments.record import Ordered
from sidecar.localcloud.deployments.what_if import what_if
from sidecar.localcloud.runtime.app_runtime import Surroundings
from sidecar.localcloud.runtime.runtime import Runtime

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


@pytest.fixture
def cloud(tmp_path: Path) -> LocalCloud:
    settings, store = Settings(), Store(tmp_path)
    runtime = Runtime(Surroundings(tmp_path, settings, store, "127.0.0.1", lambda: None))
    made = LocalCloud(tmp_path, settings, Endpoints("https://arm", "https://files", "https://data"), runtime, store)
    put_group(made, made.directory.subscriptions[0], "g", {"location": "westus3"})
    besides = f"{scope(made)}/providers/Microsoft.Portal/dashboards/besides"
    body = {"id": besides, "name": "besides", "location": "westus3", "properties": {}}
    store.put(Resource(besides, "Microsoft.Portal/dashboards", body))
    return made


def scope(cloud: LocalCloud) -> str:
    return group_id(cloud.directory.subscriptions[0].id, "g")


def template(*resources: Any) -> dict[str, Any]:
    return {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": list(resources)}


NEW = {"type": "Microsoft.Portal/dashboards", "apiVersion": "2024-01-01", "name": "new", "properties": {}}
# A template may write a type in any casing.
NESTED = {
    "type": "microsoft.resources/deployments",
    "apiVersion": "2025-04-01",
    "name": "inner",
    "properties": {"mode": "Incremental", "template": template(NEW)},
}


@pytest.mark.parametrize(
    "properties",
    [{"template": template(NEW)}, {"template": template(NEW), "isNested": True}, {"template": template(NESTED)}],
    ids=["plain", "named as if nested", "nested"],
)
def test_the_rest_of_the_group_is_ignored_and_listed_once(cloud: LocalCloud, properties: dict[str, Any]):
    ordered = Ordered.at(
        scope(cloud), "outer", {"mode": "Incremental", **properties}, location=None, tags=None, caller="someone"
    )
    changes = what_if(cloud, Deployments(cloud), ordered)
    kinds = [(change["resourceId"].rsplit("/", 1)[-1], change["changeType"]) for change in changes]
    assert kinds == [("besides", "Ignore"), ("new", "Create")]


@pytest.mark.parametrize("nested", [False, True])
def test_what_has_a_name_by_chance_can_not_be_told_of_and_is_made(cloud: LocalCloud, nested: bool):
    late = {**NEW, "name": "[format('new-{0}', parameters('chance'))]"}
    made = {**template(late), "parameters": {"chance": {"type": "string", "defaultValue": "[newGuid()]"}}}
    if nested:
        inner = {"mode": "Incremental", "template": made, "expressionEvaluationOptions": {"scope": "inner"}}
        made = template({**NESTED, "properties": inner})
    ordered = Ordered.at(
        scope(cloud), "outer", {"mode": "Incremental", "template": made}, location=None, tags=None, caller="someone"
    )
    ignored, told = sorted(what_if(cloud, Deployments(cloud), ordered), key=lambda each: str(each["changeType"]))
    assert (ignored["changeType"], told["changeType"]) == ("Ignore", "Unsupported")
    assert told["resourceId"] == f"{scope(cloud)}/providers/Microsoft.Portal/dashboards/[newGuid()]"
