"""Decisions of *Provision*, as pure functions: what is created, what is referred to, what is changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from sidecar.core.deployment import GroupFacts, Template, plan_names, referring
from sidecar.decisions.app_changes import Standing, app_change
from sidecar.decisions.profiles import Wanted, missing_profile, profile_in, wanted_profile
from sidecar.decisions.provisioning import (
    Existing,
    Keys,
    app_again,
    decisions,
    environment_again,
    refuse_foreign,
    refuse_unusable,
    to_refer_to,
    whose,
)
from sidecar.gateway.apps import App, Environment, Mounted
from sidecar.words.errors import CloudError, Conflict
from tests.support.bicep_text import compile_bicep

ROOT = Path(__file__).resolve().parents[3]


def compiled(source: str) -> Template:
    return cast("Template", compile_bicep(source))


TEMPLATE = compiled((ROOT / "infra" / "provision" / "inference.bicep").read_text(encoding="utf-8"))
GROUP = GroupFacts("s", "t", "g", "/subscriptions/s/resourceGroups/g", "westeurope")
PLANNED = plan_names(TEMPLATE, {}, GROUP)
EVERYTHING = frozenset(each.key for each in PLANNED.resources)
ENVIRONMENT = Environment(
    "id",
    "northeurope",
    "Succeeded",
    (
        {"name": "Consumption", "workloadProfileType": "Consumption"},
        {"name": "t4", "workloadProfileType": "Consumption-GPU-NC8as-T4"},
    ),
)


def app(state: str = "Succeeded", revision: str | None = "r", **tags: str) -> App:
    return App("app", "f", revision, "Multiple", (), {}, {}, tags, state=state)


def existing(environment: Environment | None = None, found: App | None = None) -> Existing:
    keys = EVERYTHING if environment is not None else frozenset[str]()
    return Existing(keys - {"app"}, None if environment is None else True, environment, None, found)


def stating(**values: str) -> dict[str, dict[str, object]]:
    return {name: {"value": value} for name, value in values.items()}


def decided(found: Existing, stated: dict[str, dict[str, object]] | None = None) -> dict[str, object]:
    return decisions(
        TEMPLATE, PLANNED, found, wanted_profile(TEMPLATE, PLANNED, stated or {}), "project", Keys("key", "other")
    )


def test_what_exists_is_referred_to_and_never_rewritten() -> None:
    ours = decided(existing(ENVIRONMENT))
    assert {name: value for name, value in ours.items() if name.startswith("create")} == {
        "createStorageAccount": False,
        "createFileShare": False,
        "createLogAnalytics": False,
        "createEnvironment": False,
        "createEnvironmentStorage": False,
        "createApp": True,
    }
    assert ours["location"] == "northeurope"
    assert ours["gpuProfileName"] == "t4"


def test_nothing_there_means_everything_is_created() -> None:
    ours = decided(existing())
    assert all(value for name, value in ours.items() if name.startswith("create"))
    assert (ours["projectId"], ours["apiKey"]) == ("project", "key")


def test_a_new_environment_beside_an_existing_log_analytics_workspace_refers_to_it() -> None:
    ours = decided(Existing(frozenset({"logs"}), None, None, None, None))
    assert (ours["createEnvironment"], ours["createLogAnalytics"]) == (True, False)
    assert decided(replace(existing(ENVIRONMENT), keys=EVERYTHING - {"logs"}))["createLogAnalytics"] is False, (
        "an environment that exists has its logs where its owner wants them: nobody asks for another workspace"
    )


def test_decisions_are_pure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same facts give the same decisions, and nothing is written, wherever it runs."""
    monkeypatch.chdir(tmp_path)
    first, second = (decided(existing(ENVIRONMENT)) for _ in range(2))
    assert first == second
    assert list(tmp_path.rglob("*")) == []


def test_parameters_that_an_edited_template_does_not_have_are_left_out() -> None:
    template: Template = {"parameters": {"apiKey": {}}}
    newer: Template = {"parameters": {"apiKey": {}, "deployKey": {}}}
    both = decisions(newer, PLANNED, existing(), None, "project", Keys("key", "other"))
    assert both == {"apiKey": "key", "deployKey": "other"}  # who holds the one can't present the other
    assert decisions(template, PLANNED, existing(), None, "project", Keys("key", "other")) == {"apiKey": "key"}


