"""The set-up checked through Microsoft's SDKs, before anything is made: what arrives where it is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.journal import Journal
from sidecar.decisions.checks import Check
from sidecar.doors import terminal_preflight
from sidecar.words.errors import PreflightFailed
from sidecar.workflows.answers import preflighted
from sidecar.workflows.preflight import preflight
from sidecar.workflows.resolve import Request
from tests.contract.provision.conftest import Arm, Project

APP, ENVIRONMENT = "Microsoft.App/containerApps", "Microsoft.App/managedEnvironments"
ACCOUNT = "Microsoft.Storage/storageAccounts"


def checks(project: Project, state: Path | None = None) -> dict[str, Check]:
    session = project.session
    tenant = session.local.tenant_id if session.local else ""
    request = Request(project.world.subscription, tenant, project.group, (), {}, state)
    found = preflight(project.workspace, session, request, Journal(None, "", lambda _: None, project.stop))
    return {each.name: each for each in found}


def test_a_set_up_that_is_well_passes_whole_before_and_after_and_nothing_is_made(project: Project) -> None:
    before = checks(project)
    assert {each.verdict for each in before.values()} == {"PASS"}, before
    assert "GPUs needed: 1, in use: 0, allowed: 1" in str(before["quota"].sentence)
    assert [project.names(kind) for kind in (APP, ENVIRONMENT, ACCOUNT)] == [[], [], []]
    assert not (project.workspace.infra / "slipway.json").exists()
    project.provision()
    after = checks(project)
    assert {name for name, each in after.items() if each.verdict != "PASS"} == {"base model"}, after
    assert after["base model"].verdict == "WARN", "nobody has put one there yet"
    assert {"owner", "files"} <= set(after)


def test_what_fails_is_told_all_at_once_with_file_and_line_and_nothing_is_made(project: Project) -> None:
    project.state(acaAppName="My_App", gpuProfileType="NC48-A100", image="pytorch/pytorch", fileShareName="My Share")
    with pytest.raises(PreflightFailed) as stopped:
        project.provision()
    error = stopped.value
    assert error.code == "InvalidResourceName"
    assert "quota" in str(error.detail)
    assert "GPUs needed: 2" in str(error.detail)
    lines = project.workspace.parameters_file.read_text(encoding="utf-8").splitlines()
    at = {lines[each.line - 1][each.column :].split('"')[0] for each in error.problems}
    assert at == {"acaAppName", "fileShareName", "gpuProfileType"}
    assert any("whatever is newest" in each for each in project.said), "what is only doubtful is said as well"
    assert [project.names(kind) for kind in (APP, ENVIRONMENT, ACCOUNT)] == [[], [], []]


def test_parameters_that_can_not_be_taken_are_rows_of_the_table_with_their_places(project: Project) -> None:
    """The check used to end with an error instead of a table."""
    project.state(gpuProfileTyp="NC48-A100", maximumInstanceCount="two")
    lines = project.workspace.parameters_file.read_text(encoding="utf-8").splitlines()
    session = project.session
    tenant = session.local.tenant_id if session.local else ""
    request = Request(project.world.subscription, tenant, project.group, (), {})
    found = preflight(project.workspace, session, request, Journal(None, "", lambda _: None, project.stop))
    shown = preflighted(project.workspace, found, None)
    assert [(each.name, each.verdict) for each in found] == [
        ("parameters", "FAIL"), ("parameters", "FAIL"), ("everything else", "UNVERIFIED"),
    ]  # fmt: skip
    at = {lines[each.line - 1][each.column :].split('"')[0] for each in shown.problems}
    assert at == {"gpuProfileTyp", "maximumInstanceCount"}
    assert any("gpuProfileType?" in str(each.sentence) for each in found), "did you mean"
    assert f"[{shown.checks[0].at}]" in terminal_preflight.preflight(shown)


def test_what_may_not_be_read_is_unverified_and_stops_nobody(project: Project, faults: Arm) -> None:
    refused = {"status": 403, "code": "AuthorizationFailed", "times": None, "method": "GET"}
    unread = {
        "provider Microsoft.App": r"/providers/Microsoft\.App\?",
        "permissions": r"/Microsoft\.Authorization/permissions",
        "quota": "/usages",
        "profile": "/availableManagedEnvironmentsWorkloadProfileTypes",
    }
    faults(*[{**refused, "path": path} for path in unread.values()])
    found = checks(project)
    assert {name for name, each in found.items() if each.verdict == "UNVERIFIED"} == set(unread)
    project.provision()
    assert sum(each.startswith("Unverified: ") for each in project.said) == len(unread)


def test_arm_may_be_well_while_the_share_refuses(project: Project, faults: Arm) -> None:
    project.provision()
    faults({"part": "files", "status": 403, "code": "AuthorizationFailure", "times": None})
    found = checks(project)["files"]
    assert (found.verdict, found.code) == ("FAIL", "AuthorizationFailure")
    assert checks(project)["permissions"].verdict == "PASS"


def test_a_storage_accounts_name_that_somebody_else_has_is_refused_before_the_write(
    project: Project, faults: Arm
) -> None:
    """The name is one in all of Azure: here another resource group has it."""
    project.provision()
    (taken,) = project.names(ACCOUNT)
    project.world.groups.resource_groups.create_or_update(f"{project.group}-b", {"location": "westus3"})
    project.state(storageAccountName=taken)
    other = Project(project.world, project.workspace, f"{project.group}-b")
    found = checks(other)["names"]
    assert (found.verdict, found.code, found.parameter) == ("FAIL", "StorageAccountAlreadyTaken", "storageAccountName")
