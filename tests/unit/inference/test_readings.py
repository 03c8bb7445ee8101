"""Thoughts and calls out of an answer's text: the same whatever pieces it comes in, and nothing is ever lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.api.readings import Call, CallScanner, Reading, ThoughtSplitter
from inference.engine.text.chat_template import CallForm

TIDE = '{"name": "get_tide", "arguments": {"port": "Ulm"}}'
LATE = '{"name": "late", "arguments": {}}'
ONE = ("get_tide", {"port": "Ulm"})
TWO = ("late", {})

CASES: dict[str, tuple[CallForm, str, list[Any]]] = {
    "tags": ("tags", f"<tool_call>\n{TIDE}\n</tool_call>", [ONE]),
    "text before": ("tags", f"I will look.\n<tool_call>\n{TIDE}\n</tool_call>", ["I will look.", ONE]),
    "two": ("tags", f"<tool_call>\n{TIDE}\n</tool_call>\n<tool_call>{LATE}</tool_call>\n", [ONE, TWO]),
    "text between": ("tags", f"a <tool_call>{TIDE}</tool_call> b", ["a", ONE, "b"]),
    "never closed": ("tags", f"<tool_call>\n{TIDE}", [ONE]),
    "cut off": ("tags", '<tool_call>\n{"name": "get_ti', ['<tool_call>\n{"name": "get_ti']),
    "no JSON": ("tags", "a<tool_call>x</tool_call>b", ["a", "<tool_call>x</tool_call>", "b"]),
    "no call at all": ("tags", "1 < 2 and <tool> is a tag", ["1 < 2 and <tool> is a tag"]),
    "a tag that only begins": ("tags", "see <tool_ca", ["see <tool_ca"]),
    "arguments as text": (
        "tags",
        '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>',
        [("f", {"a": 1})],
    ),
    "mistral": ("mistral", f"[TOOL_CALLS][{TIDE}, {LATE}]", [ONE, TWO]),
    "mistral by name": ("mistral", '[TOOL_CALLS]get_tide[ARGS]{"port": "Ulm"}', [ONE]),
    "mistral, several by name": (
        "mistral",
        '[TOOL_CALLS]get_tide[CALL_ID]abc[ARGS]{"port": "Ulm"}[TOOL_CALLS]late[ARGS]{}',
        [ONE, TWO],
    ),
    "mistral, cut": ("mistral", '[TOOL_CALLS][{"name": "x"', ['[TOOL_CALLS][{"name": "x"']),
    "llama, bare": ("llama", '{"name": "get_tide", "parameters": {"port": "Ulm"}}', [ONE]),
    "llama, two": ("llama", f"{TIDE}; {LATE}", [ONE, TWO]),
    "llama, tagged": ("llama", f"<|python_tag|>{TIDE}", [ONE]),
    "llama, code": ("llama", '<|python_tag|>print("x")', ['<|python_tag|>print("x")']),
    "llama, an answer in JSON": ("llama", '{"port": "Ulm"}', ['{"port": "Ulm"}']),
    "llama, of no function": ("llama", '{"name": "Ulm", "arguments": 5}', ['{"name": "Ulm", "arguments": 5}']),
    "llama, a set": ("llama", "{1, 2}", ["{1, 2}"]),
    "llama, later": ("llama", f"So: {TIDE}", [f"So: {TIDE}"]),
    "phi": ("phi", f"functools[{TIDE}, {LATE}]", [ONE, TWO]),
    "phi, tagged": ("phi", f"<|tool_call|>[{TIDE}]<|/tool_call|>", [ONE]),
    "phi, nested": ("phi", f'functools[{{"type": "function", "function": {TIDE}}}]', [ONE]),
    "phi, about Python": ("phi", "use functools.partial", ["use functools.partial"]),
}


def plainly(pieces: list[str | Call]) -> list[Any]:
    """Pieces of text that follow one another are one."""
    read: list[Any] = []
    for piece in pieces:
        if isinstance(piece, Call):
            read.append((piece.name, json.loads(piece.arguments)))
        elif read and isinstance(read[-1], str):
            read[-1] += piece
        else:
            read.append(piece)
    return read


def scanned(form: CallForm, parts: list[str]) -> list[Any]:
    scanner = CallScanner(form, {"get_tide", "late"})
    pieces = [piece for part in parts for piece in scanner.push(part, False)]
    return plainly([*pieces, *scanner.push("", True)])


@pytest.mark.parametrize("name", CASES)
def test_calls_are_found_whatever_pieces_they_come_in(name: str):
    form, text, expected = CASES[name]
    expected = plainly([Call(each[0], json.dumps(each[1])) if isinstance(each, tuple) else each for each in expected])
    assert scanned(form, [text]) == expected
    assert scanned(form, list(text)) == expected
    for cut in range(len(text)):
        assert scanned(form, [text[:cut], text[cut:]]) == expected, text[:cut]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["tags", "mistral", "llama", "phi"]),
    st.lists(
        st.sampled_from(
            ["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "functools", "{", "}", "[", "]", '"name"', ":", " ", "x"]
        )
    ),
)
def test_nothing_of_a_text_is_lost_where_there_is_no_call(form: CallForm, parts: list[str]):
    read = scanned(form, parts)
    text = "".join(parts)
    assert all(isinstance(piece, str) for piece in read)
    assert "".join("".join(read).split()) == "".join(text.split())
    assert read == scanned(form, [text])


THOUGHTS: dict[str, tuple[bool, str, str, str]] = {
    "thoughts": (False, "<think>\nHm.\n</think>\n\nNo.", "Hm.", "No."),
    "none": (False, "No.", "", "No."),
    "empty": (False, "<think>\n\n</think>\n\nNo.", "", "No."),
    "opened by the prompt": (True, "Hm.\n</think>\n\nNo.", "Hm.", "No."),
    "cut off": (False, "<think>\nHm", "Hm", ""),
    "a tag later on": (False, "See <think> there.", "", "See <think> there."),
    "a tag that only begins": (False, "<thi", "", "<thi"),
    "white space first": (False, "\n<think>a</think>b", "a", "b"),
    "a comparison in it": (False, "<think>1 < 2 </thin </think>b", "1 < 2 </thin", "b"),
}


@pytest.mark.parametrize("name", THOUGHTS)
def test_thoughts_are_told_from_what_is_said(name: str):
    inside, text, thoughts, said = THOUGHTS[name]
    for parts in ([text], list(text), *([text[:cut], text[cut:]] for cut in range(len(text)))):
        splitter = ThoughtSplitter(inside)
        read = [splitter.push(part, False) for part in parts] + [splitter.push("", True)]
        assert ("".join(each[0] for each in read), "".join(each[1] for each in read).strip()) == (thoughts, said), parts


def test_one_call_at_a_time_where_that_is_asked_for():
    reading = Reading(calls=CallScanner("tags", {"f"}), one=True)
    _, pieces = reading.push(f"<tool_call>{TIDE}</tool_call><tool_call>{LATE}</tool_call>", True)
    assert plainly(pieces) == [ONE]


def test_ids_are_of_nine_letters_and_digits():
    ids = {Call("f", "{}").id for _ in range(200)}
    assert len(ids) == 200
    assert all(len(each) == 9 and each.isalnum() for each in ids)
