"""Probes: thresholds as a state machine, ACA's limits, ACA's own probes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.localcloud.runtime.probes import Health, Probe, declared_probes, observe, probe_problem, probes_of

PROBE = Probe("Readiness", "/", 80, failure_threshold=3, success_threshold=2)


def test_a_conclusion_changes_only_at_its_threshold():
    health = Health()
    seen: list[bool | None] = []
    for result in "ssfffss":
        health = observe(health, PROBE, "success" if result == "s" else "failure")
        seen.append(health.passed)
    assert seen == [None, True, True, True, False, False, True]


@given(st.lists(st.sampled_from(["success", "failure"]), max_size=40), st.integers(1, 5), st.integers(1, 5))
def test_the_conclusion_is_that_of_the_last_long_enough_run(results: list[Any], failures: int, successes: int):
    probe = Probe("Liveness", "/", 80, failure_threshold=failures, success_threshold=successes)
    health, expected, run, last = Health(), None, 0, None
    for result in results:
        health = observe(health, probe, result)
        run = run + 1 if result == last else 1
        last = result
        if run >= (successes if result == "success" else failures):
            expected = result == "success"
    assert health.passed == expected


@pytest.mark.fact(49)
def test_the_platform_adds_a_probe_for_each_missing_type():
    stated = {"probes": [{"type": "Liveness", "httpGet": {"port": 1, "path": "/live"}, "timeoutSeconds": 5}]}
    found = probes_of(declared_probes(stated), 80)
    assert [(probe.kind, probe.path) for probe in found] == [
        ("Liveness", "/live"),
        ("Startup", None),
        ("Readiness", None),
    ]
    startup, readiness, _liveness = probes_of((), 80)
    assert (startup.period, startup.timeout, startup.failure_threshold, startup.initial_delay) == (1, 3, 240, 1)
    assert (readiness.period, readiness.timeout, readiness.failure_threshold, readiness.initial_delay) == (5, 5, 48, 3)
    assert probes_of((), None) == ()


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, False),
        ({"initialDelaySeconds": 61}, True),
        ({"periodSeconds": 240}, False),
        ({"timeoutSeconds": 241}, True),
        ({"failureThreshold": 30}, False),
        ({"failureThreshold": 31}, True),
        ({"type": "Startup", "failureThreshold": 240}, False),
        ({"type": "Readiness", "failureThreshold": 49}, True),
        ({"type": "Other"}, True),
        ({"tcpSocket": {"port": 1}}, True),
        ({"httpGet": {"port": 0}}, True),
        ({"httpGet": {"port": 80, "httpHeaders": [{"name": "X-A", "value": "1"}]}}, False),
        ({"httpGet": {"port": 80, "httpHeaders": [{"value": "1"}]}}, True),
    ],
)
def test_limits_of_a_declared_probe(change: dict[str, Any], wrong: bool):
    entry = {"type": "Liveness", "httpGet": {"path": "/", "port": 80}, **change}
    assert bool(probe_problem(entry)) == wrong
