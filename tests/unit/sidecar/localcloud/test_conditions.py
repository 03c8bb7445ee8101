"""What a revision reads as, in the words that real Azure was seen to use."""

import dataclasses

import pytest

from sidecar.localcloud.core.settings import Times
from sidecar.localcloud.runtime.conditions import Condition, ReplicaView, RevisionView, condition_of
from tests.support.evidence import evidence

TIMES = Times(scale=1)
READY = ReplicaView(ready=True, alive=True, trouble=None)
ALIVE = ReplicaView(ready=False, alive=True, trouble=None)
STARTING = ReplicaView(ready=False, alive=False, trouble=None)
CRASHING = ReplicaView(ready=False, alive=False, trouble=("crashing", "app"))
ELSEWHERE = dataclasses.replace(STARTING, listening=8080)


def view(*replicas: ReplicaView, maximum: int = 1, unready: float = 5, **changes: object) -> RevisionView:
    base = RevisionView("active", 60, unready, maximum, 80, replicas)
    return dataclasses.replace(base, **changes)


@pytest.mark.fact(2)
def test_as_many_replicas_as_the_maximum_read_running_at_max_scale():
    assert condition_of(view(READY), TIMES).running == "RunningAtMaxScale"
    assert condition_of(view(READY, maximum=2), TIMES).running == "Running"
    assert condition_of(view(READY, STARTING, maximum=1), TIMES).running == "RunningAtMaxScale", (
        "one extra of a restart"
    )


@pytest.mark.fact(3, 4, 5)
def test_a_new_revision_is_provisioned_in_seconds_and_nothing_is_known_of_its_health():
    assert condition_of(view(STARTING, age=2), TIMES) == Condition("Provisioning", "Activating", "None")
    assert condition_of(view(STARTING), TIMES) == Condition("Provisioned", "Activating", "None")


@pytest.mark.fact(6)
def test_a_container_that_runs_and_is_not_ready_reads_healthy_and_activating():
    assert condition_of(view(ALIVE), TIMES) == Condition("Provisioned", "Activating", "Healthy")


@pytest.mark.fact(9, 10, 11)
def test_a_crash_loop_reads_as_it_was_captured():
    failed = next(
        each["properties"]
        for each in evidence("revision-provisioning-failure/01-revision-list.json")
        if each["properties"]["provisioningState"] == "Failed"
    )
    assert condition_of(view(CRASHING), TIMES) == Condition(
        failed["provisioningState"],
        failed["runningState"],
        failed["healthState"],
        failed["provisioningError"],
        failed["runningStateDetails"],
    )


@pytest.mark.fact(13)
def test_an_image_that_a_node_cannot_pull_reads_as_it_was_captured():
    captured = evidence("acr-network-path-firewall-allowlist/02-revision-list-pre-fix.json")
    failed = next(each["properties"] for each in captured if each["properties"]["provisioningState"] == "Failed")
    unpullable = dataclasses.replace(STARTING, trouble=("unpullable", "app"))
    found = condition_of(view(unpullable), TIMES)
    assert (found.provisioning, found.running, found.health, found.error) == (
        failed["provisioningState"],
        failed["runningState"],
        failed["healthState"],
        failed["provisioningError"],
    )


@pytest.mark.fact(14, 15)
def test_a_port_that_does_not_match_is_told_late_and_ends_nothing():
    sentence = evidence("traffic-routing-canary/08-revision-show-bad.json")["runningStateDetails"]
    assert condition_of(view(ELSEWHERE, unready=90), TIMES).details is None
    told = condition_of(view(ELSEWHERE, unready=120), TIMES)
    assert told == Condition("Provisioned", "Activating", "None", details=sentence)
    late = condition_of(view(ELSEWHERE, unready=601), TIMES)
    captured = evidence("traffic-routing-canary/13-revision-pre-fix-bad.json")
    assert (late.provisioning, late.running, late.health, late.details, late.error) == (
        captured["provisioningState"],
        captured["runningState"],
        captured["healthState"],
        captured["runningStateDetails"],
        None,
    )
    assert condition_of(view(READY, unready=0), TIMES).details is None, "who becomes ready later reads well again"


@pytest.mark.fact(17)
def test_an_inactive_revision_reads_well_whatever_it_was():
    for replicas in ((), (CRASHING,)):
        assert condition_of(view(*replicas, switch="inactive"), TIMES) == Condition("Provisioned", "Stopped", "Healthy")


@pytest.mark.fact(31)
def test_a_revision_that_was_replaced_is_deprovisioning_while_its_replicas_go_on():
    assert condition_of(view(READY, switch="leaving"), TIMES).running == "Deprovisioning"


@pytest.mark.fact(37)
def test_replicas_that_are_asked_on_a_port_where_none_listens_read_healthy_for_minutes():
    stale = dataclasses.replace(READY, stale=75)
    assert condition_of(view(stale, ELSEWHERE), TIMES).health == "Healthy"
    failed = condition_of(view(dataclasses.replace(READY, stale=210), ELSEWHERE), TIMES)
    assert (failed.running, failed.health) == ("Failed", "Unhealthy")


@pytest.mark.fact(114)
def test_a_revision_without_replicas_is_scaled_to_zero_and_healthy():
    assert condition_of(view(), TIMES) == Condition("Provisioned", "ScaledToZero", "Healthy")
