"""A release that a gate judges: who answers has to say that it is that one."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sidecar.core.dataset_files import dataset_of
from sidecar.core.evaluation import Evaluation, Threshold
from sidecar.core.evaluation_runs import REPORT
from sidecar.core.journal import Journal
from sidecar.core.workspace import open_workspace
from sidecar.words.errors import EndpointError
from sidecar.workflows.gate import Gate, passed
from sidecar.workflows.judging import LOOKS, At, Compared, asked_and_judged

RELEASE, BASE = "a" * 64, "org/base"


@contextmanager
def server(
    lost: int = 0, release: str = RELEASE, *, listed: int = 0, refused: bool = False
) -> Generator[tuple[str, list[str]]]:
    """The first looks at its version are lost, and those at its models (`listed`); what it is asked is listed."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path != "/version" and asked.count(self.path) > listed:
                self.answer({"data": [{"id": BASE}]})
            elif self.path != "/version":
                self.close_connection = True
            elif asked.count("/version") > lost:
                poet = [{"name": "poet", "reason": "adapter_model.safetensors is truncated"}] if refused else []
                self.answer({"release": release, "base": BASE, "limits": {"running": 4}, "refused": poet})
            else:
                self.close_connection = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            self.answer({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]})

        def answer(self, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """What is asked is looked at by the test."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}", asked
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


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
    with server(lost=1, listed=1) as (url, asked):
        judged(gate, url, said)
    assert asked == ["/version", "/version", "/v1/models", "/v1/models", "/v1/chat/completions"]
    assert any("has passed its gate: 1 thresholds met" in line for line in said)


def test_who_says_nothing_or_is_another_release_has_not_passed_and_is_asked_nothing(tmp_path: Path) -> None:
    gate = gate_in(tmp_path)
    for lost, release, looks in ((LOOKS, RELEASE, LOOKS), (0, "b" * 64, 1)):
        with server(lost, release) as (url, asked), pytest.raises(EndpointError) as refused:
            judged(gate, url, [])
        assert refused.value.code == "GateUnverified"
        assert asked == ["/version"] * looks


def test_what_is_missed_is_told_with_the_measured_value_and_where_the_report_lies(tmp_path: Path) -> None:
    gate = gate_in(tmp_path, wanted="5")
    with server() as (url, _), pytest.raises(EndpointError) as missed:
        judged(gate, url, [])
    assert missed.value.code == "GateMissed"
    assert "org/base, rows in which all that is demanded is so >= 1.000: missed, it is 0.000." in str(missed.value)
    (report,) = tmp_path.glob("infra/evaluations/*/report.md")
    assert report.relative_to(tmp_path).as_posix() in str(missed.value.suggestion)
    assert "Asked by the gate of a deploy: release aaaaaaaaaaaa." in report.read_text()


def test_answers_of_another_release_or_app_are_none_of_a_run_that_was_cut_off(tmp_path: Path) -> None:
    gate = gate_in(tmp_path)
    journal = Journal(None, "", lambda event: None, threading.Event())
    stored: list[int] = []
    for release, app in ((RELEASE, "app"), (RELEASE, "app"), ("b" * 64, "app"), ("b" * 64, "other")):
        with server(release=release) as (url, _):
            done = asked_and_judged(gate.workspace, At(url, None, app), gate.stated, Compared(gate.rows), journal)
        (done.folder / REPORT).unlink()  # as a kill before it leaves it
        stored.append(done.stored)
    assert stored == [0, 1, 0, 0]


def test_the_base_does_not_stand_for_adapters_that_are_all_refused(tmp_path: Path) -> None:
    gate = gate_in(tmp_path, model=None)
    with server(refused=True) as (url, asked), pytest.raises(EndpointError, match=r"every adapter \(poet\)") as missed:
        judged(gate, url, [])
    assert missed.value.code == "GateUnverified"
    assert "is truncated" in str(missed.value.suggestion)
    assert "/v1/chat/completions" not in asked
    with server() as (url, _):
        judged(gate, url, [])  # a project without an adapter means its base
