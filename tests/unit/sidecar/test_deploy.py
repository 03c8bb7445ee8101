"""Decisions of *Deploy*, as pure functions: how it restarts, how long that takes, what is said of the outcome."""

from __future__ import annotations

import pytest

from sidecar.decisions.restart import downtime, has_gpu, plan_for
from sidecar.gateway.endpoint import Refused, RunsOn, Version
from sidecar.workflows.outcome import outcome_notes, runs_on_text

T4 = "Consumption-GPU-NC8as-T4"
A100 = "Consumption-GPU-NC24-A100"


@pytest.mark.fact(74, 78, 126, 127, 128)
@pytest.mark.parametrize(
    ("profile", "usage", "running", "way"),
    [
        (T4, {"SubscriptionConsumptionT4Gpus": (1, 1)}, 1, "old-first"),
        (T4, {"SubscriptionConsumptionNCT4Gpus": (1, 1)}, 1, "old-first"),
        (T4, {"SubscriptionConsumptionT4Gpus": (1, 2)}, 1, "rolling"),
        (T4, {"SubscriptionConsumptionT4Gpus": (1, 1)}, 0, "wake"),
        (
            T4,
            {"SubscriptionConsumptionNCA100Gpus": (0, 4)},
            1,
            "old-first",
        ),  # a missing row is not a zero, nor a plenty
        (T4, {}, 1, "old-first"),
        (T4, None, 1, "old-first"),
        (A100, {"SubscriptionConsumptionNCA100Gpus": (1, 2)}, 1, "rolling"),
        ("NC48-A100", {"SubscriptionNCA100Gpus": (2, 3)}, 1, "old-first"),
        ("NC48-A100", {"SubscriptionNCA100Gpus": (2, 4)}, 1, "rolling"),
        ("Consumption-GPU-NEW", {}, 1, "old-first"),
        ("Consumption", None, 1, "rolling"),
        (None, None, 1, "rolling"),
    ],
)
def test_the_old_replica_goes_first_where_no_gpu_is_known_to_be_free(
    profile: str | None, usage: dict[str, tuple[int, int]] | None, running: int, way: str
) -> None:
    plan = plan_for(profile, usage, running, running)
    assert plan.way == way
    assert (plan.reason is not None) == (way == "old-first")
    assert has_gpu(profile) == (profile not in (None, "Consumption"))


@pytest.mark.fact(128, 129)
def test_a_gpu_that_others_have_is_named_before_anybody_waits_for_it() -> None:
    """Azure says nothing to a replica that finds none: the quota's row does."""
    full = {"SubscriptionConsumptionT4Gpus": (1, 1)}
    assert plan_for(T4, full, 1, 1).scarce is None, "it is ours"
    for running in (0, 1):
        assert plan_for(T4, full, running, 1).full, "an older revision of the app itself may have it"
        scarce = plan_for(T4, full, running, 0).scarce
        assert scarce is not None
        assert "1 of the quota of 1 are in use" in str(scarce)
    assert plan_for(T4, {}, 0, 0).scarce is None
    assert plan_for(A100, full, 0, 0).scarce is None


def test_the_downtime_is_that_of_the_last_start_from_the_replicas_creation_on() -> None:
    assert downtime("2026-06-20T13:00:00Z", "2026-06-20T13:01:30+00:00", 60.0) == 160
    assert downtime("2026-06-20T13:00:00Z", None, 60.0) is None
    assert downtime("2026-06-20T13:00:00Z", "2026-06-20T13:01:30+00:00", None) is None
    assert downtime("", "2026-06-20T13:01:30+00:00", 60.0) is None
    assert downtime("2026-06-20T13:00:00", "2026-06-20T13:01:30+00:00", 60.0) is None


def test_a_base_that_answers_alone_is_said_and_only_where_the_server_tells_what_it_refuses() -> None:
    def version(adapters: tuple[str, ...], refused: tuple[Refused, ...] | None) -> Version:
        return Version("digest", 1, "replica", "acme/base", adapters, refused)

    (note,) = outcome_notes(version((), ()))
    assert "acme/base alone answers" in str(note)
    assert outcome_notes(version(("a",), ())) == []
    assert outcome_notes(version((), (Refused("a", "broken"),))) == []  # told with its reason
    assert outcome_notes(version((), None)) == []
    assert outcome_notes(None) == []


def test_what_the_server_says_of_its_gpu_is_told_by_deploy() -> None:
    """Kernels that gave way, a format that takes twice the memory: nobody looks into a log for what seems to work."""
    said = RunsOn("cuda", "H200", "bfloat16", "nf4", "torch", ("our kernels give way to PyTorch's operations",))
    version = Version("digest", 1, "replica", "acme/base", ("a",), (), runs_on=said)
    assert [str(note) for note in outcome_notes(version)] == [
        "The server says: our kernels give way to PyTorch's operations"
    ]
    assert str(runs_on_text(said)) == "The model runs on H200: numbers in bfloat16, torch attention, weights in nf4."
    on_cpu = RunsOn("cpu", None, "float32", "full", "dense")
    assert str(runs_on_text(on_cpu)) == "The model runs on cpu: numbers in float32, dense attention."
