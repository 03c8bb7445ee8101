"""`infra/evaluation.json`: its form, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.evaluation import MOST_TOKENS, Evaluation, Threshold, read_evaluation
from sidecar.core.workspace import open_workspace
from sidecar.words.errors import WorkspaceError


def stated(folder: Path, text: str) -> Path:
    file = folder / "infra" / "evaluation.json"
    file.parent.mkdir()
    file.write_text(text)
    return folder


def test_without_the_file_base_and_adapters_are_compared_and_nothing_is_demanded(tmp_path: Path) -> None:
    assert read_evaluation(open_workspace(tmp_path)) == Evaluation()
    assert (Evaluation().models, Evaluation().max_tokens, Evaluation().thresholds) == (None, MOST_TOKENS, ())


def test_thresholds_are_read_with_comments(tmp_path: Path) -> None:
    text = """{
      "dataset": "dataset/test.jsonl",  // held back from training
      "thresholds": [
        {"measure": "passes", "model": "poet", "bound": 0.9},
        {"measure": "latency", "comparison": "<=", "bound": 2},
        {"measure": "chrf", "verdict": "not worse", "against": "last"},
      ],
    }"""
    found = read_evaluation(open_workspace(stated(tmp_path, text)))
    assert found.files == ("dataset/test.jsonl",)
    assert found.thresholds == (
        Threshold(measure="passes", model="poet", bound=0.9),
        Threshold(measure="latency", comparison="<=", bound=2),
        Threshold(measure="chrf", verdict="not worse", against="last"),
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("{\n]", 2, "no JSON"),
        ('{\n "datset": "a"}', 2, "Did you mean dataset?"),
        ('{"thresholds": [\n{"measure": "rouge", "bound": 1}]}', 2, "Did you mean rougeL?"),
        ('{\n"dataset": 7}', 2, "a file, or a list of files"),
        ('{"gate": true}', 1, "a gate needs thresholds"),
        ('{"thresholds": [\n{"measure": "blue", "bound": 1}]}', 2, "measure"),
        ('{"thresholds": [\n{"measure": "bleu"}]}', 2, "either bound or verdict"),
        ('{"thresholds": [\n{"measure": "bleu", "bound": 1, "verdict": "better"}]}', 2, "either bound or verdict"),
        ('{"thresholds": [{"measure": "bleu",\n"bound": 1, "comparison": "=>"}]}', 2, "comparison"),
        ('{"thresholds": [{"measure": "bleu",\n"bound": "0.5"}]}', 2, "bound"),
        ('{"thresholds": [{"measure": "bleu",\n"bound": true}]}', 2, "bound"),
        ('{"thresholds": [{"measure": "bleu",\n"bound": Infinity}]}', 2, "finite"),
        ('{\n"models": []}', 2, "models"),
        ('{\n"max_tokens": 0}', 2, "max_tokens"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(WorkspaceError) as raised:
        read_evaluation(open_workspace(stated(tmp_path, text)))
    assert (raised.value.problems[0].path, raised.value.problems[0].line) == ("infra/evaluation.json", line)
    assert said in str(raised.value)


def test_a_link_that_leads_nowhere_is_not_no_gate(tmp_path: Path) -> None:
    workspace = open_workspace(stated(tmp_path, "{}"))
    file = workspace.infra / "evaluation.json"
    file.unlink()
    assert not read_evaluation(workspace).is_gate
    file.symlink_to("nowhere.json")
    with pytest.raises(WorkspaceError) as raised:
        read_evaluation(workspace)
    assert raised.value.code == "Unreadable"
