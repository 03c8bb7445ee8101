"""Decisions of *Provision*, as pure functions: rows 15 and 16."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.errors import Conflict
from sidecar.gateway.apps import App, Environment
from sidecar.provision import Existing, Request, app_changes, decisions, differences, profile_in, refuse_foreign
from sidecar.template import Planned
from sidecar.workspace import Workspace, project_id

TEMPLATE: dict[str, object] = {
    "parameters": {
        name: {}
        for name in (
            "createStorageAccount", "createFileShare", "createEnvironment", "createEnvironmentStorage", "createApp",
            "projectId", "apiKey", "location", "gpuProfileName",
        )
    }
}  # fmt: skip
ENVIRONMENT = Environment(
    "id",
    "northeurope",
    "Succeeded",
    (
        {"name": "Consumption", "workloadProfileType": "Consumption"},
        {"name": "t4", "workloadProfileType": "Consumption-GPU-NC8as-T4"},
    ),
)
PLANNED = Planned({"microsoft.app/containerapps": "app"}, None, "westeurope")


def app(**tags: str) -> App:
    return App("id", "app", "Succeeded", "f", "e", "r", "r", "Multiple", (), {}, {}, (), (), (), "image", 1, tags, 7860)


def existing(environment: Environment | None = None, found: App | None = None) -> Existing:
    return Existing(environment is not None, environment is not None, environment, environment is not None, found)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_row_15_what_exists_is_referred_to_and_never_rewritten(workspace: Workspace) -> None:
    ours = decisions(TEMPLATE, existing(ENVIRONMENT), PLANNED, workspace)
    assert {name: value for name, value in ours.items() if name.startswith("create")} == {
        "createStorageAccount": False,
        "createFileShare": False,
        "createEnvironment": False,
        "createEnvironmentStorage": False,
        "createApp": True,
    }
    assert ours["location"] == "northeurope"
    assert ours["gpuProfileName"] == "t4"


def test_nothing_there_means_everything_is_created_with_a_fresh_key_each_time(workspace: Workspace) -> None:
    first, second = (decisions(TEMPLATE, existing(), PLANNED, workspace) for _ in range(2))
    assert all(value for name, value in first.items() if name.startswith("create"))
    assert len(str(first["apiKey"])) >= 32
    assert first["apiKey"] != second["apiKey"]
    assert first["projectId"] == second["projectId"]


def test_parameters_that_an_edited_template_does_not_have_are_left_out(workspace: Workspace) -> None:
    assert decisions({"parameters": {"apiKey": {}}}, existing(), PLANNED, workspace).keys() == {"apiKey"}


def test_another_projects_app_is_not_overwritten(workspace: Workspace) -> None:
    refuse_foreign(existing(found=app()), PLANNED, workspace)
    refuse_foreign(existing(found=app(**{"slipway-project": project_id(workspace)})), PLANNED, workspace)
    with pytest.raises(Conflict, match="another project") as error:
        refuse_foreign(existing(found=app(**{"slipway-project": "theirs"})), PLANNED, workspace)
    assert "acaAppName" in str(error.value.suggestion)


def test_the_gpu_profile_is_found_by_type_whatever_its_casing() -> None:
    assert profile_in(ENVIRONMENT, {"gpuProfileType": {"value": "consumption-gpu-nc8as-t4"}}) == "t4"
    assert profile_in(ENVIRONMENT, {"gpuProfileType": {"value": "Consumption-GPU-NC24-A100"}}) is None


ACTUAL = {
    "containers": [
        {"name": "inference", "args": ["set -e\nold"], "command": ["c"], "image": "mine", "env": [{"name": "K"}]}
    ],
    "scale": {"minReplicas": 0, "maxReplicas": 1, "rules": [1]},
    "volumes": [2],
}
WANTED = {
    "containers": [{"name": "inference", "args": ["set -e\nnew"], "command": ["d"], "image": "theirs"}],
    "scale": {"maxReplicas": 2, "cooldownPeriod": 300},
}


def test_row_16_what_the_parameters_state_and_differs_is_changed_and_nothing_else() -> None:
    changed, texts = app_changes(ACTUAL, WANTED, {"defaultCommands": ["new"], "maximumInstanceCount": 2})
    assert changed["containers"][0] == {
        "name": "inference", "args": ["set -e\nnew"], "command": ["d"], "image": "mine", "env": [{"name": "K"}],
    }  # fmt: skip
    assert changed["scale"] == {"minReplicas": 0, "maxReplicas": 2, "rules": [1]}
    assert changed["volumes"] == [2]
    assert [str(each) for each in texts] == [
        "The start commands change to what defaultCommands states.",
        "maxReplicas changes from 1 to 2.",
    ]


def test_row_16_nothing_stated_or_nothing_different_changes_nothing() -> None:
    assert app_changes(ACTUAL, WANTED, {})[1] == []
    assert (
        app_changes(ACTUAL, ACTUAL, {"defaultCommands": ["old"], "image": "mine", "maximumInstanceCount": 1})[1] == []
    )


def test_row_3_a_choice_that_differs_from_fine_tunings_is_warned_of(workspace: Workspace) -> None:
    workspace.infra.mkdir()
    (workspace.infra / "finetuning.config.json").write_text('{"SUBSCRIPTION_ID": "A", "RESOURCE_GROUP_NAME": "g"}')
    assert differences(workspace, Request("a", "t", "G", (), {})) == []
    (text,) = differences(workspace, Request("a", "t", "other", (), {}))
    assert "resource group g, this is other" in str(text)
