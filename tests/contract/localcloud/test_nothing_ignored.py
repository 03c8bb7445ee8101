"""What other people's clients send ARM and once was taken without effect: honoured, or refused by name. Raw HTTP."""

from typing import Any

import httpx
import pytest

from tests.contract.localcloud import raw
from tests.contract.localcloud.conftest import World, eventually
from tests.contract.localcloud.raw import ACCOUNT, OF_LOGS, OF_STORAGE, TEMPLATE, V, at, declined

arm = raw.arm


def test_tags_at_a_scope_are_the_tags_of_what_stands_there(world: World, group: str, arm: httpx.Client):
    account = f"{at(world, group)}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
    tags = f"{account}/providers/Microsoft.Resources/tags/default{V}"
    written = arm.put(tags, json={"properties": {"tags": {"a": "1", "b": "2"}}})
    assert (written.status_code, written.json()["type"]) == (200, "Microsoft.Resources/tags")
    assert arm.get(f"{account}{OF_STORAGE}").json()["tags"] == {"a": "1", "b": "2"}
    assert arm.get(tags).json()["properties"]["tags"] == {"a": "1", "b": "2"}
    arm.patch(tags, json={"operation": "Merge", "properties": {"tags": {"A": "3", "c": "4"}}})
    arm.patch(tags, json={"operation": "Delete", "properties": {"tags": {"b": ""}}})
    assert arm.get(f"{account}{OF_STORAGE}").json()["tags"] == {"a": "3", "c": "4"}
    declined(arm.patch(tags, json={"operation": "Turn", "properties": {}}), 400, "InvalidRequestContent")
    declined(arm.put(tags, json={"properties": {"tags": {"a": 1}}}), 400, "InvalidRequestContent")
    declined(arm.put(tags, json={"properties": {"tags": {str(n): "" for n in range(51)}}}), 400, "InvalidTagsCount")
    assert arm.delete(tags).status_code == 200
    assert arm.get(f"{account}{OF_STORAGE}").json()["tags"] == {}


def test_tags_of_a_group_and_of_a_subscription(world: World, arm: httpx.Client):
    arm.put(f"/subscriptions/{world.subscription}/resourcegroups/tagged{V}", json={"location": "westus3"})
    for scope in (f"/subscriptions/{world.subscription}/resourcegroups/tagged", f"/subscriptions/{world.subscription}"):
        tags = f"{scope}/providers/Microsoft.Resources/tags/default{V}"
        assert arm.get(tags).json()["properties"]["tags"] == {}
        arm.put(tags, json={"properties": {"tags": {"by": scope}}})
        assert arm.get(f"{scope}{V}").json()["tags"] == {"by": scope}
        arm.delete(tags)
    declined(
        arm.get(
            f"/subscriptions/{world.subscription}/resourcegroups/nope/providers/Microsoft.Resources/tags/default{V}"
        ),
        404,
        "ResourceGroupNotFound",
    )


def test_a_patched_account_has_another_sku(world: World, group: str, arm: httpx.Client):
    path = f"{at(world, group)}/providers/Microsoft.Storage/storageAccounts/patchedsku{OF_STORAGE}"
    body: dict[str, Any] = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    arm.put(path, json=body)
    changed = arm.patch(path, json={"sku": {"name": "Standard_GRS"}, "properties": {"accessTier": "Cool"}}).json()
    assert (changed["sku"]["name"], changed["properties"]["accessTier"]) == ("Standard_GRS", "Cool")
    declined(arm.patch(path, json={"sku": {"name": "Mine"}}), 400, "InvalidValuesForRequestParameters")


@pytest.mark.parametrize("name", ["bad~name!", "x" * 65])
def test_a_deployment_has_a_name_that_arm_takes(world: World, group: str, arm: httpx.Client, name: str):
    body = {"properties": {"mode": "Incremental", "template": TEMPLATE}}
    path = f"{at(world, group)}/providers/Microsoft.Resources/deployments/{name}{V}"
    declined(arm.put(path, json=body), 400, "InvalidDeploymentName")


def test_an_id_may_come_with_one_more_slash(world: World, group: str, arm: httpx.Client):
    path = f"/{at(world, group)}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}{OF_STORAGE}"
    assert arm.get(f"{world.arm}{path}").json()["name"] == ACCOUNT
    assert arm.head(f"{world.arm}{path}").status_code == 204


def test_a_list_is_expanded_by_what_is_asked(world: World, group: str, arm: httpx.Client):
    listing = f"{at(world, group)}/resources{V}&$filter=name eq '{ACCOUNT}'"
    (plain,) = arm.get(listing).json()["value"]
    assert not plain.keys() & {"createdTime", "changedTime", "provisioningState"}
    (found,) = arm.get(f"{listing}&$expand=createdTime,changedTime,provisioningState").json()["value"]
    assert found["createdTime"] <= found["changedTime"]
    assert found["provisioningState"] == "Succeeded"
    declined(arm.get(f"{listing}&$expand=owner"), 400, "InvalidExpandQueryString")