TOOLKIT = """
param acaEnvironmentName string = 'env'
resource account 'Microsoft.Storage/storageAccounts@2023-01-01' = {
  name: 'account'
  location: 'westeurope'
}
resource environment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: acaEnvironmentName
  properties: {
    workloadProfiles: [
      { name: 'Consumption', workloadProfileType: 'Consumption' }
      { name: 'GPU', workloadProfileType: 'Consumption-GPU-NC24-A100' }
    ]
  }
}
resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: 'app'
  properties: {
    environmentId: environment.id
    workloadProfileName: 'GPU'
    template: {
      containers: [
        { name: 'one', image: 'i', env: [ { name: 'KEY', value: account.listKeys().keys[0].value } ] }
      ]
    }
  }
  dependsOn: [ account ]
}
output ACA_APP_ENDPOINT string = app.properties.configuration.ingress.fqdn
"""


def test_a_template_without_our_switches_refers_to_what_exists() -> None:
    """AI Toolkit's own templates state every resource: a PUT over them would drop their owners' settings."""
    template = compiled(TOOLKIT)
    planned = plan_names(template, {}, GROUP)
    found = replace(existing(ENVIRONMENT), keys=frozenset({"account", "environment"}))
    assert to_refer_to(planned, found) == {"account": "account", "environment": "env"}
    referred = referring(template, to_refer_to(planned, found))
    resources = referred["resources"]
    assert isinstance(resources, dict)
    assert resources["environment"] == {
        "existing": True,
        "type": "Microsoft.App/managedEnvironments",
        "apiVersion": "2024-03-01",
        "name": "[parameters('acaEnvironmentName')]",
    }
    assert resources["app"]["dependsOn"] == []
    assert to_refer_to(PLANNED, replace(existing(ENVIRONMENT), keys=EVERYTHING)) == {}, "ours has its switches"


def test_a_plain_list_of_resources_switches_off_what_exists() -> None:
    """Templates of the older language version know no existing resources."""
    one = {"type": "Microsoft.Storage/storageAccounts", "apiVersion": "2023-01-01", "name": "a"}
    template: Template = {"resources": [one, {**one, "name": "b"}]}
    assert [each.get("condition") for each in referring(template, {"1": "b"})["resources"]] == [None, False]  # type: ignore[union-attr]


def test_the_wanted_profile_is_the_deployed_templates() -> None:
    template = compiled(TOOLKIT)
    planned = plan_names(template, {}, GROUP)
    wanted = wanted_profile(template, planned, {})
    assert wanted == Wanted("Consumption-GPU-NC24-A100", "GPU", fixed=True)
    assert wanted is not None
    assert profile_in(BOTH, wanted) == "GPU"
    assert profile_in(ENVIRONMENT, wanted) is None
    assert missing_profile(ENVIRONMENT, wanted, "env") == {
        "name": "GPU", "workloadProfileType": "Consumption-GPU-NC24-A100",
    }  # fmt: skip


def test_a_profiles_name_that_stands_in_the_template_is_used_as_it_is_found() -> None:
    """Nothing that could be stated would lead elsewhere, and the environment is not rewritten."""
    wanted = Wanted("NC24-A100", "GPU", fixed=True)
    assert profile_in(BOTH, wanted) == "GPU"
    assert profile_in(BOTH, Wanted("NC24-A100", "GPU")) is None
    with pytest.raises(CloudError) as error:
        missing_profile(BOTH, Wanted(None, "other", fixed=True), "env")
    assert error.value.code == "ProfileMissing"


def test_values_that_only_azure_knows_are_left_out_of_the_planned_app() -> None:
    planned = plan_names(compiled(TOOLKIT), {}, GROUP)
    assert planned.app_template == {"containers": [{"name": "one", "image": "i", "env": [{"name": "KEY"}]}]}


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
    assert decided(existing(BOTH), stated)["gpuProfileName"] == used


def test_a_profiles_name_that_another_type_has_is_refused() -> None:
    stated = stating(gpuProfileName="T4", gpuProfileType="Consumption-GPU-NC24-A100")
    wanted = wanted_profile(TEMPLATE, PLANNED, stated)
    assert wanted is not None
    assert profile_in(BOTH, wanted) is None
    with pytest.raises(CloudError, match=r"profile T4 already, of the type Consumption-GPU-NC8as-T4") as error:
        missing_profile(BOTH, wanted, "env")
    assert error.value.code == "ProfileNameTaken"


