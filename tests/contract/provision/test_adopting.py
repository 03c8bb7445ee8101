"""What has begun is followed and not begun twice, also where answers are lost, held or refused meanwhile."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sidecar.core.journal import Journal
from sidecar.core.workspace import keep_project_id
from sidecar.words.errors import Cancelled, Conflict, NotSignedIn
from sidecar.workflows.cancelling import cancel
from sidecar.workflows.follow import cancelled_outcome
from tests.contract.provision.conftest import Arm, Project, cancelled_when
from tests.contract.provision.test_waiting import app_of, failing


def test_a_deployment_whose_answer_was_lost_is_looked_for_and_not_begun_twice(project: Project, faults: Arm) -> None:
    """The SDK sent the PUT again: the second was refused while the first ran, waited out, and begun once more."""
    put = {"method": "PUT", "path": "/deployments/"}
    hits = faults({**put, "kind": "reset-after", "times": 1}, {**put, "kind": "delay", "times": None})
    project.provision()
    assert hits() == [1, 0]
    assert any("is under way: following it" in each for each in project.said)


def test_what_an_adopted_run_had_still_to_change_is_changed(project: Project, faults: Arm) -> None:
    """Killed between the deployment and the change of the app: whoever follows that deployment makes the change too."""
    project.provision()
    (ended,) = project.world.deployments.deployments.list_by_resource_group(project.group)
    project.state(cooldownSeconds=66)
    running = {"id": ended.id, "name": ended.name, "properties": {"provisioningState": "Running"}}
    looks = "/deployments/[^/]*[?]"
    hits = faults(
        failing(project, "/deployments/[^/]*/operations", {"value": []}),
        failing(project, looks, running, times=2),
        failing(project, looks, ended.as_dict()),
    )
    project.provision()
    assert hits()[1:] == [2, 1]
    assert any("is under way already: following it" in each for each in project.said)
    found = project.world.apps.container_apps.get(project.group, app_of(project))
    assert found.properties.template.scale.cooldown_period == 66


def test_a_token_that_is_refused_while_something_is_followed_is_renewed_once(project: Project, faults: Arm) -> None:
    refused = {
        "method": "GET", "path": "/deployments/[^/]*[?]", "status": 401, "code": "ExpiredAuthenticationToken", "skip": 1,
        "headers": {"WWW-Authenticate": 'Bearer authorization_uri="https://127.0.0.1/t", error="invalid_token"'},
    }  # fmt: skip
    hits = faults({**refused, "times": 1})
    project.provision()
    assert hits() == [1]
    hits = faults({**refused, "skip": 0, "times": None})
    with pytest.raises(NotSignedIn):
        project.provision()
    assert hits() == [2], "asked for anew once, not for ever"


def test_who_loses_the_sign_in_while_a_deployment_goes_on_can_still_follow_and_cancel_it(
    project: Project, faults: Arm
) -> None:
    """The run was over by its journal: nobody was offered to go on with what goes on."""
    refused = {"method": "GET", "path": "/deployments/[^/]*/operations", "status": 401, "times": None}
    hits = faults({**refused, "code": "ExpiredAuthenticationToken"})
    with pytest.raises(NotSignedIn) as lost:
        project.provision()
    assert sum(hits()) > 0
    assert lost.value.goes_on
    faults(
        failing(project, "/deployments/[^/]*[?]", deployment("running", "Running", "this")),
        {"method": "POST", "path": "/deployments/[^/]*/cancel", "status": 409, "code": "Locked", "times": None},
    )
    told = cancelled_outcome(project.place, "running")
    assert "it is still Running" in str(told.message)
    assert told.goes_on


def test_a_deployment_of_another_plan_is_not_taken_for_the_one_that_was_agreed_to(
    project: Project, faults: Arm
) -> None:
    """Who says yes to a plan while another one's deployment runs used to get that one, and its changes of the app."""
    first = project.plan()
    project.provision(agreed=first.digest)
    (ended,) = project.world.deployments.deployments.list_by_resource_group(project.group)
    assert ended.tags["slipway-plan"] == first.digest
    with pytest.raises(Conflict) as over:
        project.provision(begins=False)
    assert over.value.code == "DeploymentEnded"
    running = {**ended.as_dict(), "properties": {"provisioningState": "Running"}}
    looks = "/deployments/[^/]*[?]"
    faults(failing(project, looks, running))
    with pytest.raises(Conflict) as another:
        project.provision(agreed="0" * 64)
    assert another.value.code == "DeploymentUnderWay"
    hits = faults(
        failing(project, "/deployments/[^/]*/operations", {"value": []}),
        failing(project, looks, running, times=2),
        failing(project, looks, ended.as_dict()),
    )
    project.provision(agreed=first.digest)
    assert hits()[1:] == [2, 1]


