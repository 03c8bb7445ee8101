"""What the supervisor's words on an exchange mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decisions.exchange import DISCARDED, Failed, failed, of_ours, told
from sidecar.gateway.exchange import Exchange

NEW, OLD = "a" * 64, "b" * 64
SEEN = Exchange(
    seq=7,
    state="starting",
    release=NEW,
    generation="4",
    form="beside",
    phase="loading-base",
    progress=0.4,
    detail=None,
    reason=None,
    log=(),
    pause=None,
    running=OLD,
    running_generation="3",
    beside=True,
    why="",
)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (SEEN, "Loading the base model (40 %)…"),
        (replace(SEEN, phase=None), "Starting the release in the container…"),
        (replace(SEEN, state="exchanging", phase="draining"), "The old server finishes what it has; requests wait…"),
        (replace(SEEN, state="exchanging", phase="warming-up", progress=None), "Warming up…"),
        (replace(SEEN, state="exchanging", phase=None), "The new server takes over…"),
    ],
)
def test_how_far_an_exchange_is_can_be_followed(seen: Exchange, said: str) -> None:
    assert str(told(seen)) == said


def test_a_failure_is_told_in_the_servers_own_words_with_the_end_of_its_log() -> None:
    log = tuple(f"line {number}" for number in range(30))
    seen = replace(SEEN, state="failed", reason="no base model under /mount/models", log=log)
    error = failed(seen, NEW)
    assert isinstance(error, Failed)
    assert error.code == "NoBaseModel"
    assert str(error) == f"Release {NEW[:12]} did not come into service: no base model under /mount/models."
    assert (error.detail or "").splitlines() == list(log[-20:])


def test_one_whose_place_another_took_is_no_fault_of_its_code() -> None:
    error = failed(replace(SEEN, state="failed", reason=DISCARDED), NEW)
    assert error.code == "DeployedMeanwhile"
    assert "somebody else has deployed meanwhile" in str(error)


def test_one_that_waited_for_a_person_who_was_away_has_not_failed_to_load() -> None:
    """A lid that is closed amid a gate, a network that is gone: in the supervisor's words, as its own test has them."""
    error = failed(replace(SEEN, state="failed", reason="nobody told it to take over within 120 s"), NEW)
    assert (error.code, isinstance(error, Failed)) == ("NotTakenOver", True)
    assert "heard nothing of this Deploy for too long" in str(error)
    assert str(error.suggestion) == "Run Deploy again: it goes on from there."


def test_an_exception_in_the_log_is_the_reason_where_the_server_gave_none() -> None:
    log = (
        "Traceback (most recent call last):",
        '  File "/x/inference/server.py", line 3',
        "NameError: name 'x' is not defined",
    )
    error = failed(replace(SEEN, state="failed", reason="it ended with exit code 1", log=log), NEW)
    assert error.code == "ContainerCrashed"
    assert "exit code 1: NameError: name 'x' is not defined (inference/server.py, line 3)." in str(error)
    assert "Correct the code" in str(error.suggestion)


def test_a_container_that_ended_amid_the_exchange_knows_nothing_of_it() -> None:
    error = failed(replace(SEEN, state="idle", release=""), NEW)
    assert error.code == "ContainerCrashed"
    assert not isinstance(error, Failed)


def test_only_the_same_exchange_is_gone_on_with() -> None:
    assert of_ours(SEEN, NEW, 4, "beside")
    assert not of_ours(replace(SEEN, state="done"), NEW, 4, "beside")
    assert not of_ours(SEEN, NEW, 4, "in turn")
    assert not of_ours(SEEN, NEW, 5, "beside")
    assert not of_ours(SEEN, OLD, 4, "beside")
