"""`infra/smoke.json`: its form, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.smoke import read_smoke, to_wire, wrong
from sidecar.core.workspace import open_workspace
from sidecar.words.errors import WorkspaceError


def stated(folder: Path, text: str) -> Path:
    file = folder / "infra" / "smoke.json"
    file.parent.mkdir()
    file.write_text(text)
    return folder


def test_without_the_file_nothing_is_asked(tmp_path: Path) -> None:
    assert read_smoke(open_workspace(tmp_path)) == ()


def test_questions_are_read_and_travel_without_what_they_leave_out(tmp_path: Path) -> None:
    text = """[
      {"prompt": "2 + 2 =", "contains": "4", "max_tokens": 4},  // a comment
      {"messages": [{"role": "user", "content": "Hello"}], "equals": "Hi", "model": "poet"},
    ]"""
    smoke = read_smoke(open_workspace(stated(tmp_path, text)))
    assert to_wire(smoke) == [
        {"prompt": "2 + 2 =", "contains": "4", "max_tokens": 4},
        {
            "messages": [{"role": "user", "content": "Hello"}],
            "equals": "Hi",
            "model": "poet",
            "max_tokens": 16,
        },
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[\n  {]", 2, "no JSON"),
        ('[\n  {"prompt": "a"},\n  {"contains": "4"}\n]', 3, "either prompt or messages"),
        ('[\n  {"prompt": "a", "messages": [{"role": "user", "content": "b"}]}\n]', 2, "either prompt or messages"),
        ('[\n  {"prompt": "a",\n   "max_tokens": 0}\n]', 3, "max_tokens"),
        ('[\n  {"prompt": "a",\n   "expect": "b"}\n]', 3, "expect"),
        ('[{"messages": [\n  {"role": "user", "content": "a"},\n  {"role": "robot", "content": "b"}]}]', 3, "role"),
        ('{"prompt": "a"}', 1, "tuple"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(WorkspaceError) as raised:
        read_smoke(open_workspace(stated(tmp_path, text)))
    assert (raised.value.problems[0].path, raised.value.problems[0].line) == ("infra/smoke.json", line)
    assert said in str(raised.value)


def test_an_answer_is_judged_by_what_was_stated(tmp_path: Path) -> None:
    text = '[{"prompt": "a", "contains": "4"}, {"prompt": "a", "equals": "Hi"}, {"prompt": "a"}]'
    holds, same, anything = read_smoke(open_workspace(stated(tmp_path, text)))
    assert wrong(holds, "it is 42") is None
    assert "4" in str(wrong(holds, "five"))
    assert wrong(same, " Hi\n") is None
    assert wrong(same, "Hi there") is not None
    assert wrong(anything, "") is None
