"""A release that a gate judges: who answers has to say that it is that one."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from sidecar.core.dataset_files import dataset_of
from sidecar.core.evaluation import Evaluation, Threshold
from sidecar.core.evaluation_runs import REPORT
from sidecar.core.journal import Journal
from sidecar.core.workspace import open_workspace
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text
from sidecar.workflows.gate import BEFORE, Gate, passed
from sidecar.workflows.judging import LOOKS, At, Compared, asked_and_judged
from tests.unit.sidecar.evaluation.answering import BASE, RELEASE, answering


def gate_in(folder: Path, wanted: str = "4", model: str | None = BASE) -> Gate:
    (folder / "infra").mkdir()
    (folder / "infra" / "evaluation.jsonl").write_text(
        json.dumps({"prompt": "What is 2 + 2?", "equals": wanted}) + "\n"
    )
    workspace = open_workspace(folder)
    stated = Evaluation(thresholds=(Threshold(measure="passes", model=model, bound=1),))
    return Gate(workspace, stated, dataset_of(workspace, ()))


def judged(gate: Gate, url: str, said: list[str]) -> None:
    journal = Journal(None, "", lambda event: said.append(str(event.text)), threading.Event())
    passed(gate, At(url, None, "app"), RELEASE, journal)


def test_a_look_that_is_lost_is_no_verdict(tmp_path: Path) -> None:
    gate = gate_in(tmp_path)
    said: list[str] = []
    with answering(lost=1, listed=1) as (url, asked):
        judged(gate, url, said)
    assert asked == ["/version", "/version", "/v1/models", "/v1/models", "/v1/chat/completions"]
    assert any("has passed its gate: 1 thresholds met" in line for line in said)


def test_who_says_nothing_or_is_another_release_has_not_passed_and_is_asked_nothing(tmp_path: Path) -> None:
    gate = gate_in(tmp_path)
    for lost, release, asked_for in (
        (LOOKS, RELEASE, ["/version"] * LOOKS + ["/v1/models"]),
        (0, "b" * 64, ["/version"]),
    ):
        with answering(lost=lost, release=release) as (url, asked), pytest.raises(EndpointError) as refused:
            judged(gate, url, [])
        assert refused.value.code == "GateUnverified"
        assert asked == asked_for


def test_who_can_not_be_reached_is_no_other_release(tmp_path: Path) -> None:
    gate = gate_in(tmp_path)
    with answering(lost=LOOKS, listed=LOOKS) as (url, _), pytest.raises(EndpointError) as refused:
        judged(gate, url, [])
    assert "did not answer" in str(refused.value)
    assert "does not say that it is the release" not in str(refused.value)


def test_what_is_missed_is_told_with_the_measured_value_and_where_the_report_lies(tmp_path: Path) -> None:
    gate = gate_in(tmp_path, wanted="5")
    with answering() as (url, _), pytest.raises(EndpointError) as missed:
        judged(gate, url, [])
    assert missed.value.code == "GateMissed"
    assert "org/base, rows in which all that is demanded is so >= 1.000: missed, it is 0.000." in str(missed.value)
    (report,) = tmp_path.glob("infra/evaluations/*/report.md")
    assert report.relative_to(tmp_path).as_posix() in str(missed.value.suggestion)
    assert "Asked by the gate of a deploy: release aaaaaaaaaaaa." in report.read_text()
    assert missed.value.document == str(report)


def test_answers_of_another_release_or_app_are_none_of_a_run_that_was_cut_off(tmp_path: Path) -> None:
    gate = gate_in(tmp_path)
    journal = Journal(None, "", lambda event: None, threading.Event())
    stored: list[int] = []
    for release, app in ((RELEASE, "app"), (RELEASE, "app"), ("b" * 64, "app"), ("b" * 64, "other")):
        with answering(release=release) as (url, _):
            done = asked_and_judged(gate.workspace, At(url, None, app), gate.stated, Compared(gate.rows), journal)
        (done.folder / REPORT).unlink()  # as a kill before it leaves it
        stored.append(done.stored)
    assert stored == [0, 1, 0, 0]


def deployed(gate: Gate, url: str, name: str) -> Journal:
    """As far as its gate; whether it ends well is written down by whoever calls."""
    journal = Journal(gate.workspace.folder / "journal", name, lambda event: None, threading.Event())
    journal.step(BEFORE, Text("Evaluating…"))
    passed(gate, At(url, None, "app"), RELEASE, journal)
    return journal


def test_a_gate_that_had_let_it_pass_before_a_kill_asks_nothing_again(tmp_path: Path) -> None:
    gate = gate_in(tmp_path)
    with answering() as (url, asked):
        deployed(gate, url, "killed")
        deployed(gate, url, "goes on").done()
        assert asked.count("/v1/chat/completions") == 1
        deployed(gate, url, "anew").done()
        assert asked.count("/v1/chat/completions") == 2, "who deploys again once it is done wants it measured again"


def test_a_gate_that_was_missed_before_a_kill_is_asked_again(tmp_path: Path) -> None:
    gate = gate_in(tmp_path, wanted="5")
    with answering() as (url, asked):
        for count in (1, 2):
            with pytest.raises(EndpointError):
                deployed(gate, url, f"killed {count}")
            assert asked.count("/v1/chat/completions") == count


def test_the_base_does_not_stand_for_adapters_that_are_all_refused(tmp_path: Path) -> None:
    gate = gate_in(tmp_path, model=None)
    with (
        answering(refused=True) as (url, asked),
        pytest.raises(EndpointError, match=r"every adapter \(poet\)") as missed,
    ):
        judged(gate, url, [])
    assert missed.value.code == "GateUnverified"
    assert "is truncated" in str(missed.value.suggestion)
    assert "/v1/chat/completions" not in asked
    with answering() as (url, _):
        judged(gate, url, [])  # a project without an adapter means its base
