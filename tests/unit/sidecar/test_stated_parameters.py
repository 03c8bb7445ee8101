"""What the parameters files state: misspelt, mistyped, unknown and left to fill in are told with file and line, all at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.deployment import Template, VaultSecret, in_casing_of, merge_parameters, plan_names
from sidecar.core.parameters import read_parameters, stated_at
from sidecar.core.workspace import Workspace, read_config
from sidecar.decisions.stated_parameters import SET_BY_US, misstated, with_documented_defaults, without_value
from sidecar.words.errors import WorkspaceError
from sidecar.workflows.resolve import refuse_misstated, usable
from tests.unit.sidecar.test_provision import GROUP, TEMPLATE

VAULT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"
SECRET = {"keyVault": {"id": VAULT}, "secretName": "s"}
CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "cloud"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "infra" / "provision").mkdir(parents=True)
    return Workspace(tmp_path)


def state(workspace: Workspace, **entries: Any) -> Workspace:
    """One parameter a line, from line 3 on."""
    lines = ",\n".join(f'    "{name}": {json.dumps(entry)}' for name, entry in entries.items())
    workspace.parameters_file.write_text(f'{{\n  "parameters": {{\n{lines}\n  }}\n}}\n', encoding="utf-8")
    return workspace


def refused(workspace: Workspace, template: dict[str, object] | None = None) -> WorkspaceError:
    with pytest.raises(WorkspaceError) as error:
        refuse_misstated(workspace, template or TEMPLATE, read_parameters(workspace).values)
    return error.value


PLACEHOLDERS = ["<your-app>", "${AZURE_LOCATION}", "westus${SUFFIX}", "[your-aca-app-name]", "{{ name }}", "...", "…"]


@pytest.mark.parametrize("value", [*PLACEHOLDERS, ["pip install x", "..."], ["<commands>"]])
def test_a_placeholder_is_named_with_its_line_in_the_error_and_for_the_problems_panel(
    workspace: Workspace, value: object
) -> None:
    state(workspace, location={"value": None}, acaAppName={"value": value})
    with pytest.raises(
        WorkspaceError, match=r"infra/provision/inference\.parameters\.json, line 4: .*placeholder"
    ) as error:
        read_parameters(workspace)
    assert error.value.code == "Placeholder"
    (problem,) = error.value.problems
    assert (problem.file, problem.line, problem.column) == (str(workspace.parameters_file), 4, 5)


@pytest.mark.parametrize(
    "value", ["app", "a<b", "$HOME", "[1]", "your-app", ["echo ${HOME}", "cd /mount"], {"a": "<b>"}]
)
def test_what_only_looks_like_a_placeholder_is_taken(workspace: Workspace, value: object) -> None:
    assert read_parameters(state(workspace, any={"value": value})).values == {"any": value}


def test_the_placeholders_of_the_field_are_told_all_at_once(workspace: Workspace) -> None:
    case = CASES / "placeholders.parameters.json"
    if not case.exists():
        pytest.skip(f"no cases of the field at {CASES}")
    workspace.parameters_file.write_bytes(case.read_bytes())
    with pytest.raises(WorkspaceError, match=r"line 3: [$]{AZURE_LOCATION} is a placeholder") as error:
        read_parameters(workspace)
    assert [each.line for each in error.value.problems] == [3, 4]
    assert "your-aca-app-name" in str(error.value.detail)


def test_a_placeholder_in_the_configuration_is_named_too(workspace: Workspace) -> None:
    workspace.config_file.write_text('{\n  "SUBSCRIPTION_ID": "${SUBSCRIPTION}"\n}')
    with pytest.raises(WorkspaceError, match=r"line 2: .* is a placeholder") as error:
        read_config(workspace)
    assert [each.line for each in error.value.problems] == [2]


@pytest.mark.parametrize(
    ("entry", "code", "said"),
    [
        ({"reference": {"keyVault": {"id": "/x"}, "secretName": "s"}}, "InvalidParameter", "no secret of a key vault"),
        ({"reference": {"keyVault": {"id": VAULT}}}, "InvalidParameter", "no secret of a key vault"),
        ({"reference": {**SECRET, "secretVersion": 1}}, "InvalidParameter", "no secret of a key vault"),
        ({"reference": SECRET, "value": "x"}, "InvalidParameter", "no secret of a key vault"),
        ({"reference": {**SECRET, "secretName": "<name>"}}, "Placeholder", "<name> is a placeholder"),
        ({"expression": "[parameters('x')]"}, "ParameterExpression", "only Azure's own tools evaluate"),
        ("plain", "InvalidParameter", 'needs an object with a "value"'),
        ({"values": 1}, "InvalidParameter", 'needs an object with a "value"'),
    ],
)
def test_other_forms_of_an_entry_are_named_as_what_they_are(
    workspace: Workspace, entry: object, code: str, said: str
) -> None:
    state(workspace, location={"value": None}, apiKey=entry)
    with pytest.raises(WorkspaceError, match="line 4: ") as error:
        read_parameters(workspace)
    assert error.value.code == code
    assert said in str(error.value)


def test_a_reference_to_a_key_vault_is_passed_on_and_its_place_is_known(workspace: Workspace) -> None:
    state(workspace, location={"value": None}, apiKey={"reference": SECRET})
    found = read_parameters(workspace).values["apiKey"]
    assert found == VaultSecret(SECRET, "infra/provision/inference.parameters.json:4")
    template: Template = {"parameters": {"apiKey": {"type": "securestring"}}}
    assert merge_parameters(template, {"apiKey": found}, {}) == {"apiKey": {"reference": SECRET}}
    assert stated_at(workspace, "apiKey") is not None
    state(workspace, apiKy={"reference": SECRET})
    assert "did you mean apiKey?" in str(refused(workspace))


def test_the_case_of_the_field_is_read(workspace: Workspace) -> None:
    """It was left aside without a word, and the default names used."""
    case = CASES / "inference.bicepparam"
    text = case.read_text() if case.exists() else "using './inference.bicep'\nparam acaAppName = 'from-bicepparam'\n"
    workspace.parameters_file.with_name("inference.bicepparam").write_text(text)
    assert read_parameters(workspace).values["acaAppName"] == "from-bicepparam"


def test_misspelt_mistyped_and_unknown_parameters_are_told_with_their_lines(workspace: Workspace) -> None:
    state(
        workspace,
        acaAppNam={"value": "app"},
        maximumInstanceCount={"value": "three"},
        nobodyKnows={"value": 1},
        cooldownSeconds={"value": 5},
        gpuProfileType={"value": "NC24-A100-v9"},
        defaultCommands={"value": "python3 -m inference"},
        CreateApp={"value": 1},
        cpu={"value": 8},
        location={"value": None},
    )
    error = refused(workspace)
    assert error.code == "InvalidTemplateParameter"
    assert str(error).startswith("infra/provision/inference.parameters.json, line 3: ")
    said = {each.line: str(each.message) for each in error.problems}
    assert sorted(said) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert said[3] == "The template has no parameter acaAppNam: did you mean acaAppName?"
    assert said[4] == "maximumInstanceCount has to be a whole number, not a text."
    assert said[5].startswith("The template has no parameter nobodyKnows. It has: ")
    assert said[6] == "cooldownSeconds is 5; from 30 to 3600."
    assert said[7].startswith("gpuProfileType can't be NC24-A100-v9; it may be: Consumption-GPU-NC8as-T4, ")
    assert said[8] == "defaultCommands has to be a list, not a text."
    assert said[9] == "CreateApp has to be true or false, not a whole number."
    assert said[10] == "cpu has to be a text, not a whole number."


def test_the_place_is_that_of_the_file_that_states_it(workspace: Workspace) -> None:
    other = workspace.infra / "inference.parameters.json"
    other.write_text('{"parameters": {\n\n"acaApName": {"value": "a"}}}')
    error = refused(workspace)
    assert [(each.path, each.line) for each in error.problems] == [("infra/inference.parameters.json", 3)]


def test_a_name_of_fine_tunings_that_the_template_has_no_use_for_is_left_aside(workspace: Workspace) -> None:
    """It is a default, which nobody stated for this template; misspelt ones in the project's own file are refused."""
    (workspace.infra / "finetuning.parameters.json").write_text(
        '{"parameters": {"acaAppName": {"value": "job"}, "storageAccountName": {"value": "theirs"}}}'
    )
    found = read_parameters(state(workspace, acaAppName={"value": "app"}))
    assert found.values == {"acaAppName": "app", "storageAccountName": "theirs"}
    assert usable(BARE, found) == {"acaAppName": "app"}
    assert usable(TEMPLATE, found) == found.values
    found = read_parameters(state(workspace, storageAccountName={"value": "mine"}))
    assert usable(BARE, found) == {"storageAccountName": "mine"}, "what is stated here is judged"