def test_a_read_that_is_held_is_left_at_once_by_who_cancels(project: Project, faults: Arm) -> None:
    hits = faults({"method": "GET", "path": "/resourcegroups/[^/]*[?]", "kind": "hold", "seconds": 240, "times": None})
    began = time.monotonic()
    with cancelled_when(project, lambda: hits() == [1]), pytest.raises(Cancelled):
        project.provision()
    assert time.monotonic() - began < 60
    assert hits() == [1]


def test_a_patch_whose_operation_can_not_be_followed_ends_with_its_resource(project: Project, faults: Arm) -> None:
    project.provision()
    project.state(cooldownSeconds=61)
    polls = r"/(operationResults|operationStatuses|containerappOperation\w*)/"
    hits = faults({"method": "GET", "path": polls, "status": 404, "code": "NotFound", "times": None})
    project.provision()
    assert sum(hits()) > 0
    assert any("its operation can't be followed" in each for each in project.said)
    found = project.world.apps.container_apps.get(project.group, app_of(project))
    assert found.properties.template.scale.cooldown_period == 61


def deployment(name: str, state: str, whose: str) -> dict[str, Any]:
    properties = {"provisioningState": state, "parameters": {"projectId": {"type": "String", "value": whose}}}
    return {"id": f"/{name}", "name": name, "properties": properties}


def test_a_cancel_from_another_window_ends_this_projects_deployment_alone(project: Project, faults: Arm) -> None:
    keep_project_id(project.workspace, "this")
    ours, theirs = (
        deployment("slipway-inference-a", "Running", "this"),
        deployment("slipway-inference-b", "Running", "that"),
    )
    cancels = "/deployments/slipway-inference-{}/cancel[?]"
    hits = faults(
        failing(project, "/deployments/?[?]", {"value": [ours, theirs]}),
        failing(project, "/deployments/[^/]*/operations", {"value": []}),
        failing(project, "/deployments/[^/]*[?]", deployment("slipway-inference-a", "Canceled", "this")),
        {"method": "POST", "path": cancels.format("a"), "status": 204, "body": "", "times": None},
        {"method": "POST", "path": cancels.format("b"), "status": 204, "body": "", "times": None},
    )
    silent = Journal(None, "", lambda _: None, project.stop)
    done = cancel(project.workspace, project.place, silent)
    assert done.deployments == ("slipway-inference-a",)
    assert "The deployment slipway-inference-a was cancelled." in str(done.sentence)
    assert hits()[3:] == [1, 0]
    faults(failing(project, "/deployments/?[?]", {"value": [theirs]}))
    assert "Nothing of this project is being provisioned" in str(
        cancel(project.workspace, project.place, silent).sentence
    )


def test_a_deployment_that_has_ended_is_told_by_its_end_to_who_cancels_it(project: Project) -> None:
    """One that had ended used to be "still Succeeded", or "still Failed", to be followed."""
    name = project.provision().deployment
    told = cancelled_outcome(project.place, name)
    assert "had already succeeded" in str(told.message)
    assert "to write the configuration" in str(told.suggestion)
