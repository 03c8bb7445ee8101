"""What exists is never rewritten by *Provision*, whichever template is deployed; what can't be used is told at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.workspace import known_project_id
from sidecar.words.errors import CloudError, PreflightFailed
from tests.contract.provision.conftest import Project, case, new_project

A100 = {"name": "GPU", "workloadProfileType": "Consumption-GPU-NC24-A100"}
CONSUMPTION = {"name": "Consumption", "workloadProfileType": "Consumption"}
CPU = {"name": "cpu", "workloadProfileType": "D4", "minimumCount": 0, "maximumCount": 1}


def environment(project: Project, name: str, *profiles: dict[str, Any]) -> None:
    body: Any = {"location": "westus3", "properties": {"workloadProfiles": list(profiles)}}
    project.world.apps.managed_environments.begin_create_or_update(project.group, name, body).result()


def profiles(project: Project, name: str) -> list[str]:
    found = project.world.apps.managed_environments.get(project.group, name)
    return [str(each.name) for each in found.properties.workload_profiles]


def account(project: Project, name: str, **properties: object) -> None:
    body: Any = {
        "location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_GRS"}, "tags": {"owner": "me"},
        "properties": properties,
    }  # fmt: skip
    project.world.storage.storage_accounts.begin_create(project.group, name, body).result()


def toolkit(project: Project) -> None:
    """AI Toolkit's kind of template, with a serverless GPU and values that the local cloud takes."""
    text = case("toolkit-shape.bicep")
    text = re.sub(
        r"'NC24-A100', minimumCount: 0, maximumCount: maximumInstanceCount", "'Consumption-GPU-NC24-A100'", text
    )
    project.template(text)
    document = json.loads(case("toolkit-shape.parameters.json"))
    project.workspace.parameters_file.write_text(json.dumps(document), encoding="utf-8")


def test_ai_toolkits_template_leaves_environment_account_and_storage_as_they_are(
    project: Project, request: pytest.FixtureRequest
) -> None:
    """Its profile is there under its own name: no consent is asked, and the owner's further profile stays."""
    toolkit(project)
    unique = f"{request.node.nodeid!s}"
    names = {"acaEnvironmentName": "theirs", "storageAccountName": f"acct{abs(hash(unique)) % 10**12}"}
    project.state(**names)
    environment(project, "theirs", CONSUMPTION, A100, CPU)
    account(project, names["storageAccountName"], allowBlobPublicAccess=False)

    project.provision()
    assert profiles(project, "theirs") == ["Consumption", "GPU", "cpu"]
    kept = project.world.storage.storage_accounts.get_properties(project.group, names["storageAccountName"])
    assert (kept.sku.name, kept.tags) == ("Standard_GRS", {"owner": "me"})
    (app,) = project.names("Microsoft.App/containerApps")
    made = project.world.apps.container_apps.get(project.group, app)
    assert made.properties.workload_profile_name == "GPU"

    project.world.apps.container_apps.begin_update(
        project.group, app, {"location": "westus3", "tags": {"mine": "yes"}}
    ).result()
    project.provision()
    assert profiles(project, "theirs") == ["Consumption", "GPU", "cpu"]
    assert project.world.apps.container_apps.get(project.group, app).tags == {"mine": "yes"}


def test_a_log_analytics_workspace_keeps_what_its_owner_set(project: Project) -> None:
    project.state(acaLogAnalyticsName="shared-logs")
    body: Any = {"location": "westus3", "properties": {"retentionInDays": 90, "sku": {"name": "PerGB2018"}}}
    project.world.logs.workspaces.begin_create_or_update(project.group, "shared-logs", body).result()
    project.provision()
    assert project.world.logs.workspaces.get(project.group, "shared-logs").retention_in_days == 90
    (name,) = project.names("Microsoft.App/managedEnvironments")
    logs = project.world.apps.managed_environments.get(project.group, name).properties.app_logs_configuration
    kept = project.world.logs.workspaces.get(project.group, "shared-logs")
    assert logs.log_analytics_configuration.customer_id == kept.customer_id


def test_a_projects_template_from_before_the_logs_had_a_switch_keeps_the_workspace_too(project: Project) -> None:
    text = project.workspace.bicep_file.read_text(encoding="utf-8")
    text = text.replace("= if (createLogAnalytics) {", "= if (createEnvironment) {").replace(
        "param createLogAnalytics bool = true\n", ""
    )
    text = re.sub(r"resource existingLogs .*?\n}\n", "", text, flags=re.DOTALL)
    text = re.sub(r"createLogAnalytics \? (logs!\S+) : \S+", r"\1", text)
    assert "createLogAnalytics" not in text
    project.template(text)
    project.state(acaLogAnalyticsName="old-logs")
    body: Any = {"location": "westus3", "properties": {"retentionInDays": 90, "sku": {"name": "PerGB2018"}}}
    project.world.logs.workspaces.begin_create_or_update(project.group, "old-logs", body).result()
    project.provision()
    assert project.world.logs.workspaces.get(project.group, "old-logs").retention_in_days == 90


