"""An app that a module or a loop makes is looked after as one of the template's own: found, kept, changed in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.words.errors import PreflightFailed
from tests.contract.provision.conftest import Project, new_project

APP = "Microsoft.App/containerApps"
WORKER = """
param name string
param environmentId string
param most int
param projectId string
@secure()
param key string
resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: 'westus3'
  tags: { 'slipway-project': projectId }
  properties: {
    environmentId: environmentId
    configuration: { ingress: { external: true, targetPort: 80 }, secrets: [ { name: 'key', value: key } ] }
    template: {
      containers: [ { name: 'one', image: 'docker.io/library/none:1' } ]
      scale: { minReplicas: 0, maxReplicas: most }
    }
  }
}
output made string = app.name
output host string = app.properties.configuration.ingress.fqdn
"""
AROUND = """
resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = { name: 'around', location: 'westus3', properties: {} }
output id string = environment.id
"""
MAIN = """
param maximumInstanceCount int = 1
param projectId string = ''
@secure()
param apiKey string = newGuid()
module around 'around.bicep' = { name: 'around' }
module ui 'worker.bicep' = { name: 'ui', params: { name: 'ui', GIVEN } }
module workers 'worker.bicep' = [for n in range(0, 2): { name: 'worker-${n}', params: { name: 'worker-${n}', GIVEN } }]
output SUBSCRIPTION_ID string = subscription().subscriptionId
output RESOURCE_GROUP_NAME string = resourceGroup().name
output STORAGE_ACCOUNT_NAME string = 'none'
output FILE_SHARE_NAME string = 'none'
output ACA_APP_NAME string = workers[1].outputs.made
output ACA_APP_ENDPOINT string = workers[1].outputs.host
"""
GIVEN = "environmentId: around.outputs.id, most: maximumInstanceCount, projectId: projectId, key: apiKey"


def state_modules(project: Project) -> None:
    for name, text in (("worker", WORKER), ("around", AROUND)):
        project.workspace.bicep_file.with_name(f"{name}.bicep").write_text(text, encoding="utf-8")
    project.workspace.parameters_file.write_text(json.dumps({"parameters": {}}), encoding="utf-8")
    project.template(MAIN.replace("GIVEN", GIVEN))


def test_apps_of_modules_and_loops_are_found_kept_and_ours_is_changed_in_place(
    project: Project, tmp_path: Path
) -> None:
    apps = project.world.apps.container_apps

    def key(name: str) -> list[Any]:
        return [each.value for each in apps.list_secrets(project.group, name).value or []]

    state_modules(project)
    project.provision()
    assert project.workspace.config_file.read_text(encoding="utf-8").count("worker-1") == 1
    keys = {name: key(name) for name in ("ui", "worker-1")}
    for name in keys:
        tags = {**apps.get(project.group, name).tags, "mine": "yes"}
        apps.begin_update(project.group, name, {"location": "westus3", "tags": tags}).result()
    apps.begin_delete(project.group, "worker-0").result()

    project.state(maximumInstanceCount=3)
    lines = {each.name: each.action for each in project.plan().work.lines}
    assert lines == {"around": "unchanged", "ui": "unchanged", "worker-0": "create", "worker-1": "update"}
    project.provision()
    assert sorted(project.names(APP)) == ["ui", "worker-0", "worker-1"], "something was deployed"
    assert not any("over what may exist" in each for each in project.said)
    for name in keys:
        assert (apps.get(project.group, name).tags["mine"], key(name)) == ("yes", keys[name]), "nobody wrote over it"
    assert apps.get(project.group, "worker-1").properties.template.scale.max_replicas == 3
    assert project.plan().work.nothing

    second = new_project(project.world, tmp_path / "second", project.group)
    state_modules(second)
    with pytest.raises(PreflightFailed, match="another project"):
        second.provision()
