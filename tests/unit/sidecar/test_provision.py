"""Decisions of *Provision*, as pure functions: what is created, what is referred to, what is changed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from sidecar.armlang.deployment import Planned
from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, project_id
from sidecar.gateway.apps import App, Environment
from sidecar.words.errors import CloudError, Conflict
from sidecar.workflows.provision import (
    GPU_CONSENT,
    Existing,
    Request,
    app_changes,
    decisions,
    differences,
    prepare_environment,
    profile_in,
    refuse_foreign,
)

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
    return App("app", "f", "r", "Multiple", (), {}, {}, tags)


def existing(environment: Environment | None = None, found: App | None = None) -> Existing:
    return Existing(environment is not None, environment is not None, environment, environment is not None, found)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def stating(**values: str) -> dict[str, dict[str, object]]:
    return {name: {"value": value} for name, value in values.items()}


def test_what_exists_is_referred_to_and_never_rewritten() -> None:
    ours = decisions(TEMPLATE, existing(ENVIRONMENT), {}, "project", "key")
    assert {name: value for name, value in ours.items() if name.startswith("create")} == {
        "createStorageAccount": False,
        "createFileShare": False,
        "createEnvironment": False,
        "createEnvironmentStorage": False,
        "createApp": True,
    }
    assert ours["location"] == "northeurope"
    assert ours["gpuProfileName"] == "t4"


def test_nothing_there_means_everything_is_created() -> None:
    ours = decisions(TEMPLATE, existing(), {}, "project", "key")
    assert all(value for name, value in ours.items() if name.startswith("create"))
    assert (ours["projectId"], ours["apiKey"]) == ("project", "key")


def test_decisions_are_pure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same facts give the same decisions, and nothing is written, wherever it runs."""
    monkeypatch.chdir(tmp_path)
    first, second = (decisions(TEMPLATE, existing(ENVIRONMENT), {}, "project", "key") for _ in range(2))
    assert first == second
    assert list(tmp_path.rglob("*")) == []


def test_parameters_that_an_edited_template_does_not_have_are_left_out() -> None:
    assert decisions({"parameters": {"apiKey": {}}}, existing(), {}, "project", "key") == {"apiKey": "key"}


BOTH = Environment(
    "id",
    "northeurope",
    "Succeeded",
    (
        {"name": "t4", "workloadProfileType": "Consumption-GPU-NC8as-T4"},
        {"name": "GPU", "workloadProfileType": "Consumption-GPU-NC24-A100"},
        {"name": "second", "workloadProfileType": "Consumption-GPU-NC24-A100"},
    ),
)


@pytest.mark.parametrize(
    ("stated", "used"),
    [
        (stating(), "t4"),
        (stating(gpuProfileType="Consumption-GPU-NC8as-T4"), "t4"),
        (stating(gpuProfileType="Consumption-GPU-NC24-A100"), "GPU"),
        (stating(gpuProfileType="Consumption-GPU-NC24-A100", gpuProfileName="second"), "second"),
    ],
)
def test_the_stated_gpu_profile_is_the_one_that_is_used(stated: dict[str, dict[str, object]], used: str) -> None:
    assert decisions(TEMPLATE, existing(BOTH), stated, "project", "key")["gpuProfileName"] == used


def test_a_profiles_name_that_another_type_has_is_refused_before_anything_is_asked_for(tmp_path: Path) -> None:
    nobody: Any = None  # no cloud is asked
    journal = Journal(tmp_path / "journal", "test", lambda _: None, threading.Event())
    planned = Planned({"microsoft.app/managedenvironments": "env"}, None, "westeurope")
    wanted = stating(gpuProfileName="T4", gpuProfileType="Consumption-GPU-NC24-A100")
    with pytest.raises(CloudError, match=r"profile T4 already, of the type Consumption-GPU-NC8as-T4") as error:
        prepare_environment(nobody, (GPU_CONSENT,), planned, existing(BOTH), wanted, journal)
    assert error.value.code == "ProfileNameTaken"


def test_another_projects_app_is_not_overwritten(workspace: Workspace) -> None:
    refuse_foreign(existing(found=app()), PLANNED, workspace)
    refuse_foreign(existing(found=app(**{"slipway-project": project_id(workspace)})), PLANNED, workspace)
    with pytest.raises(Conflict, match="another project") as error:
        refuse_foreign(existing(found=app(**{"slipway-project": "theirs"})), PLANNED, workspace)
    assert "acaAppName" in str(error.value.suggestion)


def test_the_gpu_profile_is_found_by_type_whatever_its_casing() -> None:
    assert profile_in(ENVIRONMENT, {"gpuProfileType": {"value": "consumption-gpu-nc8as-t4"}}) == "t4"
    assert profile_in(ENVIRONMENT, {"gpuProfileType": {"value": "Consumption-GPU-NC24-A100"}}) is None
    assert profile_in(ENVIRONMENT, stating(gpuProfileName="other")) is None


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


def test_what_the_parameters_state_and_differs_is_changed_and_nothing_else() -> None:
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


def test_nothing_stated_or_nothing_different_changes_nothing() -> None:
    assert app_changes(ACTUAL, WANTED, {})[1] == []
    assert (
        app_changes(ACTUAL, ACTUAL, {"defaultCommands": ["old"], "image": "mine", "maximumInstanceCount": 1})[1] == []
    )


def test_a_choice_that_differs_from_fine_tunings_is_warned_of(workspace: Workspace) -> None:
    workspace.infra.mkdir()
    (workspace.infra / "finetuning.config.json").write_text('{"SUBSCRIPTION_ID": "A", "RESOURCE_GROUP_NAME": "g"}')
    assert differences(workspace, Request("a", "t", "G", (), {})) == []
    (text,) = differences(workspace, Request("a", "t", "other", (), {}))
    assert "resource group g, this is other" in str(text)
