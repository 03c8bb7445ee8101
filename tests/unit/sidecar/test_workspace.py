"""The user's folder: configuration and parameters, as the documents describe them and as people write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar.core.parameters import read_parameters
from sidecar.core.workspace import (
    CONFIG_KEYS,
    Workspace,
    keep_project_id,
    known_project_id,
    open_workspace,
    read_config,
    read_finetuning,
    target_of,
    write_atomically,
    write_config,
)
from sidecar.words.errors import WorkspaceError
from sidecar.workflows.resolve import Request, differences


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "infra" / "provision").mkdir(parents=True)
    return open_workspace(tmp_path)


def parameters(**values: object) -> str:
    return json.dumps({"parameters": {name: {"value": value} for name, value in values.items()}})


OUTPUTS = {
    "subscriptioN_ID": "s",
    "resourcE_GROUP_NAME": "g",
    "storagE_ACCOUNT_NAME": "a",
    "filE_SHARE_NAME": "f",
    "acA_APP_NAME": "p",
    "acA_APP_ENDPOINT": "p.example",
}


def test_the_six_keys_are_null_until_provisioned_and_written_whole(workspace: Workspace) -> None:
    assert set(read_config(workspace).model_dump().values()) == {None}
    write_config(workspace, OUTPUTS)
    assert list(json.loads(workspace.config_file.read_text())) == list(CONFIG_KEYS)
    assert target_of(workspace).endpoint == "p.example"


def test_other_keys_of_the_file_are_kept(workspace: Workspace) -> None:
    workspace.config_file.write_text('{"MINE": 1, "ACA_APP_NAME": "old"}')
    write_config(workspace, OUTPUTS)
    assert json.loads(workspace.config_file.read_text())["MINE"] == 1
    assert read_config(workspace).ACA_APP_NAME == "p"


def test_comments_of_the_file_are_kept(workspace: Workspace) -> None:
    workspace.config_file.write_text('{\n  // the team\'s\n  "MINE": 1, // ours\n  "ACA_APP_NAME": "old"\n}\n')
    write_config(workspace, OUTPUTS)
    written = workspace.config_file.read_text()
    assert "// the team's\n" in written
    assert '"MINE": 1, // ours\n  "ACA_APP_NAME": "p"' in written
    assert target_of(workspace).endpoint == "p.example"


def test_an_incomplete_output_leaves_the_file_as_it_is(workspace: Workspace) -> None:
    workspace.config_file.write_text('{"ACA_APP_NAME": "old"}')
    with pytest.raises(WorkspaceError, match="ACA_APP_ENDPOINT") as error:
        write_config(workspace, {**OUTPUTS, "acA_APP_ENDPOINT": ""})
    assert error.value.code == "OutputsMissing"
    assert workspace.config_file.read_text() == '{"ACA_APP_NAME": "old"}'


def test_a_missing_key_is_named(workspace: Workspace) -> None:
    workspace.config_file.write_text(json.dumps({key: "x" for key in CONFIG_KEYS if key != "FILE_SHARE_NAME"}))
    with pytest.raises(WorkspaceError, match="FILE_SHARE_NAME"):
        target_of(workspace)


def test_fine_tunings_choices_are_read(workspace: Workspace) -> None:
    (workspace.infra / "finetuning.config.json").write_text(
        json.dumps({"SUBSCRIPTION_ID": "s", "RESOURCE_GROUP_NAME": "g", "COMMANDS": ["x"], "ACA_JOB_NAME": "j"})
    )
    found = read_finetuning(workspace)
    assert (found.SUBSCRIPTION_ID, found.RESOURCE_GROUP_NAME, found.ACA_JOB_NAME) == ("s", "g", "j")


def test_nulls_are_dropped_and_fine_tunings_names_are_the_defaults(workspace: Workspace) -> None:
    (workspace.infra / "finetuning.parameters.json").write_text(
        parameters(acaEnvironmentName="env", storageAccountName="acct", acaJobName="job")
    )
    workspace.parameters_file.write_text(parameters(acaEnvironmentName=None, storageAccountName="mine", location=None))
    assert read_parameters(workspace).values == {"acaEnvironmentName": "env", "storageAccountName": "mine"}


def test_the_documented_second_path_is_read_and_named(workspace: Workspace) -> None:
    workspace.parameters_file.write_text(parameters(acaAppName="one", maximumInstanceCount=2))
    (workspace.infra / "inference.parameters.json").write_text(parameters(acaAppName="two"))
    found = read_parameters(workspace)
    assert found.values == {"acaAppName": "two", "maximumInstanceCount": 2}
    assert "infra/inference.parameters.json" in str(found.notes[0])


EXAMPLE = """{
  "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#",
  "contentVersion": "1.0.0.0",
  "parameters": {
    ...
    "acaEnvironmentName": { "value": "<your-aca-env-name>" },
    "acaEnvironmentStorageName": { "value": null },
    ...
  }
}
"""


@pytest.mark.parametrize(
    "name", ["provision/inference.parameters.json", "inference.parameters.json", "finetuning.parameters.json"]
)
def test_the_documents_example_says_where_it_is_not_filled_in(workspace: Workspace, name: str) -> None:
    file = workspace.infra / name
    file.write_text(EXAMPLE)
    with pytest.raises(WorkspaceError, match=f"infra/{name}, line 5"):
        read_parameters(workspace)
    file.write_text(EXAMPLE.replace("    ...\n", ""))
    with pytest.raises(WorkspaceError, match="line 5: <your-aca-env-name> is a placeholder") as error:
        read_parameters(workspace)
    assert error.value.code == "Placeholder"
    filled = EXAMPLE.replace("    ...\n", "").replace("<your-aca-env-name>", "env")
    file.write_text(filled)
    assert read_parameters(workspace).values == {"acaEnvironmentName": "env"}


def test_comments_and_trailing_commas_are_taken_as_arms_tools_take_them(workspace: Workspace) -> None:
    workspace.parameters_file.write_text(
        '// why\n{"parameters": {"acaAppName": {"value": "a//b,}"}, /* two\nlines */ "location": {"value": null,},},}'
    )
    assert read_parameters(workspace).values == {"acaAppName": "a//b,}"}


def test_broken_json_names_file_and_line(workspace: Workspace) -> None:
    workspace.config_file.write_text('{\n  "ACA_APP_NAME": \n}')
    with pytest.raises(WorkspaceError, match=r"infra/inference.config.json, line 3"):
        read_config(workspace)


def test_a_value_of_the_wrong_type_is_named(workspace: Workspace) -> None:
    workspace.config_file.write_text('{\n  "ACA_APP_NAME": 7\n}')
    with pytest.raises(WorkspaceError, match=r"line 2: ACA_APP_NAME"):
        read_config(workspace)


@pytest.mark.parametrize(
    ("encoding", "named", "line"),
    [("windows-1252", "windows-1252", 3), ("utf-16", "UTF-16", 1), ("utf-16-le", "UTF-16", 1)],
)
def test_a_file_in_another_encoding_is_named_with_it(
    workspace: Workspace, encoding: str, named: str, line: int
) -> None:
    workspace.parameters_file.parent.mkdir(parents=True, exist_ok=True)
    text = '{\n  "parameters": {\n    "acaAppName": { "value": "für" }\n  }\n}'
    workspace.parameters_file.write_bytes(text.encode(encoding))
    with pytest.raises(WorkspaceError) as error:
        read_parameters(workspace)
    assert error.value.code == "NotUtf8"
    assert f"inference.parameters.json is not UTF-8: line {line} reads like {named}" in str(error.value)
    workspace.parameters_file.write_bytes(text.encode("utf-8-sig"))
    assert read_parameters(workspace).values == {"acaAppName": "für"}


def test_a_parameters_file_from_the_field_is_named_with_its_encoding(workspace: Workspace) -> None:
    case = Path(__file__).resolve().parents[4] / "shared" / "cases" / "cloud" / "parameters-windows-1252.json"
    if not case.exists():
        pytest.skip(f"no cases of the field at {case.parent}")
    workspace.parameters_file.parent.mkdir(parents=True, exist_ok=True)
    workspace.parameters_file.write_bytes(case.read_bytes())
    with pytest.raises(WorkspaceError, match="reads like windows-1252"):
        read_parameters(workspace)


def test_a_file_that_can_not_be_read_is_named(workspace: Workspace) -> None:
    workspace.config_file.mkdir()  # a folder: even root can't read it as a file
    with pytest.raises(WorkspaceError, match=r"inference\.config\.json can't be read") as error:
        read_config(workspace)
    assert error.value.code == "Unreadable"


def test_the_project_id_is_kept_once_and_other_keys_of_its_file_stay(workspace: Workspace) -> None:
    assert known_project_id(workspace) is None
    (workspace.infra / "slipway.json").write_text('{"note": 1}')
    keep_project_id(workspace, "first")
    keep_project_id(workspace, "second")
    assert known_project_id(workspace) == "first"
    assert json.loads((workspace.infra / "slipway.json").read_text())["note"] == 1


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_atomically(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(file, "\ud800")
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
    assert file.read_text() == "old"


def test_a_choice_that_differs_from_fine_tunings_is_warned_of(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.infra.mkdir()
    (workspace.infra / "finetuning.config.json").write_text('{"SUBSCRIPTION_ID": "A", "RESOURCE_GROUP_NAME": "g"}')
    assert differences(workspace, Request("a", "t", "G", (), {})) == []
    (text,) = differences(workspace, Request("a", "t", "other", (), {}))
    assert "resource group g, this is other" in str(text)
