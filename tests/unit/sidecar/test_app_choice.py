"""Which app is ours, where a template makes several: what its output names, else a word, or an error that names them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.armlang.bicep import compile_file
from sidecar.core.app_choice import ACCOUNT, APP, ENVIRONMENT, SEVERAL, STORAGE
from sidecar.core.bicep_files import Folder
from sidecar.core.deployment import GroupFacts, Template, plan_names, referring
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


def test_an_app_of_a_loop_is_followed_as_another_one_is() -> None:
    with pytest.raises(TemplateError, match=r": ui, api, worker-0, worker-1\."):
        planned(APPS + LOOP)
    ours = planned(f"{APPS}{LOOP}output ACA_APP_NAME string = many[1].name\n")
    assert (ours.names[APP], ours.names[ENVIRONMENT], ours.opaque) == ("worker-1", "env-one", ())
    assert [(each.key, each.name) for each in ours.resources if each.kind == APP][2:] == [
        ("many[0]", "worker-0"),
        ("many[1]", "worker-1"),
    ]
    assert planned(f"{APPS}{LOOP}output ACA_APP_NAME string = ui.name\n").names[APP] == "ui"


def test_one_app_needs_no_output_and_is_ours_whatever_that_says() -> None:
    alone = APPS[: APPS.index("resource api")]
    assert planned(alone).names[APP] == "ui"
    assert planned(f"{alone}output ACA_APP_NAME string = 'another'\n").names[APP] == "ui"


def test_an_output_that_names_none_of_them_tells_nothing() -> None:
    with pytest.raises(TemplateError, match=r": ui, api\."):
        planned(f"{APPS}output ACA_APP_NAME string = 'another'\n")
    assert planned(f"{APPS}output ACA_APP_NAME string = 'another'\n", "ui").names[APP] == "ui"


INNER = {"expressionEvaluationOptions": {"scope": "inner"}, "mode": "Incremental"}
PART = """
param name string
param environmentId string
resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: 'x-${name}', location: 'x'
  properties: { environmentId: environmentId, template: { containers: [for n in range(0, 2): { name: '${name}${n}' }] } }
}
output made string = app.name
"""
AROUND = """
resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = { name: 'inside', location: 'x', properties: {} }
output id string = environment.id
"""


def in_modules(folder: Path, source: str) -> Template:
    (folder / "api.bicep").write_text(PART)
    (folder / "around.bicep").write_text(AROUND)
    return dict(compile_file("main.bicep", source, Folder(folder, folder)))


def test_the_output_is_followed_into_a_module_and_what_that_is_given_by_another(tmp_path: Path) -> None:
    source = """