def test_parameters_may_be_expressions_over_what_the_deployer_read(world: World, group: str, arm: httpx.Client):
    template = {
        **TEMPLATE,
        "parameters": {"key": {"type": "string"}},
        "outputs": {"key": {"type": "string", "value": "[parameters('key')]"}},
    }
    properties = {
        "mode": "Incremental",
        "template": template,
        "parameters": {"key": {"expression": "[concat('a-', externalInputs('sys_cliArg_0'))]"}},
        "externalInputs": {"sys_cliArg_0": {"value": "secret"}},
    }
    path = f"{at(world, group)}/providers/Microsoft.Resources/deployments/external"
    assert arm.put(f"{path}{V}", json={"properties": properties}).status_code == 201
    done = eventually(lambda: arm.get(f"{path}{V}").json()["properties"].get("outputs"))
    assert done["key"]["value"] == "a-secret"
    properties["externalInputs"] = {}
    said = declined(arm.put(f"{path}{V}", json={"properties": properties}), 400, "InvalidTemplate")
    assert "sys_cliArg_0" in said
    properties["parameters"] = {"key": {"expression": "[concat('a')]", "value": "b"}}
    declined(arm.put(f"{path}{V}", json={"properties": properties}), 400, "InvalidTemplate")


def test_a_what_if_tells_ids_alone_where_that_is_asked(world: World, group: str, arm: httpx.Client):
    share = {
        "type": "Microsoft.Storage/storageAccounts/fileServices/shares",
        "apiVersion": "2023-05-01",
        "name": f"{ACCOUNT}/default/new",
        "properties": {},
    }
    account = {
        "type": "Microsoft.Storage/storageAccounts",
        "apiVersion": "2023-05-01",
        "name": ACCOUNT,
        "location": "westus3",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
    }
    template = {**TEMPLATE, "resources": [share, account]}
    path = f"{at(world, group)}/providers/Microsoft.Resources/deployments/ids/whatIf{V}"
    properties = {"mode": "Incremental", "template": template, "whatIfSettings": {"resultFormat": "ResourceIdOnly"}}
    answer = arm.post(path, json={"properties": properties})
    changes = arm.get(answer.headers["location"]).json()["properties"]["changes"]
    kinds = {each["resourceId"].rsplit("/", 1)[-1]: each["changeType"] for each in changes}
    assert (kinds[ACCOUNT], kinds["new"]) == ("Deploy", "Create")
    assert all(set(each) == {"resourceId", "changeType"} for each in changes)
    properties["whatIfSettings"] = {"resultFormat": "Everything"}
    declined(arm.post(path, json={"properties": properties}), 400, "InvalidRequestContent")


def test_a_template_hash_is_answered_with_nothing_more(world: World, arm: httpx.Client):
    answer = arm.post(f"/providers/Microsoft.Resources/calculateTemplateHash{V}", json=TEMPLATE).json()
    assert set(answer) == {"minifiedTemplate", "templateHash"}
    assert '"contentVersion":"1.0.0.0"' in answer["minifiedTemplate"]


@pytest.mark.parametrize("days", [5000, 0, 3, "30"])
def test_a_retention_that_no_plan_has_is_refused(world: World, group: str, arm: httpx.Client, days: Any):
    path = f"{at(world, group)}/providers/Microsoft.OperationalInsights/workspaces/kept{OF_LOGS}"
    body = {"location": "westus3", "properties": {"retentionInDays": days}}
    assert "RetentionInDays" in declined(arm.put(path, json=body), 400, "InvalidParameter")


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("Microsoft.App/containerApps", "2025-07-01"),
        ("Microsoft.App/managedEnvironments", "2025-07-01"),
        ("Microsoft.OperationalInsights/workspaces", "2025-07-01"),
        ("Microsoft.Storage/storageAccounts", "2025-06-01"),
    ],
)
def test_a_place_that_there_is_not(world: World, group: str, arm: httpx.Client, kind: str, version: str):
    body: dict[str, Any] = {"location": "moon", "properties": {}}
    body |= {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}} if "Storage" in kind else {}
    path = f"{at(world, group)}/providers/{kind}/onthemoon?api-version={version}"
    assert "moon" in declined(arm.put(path, json=body), 400, "LocationNotAvailableForResourceType")


@pytest.mark.parametrize("name", ["environmentId", "managedEnvironmentId"])
def test_an_app_names_its_environment_either_way(world: World, group: str, arm: httpx.Client, name: str):
    body = {
        "location": "westus3",
        "properties": {name: f"{at(world, group)}/providers/Microsoft.App/managedEnvironments/none"},
    }
    path = f"{at(world, group)}/providers/Microsoft.App/containerApps/nowhere?api-version=2025-07-01"
    assert "none" in declined(arm.put(path, json=body), 400, "ManagedEnvironmentNotFound")


def test_two_workspaces_are_two(world: World, group: str, arm: httpx.Client):
    paths = [
        f"{at(world, group)}/providers/Microsoft.OperationalInsights/workspaces/{name}{OF_LOGS}"
        for name in ("onews", "twows")
    ]
    made = [
        arm.put(path, json={"location": "westus3", "properties": {}}).json()["properties"]["customerId"]
        for path in paths
    ]
    assert [arm.get(path).json()["properties"]["customerId"] for path in paths] == made
    assert made[0] != made[1]
