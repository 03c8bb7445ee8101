"""Data sets: the forms in which a row may come, and what is said of one that can't be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.dataset import Case, Dataset, joined, read_dataset
from sidecar.core.dataset_files import dataset_of, part_of
from sidecar.core.workspace import open_workspace
from sidecar.words.errors import WorkspaceError


def lines(*rows: object) -> str:
    return "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows) + "\n"


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def read(folder: Path, text: str) -> Dataset:
    return read_dataset(put(folder, "rows.jsonl", text), "rows.jsonl")


ASKED = (("user", "Hi"),)

FORMS: list[tuple[dict[str, Any], Case]] = [
    ({"prompt": "Hi"}, Case("", ASKED)),
    ({"prompt": "Hi", "system": "Be kind."}, Case("", (("system", "Be kind."), *ASKED))),
    ({"prompt": "Hi", "expected": "Ho", "max_tokens": 4}, Case("", ASKED, expected="Ho", max_tokens=4)),
    (
        {"prompt": "Hi", "equals": "Ho", "contains": ["H", "o"], "regex": "^H", "model": "poet"},
        Case("", ASKED, equals="Ho", contains=("H", "o"), regex="^H", model="poet"),
    ),
    ({"messages": [{"role": "user", "content": "Hi"}], "contains": "o"}, Case("", ASKED, contains=("o",))),
    (
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]},
        Case("", ASKED, expected="Ho"),
    ),
    (
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}], "system": "S"},
        Case("", (("system", "S"), *ASKED), expected="Ho"),
    ),
    ({"instruction": "Hi", "input": "", "output": "Ho"}, Case("", ASKED, expected="Ho")),
    ({"instruction": "Hi", "input": "there", "output": "Ho"}, Case("", (("user", "Hi\n\nthere"),), expected="Ho")),
    ({"prompt": "Hi", "completion": "Ho"}, Case("", ASKED, expected="Ho")),
    (
        {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Ho"}]},
        Case("", ASKED, expected="Ho"),
    ),
]


@pytest.mark.parametrize(("row", "case"), FORMS)
@pytest.mark.parametrize("listed", [False, True])
def test_a_row_is_read_in_the_form_that_it_has(row: dict[str, Any], case: Case, listed: bool, tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps([row, row], indent=1) if listed else lines(row, "", row))
    assert found.problems == ()
    assert [{**vars(each), "place": ""} for each in found.cases] == [{**vars(case)}] * 2
    assert found.cases[0].place == ("rows.jsonl:2" if listed else "rows.jsonl:1")


BAD: list[tuple[object, str]] = [
    ('{"prompt": "a"', "no JSON"),
    ([1], "an object in JSON"),
    ({"text": "a"}, "Nothing says what is to be asked"),
    ({"prompt": "a", "messages": []}, "either prompt or messages"),
    ({"prompt": " "}, "empty"),
    ({"prompt": 3}, "prompt must be a text"),
    ({"messages": []}, "not empty"),
    ({"messages": [{"role": "robot", "content": "a"}]}, "role"),
    ({"messages": [{"role": "assistant", "content": "a"}]}, "asks nothing"),
    ({"conversations": [{"from": "human"}]}, "from"),
    ({"prompt": "a", "regex": "("}, "no regular expression"),
    ({"prompt": "a", "regex": "a{99999999999999999999}"}, "no regular expression"),
    ({"prompt": "a", "regex": "(" * 5000 + ")" * 5000}, "no regular expression"),
    ("[" * 100_000, "no JSON"),
    ({"prompt": "a", "schema": {"pattern": "a{99999999999999999999}"}}, "no JSON Schema"),
    ({"prompt": "a", "schema": "object"}, "JSON Schema"),
    ({"prompt": "a", "schema": {"type": "objekt"}}, "no JSON Schema"),
    ({"prompt": "a", "contains": [""]}, "contains must be"),
    ({"prompt": "a", "expected": 4}, "expected must be a text"),
    ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
]


@pytest.mark.parametrize(("row", "said"), BAD)
def test_what_is_wrong_is_said_with_its_line_and_the_other_rows_are_read(
    row: object, said: str, tmp_path: Path
) -> None:
    found = read(tmp_path, lines({"prompt": "a"}, row, {"prompt": "b"}))
    (problem,) = found.problems
    assert (problem.path, problem.line) == ("rows.jsonl", 2)
    assert said in str(problem.message)
    assert [each.asked for each in found.cases] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "line", "read_before"),
    [('[\n {"prompt": "a"},\n {"prompt": }\n]', 3, 1), ('[{"prompt": "a"}\n {"prompt": "b"}]', 2, 1), ("[", 1, 0)],
)
def test_a_list_that_is_no_json_is_told_with_the_line_of_the_fault(
    text: str, line: int, read_before: int, tmp_path: Path
) -> None:
    found = read(tmp_path, text)
    assert [(each.line, "no JSON" in str(each.message)) for each in found.problems] == [(line, True)]
    assert len(found.cases) == read_before


def test_an_unknown_field_is_told_once_with_its_first_line(tmp_path: Path) -> None:
    """A misspelt one would else leave its rows unjudged without a word."""
    found = read(tmp_path, lines({"prompt": "a"}, {"prompt": "b", "expectd": "c"}, {"prompt": "d", "expectd": "e"}))
    assert [str(each) for each in found.notes] == ["rows.jsonl, line 2: the field expectd is not read."]


def test_rows_have_ids_by_what_they_ask_and_the_same_row_twice_has_two(tmp_path: Path) -> None:
    first = joined([read(tmp_path, lines({"prompt": "a"}, {"prompt": "a"}, {"prompt": "a", "expected": "b"}))])
    assert len({each.id for each in first.cases}) == 3
    assert "same as an earlier one: 1" in str(first.notes[-1])
    moved = joined([read(tmp_path, lines({"prompt": "z"}, {"prompt": "a"}))])
    assert moved.cases[1].id == first.cases[0].id, "another line, the same row"
    assert moved.digest != first.digest


OLIVE = """{
  "data_configs": [{
    "name": "train", "load_dataset_config": {"data_name": "json", "data_files": "dataset/tones.json", "split": "train"},
    "pre_process_data_config": {
      "text_cols": ["phrase", "tone"], "text_template": "### Text: {phrase}\\n### The tone is:\\n{tone}"
    }
  }]
}"""


def test_the_data_of_fine_tuning_are_found_and_asked_in_the_words_of_the_training(tmp_path: Path) -> None:
    put(tmp_path, "finetuning/olive-config.json", OLIVE)
    put(
        tmp_path,
        "dataset/tones.json",
        lines({"phrase": "I won {twice}!", "tone": "joy"}, {"phrase": "Oh", "tone": "awe"}),
    )
    found = dataset_of(open_workspace(tmp_path), ())
    assert found.files == ("dataset/tones.json",)
    assert found.cases[0].prompt == "### Text: I won {twice}!\n### The tone is:\n"
    assert [each.expected for each in found.cases] == ["joy", "awe"]
    assert len(part_of(found, 1).cases) == 1
    assert part_of(found, None, [found.cases[1].id]).cases == found.cases[1:]
    with pytest.raises(WorkspaceError, match="are not in"):
        part_of(found, None, ["another"])


def test_older_configurations_of_olive_are_read_too(tmp_path: Path) -> None:
    old = {
        "data_configs": {
            "train": {
                "params_config": {
                    "data_files": ["dataset/a.jsonl"],
                    "component_kwargs": {"pre_process_data": {"text_cols": ["q", "a"], "text_template": "{q} {a}"}},
                }
            }
        }
    }
    put(tmp_path, "finetuning/olive-config.json", json.dumps(old))
    put(tmp_path, "dataset/a.jsonl", lines({"q": "2 + 2 =", "a": 4}))
    (case,) = dataset_of(open_workspace(tmp_path), ()).cases
    assert (case.prompt, case.expected) == ("2 + 2 =", "4")


def test_the_own_data_set_comes_first_then_fine_tunings_then_the_questions_of_a_release(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    with pytest.raises(WorkspaceError) as none:
        dataset_of(workspace, ())
    assert none.value.code == "NoDataset"
    put(tmp_path, "infra/smoke.json", '[{"prompt": "a", "contains": "b", "model": "poet"}]')
    (smoke,) = dataset_of(workspace, ()).cases
    assert (smoke.place, smoke.contains, smoke.model, smoke.max_tokens) == ("infra/smoke.json#1", ("b",), "poet", 16)
    put(tmp_path, "finetuning/olive-config.json", OLIVE)
    put(tmp_path, "dataset/tones.json", lines({"phrase": "Oh", "tone": "awe"}))
    assert dataset_of(workspace, ()).files == ("dataset/tones.json",)
    put(tmp_path, "infra/evaluation.jsonl", lines({"prompt": "a"}))
    assert dataset_of(workspace, ()).files == ("infra/evaluation.jsonl",)
    assert dataset_of(workspace, ("infra/smoke.json", "dataset/tones.json")).files[0] == "infra/smoke.json"


def test_rows_that_cannot_be_read_stop_the_evaluation_and_all_of_them_are_told(tmp_path: Path) -> None:
    put(tmp_path, "infra/evaluation.jsonl", lines({"prompt": "a"}, "{", {"text": "b"}))
    with pytest.raises(WorkspaceError) as raised:
        dataset_of(open_workspace(tmp_path), ())
    assert [(each.path, each.line) for each in raised.value.problems] == [
        (("infra/evaluation.jsonl"), 2),
        (("infra/evaluation.jsonl"), 3),
    ]
    assert "infra/evaluation.jsonl, line 2" in str(raised.value)


@pytest.mark.parametrize(("name", "code"), [("nowhere.jsonl", "NoDataset"), ("empty.jsonl", "NoDataset")])
def test_a_file_without_rows_is_named(name: str, code: str, tmp_path: Path) -> None:
    put(tmp_path, "empty.jsonl", "\n\n")
    with pytest.raises(WorkspaceError) as raised:
        dataset_of(open_workspace(tmp_path), (name,))
    assert raised.value.code == code
    assert name in str(raised.value)
