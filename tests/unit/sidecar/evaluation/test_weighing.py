"""Answers weighed in a process that is ended where it takes too long: nobody waits for an expression that comes to no end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from sidecar.core.dataset import Answer, Case
from sidecar.core.dataset_files import dataset_of
from sidecar.core.evaluation import Evaluation, Threshold
from sidecar.core.evaluation_runs import answers_of, runs
from sidecar.core.journal import Event, Journal
from sidecar.core.workspace import open_workspace
from sidecar.decisions.weighing import NOTHING, Part, Shared, Weighed
from sidecar.gateway.local import PACKAGES
from sidecar.words.errors import Cancelled
from sidecar.words.text import Text
from sidecar.workflows.judging import At, Compared, Evaluated, asked_and_judged
from sidecar.workflows.weighing import START, TRIES, Weigher
from tests.contract.localcloud.conftest import eventually
from tests.unit.sidecar.evaluation.answering import BASE, answering

ENDLESS = "(a+)+$"
LONG = "a" * 60 + "!"
"""What that expression takes longer for than anybody lives."""

SHORT: dict[Part, float] = {"regex": 0.3, "schema": 0.3, "texts": 60.0}


def children() -> set[int]:
    return {each.pid for each in psutil.Process().children(recursive=True)}


def why(found: bool | Text | Shared | None) -> str:
    assert isinstance(found, Text), found
    return str(found)


def test_what_comes_to_an_end_is_weighed_as_it_is_here() -> None:
    case = Case("", regex="^It", schema='{"type": "string"}', expected="It is so")
    with Weigher(lambda: None) as weigher:
        found = weigher.weigh(case, Answer("It is \ud83d so"))
        assert (found.regex, found.schema) == (True, False)
        assert isinstance(found.texts, Shared)
        assert found.texts.rouge_l == 1.0
        refused = weigher.weigh(case, Answer(None, refused="400"))
        assert (refused.regex, refused.schema) == (None, None), "there is no answer to hold against them"
        assert weigher.weigh(Case(""), Answer("x")) == NOTHING


def test_an_expression_without_an_end_is_no_verdict_and_the_next_row_is_judged() -> None:
    before = children()
    with Weigher(lambda: None, SHORT) as weigher:
        told = why(weigher.weigh(Case("", regex=ENDLESS), Answer(LONG)).regex)
        assert ENDLESS in told
        assert "0.3 s" in told
        pattern = json.dumps({"type": "string", "pattern": ENDLESS})
        assert "schema" in why(weigher.weigh(Case("", schema=pattern), Answer(json.dumps(LONG))).schema)
        assert weigher.weigh(Case("", regex=ENDLESS), Answer("aaa")) == Weighed(regex=True)
    assert children() == before, "nothing of it runs on"


def test_an_expression_that_came_to_no_end_so_often_is_not_tried_any_more() -> None:
    looks: list[float] = []
    with Weigher(lambda: looks.append(time.monotonic()), SHORT) as weigher:
        for _ in range(TRIES):
            weigher.weigh(Case("", regex=ENDLESS), Answer(LONG))
        tried = len(looks)
        for _ in range(100):
            assert ENDLESS in why(weigher.weigh(Case("", regex=ENDLESS), Answer(LONG)).regex)
        assert len(looks) == tried + 100, "one look a row, and none of a wait"


def test_what_ends_the_process_is_told_by_its_kind_alone() -> None:
    stated = json.dumps({"$ref": "#/told", "told": {"pattern": "("}})
    with Weigher(lambda: None) as weigher:
        told = why(weigher.weigh(Case("", schema=stated), Answer('"the secret answer"')).schema)
        assert "ended over it (" in told
        assert "secret" not in told
        assert weigher.weigh(Case("", regex="x"), Answer("x")) == Weighed(regex=True)


def test_a_process_whose_asker_is_gone_ends_itself_amid_an_expression() -> None:
    """As after a kill: its watch needs no turn of Python's."""
    command = [sys.executable, "-P", "-c", START, str(PACKAGES)]
    left = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    asked = {"part": "regex", "stated": ENDLESS, "text": LONG, "seconds": 0.5}
    left.communicate(json.dumps(asked).encode() + b"\n", timeout=120)  # and closes what it is asked by
    assert left.returncode not in (0, -signal.SIGKILL)


@dataclass
class Judged:
    folder: Path
    said: list[str] = field(default_factory=list[str])
    stop: threading.Event = field(default_factory=threading.Event)

    def write(self, *rows: Mapping[str, object]) -> None:
        infra = self.folder / "infra"
        infra.mkdir(exist_ok=True)
        (infra / "evaluation.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))

    def run(self, url: str) -> Evaluated:
        workspace = open_workspace(self.folder)
        stated = Evaluation(thresholds=(Threshold(measure="passes", model=BASE, bound=0.1),))
        journal = Journal(None, "", self.hear, self.stop)
        return asked_and_judged(workspace, At(url, None, "app"), stated, Compared(dataset_of(workspace, ())), journal)

    def hear(self, event: Event) -> None:
        self.said.append(str(event.text))


def test_a_data_set_with_such_an_expression_is_judged_but_for_that_row(tmp_path: Path) -> None:
    judged = Judged(tmp_path)
    judged.write(*({"prompt": f"{at}", "regex": "^a"} for at in range(5)), {"prompt": "Say it", "regex": ENDLESS})
    with answering(LONG) as (url, _):
        done = judged.run(url)
    assert done.judged.figures[BASE]["passes"] == 1.0
    assert [each.met for each in done.judged.outcomes] == [None], "no pass by the rows alone that could be judged"
    page = str(done.document)
    assert f"infra/evaluation.jsonl:6, {BASE}: The regular expression {ENDLESS} had not come to an end" in page
    assert "could not be judged, and count neither as right nor as wrong: 1." in page
    report = json.loads((done.folder / "report.json").read_text())
    assert report["met"] is False
    row = next(each for each in report["rows"] if each["place"].endswith(":6"))
    assert set(row["answers"][BASE]["unjudged"]) == {"regex", "passes"}
    assert "passes" not in row["answers"][BASE]["scores"]


def test_a_cancel_amid_an_expression_is_heard_within_a_second_and_keeps_the_answers(tmp_path: Path) -> None:
    judged, before = Judged(tmp_path), children()
    judged.write({"prompt": "Say it", "regex": ENDLESS})
    heard: list[float] = []
    with answering(LONG) as (url, asked):

        def run() -> None:
            with pytest.raises(Cancelled):
                judged.run(url)
            heard.append(time.monotonic())

        working = threading.Thread(target=run)
        working.start()
        eventually(
            lambda: any("Judging: 0 of 1" in each for each in judged.said) and len(children()) > len(before), 120
        )
        cancelled = time.monotonic()
        judged.stop.set()
        working.join(120)
        assert heard[0] - cancelled < 1.0
        assert children() == before
        (cut_off,) = runs(open_workspace(tmp_path))
        assert (cut_off.finished, len(answers_of(cut_off))) == (False, 1)
        judged.stop.clear()
        count = asked.count("/v1/chat/completions")
        judged.run(url)
        assert asked.count("/v1/chat/completions") == count, "the same again judges, and asks nothing"
