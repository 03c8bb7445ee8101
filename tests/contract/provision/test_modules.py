"""An app that a module or a loop makes is looked after as one of the template's own: found, kept, changed in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.words.errors import PreflightFailed
from tests.contract.provision.conftest import Project, new_project

APP = "Microsoft.App/containerApps"
GIVEN = "maximumInstanceCount: maximumInstanceCount, projectId: projectId, apiKey: apiKey, deployKey: deployKey"
OUTPUTS = (
    "SUBSCRIPTION_ID", "RESOURCE_GROUP_NAME", "STORAGE_ACCOUNT_NAME", "FILE_SHARE_NAME", "ACA_APP_NAME", "ACA_APP_ENDPOINT"
)  # fmt: skip
HEAD = """
param maximumInstanceCount int = 1
param projectId string = ''
@secure()
param apiKey string = newGuid()
@secure()
param deployKey string = newGuid()
"""
LOGS = (
    "resource late 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {\n  name: 'late', location: 'westus3'\n}\n"
)


def state_module(project: Project) -> None:
    whole = project.workspace.bicep_file.with_name("whole.bicep")
    whole.write_text(project.workspace.bicep_file.read_text(encoding="utf-8"), encoding="utf-8")
    project.workspace.parameters_file.write_text(json.dumps({"parameters": {}}), encoding="utf-8")
    module = f"module all 'whole.bicep' = {{\n  name: 'all'\n  params: {{ acaAppName: 'inside', {GIVEN} }}\n}}\n"
    project.template(HEAD + module + "".join(f"output {each} string = all.outputs.{each}\n" for each in OUTPUTS))


def secrets(project: Project, app: str) -> dict[str, str]:
    found = project.world.apps.container_apps.list_secrets(project.group, app)
    return {str(each.name): str(each.value) for each in found.value or []}


def test_an_app_of_a_module_is_found_kept_and_changed_in_place(project: Project, tmp_path: Path) -> None:
    state_module(project)
    planned = project.plan()
    assert ("inside", "create") in [(each.name, each.action) for each in planned.work.lines]
    project.provision()
    apps = project.world.apps.container_apps
    keys = secrets(project, "inside")

    again = project.provision()
    assert again.nothing, project.said
    assert again.deployment == ""

    apps.begin_update(
        project.group, "inside", {"location": "westus3", "tags": {**made(project).tags, "mine": "yes"}}
    ).result()
    project.state(maximumInstanceCount=2)
    changed = project.plan()
    assert [(each.name, each.action) for each in changed.work.lines if each.action != "unchanged"] == [
        ("inside", "update")
    ]
    project.provision()
    assert made(project).properties.template.scale.max_replicas == 2
    assert made(project).tags["mine"] == "yes"

    project.template(project.workspace.bicep_file.read_text(encoding="utf-8") + LOGS)
    project.provision()
    assert "late" in project.names("Microsoft.OperationalInsights/workspaces"), "something was deployed"
    assert not any("over what may exist" in each for each in project.said)
    assert made(project).tags["mine"] == "yes"
    assert secrets(project, "inside") == keys, "nobody wrote over it"

    second = new_project(project.world, tmp_path / "second", project.group)
    state_module(second)
    with pytest.raises(PreflightFailed, match="another project"):
        second.provision()


def made(project: Project) -> Any:
    return project.world.apps.container_apps.get(project.group, "inside")


MANY = """
param maximumInstanceCount int = 1
resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: 'around', location: 'westus3', properties: {}
}
resource many 'Microsoft.App/containerApps@2025-07-01' = [for n in range(0, 2): {
  name: 'worker-${n}'
  location: 'westus3'
  properties: {
    environmentId: environment.id
    configuration: { ingress: { external: true, targetPort: 80 } }
    template: {
      containers: [ { name: 'one', image: 'docker.io/library/none:1' } ]
      scale: { minReplicas: 0, maxReplicas: maximumInstanceCount }
    }
  }
}]
output SUBSCRIPTION_ID string = subscription().subscriptionId
output RESOURCE_GROUP_NAME string = resourceGroup().name
output STORAGE_ACCOUNT_NAME string = 'none'
output FILE_SHARE_NAME string = 'none'
output ACA_APP_NAME string = many[1].name
output ACA_APP_ENDPOINT string = many[1].properties.configuration.ingress.fqdn
"""


def test_an_app_of_a_loop_is_kept_where_the_others_of_it_are_made(project: Project) -> None:
    project.workspace.parameters_file.write_text(json.dumps({"parameters": {}}), encoding="utf-8")
    project.template(MANY)
    project.provision()
    apps = project.world.apps.container_apps
    apps.begin_update(project.group, "worker-1", {"location": "westus3", "tags": {"mine": "yes"}}).result()
    apps.begin_delete(project.group, "worker-0").result()
    project.state(maximumInstanceCount=3)
    lines = {each.name: each.action for each in project.plan().work.lines}
    assert (lines["worker-0"], lines["worker-1"]) == ("create", "update")
    project.provision()
    assert sorted(project.names(APP)) == ["worker-0", "worker-1"]
    kept = apps.get(project.group, "worker-1")
    assert (kept.tags, kept.properties.template.scale.max_replicas) == ({"mine": "yes"}, 3)