def test_true_is_no_number_and_casings_of_names_are_one() -> None:
    assert [each.code for each in misstated(TEMPLATE, {"maximumInstanceCount": True})] == ["InvalidParameterValue"]
    assert misstated(TEMPLATE, {"MAXIMUMinstanceCOUNT": 2, "gpuprofiletype": "nc24-a100"}) == ()


BARE: dict[str, object] = {
    "parameters": {
        "location": {"type": "string"},
        "acaAppName": {"type": "string"},
        "maximumInstanceCount": {"type": "int"},
        "cpu": {"type": "string", "defaultValue": "4"},
        "note": {"type": "string", "nullable": True},
        "mine": {"type": "string", "minLength": 3},
    },
    "resources": [
        {"type": "Microsoft.App/containerApps", "apiVersion": "2025-07-01", "name": "[parameters('acaAppName')]"}
    ],
}


def test_null_means_the_documents_default_also_in_a_template_that_has_none() -> None:
    template = with_documented_defaults(BARE, {"mine": "abc"})
    planned = plan_names(template, merge_parameters(template, {"mine": "abc"}, {}), GROUP)
    shipped = plan_names(TEMPLATE, merge_parameters(TEMPLATE, {}, {}), GROUP)
    assert planned.names["microsoft.app/containerapps"] == shipped.names["microsoft.app/containerapps"]
    assert with_documented_defaults(TEMPLATE, {}) is TEMPLATE
    stated = {"location": "x", "acaAppName": "a", "maximumInstanceCount": 2, "mine": "abc"}
    assert with_documented_defaults(BARE, stated) is BARE


