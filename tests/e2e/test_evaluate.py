"""`slipway evaluate` on real processes. The sample's base and adapter answer differently by construction: the verdict is
known."""

from __future__ import annotations

import json
import re
import signal
import threading
from pathlib import Path
from typing import Any

import httpx

from sidecar.core.evaluation_runs import Run, answers_of, runs
from sidecar.core.journal import Journal
from sidecar.core.workspace import open_workspace
from sidecar.workflows.evaluate import Evaluated, Wish, evaluate
from tests.e2e.conftest import Place, Sample, until

BASE, ADAPTER = "slipway/tiny-llama", "gpu_model"
SYSTEMS = (None, "You are a helpful assistant.", "You are a sailor.", "Be brief.")
AT_ONCE = 32
"""Requests: what the server computes at a time, as it says."""

ASKED = re.compile(r'^slipway_requests_total\{route="/v1/chat",status="\d+"\} ([0-9.e+]+)$', re.MULTILINE)


def rows_of(sample: Sample, times: int = 1) -> list[dict[str, Any]]:
    """Questions with the adapter's answers, under systems that change none."""
    return [
        {"prompt": each.question, "expected": each.adapter, **({} if system is None else {"system": system})}
        for each in sample[1]
        for system in SYSTEMS
    ] * times


def put(place: Place, rows: list[dict[str, Any]], **stated: Any) -> None:
    infra = place.workspace / "infra"
    (infra / "evaluation.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (infra / "evaluation.json").write_text(json.dumps(stated))


def evaluated(place: Place, wish: Wish) -> Evaluated:
    journal = Journal(None, "", lambda _: None, threading.Event())
    return evaluate(open_workspace(place.workspace), place.home.session(), wish, journal)


def newest(place: Place) -> Run:
    return runs(open_workspace(place.workspace))[0]


def counted(place: Place, key: str) -> int:
    """Chat requests that the server has been asked since its start, by its own metrics: answered, or
    left by who had asked (499)."""
    url = f"http://{place.config['ACA_APP_ENDPOINT']}/metrics"
    headers = {"Authorization": f"Bearer {key}"}
    text = httpx.get(url, headers=headers, trust_env=False, timeout=240).raise_for_status().text
    return sum(round(float(each)) for each in ASKED.findall(text))


def test_the_adapter_is_better_by_its_own_answers_and_thresholds_make_the_exit_code(
    deployed: Place, sample: Sample
) -> None:
    good = {"measure": "exact", "model": ADAPTER, "bound": 0.95}
    put(deployed, rows_of(sample), thresholds=[good, {"measure": "chrf", "verdict": "better"}])
    done = deployed.home.cli("evaluate", str(deployed.workspace))
    assert [(each["model"], each["against"], each["word"]) for each in done["verdicts"]] == [(ADAPTER, BASE, "better")]
    assert (done["rows"], done["asked"], done["stored"], done["met"]) == (24, 48, 0, True)
    figures = {each["name"]: {one["measure"]: one["value"] for one in each["figures"]} for each in done["models"]}
    assert (figures[ADAPTER]["exact"], figures[BASE]["exact"]) == (1.0, 0.0)
    report = Path(done["report"]).read_text()
    assert f"{ADAPTER} is better than {BASE}" in report
    assert "Arr, the ramp where me ship was born!" in report
    assert len(json.loads(Path(done["data"]).read_text())["rows"]) == 24

    put(deployed, rows_of(sample), thresholds=[good, {"measure": "exact", "model": BASE, "bound": 0.95}])
    missed = deployed.home.cli("evaluate", str(deployed.workspace), "--against", ADAPTER, expect=1)
    assert ([each["met"] for each in missed["outcomes"]], missed["met"]) == ([True, False], False)
    words = [(each["model"], each["against"], each["run"], each["word"]) for each in missed["verdicts"]]
    assert words == [
        (BASE, ADAPTER, None, "worse"),
        (ADAPTER, ADAPTER, done["run"], "can't tell"),
        (BASE, BASE, done["run"], "can't tell"),
    ], "and nothing has changed since the run before"
    unknown = deployed.home.cli("evaluate", str(deployed.workspace), "--model", "gpu_modl", expect=1)["error"]
    assert (unknown["code"], "Did you mean gpu_model?" in unknown["suggestion"]) == ("NoSuchModel", True)

    key = deployed.api_key()
    files = [each for each in (deployed.workspace / "infra").rglob("*") if each.is_file()]
    assert any(each.name == "answers.jsonl" for each in files)
    assert [each for each in files if key in each.read_text(errors="replace")] == []
    state = deployed.home.settings.state
    logs = [each for each in state.rglob("*") if each.is_file() and each.suffix in (".log", ".jsonl")]
    assert logs
    assert [each for each in logs if "me ship was born" in each.read_text(errors="replace")] == []


def test_neither_a_kill_nor_a_cancel_makes_a_stored_row_be_asked_again(deployed: Place, sample: Sample) -> None:
    """Counted by the server; what was under way at the end of a process, and no more, is asked twice."""
    put(deployed, rows_of(sample, 8), max_tokens=47)
    key, every = deployed.api_key(), 8 * 48
    before, had = counted(deployed, key), newest(deployed).name
    stored: dict[Any, Any] = {}
    for end, least in ((signal.SIGKILL, 40), (signal.SIGINT, 120)):
        process = deployed.home.start("evaluate", str(deployed.workspace))

        def enough(least: int = least) -> bool:
            return newest(deployed).name != had and len(answers_of(newest(deployed))) > least

        until(lambda process=process, enough=enough: enough() or process.poll() is not None, 240, "some answers")
        process.send_signal(end)
        process.communicate(timeout=240)
        assert process.returncode == (130 if end == signal.SIGINT else -end)
        found = answers_of(newest(deployed))
        assert {name: each for name, each in found.items() if name in stored} == stored
        assert len(stored) < len(found) < every
        stored = found
    done = evaluated(deployed, Wish())
    asked = counted(deployed, key) - before
    print(f"{len(stored)} answers were stored at the last end; the server was asked {asked} times for {every} answers")
    assert (done.run, done.stored, done.asked) == (newest(deployed).name, len(stored), every - len(stored))
    now = answers_of(newest(deployed))
    assert {name: each for name, each in now.items() if name in stored} == stored
    assert every <= asked <= every + 2 * AT_ONCE