def test_the_gpu_profile_is_found_by_type_whatever_its_casing() -> None:
    assert profile_in(ENVIRONMENT, Wanted("consumption-gpu-nc8as-t4", None)) == "t4"
    assert profile_in(ENVIRONMENT, Wanted("Consumption-GPU-NC24-A100", None)) is None
    assert profile_in(ENVIRONMENT, Wanted("Consumption-GPU-NC8as-T4", "other")) is None


def test_another_projects_app_is_not_overwritten() -> None:
    refuse_foreign(app(), None)
    refuse_foreign(app(**{"slipway-project": "ours"}), "ours")
    with pytest.raises(Conflict, match="another project") as error:
        refuse_foreign(app(**{"slipway-project": "theirs"}), "ours")
    assert "acaAppName" in str(error.value.suggestion)
    assert "commit that file" in str(error.value.suggestion)


def test_a_clone_whose_configuration_names_the_app_is_the_same_project() -> None:
    tagged = app(**{"slipway-project": "theirs"})
    assert whose(None, "APP", tagged) == "theirs"
    assert whose(None, "another", tagged) is None
    assert whose("ours", "app", tagged) == "ours", "a project that has an id is never another one"


def test_a_storage_of_that_name_for_another_share_stops_before_anything_is_made() -> None:
    names = PLANNED.names
    account = names["microsoft.storage/storageaccounts"]
    share = names["microsoft.storage/storageaccounts/fileservices/shares"].rpartition("/")[2]
    refuse_unusable(PLANNED, replace(existing(ENVIRONMENT), environment_storage=Mounted(account.upper(), share)))
    for mounted in (Mounted(account, "othershare"), Mounted("other", share), Mounted("", "")):
        with pytest.raises(Conflict, match="another share") as error:
            refuse_unusable(PLANNED, replace(existing(ENVIRONMENT), environment_storage=mounted))
        assert error.value.code == "StorageOfAnotherShare"


def test_an_account_that_forbids_its_key_stops_before_anything_is_made() -> None:
    with pytest.raises(CloudError, match="allowSharedKeyAccess is false") as error:
        refuse_unusable(PLANNED, replace(existing(ENVIRONMENT), takes_keys=False))
    assert "--allow-shared-key-access true" in str(error.value.suggestion)


def test_a_failed_environment_is_made_anew_only_where_nothing_lives_in_it() -> None:
    failed = replace(ENVIRONMENT, state="Failed")
    assert environment_again(failed, "env", [])
    assert not environment_again(ENVIRONMENT, "env", ["app"])
    with pytest.raises(CloudError, match=r"env is in the state Failed, and holds job, other") as error:
        environment_again(failed, "env", ["other", "job"])
    assert error.value.code == "EnvironmentFailed"


@pytest.mark.fact(27)
def test_a_failed_app_is_made_anew_only_without_a_revision_and_where_it_is_ours() -> None:
    ours = {"slipway-project": "ours"}
    assert app_again(app("Failed", None, **ours), "ours")
    assert not app_again(app("Failed", "r", **ours), "ours"), "a change that failed left the revisions before it"
    assert not app_again(app("Succeeded", None, **ours), "ours")
    for tags in ({}, {"slipway-project": "theirs"}):
        with pytest.raises(CloudError) as error:
            app_again(app("Failed", None, **tags), "ours")
        assert error.value.code == "AppFailed"


OURS = [{"name": "SLIPWAY_APP", "value": "app"}, {"name": "SLIPWAY_RELEASE", "value": "current"}]
ACTUAL = {
    "containers": [
        {
            "name": "inference",
            "args": ["set -e\nold"],
            "command": ["c"],
            "image": "mine",
            "env": [*OURS, {"name": "SLIPWAY_BASE_MODEL", "value": ""}, {"name": "K", "secretRef": "k"}],
            "resources": {"cpu": 8.0, "memory": "56Gi"},
        }
    ],
    "scale": {"minReplicas": 0, "maxReplicas": 1, "rules": [1]},
    "volumes": [2],
}
WANTED = {
    "containers": [
        {
            "name": "inference", "args": ["set -e\nnew"], "command": ["d"], "image": "theirs", "env": OURS,
            "resources": {"cpu": 24, "memory": "220Gi"},
        }
    ],
    "scale": {"maxReplicas": 2, "cooldownPeriod": 300},
}  # fmt: skip
ON_T4 = Standing("Consumption-GPU-NC8as-T4")


