"""Waiting for a cloud: an end of its own, a cancel that is heard, and how long what is busy is asked again."""

from __future__ import annotations

import threading
import time

import pytest

from sidecar.gateway import patience
from sidecar.gateway.patience import Patience, again_while_busy, await_operation
from sidecar.words.errors import Cancelled, CloudError
from sidecar.words.text import Text

DOING = Text("Changing it")


class Endless:
    """A long-running operation that the cloud never ends."""

    def done(self) -> bool:
        return False

    def result(self) -> object:
        raise AssertionError("an operation that has not ended has no result")


def test_an_operation_that_does_not_end_is_a_failure_and_no_success() -> None:
    with pytest.raises(CloudError, match="Changing it has not ended") as error:
        await_operation(Patience(), DOING, Endless(), 0.3)
    assert error.value.code == "OperationTimeout"


def test_a_cancel_ends_the_wait_at_once_and_says_that_the_cloud_goes_on() -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled, match="The cloud goes on with it: Changing it"):
        await_operation(Patience(stop), DOING, Endless(), 60)
    assert time.monotonic() - began < 1


def test_what_stays_busy_fails_with_its_own_refusal_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BUSY_SECONDS", 0.5)  # patched: nobody waits five minutes for a test
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.05)  # patched: as above
    said: list[str] = []
    tries: list[float] = []

    def call() -> None:
        tries.append(time.monotonic())
        raise ValueError("busy")

    with pytest.raises(ValueError, match="busy"):
        again_while_busy(Patience(say=lambda text: said.append(str(text))), DOING, call, lambda _: "Busy")
    assert len(tries) >= 3
    assert tries[-1] - tries[0] < 0.6
    assert said[0] == "Changing it: busy (Busy), asking again…"


def test_a_refusal_that_means_no_is_not_asked_again() -> None:
    tries: list[int] = []

    def call() -> None:
        tries.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        again_while_busy(Patience(), DOING, call, lambda _: None)
    assert tries == [1]
