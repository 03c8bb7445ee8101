"""Waiting for a cloud: an end of its own, a cancel that is heard, and how long what is busy is asked again."""

from __future__ import annotations

import threading
import time

import pytest

from sidecar.gateway import patience
from sidecar.gateway.patience import Followed, Patience, again_while_busy, await_operation
from sidecar.words.errors import Cancelled, CloudError
from sidecar.words.text import Text

DOING = Text("Changing it")


class Endless:
    """A long-running operation that the cloud never ends."""

    def done(self) -> bool:
        return False

    def result(self) -> object:
        raise AssertionError("an operation that has not ended has no result")


class Broken(Endless):
    """One whose status can't be read any more."""

    def done(self) -> bool:
        return True

    def result(self) -> object:
        raise OSError("404 at the operation's address")


def followed(poller: object, seconds: float, *states: str | Exception) -> Followed:
    left = list(states)

    def state() -> str:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    return Followed(
        DOING,
        poller,
        seconds,
        state,
        lambda error: isinstance(error, TimeoutError),
        lambda error: isinstance(error, OSError),
    )


def test_an_operation_that_can_not_be_followed_is_told_by_what_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also through answers that are lost meanwhile; how it ends counts, not how its own address answers."""
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.01)  # patched: nobody waits two seconds for a test
    said: list[str] = []
    patient = Patience(say=lambda text: said.append(str(text)))
    await_operation(patient, followed(Broken(), 60, "InProgress", TimeoutError(), "Updating", "Succeeded"))
    assert said == [
        "Changing it: its operation can't be followed; looking at what it changes…",
        "Changing it: no answer, asking again…",
    ]
    with pytest.raises(CloudError, match="Changing it ended as Failed") as error:
        await_operation(patient, followed(Broken(), 60, "InProgress", "Failed"))
    assert error.value.code == "OperationFailed"
    with pytest.raises(CloudError, match="has not ended") as late:
        await_operation(patient, followed(Broken(), 0.05, *["InProgress"] * 50))
    assert late.value.code == "OperationTimeout"


def test_an_operation_that_does_not_end_is_a_failure_and_no_success() -> None:
    with pytest.raises(CloudError, match="Changing it has not ended") as error:
        await_operation(Patience(), followed(Endless(), 0.3))
    assert error.value.code == "OperationTimeout"


def test_a_cancel_ends_the_wait_at_once_and_says_that_the_cloud_goes_on() -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled, match="The cloud goes on with it: Changing it"):
        await_operation(Patience(stop), followed(Endless(), 60))
    assert time.monotonic() - began < 30  # of the 60 s that it would have waited


def test_what_stays_busy_fails_with_its_own_refusal_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BUSY_SECONDS", 3)  # patched: nobody waits five minutes for a test
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.05)  # patched: as above
    said: list[str] = []
    tries: list[float] = []

    def call() -> None:
        tries.append(time.monotonic())
        raise ValueError("busy")

    with pytest.raises(ValueError, match="busy"):
        again_while_busy(Patience(say=lambda text: said.append(str(text))), DOING, call, lambda _: "Busy")
    assert len(tries) >= 3
    assert tries[-1] - tries[0] < 30
    assert said[0] == "Changing it: busy (Busy), asking again…"


def test_a_refusal_that_means_no_is_not_asked_again() -> None:
    tries: list[int] = []

    def call() -> None:
        tries.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        again_while_busy(Patience(), DOING, call, lambda _: None)
    assert tries == [1]