def test_what_the_parameters_state_and_differs_is_changed_and_nothing_else() -> None:
    change = app_change("app", ACTUAL, ON_T4, WANTED, {"defaultCommands": ["new"], "maximumInstanceCount": 2})
    assert change.template["containers"][0] == {
        **ACTUAL["containers"][0], "args": ["set -e\nnew"], "command": ["d"],  # type: ignore[dict-item]
    }  # fmt: skip
    assert change.template["scale"] == {"minReplicas": 0, "maxReplicas": 2, "rules": [1]}
    assert change.template["volumes"] == [2]
    assert [str(each) for each in change.texts] == [
        "The start commands change to what defaultCommands states.",
        "maxReplicas changes from 1 to 2.",
    ]
    assert change.notes == ()


def test_nothing_stated_or_nothing_different_changes_nothing() -> None:
    assert app_change("app", ACTUAL, ON_T4, WANTED, {}).texts == ()
    stated: dict[str, object] = {
        "defaultCommands": ["old"], "image": "mine", "maximumInstanceCount": 1, "cpu": "8", "memory": "56Gi",
        "gpuProfileType": str(ON_T4.kind).lower(), "baseModel": "",
    }  # fmt: skip
    change = app_change("app", ACTUAL, ON_T4, ACTUAL, stated)
    assert (change.texts, change.notes) == ((), ())


def test_base_model_cores_and_memory_that_are_stated_are_applied() -> None:
    """They used to be said only; before that they were called "as the parameters state it"."""
    stated: dict[str, object] = {"baseModel": "acme/base", "cpu": "24", "memory": "220Gi"}
    change = app_change("app", ACTUAL, ON_T4, WANTED, stated)
    (container,) = change.template["containers"]
    assert container["resources"] == {"cpu": 24, "memory": "220Gi"}
    assert container["env"] == [
        *OURS,
        {"name": "SLIPWAY_BASE_MODEL", "value": "acme/base"},
        {"name": "K", "secretRef": "k"},
    ]
    assert [str(each) for each in change.texts] == [
        "The base model changes from “” to acme/base.", "cpu changes from 8.0 to 24.", "memory changes from 56Gi to 220Gi.",
    ]  # fmt: skip
    assert change.notes == ()
    assert ACTUAL["containers"][0]["env"][2]["value"] == "", "what was read stays as it was read"  # type: ignore[index]
    without = {**ACTUAL, "containers": [{**ACTUAL["containers"][0], "env": OURS}]}  # type: ignore[dict-item]
    (container,) = app_change("app", without, ON_T4, WANTED, {"baseModel": "acme/base"}).template["containers"]
    assert container["env"] == [*OURS, {"name": "SLIPWAY_BASE_MODEL", "value": "acme/base"}]


def test_another_profile_is_not_applied_and_what_was_stated_for_it_neither() -> None:
    """Cores of an A100's profile would be refused on a T4's."""
    stated: dict[str, object] = {
        "baseModel": "acme/base", "cpu": "24", "memory": "220Gi", "gpuProfileType": "Consumption-GPU-NC24-A100",
    }  # fmt: skip
    change = app_change("app", ACTUAL, ON_T4, WANTED, stated)
    assert [str(each) for each in change.texts] == ["The base model changes from “” to acme/base."]
    assert [str(each).split(": ")[1].split(" ")[0] for each in change.notes] == ["cpu", "memory", "gpuProfileType"]


def test_an_app_of_another_template_is_left_alone_with_a_word() -> None:
    """Our start command without its variables would end with KeyError, where AI Toolkit's app worked."""
    theirs = {**ACTUAL, "containers": [{**ACTUAL["containers"][0], "env": []}]}  # type: ignore[dict-item]
    change = app_change("app", theirs, Standing(), WANTED, {"defaultCommands": ["new"], "image": "theirs", "cpu": "24"})
    assert (change.template, change.texts, change.alone) == (theirs, (), True)
    assert "was not made by Slipway's template: it stays as it is" in str(change.notes[0])
    (note,) = app_change("app", ACTUAL, Standing(), theirs, {"image": "theirs"}).notes
    assert "this project has another" in str(note)


def test_commands_of_a_template_without_releases_change_in_their_own_form() -> None:
    one = {"name": "one", "command": ["/bin/bash", "-c", "old"], "image": "i"}
    wanted = {"containers": [{**one, "command": ["/bin/bash", "-c", "new"]}]}
    change = app_change("app", {"containers": [one]}, Standing(), wanted, {"defaultCommands": ["new"]})
    assert change.template["containers"] == wanted["containers"]
