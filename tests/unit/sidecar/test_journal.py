"""Durable steps: what a killed run leaves, and how cancelling is heard."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sidecar.core.journal import Event, Journal, last_unfinished
from sidecar.words.errors import Cancelled
from sidecar.words.text import Text


def test_a_step_is_on_disk_before_it_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    seen: list[str] = []

    def listen(event: Event) -> None:
        last = last_unfinished(file)
        assert last is not None
        seen.append(str(last["step"]))

    journal = Journal(file, "op", listen, threading.Event())
    journal.step("deploy", Text("Deploying…"), deployment="d1")
    assert seen == ["deploy", "deploy"]
    assert last_unfinished(file)["deployment"] == "d1"  # type: ignore[index]
    with file.open("a") as stream:
        stream.write('{"step": "cut sho')
    assert last_unfinished(file)["step"] == "deploy"  # type: ignore[index]
    journal.done()
    assert last_unfinished(file) is None


def test_cancelling_ends_a_wait_at_once_and_begins_no_step(tmp_path: Path) -> None:
    stop = threading.Event()
    journal = Journal(tmp_path / "j.jsonl", "op", lambda _: None, stop)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Cancelled):
        journal.wait(60)
    with pytest.raises(Cancelled):
        journal.step("next", Text("Next"))
    assert last_unfinished(tmp_path / "j.jsonl") is None
