"""Plan and apply through the SDKs: what is made, changed and left; nothing to do; changed since; a consent of its own."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.stamp import content_digest
from sidecar.core.workspace import known_project_id
from sidecar.decisions.plan import ResourceLine
from sidecar.decisions.plan_document import PlanDocument, markdown
from sidecar.gateway.prices import SECONDS
from sidecar.words.errors import ConsentNeeded, SlipwayError
from sidecar.workflows.provision import RISK_CONSENT
from tests.contract.provision.conftest import Arm, Project
from tests.contract.provision.requests import Requests
from tests.contract.provision.test_existing import CONSUMPTION, environment, profiles

APP, ENVIRONMENT = "microsoft.app/containerapps", "microsoft.app/managedenvironments"


def actions(plan: PlanDocument) -> dict[str, str]:
    return {each.kind: each.action for each in plan.work.lines}


def line(plan: PlanDocument, kind: str) -> ResourceLine:
    (found,) = [each for each in plan.work.lines if each.kind == kind]
    return found


def files(project: Project) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in sorted(project.workspace.folder.rglob("*")) if each.is_file()}


def test_the_plan_of_an_empty_group_tells_all_that_is_made_and_is_the_same_twice(project: Project) -> None:
    before, asked = files(project), Requests(project.world)
    plan, again = project.plan(raw=True), project.plan()
    assert set(actions(plan).values()) == {"create"}
    assert {APP, ENVIRONMENT, "microsoft.storage/storageaccounts"} <= set(actions(plan))
    assert plan.digest == again.digest
    assert (files(project), asked.writes()) == (before, [])
    text = str(markdown(plan))
    for said in (
        "infra/slipway.json",
        "infra/inference.config.json",
        "The app gets its first revision",
        '"changeType": "Create"',
    ):
        assert said in text
    cost = plan.cost
    assert cost.price.awake
    assert (cost.price.asleep, cost.replicas, cost.month) == (0.0, 1, pytest.approx(cost.price.awake * 730))
    assert (cost.bound, cost.start) == (1200, pytest.approx(cost.price.awake / 3)), "5 s × 240 by the start-up probe"
    assert "made up" in text
    assert "your bill" not in text.lower()
    assert "apiKey" not in text
    assert {each.verdict for each in plan.checks} == {"PASS"}


def test_what_was_agreed_to_is_done_and_then_there_is_nothing_to_do(project: Project) -> None:
    project.provision(agreed=project.plan().digest)
    before, asked = files(project), Requests(project.world)
    plan = project.plan()
    assert plan.work.nothing
    assert set(actions(plan).values()) == {"unchanged"}
    assert "Nothing to do: everything is as the parameters state it." in str(markdown(plan))
    result = project.provision(agreed=plan.digest)
    assert (result.nothing, result.deployment) == (True, "")
    assert result.url.startswith("http://")
    assert (files(project), asked.writes()) == (before, [])
    requests = [
        path for _, path, _ in asked.all() if "/operation" not in path.lower()
    ]  # how often it looks is the machine's
    assert len(requests) <= 2 * 15, "the goal of the benchmark, for a plan and for what applies it"

    project.workspace.config_file.unlink()
    plan = project.plan()
    assert [each.path for each in plan.work.files] == ["infra/inference.config.json"]
    project.provision(agreed=plan.digest)
    assert (files(project), asked.writes()) == (before, []), "as the last deployment has told it"


def test_what_the_parameters_state_is_told_from_and_to_and_is_all_that_is_changed(project: Project) -> None:
    project.provision()
    project.state(cooldownSeconds=60, image="docker.io/pytorch/pytorch:2.12.0-cuda13.0-cudnn9-runtime")
    plan = project.plan()
    told = {each.path.rpartition(".")[2]: (each.before, each.after) for each in line(plan, APP).members}
    assert told["cooldownPeriod"] == ("300", "60")
    assert told["image"][1].startswith("docker.io/pytorch/pytorch:2.12.0")
    assert not plan.work.deploys
    assert any("gets a new revision" in str(each) for each in plan.effects)
    asked = Requests(project.world)
    project.provision(agreed=plan.digest)
    assert [each.split(" ")[0] for each in asked.writes()] == ["PATCH"]
    assert project.plan().work.nothing


def test_a_plan_that_reality_has_left_behind_changes_nothing_and_the_new_one_is_shown(project: Project) -> None:
    plan = project.plan()
    project.state(maximumInstanceCount=2)
    before, asked = files(project), Requests(project.world)
    with pytest.raises(SlipwayError, match="has changed since the plan was made") as refused:
        project.provision(agreed=plan.digest)
    assert refused.value.code == "PlanChanged"
    assert "# Plan for inference" in str(refused.value.detail)
    assert (files(project), asked.writes()) == (before, [])
    project.provision(agreed=project.plan().digest)
    assert known_project_id(project.workspace) is not None


def test_a_profile_that_is_missing_is_in_the_plan_and_a_yes_to_that_is_a_yes_to_it(project: Project) -> None:
    environment(project, "theirs", CONSUMPTION)
    project.state(acaEnvironmentName="theirs")
    plan = project.plan()
    (member,) = line(plan, ENVIRONMENT).members
    assert member.after == "gpu-inference (Consumption-GPU-NC8as-T4)"
    with pytest.raises(ConsentNeeded):
        project.provision()
    project.provision(agreed=plan.digest)
    assert profiles(project, "theirs") == ["Consumption", "gpu-inference"]


def looped(project: Project, **properties: object) -> None:
    """A template with a part that can't be looked at from here: a loop."""
    template = json.loads(project.workspace.template_file.read_text(encoding="utf-8"))
    template["resources"]["boards"] = {
        "type": "Microsoft.Portal/dashboards", "apiVersion": "2024-01-01", "name": "[format('board{0}', copyIndex())]",
        "location": "westus3", "copy": {"name": "boards", "count": 1}, "properties": properties,
    }  # fmt: skip
    template["metadata"]["slipway"]["contentSha256"] = content_digest(template)
    project.workspace.template_file.write_text(json.dumps(template), encoding="utf-8")