def test_the_profile_that_is_there_is_used_by_its_name(project: Project) -> None:
    environment(project, "named", CONSUMPTION, {**A100, "name": "NC24-A100"})
    project.state(acaEnvironmentName="named", gpuProfileType="Consumption-GPU-NC24-A100", cpu="24", memory="220Gi")
    project.provision()
    (app,) = project.names("Microsoft.App/containerApps")
    assert project.world.apps.container_apps.get(project.group, app).properties.workload_profile_name == "NC24-A100"


def test_an_environment_storage_for_another_share_stops_before_anything_is_made(project: Project) -> None:
    project.provision()
    made = set(project.names("Microsoft.Storage/storageAccounts"))
    project.state(fileShareName="othershare", acaAppName="second")
    with pytest.raises(PreflightFailed, match="another share") as error:
        project.provision()
    assert error.value.code == "StorageOfAnotherShare"
    assert set(project.names("Microsoft.Storage/storageAccounts")) == made
    assert "second" not in project.names("Microsoft.App/containerApps")


def test_an_account_that_forbids_its_key_is_told_before_anything_is_made(project: Project) -> None:
    name = f"nokey{project.group}"
    account(project, name, allowSharedKeyAccess=False)
    project.state(storageAccountName=name)
    with pytest.raises(CloudError) as error:
        project.provision()
    assert error.value.code == "KeyBasedAuthenticationNotPermitted"
    assert "--allow-shared-key-access true" in str(error.value.suggestion)
    assert project.names("Microsoft.App/managedEnvironments") == []
    assert known_project_id(project.workspace) is None, "nothing is written while it is refused"


def test_a_second_project_is_refused_and_a_clone_is_not(project: Project, tmp_path: Path) -> None:
    project.provision()
    second = new_project(project.world, tmp_path / "second", project.group)
    with pytest.raises(PreflightFailed, match="another project"):
        second.provision()
    assert not (second.workspace.infra / "slipway.json").exists()
    assert not second.workspace.config_file.exists()

    clone = new_project(project.world, tmp_path / "clone", project.group)
    clone.workspace.config_file.write_text(project.workspace.config_file.read_text())
    clone.provision()
    assert known_project_id(clone.workspace) == known_project_id(project.workspace)


def test_what_is_stated_is_applied_or_said(project: Project) -> None:
    project.provision()
    project.state(baseModel="acme/base", cpu="4", memory="28Gi")
    project.provision()
    assert not any("is as the parameters state it" in each for each in project.said)
    (app,) = project.names("Microsoft.App/containerApps")
    (container,) = project.world.apps.container_apps.get(project.group, app).properties.template.containers
    assert (container.resources.cpu, container.resources.memory) == (4, "28Gi")
    assert {each.name: each.value for each in container.env}["SLIPWAY_BASE_MODEL"] == "acme/base"
    project.provision()
    assert any("is as the parameters state it" in each for each in project.said)
    project.state(gpuProfileType="Consumption-GPU-NC24-A100", cpu="24")
    project.provision()
    assert [each.split(": ")[1].split(" ")[0] for each in project.said if each.startswith("Not applied")] == [
        "cpu", "gpuProfileType",
    ]  # fmt: skip


def test_nodes_and_quota_that_are_stated_are_set_where_they_are_and_nothing_else_of_them(project: Project) -> None:
    project.state(gpuProfileType="NC24-A100", cpu="24", memory="220Gi", location="swedencentral")
    project.provision()
    (name,) = project.names("Microsoft.App/managedEnvironments")
    (account,) = project.names("Microsoft.Storage/storageAccounts")

    def profiles() -> dict[str, Any]:
        found = project.world.apps.managed_environments.get(project.group, name).properties.workload_profiles
        return {each.name: each.as_dict() for each in found}

    def quota() -> int:
        (share,) = project.world.storage.file_shares.list(project.group, account)
        return project.world.storage.file_shares.get(project.group, account, share.name).share_quota

    before = profiles()
    assert (before["gpu-inference"]["maximumCount"], quota()) == (1, 1024)
    project.state(maximumInstanceCount=2, shareQuota=2048)
    project.provision()
    assert profiles() == {**before, "gpu-inference": {**before["gpu-inference"], "maximumCount": 2}}
    assert quota() == 2048
    assert any("changes from 1024 to 2048 GiB" in each for each in project.said)
    project.state(maximumInstanceCount=3)
    with pytest.raises(PreflightFailed, match="GPUs needed: 3, in use: 1, allowed: 2") as error:
        project.provision()
    assert error.value.code == "MaxRegionalQuotaExceeded"
    assert profiles()["gpu-inference"]["maximumCount"] == 2


def test_an_app_that_ai_toolkits_template_made_is_left_alone_with_a_word(project: Project, tmp_path: Path) -> None:
    toolkit(project)
    project.provision()
    (app,) = project.names("Microsoft.App/containerApps")
    before = project.world.apps.container_apps.get(project.group, app).properties.template.as_dict()
    ours = new_project(project.world, tmp_path / "ours", project.group)
    ours.provision()
    assert project.world.apps.container_apps.get(project.group, app).properties.template.as_dict() == before
    assert any("was not made by Slipway's template: it stays as it is" in each for each in ours.said)
    assert not any("The start commands change" in each for each in ours.said)
