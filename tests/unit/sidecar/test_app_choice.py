"""Which app is ours, where a template makes several: what its output names, else a word, or an error that names them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.armlang.bicep import compile_file
from sidecar.core.app_choice import ACCOUNT, APP, ENVIRONMENT, SEVERAL, STORAGE
from sidecar.core.bicep_files import Folder
from sidecar.core.deployment import GroupFacts, plan_names
from sidecar.decisions.members import KNOWN_LATER, changed, shown
from sidecar.words.errors import TemplateError
from tests.support.bicep_text import compile_bicep

GROUP = GroupFacts("sub", "tenant", "rg", "/subscriptions/sub/resourceGroups/rg", "westeurope")
ENVIRONMENTS = """
resource env1 'Microsoft.App/managedEnvironments@2025-07-01' = { name: 'env-one', location: 'x', properties: {} }
resource env2 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: 'env-two', location: 'x', properties: { workloadProfiles: [ { name: 'g', workloadProfileType: 'Consumption' } ] }
}
resource mount1 'Microsoft.App/managedEnvironments/storages@2025-07-01' = { parent: env2, name: 'first', properties: {} }
resource mount2 'Microsoft.App/managedEnvironments/storages@2025-07-01' = { parent: env2, name: 'second', properties: {} }
resource account1 'Microsoft.Storage/storageAccounts@2023-05-01' = { name: 'logs', location: 'x', kind: 'StorageV2' }
resource account2 'Microsoft.Storage/storageAccounts@2023-05-01' = { name: 'models', location: 'x', kind: 'StorageV2' }
"""
APPS = """
resource ui 'Microsoft.App/containerApps@2025-07-01' = {
  name: 'ui', location: 'x', properties: { environmentId: env1.id, template: { containers: [ { name: 'ui' } ] } }
}
resource api 'Microsoft.App/containerApps@2025-07-01' = {
  name: 'api'
  location: 'x'
  properties: {
    environmentId: env2.id
    workloadProfileName: 'g'
    template: { containers: [ { name: 'api' } ], volumes: [ { name: 'v', storageName: 'second' } ] }
  }
}
"""
LOOP = """
resource many 'Microsoft.App/containerApps@2025-07-01' = [for n in range(0, 2): {
  name: 'worker-${n}', location: 'x', properties: { environmentId: env1.id }
}]
"""


def planned(source: str, app: str | None = None):
    return plan_names(compile_bicep(ENVIRONMENTS + source), {}, GROUP, app)


def test_the_app_that_the_output_follows_and_what_it_lies_in_and_mounts() -> None:
    found = planned(f"{APPS}output ACA_APP_NAME string = api.name\noutput STORAGE_ACCOUNT_NAME string = 'models'\n")
    assert found.names[APP] == "api"
    assert found.names[ENVIRONMENT] == "env-two"
    assert found.names[STORAGE] == "env-two/second"
    assert found.names[ACCOUNT] == "models"
    assert found.app_template is not None
    assert found.app_template["containers"] == [{"name": "api"}]
    assert (found.profile, found.profiles) == ("g", ({"name": "g", "workloadProfileType": "Consumption"},))
    other = planned(f"{APPS}output ACA_APP_NAME string = ui.name\n")
    assert (other.names[APP], other.names[ENVIRONMENT]) == ("ui", "env-one")


@pytest.mark.parametrize("output", ["", "output ACA_APP_NAME string = api.properties.latestRevisionName\n"])
def test_where_the_output_does_not_tell_all_are_named_and_a_word_decides(output: str) -> None:
    with pytest.raises(TemplateError, match=r"several container apps, .*: ui, api\.") as error:
        planned(APPS + output)
    assert (error.value.code, error.value.detail) == (SEVERAL, "ui\napi")
    assert planned(APPS + output, "API").names[APP] == "api"
    with pytest.raises(TemplateError):
        planned(APPS + output, "third")


def test_apps_of_loops_are_named_too_and_none_of_them_is_taken_for_ours() -> None:
    with pytest.raises(TemplateError, match=r": ui, api, worker-0, worker-1\."):
        planned(APPS + LOOP)
    ours = planned(f"{APPS}{LOOP}output ACA_APP_NAME string = 'worker-1'\n")
    assert APP not in ours.names
    assert ours.app_template is None
    assert planned(f"{APPS}{LOOP}output ACA_APP_NAME string = ui.name\n").names[APP] == "ui"


def test_one_app_needs_no_output_and_is_ours_whatever_that_says() -> None:
    alone = APPS[: APPS.index("resource api")]
    assert planned(alone).names[APP] == "ui"
    assert planned(f"{alone}output ACA_APP_NAME string = 'another'\n").names[APP] == "ui"


def test_an_output_that_names_none_of_them_tells_nothing() -> None:
    with pytest.raises(TemplateError, match=r": ui, api\."):
        planned(f"{APPS}output ACA_APP_NAME string = 'another'\n")
    assert planned(f"{APPS}output ACA_APP_NAME string = 'another'\n", "ui").names[APP] == "ui"


def test_apps_of_modules_are_named_by_what_they_are_given() -> None:
    template = compile_bicep(ENVIRONMENTS + APPS)
    inner = {
        "parameters": {"name": {"type": "string"}},
        "resources": {
            "app": {"type": "Microsoft.App/containerApps", "apiVersion": "x", "name": "[parameters('name')]"}
        },
    }
    properties = {"template": inner, "parameters": {"name": {"value": "inside"}}}
    module = {"type": "Microsoft.Resources/deployments", "apiVersion": "x", "name": "p", "properties": properties}
    template["resources"]["part"] = module
    with pytest.raises(TemplateError, match=r": ui, api, inside\."):
        plan_names(template, {}, GROUP)


def test_the_output_is_followed_into_a_module(tmp_path: Path) -> None:
    (tmp_path / "api.bicep").write_text(
        "param name string\n"
        "resource app 'Microsoft.App/containerApps@2025-07-01' = { name: 'x-${name}', location: 'x', properties: {} }\n"
        "output made string = app.name\n"
    )
    module = "module api 'api.bicep' = { name: 'api', params: { name: 'y' } }\noutput ACA_APP_NAME string = api.outputs.made\n"
    other = APPS[: APPS.index("resource api")]
    template = compile_file("main.bicep", ENVIRONMENTS + other + module, Folder(tmp_path, tmp_path))
    found = plan_names(dict(template), {}, GROUP)
    assert APP not in found.names  # the module's x-y is ours: ui is not taken for it
    with pytest.raises(TemplateError, match=r": ui, x-y\."):
        plan_names({**template, "outputs": {}}, {}, GROUP)


def test_an_app_of_a_module_that_is_not_made_is_none_to_choose() -> None:
    template = compile_bicep(ENVIRONMENTS + APPS[: APPS.index("resource api")])
    app = {"type": "Microsoft.App/containerApps", "apiVersion": "x", "name": "inside", "condition": False}
    properties = {"template": {"resources": {"app": app}}}
    module = {"type": "Microsoft.Resources/deployments", "apiVersion": "x", "name": "p", "properties": properties}
    template["resources"]["part"] = module
    assert plan_names(template, {}, GROUP).names[APP] == "ui"
    app["condition"] = True
    with pytest.raises(TemplateError, match=r": ui, inside\."):
        plan_names(template, {}, GROUP)


def test_what_only_the_deployment_knows_is_said_so() -> None:
    for late in ("[reference('x').y]", "[listKeys('a', 'b').keys[0].value]", "[format('{0}', newGuid())]"):
        assert shown(late) == KNOWN_LATER
    assert shown("[parameters('key')]") == "[parameters('key')]"
    assert changed({"a": "b"}, {"a": "[reference('x')]"})[0].after == KNOWN_LATER