def test_parts_that_can_not_be_looked_at_are_told_by_arm_and_left_where_arm_sees_no_change(project: Project) -> None:
    looped(project, shown="here")
    plan = project.plan()
    assert actions(plan)["microsoft.portal/dashboards"] == "create"
    project.provision(agreed=plan.digest)
    asked = Requests(project.world)
    again = project.plan()
    assert again.work.nothing
    project.provision(agreed=again.digest)
    assert asked.writes() == []
    looped(project, shown="elsewhere")
    (member,) = line(project.plan(), "microsoft.portal/dashboards").members
    assert (member.path, member.before, member.after) == ("properties.shown", "here", "elsewhere")


def test_what_arm_says_that_goes_wants_a_consent_of_its_own_before_anything_is_written(
    project: Project, faults: Arm
) -> None:
    """Fault 15: a what-if that lists a Delete; also where no plan was looked at."""
    looped(project)
    gone = f"/subscriptions/{project.world.subscription}/resourceGroups/{project.group}/providers/Microsoft.Portal/dashboards/old"
    body: dict[str, Any] = {
        "status": "Succeeded",
        "properties": {"changes": [{"resourceId": gone, "changeType": "Delete"}]},
    }
    rule = {
        "method": "GET",
        "path": "/operationresults/",
        "kind": "body",
        "status": 200,
        "body": json.dumps(body),
        "times": None,
    }
    hits = faults(rule)
    plan = project.plan()
    assert plan.work.risks == (gone,)
    assert gone in str(markdown(plan))
    asked = Requests(project.world)
    for agreed in (plan.digest, None):
        with pytest.raises(ConsentNeeded, match="deletes, or changes what can't change") as needed:
            project.provision(agreed=agreed)
        assert needed.value.consent == RISK_CONSENT
    assert asked.writes() == []
    assert hits() == [3]
    project.provision(RISK_CONSENT, agreed=plan.digest)


def test_a_what_if_that_can_not_be_had_is_unverified_and_stops_nobody(project: Project, faults: Arm) -> None:
    faults({"method": "POST", "path": "/whatIf", "status": 403, "code": "AuthorizationFailed", "times": None})
    plan = project.plan()
    assert plan.unforeseen is not None
    assert "Unverified:" in str(markdown(plan))
    assert set(actions(plan).values()) == {"create"}
    project.provision(agreed=plan.digest)


def test_a_price_list_that_is_slow_or_away_delays_no_plan_and_is_no_part_of_what_is_agreed_to(
    project: Project, faults: Arm
) -> None:
    known = project.plan()
    prices = {"part": "data", "path": "/api/retail/prices", "times": None}
    for fault in ({"kind": "hold", "seconds": 240}, {"kind": "status", "status": 503}):
        faults({**prices, **fault})
        began = time.monotonic()
        plan = project.plan()
        assert time.monotonic() - began < SECONDS + 60
        assert (plan.cost.price.awake, plan.digest) == (None, known.digest)
        assert "| an hour awake, one replica | unknown |" in str(markdown(plan))