module around 'around.bicep' = { name: 'around' }
module api 'api.bicep' = { name: 'api', params: { name: 'y', environmentId: around.outputs.id } }
output ACA_APP_NAME string = api.outputs.made
"""
    other = APPS[: APPS.index("resource api")]
    template = in_modules(tmp_path, ENVIRONMENTS + other + source)
    found = plan_names(template, {}, GROUP)
    assert (found.names[APP], found.names[ENVIRONMENT], found.opaque) == ("x-y", "inside", ())
    assert found.app_template == {"containers": [{"name": "y0"}, {"name": "y1"}]}
    ours = next(each for each in found.resources if each.name == "x-y")
    assert (ours.key, ours.id) == ("api/app", f"{GROUP.id}/providers/Microsoft.App/containerApps/x-y")
    with pytest.raises(TemplateError, match=r": ui, x-y\."):
        plan_names({**template, "outputs": {}}, {}, GROUP)


def test_a_module_in_a_loop_and_in_a_module_is_followed(tmp_path: Path) -> None:
    (tmp_path / "outer.bicep").write_text(
        "module parts 'api.bicep' = [for n in ['a', 'b']: { name: 'p-${n}', params: { name: n, environmentId: 'e' } }]\n"
        "output made string = parts[1].outputs.made\n"
    )
    source = "module outer 'outer.bicep' = { name: 'o' }\noutput ACA_APP_NAME string = outer.outputs.made\n"
    found = plan_names(in_modules(tmp_path, source), {}, GROUP)
    assert found.names[APP] == "x-b"
    assert [each.key for each in found.resources] == ["outer/parts[0]/app", "outer/parts[1]/app"]


def test_an_app_of_another_group_is_named_and_not_looked_for(tmp_path: Path) -> None:
    given = "params: { name: 'y', environmentId: 'e' }"
    module = f"module api 'api.bicep' = {{ name: 'api', scope: resourceGroup('%s'), {given} }}\n"
    other = APPS[: APPS.index("resource api")]
    with pytest.raises(TemplateError, match=r": ui, x-y\."):
        plan_names(in_modules(tmp_path, ENVIRONMENTS + other + module % "another"), {}, GROUP)
    output = "output ACA_APP_NAME string = api.outputs.made\n"
    found = plan_names(in_modules(tmp_path, module % "another" + output), {}, GROUP)
    assert (found.names, found.opaque) == ({}, ("api",))
    here = plan_names(in_modules(tmp_path, module % "RG" + output), {}, GROUP)
    assert (here.names[APP], here.opaque) == ("x-y", ())


def test_of_other_types_in_modules_and_loops_arm_tells() -> None:
    boards = "resource boards 'Microsoft.Portal/dashboards@2022-12-01-preview' = [for n in range(0, 2): {\n"
    found = planned(boards + "  name: 'b${n}', location: 'x'\n}]\n")
    assert found.opaque == ("boards",)
    assert not [each for each in found.resources if each.kind == "microsoft.portal/dashboards"]


def test_what_a_module_is_given_that_only_the_deployment_knows_is_no_default_of_its_own(tmp_path: Path) -> None:
    part = PART.replace("param name string", "param name string = 'default'")
    source = "module api 'api.bicep' = { name: 'api', params: { name: %s, environmentId: 'e' } }\n"
    template = in_modules(tmp_path, f"{ENVIRONMENTS}{source % 'env1.properties.defaultDomain'}")
    inner = template["resources"]["api"]["properties"]["template"]  # type: ignore[index]
    inner["parameters"]["name"]["defaultValue"] = "default"
    assert "default" in part
    found = plan_names(template, {}, GROUP)
    assert (APP in found.names, found.opaque) == (False, ("api/app",))


def test_a_name_by_chance_is_known_after_the_deployment_alone() -> None:
    source = "param id string = newGuid()\nresource log 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {\n"
    found = planned(source + "  name: 'log-${id}', location: 'x'\n}\n")
    assert (found.opaque, found.new_each_time) == (("log",), ("microsoft.operationalinsights/workspaces",))
    assert not [each for each in found.resources if each.key == "log"]


def test_what_a_stated_parameter_switches_off_is_not_made() -> None:
    extra = APPS[: APPS.index("resource api")].replace("= {", "= if (wanted) {", 1)
    template = compile_bicep(f"param wanted bool = true\n{ENVIRONMENTS}{extra}")
    assert plan_names(template, {}, GROUP).names[APP] == "ui"
    assert APP not in plan_names(template, {"wanted": {"value": False}}, GROUP).names


def test_variables_in_loops_and_functions_of_one_s_own_are_known() -> None:
    template = compile_bicep(APPS[: APPS.index("resource api")].replace("env1.id", "'e'"))
    template["variables"] = {"copy": [{"name": "names", "count": 2, "input": "[format('n{0}', copyIndex('names'))]"}]}
    output = {"type": "string", "value": "[concat(parameters('a'), '-x')]"}
    members = {"named": {"parameters": [{"type": "string", "name": "a"}], "output": output}}
    template["functions"] = [{"namespace": "__bicep", "members": members}]
    template["resources"]["ui"]["name"] = "[__bicep.named(variables('names')[1])]"
    assert plan_names(template, {}, GROUP).names[APP] == "n1-x"


def test_an_app_of_a_module_that_is_not_made_is_none_to_choose() -> None:
    template = compile_bicep(ENVIRONMENTS + APPS[: APPS.index("resource api")])
    app = {"type": "Microsoft.App/containerApps", "apiVersion": "x", "name": "inside", "condition": False}
    properties = {**INNER, "template": {"resources": {"app": app}}}
    module = {"type": "Microsoft.Resources/deployments", "apiVersion": "x", "name": "p", "properties": properties}
    template["resources"]["part"] = module
    assert plan_names(template, {}, GROUP).names[APP] == "ui"
    app["condition"] = True
    with pytest.raises(TemplateError, match=r": ui, inside\."):
        plan_names(template, {}, GROUP)


def test_what_exists_of_a_module_or_a_loop_is_referred_to_there() -> None:
    app = {"type": "Microsoft.App/containerApps", "apiVersion": "x", "name": "[format('w-{0}', copyIndex())]"}
    many = {**app, "condition": "[parameters('wanted')]", "copy": {"name": "many", "count": 2}}
    inner = {"resources": {"app": {**app, "name": "a"}, "log": {**app, "name": "l", "dependsOn": ["app"]}}}
    part = {"type": "Microsoft.Resources/deployments", "name": "p", "properties": {"template": inner}}
    parts = {**part, "copy": {"name": "parts", "count": 2}}
    template: Template = {"resources": {"many": many, "part": part, "parts": parts}}
    found: Any = referring(template, {"many[1]": "w-1", "part/app": "a", "parts[0]/app": "It's"})["resources"]
    assert found["many"]["condition"] == (
        "[and(parameters('wanted'), not(contains(createArray('w-1'), toLower(format('w-{0}', copyIndex())))))]"
    )
    within = found["part"]["properties"]["template"]["resources"]
    assert within["app"] == {"existing": True, "type": app["type"], "apiVersion": "x", "name": "a"}
    assert within["log"]["dependsOn"] == []
    (looped, log) = found["parts"]["properties"]["template"]["resources"].values()
    assert looped["condition"] == "[and(true(), not(contains(createArray('it''s'), toLower('a'))))]"
    assert log["dependsOn"] == ["app"], "the other one of the loop is made, and waited for"
    plain = {**template, "resources": [{**part, "properties": {"template": {"resources": [app]}}}]}
    listed: Any = referring(plain, {"0/0": "a"})["resources"]
    assert listed[0]["properties"]["template"]["resources"][0]["condition"] is False


def test_what_only_the_deployment_knows_is_said_so() -> None:
    for late in ("[reference('x').y]", "[listKeys('a', 'b').keys[0].value]", "[format('{0}', newGuid())]"):
        assert shown(late) == KNOWN_LATER
    assert shown("[parameters('key')]") == "[parameters('key')]"
    assert changed({"a": "b"}, {"a": "[reference('x')]"})[0].after == KNOWN_LATER
