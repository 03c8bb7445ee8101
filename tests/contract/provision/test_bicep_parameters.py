"""Parameters in Bicep's language, through to the local cloud: what is read of the environment is in no file or log of ours."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.journal import Event, Journal
from sidecar.gateway.session import settings_from
from sidecar.wire import protocol as wire
from sidecar.words.errors import SlipwayError, WorkspaceError
from sidecar.workflows.actions import plan_action, preflight_action, provision_action
from sidecar.workflows.context import Context
from sidecar.workflows.provision import provision
from tests.contract.provision.conftest import Project

VAULT = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv"
APP = "Microsoft.App/containerApps"
SECRETS = {
    "SECRET_NOTE": "note-of-the-environment-ä",
    "SECRET_KEY": "key-of-the-environment",
    "SECRET_MODEL": "org/secret-model",
}
STATED = """using 'inference.bicep'
param note = readEnvironmentVariable('SECRET_NOTE')
param apiKey = readEnvironmentVariable('SECRET_KEY')
param baseModel = readEnvironmentVariable('SECRET_MODEL')
param cooldownSeconds = int(readEnvironmentVariable('COOLDOWN', '120'))
"""


def context(project: Project, state: Path, heard: list[str], environ: dict[str, str]) -> Context:
    settings = settings_from({"SLIPWAY_LOCAL_STATE": str(project.world.state), "SLIPWAY_STATE": str(state), **environ})
    return Context(settings, lambda event: heard.append(_said(event)), threading.Event())


def _said(event: Event) -> str:
    return f"{event.text} {event.text.written()}"


def asked(project: Project) -> dict[str, str]:
    return {
        "folder": str(project.workspace.folder),
        "cloud": "local",
        "subscriptionId": project.world.subscription,
        "resourceGroup": project.group,
        "operation": "o",
    }


def state_in_bicep(project: Project, text: str) -> None:
    project.workspace.parameters_file.unlink()
    (project.workspace.infra / "provision" / "main.bicepparam").write_text(text, encoding="utf-8")


def everything(*folders: Path) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file():
                yield file, file.read_text(encoding="utf-8", errors="replace")


def test_what_is_read_of_the_environment_is_in_no_file_log_plan_or_digest(project: Project, tmp_path: Path) -> None:
    shipped = project.workspace.bicep_file.read_text(encoding="utf-8")
    added = "            {\n              name: 'NOTE'\n              value: note\n            }\n"
    shipped = shipped.replace("          env: [\n", f"          env: [\n{added}", 1)
    project.template(shipped.replace("param image string", "param note string\nparam image string", 1))
    state_in_bicep(project, STATED)
    heard: list[str] = []
    state = tmp_path / "state"
    here = context(project, state, heard, SECRETS)
    checked = preflight_action(wire.PreflightParams.model_validate(asked(project)), here)
    plan = plan_action(wire.PlanParams.model_validate({**asked(project), "raw": True}), here)
    other = plan_action(
        wire.PlanParams.model_validate({**asked(project), "raw": False}),
        context(project, state, heard, {**SECRETS, "SECRET_NOTE": "another-note-of-somebody"}),
    )
    assert plan.digest == other.digest
    params = {**asked(project), "consents": [], "digest": plan.digest, "begins": True}
    provision_action(wire.ProvisionParams.model_validate(params), here)
    (app,) = project.names(APP)
    found = project.world.apps.container_apps.get(project.group, app)
    (container,) = found.properties.template.containers
    env = {each.name: each.value for each in container.env}
    assert (env["NOTE"], env["SLIPWAY_BASE_MODEL"]) == (SECRETS["SECRET_NOTE"], SECRETS["SECRET_MODEL"])
    assert found.properties.template.scale.cooldown_period == 120
    again = {**SECRETS, "SECRET_MODEL": "org/other-secret-model"}
    changed = plan_action(
        wire.PlanParams.model_validate({**asked(project), "raw": False}), context(project, state, heard, again)
    )
    assert "‹SECRET_MODEL›" in changed.model_dump_json()
    told = [each.model_dump_json() for each in (checked, plan, other, changed)]
    values = [*SECRETS.values(), *again.values()]
    for value in values:
        assert not [each for each in (*heard, *told) if value in each], value
        assert not [file for file, text in everything(project.workspace.folder, state) if value in text], value
    assert list(everything(state)), "the run has left its journal"


def test_a_vault_s_secret_is_refused_before_anything_is_made(project: Project, tmp_path: Path) -> None:
    vault = "az.getSecret('11111111-2222-3333-4444-555555555555', 'rg', 'kv', 'key')"
    state_in_bicep(project, f"using 'inference.bicep'\n\nparam hubToken = {vault}\n")
    here = context(project, tmp_path / "state", [], {})
    with pytest.raises(WorkspaceError, match=r"main\.bicepparam:3: hubToken is a secret of a key vault, .* can't read"):
        plan_action(wire.PlanParams.model_validate({**asked(project), "raw": False}), here)
    params = {**asked(project), "consents": [], "digest": None, "begins": True}
    with pytest.raises(WorkspaceError, match="hubToken is a secret of a key vault"):
        provision_action(wire.ProvisionParams.model_validate(params), here)
    assert list(project.world.groups.resources.list_by_resource_group(project.group)) == []


def test_a_vault_s_secret_of_a_json_file_is_refused_the_same_with_its_place(project: Project, tmp_path: Path) -> None:
    reference = {"keyVault": {"id": VAULT}, "secretName": "key"}
    stated = json.dumps({"parameters": {"hubToken": {"reference": reference}}}, indent=1)
    project.workspace.parameters_file.write_text(stated, encoding="utf-8")
    here = context(project, tmp_path / "state", [], {})
    with pytest.raises(
        WorkspaceError, match=r"parameters\.json:3: hubToken is a secret of a key vault, .* can't"
    ) as error:
        plan_action(wire.PlanParams.model_validate({**asked(project), "raw": False}), here)
    assert [(each.file, each.line) for each in error.value.problems] == [(str(project.workspace.parameters_file), 3)]


@pytest.mark.parametrize("in_bicep", [True, False])
def test_a_vault_s_secret_reaches_arm_as_a_reference(project: Project, in_bicep: bool) -> None:
    """As in Azure, to a cloud that has no vaults: its own refusal of the reference tells that it came, and nothing is made."""
    if in_bicep:
        vault = f"az.getSecret('{VAULT.split('/')[2]}', 'rg', 'kv', 'key')"
        state_in_bicep(project, f"using 'inference.bicep'\nparam hubToken = {vault}\n")
    else:
        entry = {"reference": {"keyVault": {"id": VAULT}, "secretName": "key"}}
        project.workspace.parameters_file.write_text(json.dumps({"parameters": {"hubToken": entry}}), encoding="utf-8")
    session = project.session
    azure = replace(session, profile=replace(session.profile, vaults=True))
    journal = Journal(None, "", lambda event: project.hear(event.text), project.stop)
    with pytest.raises(SlipwayError, match="key vault reference of 'hubToken' can't be read"):
        provision(project.workspace, azure, project.request(), journal)
    assert list(project.world.groups.resources.list_by_resource_group(project.group)) == []


def test_a_short_value_is_in_no_plan_or_digest_either(project: Project, tmp_path: Path) -> None:
    state_in_bicep(
        project, "using 'inference.bicep'\nparam cooldownSeconds = int(readEnvironmentVariable('COOLDOWN'))\n"
    )
    heard: list[str] = []
    plans = [
        plan_action(
            wire.PlanParams.model_validate({**asked(project), "raw": False}),
            context(project, tmp_path / "state", heard, {"COOLDOWN": seconds}),
        )
        for seconds in ("305", "306")
    ]
    assert plans[0].digest == plans[1].digest
    for seconds, plan in zip(("305", "306"), plans, strict=True):
        assert not [each for each in (*heard, plan.model_dump_json()) if re.search(rf"\b{seconds}\b", each)]
    assert "{seconds} s without" in plans[0].model_dump_json(), "the sentence that has it is there"
    assert "‹COOLDOWN›" in plans[0].model_dump_json()


@pytest.mark.parametrize("value", [SECRETS["SECRET_KEY"], "k3y"])
def test_a_refusal_that_names_a_value_of_the_environment_does_not(project: Project, tmp_path: Path, value: str) -> None:
    state_in_bicep(project, "using 'inference.bicep'\nparam gpuProfileType = readEnvironmentVariable('SECRET_KEY')\n")
    here = context(project, tmp_path / "state", [], {"SECRET_KEY": value})
    with pytest.raises(SlipwayError, match="gpuProfileType can't be ‹SECRET_KEY›") as error:
        plan_action(wire.PlanParams.model_validate({**asked(project), "raw": False}), here)
    assert value not in f"{error.value}{error.value.detail}{error.value.problems}"
