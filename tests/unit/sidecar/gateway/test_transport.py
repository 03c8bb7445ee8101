"""What a cancel leaves: a request that is not answered, at once; one that is answered gives its answer or its error."""

from __future__ import annotations

import threading

import pytest

from sidecar.gateway.transport import left_with
from sidecar.words.errors import Cancelled


def test_what_is_not_answered_is_left_when_somebody_cancels() -> None:
    stop, never = threading.Event(), threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Cancelled):
        left_with(stop, never.wait)
    assert not never.is_set()
    never.set()


def test_an_answer_and_an_error_come_through() -> None:
    assert left_with(threading.Event(), lambda: 7) == 7
    assert left_with(threading.Event(), lambda: None) is None

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        left_with(threading.Event(), fail)
