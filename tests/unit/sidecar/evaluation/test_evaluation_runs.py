"""Answers that are stored: all of them after whatever ends a run, by one process at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.core.dataset import Answer
from sidecar.core.evaluation_runs import FOLDER, REPORT, Run, Store, answers_of, begun, earlier, finish, runs
from sidecar.core.workspace import Workspace, open_workspace
from sidecar.words.errors import Conflict, WorkspaceError

ROOT = Path(__file__).resolve().parents[4]
HALF = Answer("half of a sign: \ud83d", "stop", 3, 0.5)


def run_of(folder: Path, key: str = "k1", *, anew: bool = False) -> tuple[Workspace, Run]:
    workspace = open_workspace(folder)
    return workspace, begun(workspace, key, {"digest": "d1"}, anew=anew)


def test_answers_are_read_again_as_they_came(tmp_path: Path) -> None:
    workspace, run = run_of(tmp_path)
    given = {("r1", "base"): Answer("zwei\nDrei \u2028 \"x\"", "stop", 4, 1.5), ("r1", "poet"): HALF,
             ("r2", "base"): Answer(None, refused="400", said="too long")}  # fmt: skip
    with Store(run) as store:
        for (row, model), answer in given.items():
            assert store.put(row, model, answer)
    assert not store.put("r3", "base", HALF), "after the end nothing is taken"
    assert answers_of(run) == given
    assert (tmp_path / FOLDER / ".gitignore").read_text() == "*\n"
    assert runs(workspace) == [run]


def test_a_run_that_was_cut_off_is_gone_on_with_and_a_finished_one_is_not(tmp_path: Path) -> None:
    workspace, first = run_of(tmp_path)
    assert run_of(tmp_path)[1].folder == first.folder
    assert run_of(tmp_path, "k2")[1].folder != first.folder
    anew = run_of(tmp_path, anew=True)[1]
    assert anew.folder != first.folder
    finish(anew, "# Evaluation\n", {"rows": []})
    assert run_of(tmp_path)[1].folder == first.folder
    finish(first, "# Evaluation\n", {"rows": []})
    assert run_of(tmp_path)[1].folder not in (first.folder, anew.folder)
    assert [each.name for each in runs(workspace) if each.finished] == sorted([first.name, anew.name], reverse=True)
    assert earlier(workspace, first.name).folder == first.folder
    with pytest.raises(WorkspaceError, match="no finished evaluation"):
        earlier(workspace, "20200101")


@pytest.mark.parametrize(
    "torn", [b'{"row": "r2", "mod', b'{"row": "r2"}\n', b"\xff\xfe\n", b'{"row": 1, "model": 2, "other": 3}\n']
)
def test_a_line_that_was_cut_short_or_damaged_is_no_answer_and_spoils_no_other(torn: bytes, tmp_path: Path) -> None:
    _, run = run_of(tmp_path)
    with Store(run) as store:
        store.put("r1", "base", HALF)
    with (run.folder / "answers.jsonl").open("ab") as stream:
        stream.write(torn)
    with Store(run) as store:
        store.put("r3", "base", HALF)
    assert answers_of(run) == {("r1", "base"): HALF, ("r3", "base"): HALF}


def test_what_is_no_run_is_none(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    assert runs(workspace) == []
    around = tmp_path / FOLDER
    (around / "notes").mkdir(parents=True)
    (around / "broken").mkdir()
    (around / "broken" / "answers.jsonl").write_text("{")
    (around / "file").write_text("")
    assert runs(workspace) == []


OTHER = """
import sys, pathlib
from sidecar.core.dataset import Answer
from sidecar.core.evaluation_runs import Store, runs
from sidecar.core.workspace import open_workspace
(run,) = runs(open_workspace(sys.argv[1]))
with Store(run) as store:
    for number in range(1000):
        store.put(f"r{number}", "base", Answer("x" * 200))
        if number == 99:
            print("stored", flush=True)
            sys.stdin.read(1)
"""


def test_a_process_that_is_killed_leaves_every_answer_and_lets_go_of_the_run(tmp_path: Path) -> None:
    workspace, run = run_of(tmp_path)
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "stored\n"
    with pytest.raises(Conflict, match="Another process"), Store(run):
        pass
    os.kill(other.pid, signal.SIGKILL)
    other.wait(timeout=60)
    other.stdout.close()
    assert len(answers_of(run)) == 100
    with Store(run) as store:
        assert store.put("r100", "base", HALF)
    assert len(answers_of(runs(workspace)[0])) == 101


def test_the_report_is_whole_or_not_there(tmp_path: Path) -> None:
    _, run = run_of(tmp_path)
    finish(run, "# \ud83d\n", {"text": "\ud83d", "rows": [1]})
    assert json.loads((run.folder / REPORT).read_text()) == {"text": "\ud83d", "rows": [1]}
    assert sorted(each.name for each in run.folder.iterdir()) == ["answers.jsonl", "report.json", "report.md"]