def test_a_parameter_that_nobody_gives_a_value_is_named_before_anything_is_asked(workspace: Workspace) -> None:
    template = with_documented_defaults(BARE, {})
    assert without_value(template, {}, SET_BY_US) == ("mine",)
    state(workspace, mine={"value": None})
    error = refused(workspace, template)
    assert error.code == "ParameterWithoutValue"
    assert "mine" in str(error)
    state(workspace, mine={"value": "ab"})
    assert "has the length 2; at least 3" in str(refused(workspace, template))


def test_a_name_in_another_casing_is_the_same_parameter(workspace: Workspace) -> None:
    """It was taken by ARM's rule, and then looked for by ours: "nothing to do" was said to what had been stated."""
    state(workspace, basemodel={"value": "org/model"}, STORAGEACCOUNTNAME={"value": "mine"})
    tuned = workspace.infra / "finetuning.parameters.json"
    tuned.write_text('{"parameters": {"StorageAccountName": {"value": "theirs"}, "FILESHARENAME": {"value": "share"}}}')
    values = in_casing_of(TEMPLATE, usable(TEMPLATE, read_parameters(workspace)))
    assert values == {"baseModel": "org/model", "storageAccountName": "mine", "fileShareName": "share"}
    at = stated_at(workspace, "baseModel")
    assert at is not None
    assert at.line == 3
