"""JSON while it is typed: every part with its place, whatever is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.located import Span, located

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(VALUES, st.sampled_from([None, 2]))
def test_what_is_json_is_read_as_json_has_it(value: object, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    found = located(text)
    assert found is not None
    assert found.plain == value
    assert found.place == Span(0, len(text))


@settings(deadline=None, max_examples=200)
@given(VALUES, st.data())
def test_cut_anywhere_it_is_still_read_and_each_place_is_the_parts_own(value: object, data: st.DataObject) -> None:
    text = json.dumps({"first": value}, ensure_ascii=False)
    cut = text[: data.draw(st.integers(0, len(text)))]
    found = located(cut)
    for member in () if found is None else found.members:
        start, end = member.place
        assert json.dumps(member.key, ensure_ascii=False).startswith(cut[start:end]) or cut[start:end] in member.key


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('{"a": 1, // why\n "b": , "c": [1, 2,]}', {"a": 1, "b": None, "c": [1, 2]}),
        ('{"a": {"value": ', {"a": {"value": None}}),
        ('{"a": "abc\n, "b": nul, "c": 2}', {"a": "abc", "b": "nul", "c": 2}),
        ('{"a": \n "b": 2}', {"a": None, "b": 2}),
        ('{"a": "x" "b": 2}', {"a": "x", "b": 2}),
        ('{"ü😀": {"x": true}, "y": 3', {"ü😀": {"x": True}, "y": 3}),
        ("[1 2]]", [1, 2]),
        ("nul", "nul"),
    ],
)
def test_what_is_missing_hides_nothing_that_is_there(text: str, plain: object) -> None:
    found = located(text)
    assert found is not None
    assert found.plain == plain


def test_a_place_is_told_by_its_path_or_the_nearest_around_it() -> None:
    text = '{"é": [1, {"b": "there"}]}'
    found = located(text)
    assert found is not None
    start, end = found.at(["é", 1, "b"])
    assert text[start:end] == '"there"'
    start, end = found.at(["é", 1, "absent"])
    assert text[start:end] == '{"b": "there"}'


@pytest.mark.parametrize(
    "text", ["", "   ", "}", "{" * 5000, "[" * 5000 + "]" * 5000, '"\n' * 5000, '{"a": "\n' * 2000]
)
def test_nothing_hostile_is_followed_for_long(text: str) -> None:
    located(text)


def test_what_is_no_file_of_settings_is_not_read() -> None:
    assert located(json.dumps(["x" * 10] * 20_000)) is None
