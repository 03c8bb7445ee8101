"""Scale and traffic decisions, for chosen cases and as laws."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.localcloud.runtime.scaling import (
    Demand,
    Scale,
    desired_replicas,
    scale_of,
    traffic_of,
    traffic_problem,
    weights,
)


def test_scale_defaults_are_those_of_container_apps():
    assert scale_of({}) == Scale(0, 10, 10, 300)
    rules = [{"name": "h", "http": {"metadata": {"concurrentRequests": "3"}}}]
    assert scale_of({"scale": {"minReplicas": 1, "cooldownPeriod": 0, "rules": rules}}) == Scale(1, 10, 3, 0)


def test_up_at_once_and_down_after_the_cooldown_only():
    scale = Scale(0, 5, 1, 300)
    assert desired_replicas(scale, Demand(in_flight=3, idle=0, running=0), 300) == 3
    assert desired_replicas(scale, Demand(in_flight=0, idle=299, running=3), 300) == 3
    assert desired_replicas(scale, Demand(in_flight=0, idle=301, running=3), 300) == 0
    assert desired_replicas(scale, Demand(in_flight=99, idle=0, running=1), 300) == 5


counts = st.integers(0, 50)


@given(counts, counts, counts, st.integers(1, 20), st.floats(0, 1000), counts)
def test_replicas_stay_within_their_limits(
    low: int, more: int, in_flight: int, concurrent: int, idle: float, running: int
):
    scale = Scale(low, low + more + 1, concurrent, 300)
    wanted = desired_replicas(scale, Demand(in_flight, idle, running), 300)
    assert scale.minimum <= wanted <= scale.maximum
    assert wanted >= 1 or in_flight == 0 or scale.maximum == 0


def test_the_latest_revision_has_the_weight_ready_or_not():
    latest = [traffic_of({"latestRevision": True, "weight": 100})]
    assert weights(latest, ["old", "new"], "multiple") == {"new": 100}
    assert weights([], ["old", "new"], "multiple") == {"new": 100}
    assert weights(latest, [], "multiple") == {}


def test_single_mode_ignores_weights():
    assert weights([traffic_of({"revisionName": "old", "weight": 100})], ["old", "new"], "single") == {"new": 100}


def test_an_inactive_revision_has_no_weight():
    both = [traffic_of({"revisionName": "gone", "weight": 30}), traffic_of({"revisionName": "here", "weight": 70})]
    assert weights(both, ["here"], "multiple") == {"here": 70}


def test_weights_that_azure_refuses():
    assert traffic_problem([], []) is None
    assert "100" in str(traffic_problem([traffic_of({"latestRevision": True, "weight": 90})], []))
    assert "not found" in str(traffic_problem([traffic_of({"revisionName": "x", "weight": 100})], ["y"]))
    both = [traffic_of({"revisionName": "x", "latestRevision": True, "weight": 100})]
    assert "Exactly one" in str(traffic_problem(both, ["x"]))
