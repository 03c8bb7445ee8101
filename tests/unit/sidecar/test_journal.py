"""Durable steps: what a killed run leaves, and how cancelling is heard."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from sidecar.core.journal import Event, Journal, Leaving, discard, unfinished
from sidecar.words.errors import Cancelled
from sidecar.words.text import Text


def test_a_step_is_on_disk_before_it_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    seen: list[str] = []

    def listen(event: Event) -> None:
        last = unfinished(file)
        assert last is not None
        seen.append(last.step)

    journal = Journal(file, "op", listen, threading.Event())
    journal.step("deploy", Text("Deploying…"), deployment="d1")
    assert seen == ["deploy", "deploy"]
    last = unfinished(file)
    assert last is not None
    assert last.facts["deployment"] == "d1"
    with file.open("a") as stream:
        stream.write('{"step": "cut sho')
    last = unfinished(file)
    assert last is not None
    assert last.step == "deploy"
    journal.done()
    assert unfinished(file) is None


def test_cancelling_ends_a_wait_at_once_and_begins_no_step(tmp_path: Path) -> None:
    stop = threading.Event()
    journal = Journal(tmp_path / "j.jsonl", "op", lambda _: None, stop)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Cancelled):
        journal.wait(60)
    with pytest.raises(Cancelled):
        journal.step("next", Text("Next"))
    assert unfinished(tmp_path / "j.jsonl") is None


def test_what_was_cut_off_is_told_until_somebody_forgets_it(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    Journal(file, "op", lambda _: None, threading.Event()).step("switch", Text("Switching…"))
    with file.open("ab") as stream:
        stream.write(b'[1]\n"x"\n\xff\n')
    last = unfinished(file)
    assert last is not None
    assert (last.step, last.pid) == ("switch", os.getpid())
    discard(file)
    assert unfinished(file) is None


def test_a_run_that_was_cut_off_is_not_hidden_by_another_that_failed(tmp_path: Path) -> None:
    file = tmp_path / "j.jsonl"
    one = Journal(file, "one", lambda _: None, threading.Event())
    two = Journal(file, "two", lambda _: None, threading.Event())
    one.step("release", Text("Ending…"))
    two.step("look", Text("Looking…"))
    two.failed("NoBaseModel")
    last = unfinished(file)
    assert last is not None
    assert last.step == "release"
    two.step("look", Text("Looking…"))
    two.done()
    assert unfinished(file) is None


def test_a_process_that_leaves_cuts_short_what_is_guarded_and_waits_for_its_order(tmp_path: Path) -> None:
    leaving = Leaving()
    done: list[str] = []
    begun = threading.Event()

    def guarded(journal: Journal) -> None:
        with journal.guard():
            try:
                begun.set()
                while True:
                    journal.wait(0.01)
            finally:
                done.append("in order")

    def work() -> None:
        with pytest.raises(Cancelled):
            guarded(Journal(tmp_path / "j.jsonl", "op", lambda _: None, threading.Event(), leaving))

    working = threading.Thread(target=work)
    working.start()
    assert begun.wait(60)
    assert leaving.leave(60)
    assert done == ["in order"]
    working.join()
    Journal(None, "op", lambda _: None, threading.Event(), leaving).wait(
        0
    )  # what is not guarded goes on, and ends with the process
