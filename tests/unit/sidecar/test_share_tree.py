"""What is planned for a share: all of the tree comes to be there, and another person's work is never among what goes unasked."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decisions.share_names import folded
from sidecar.decisions.share_tree import File, Found, Manifest, folders_of, manifest_from, planned, unsure

NAMES = st.sampled_from(["a", "A2", "b/c", "b/d/e", "f"])
TEXTS = st.sampled_from(["one", "two", "three", "four"])


def file_of(text: str, stamp: str = "") -> File:
    return File(hashlib.sha256(text.encode()).hexdigest(), len(text), stamp)


@given(
    st.dictionaries(NAMES, TEXTS),
    st.dictionaries(NAMES, st.tuples(TEXTS, st.booleans())),
    st.dictionaries(NAMES, TEXTS),
    st.dictionaries(NAMES, TEXTS),
)
def test_everything_comes_to_be_there_and_what_is_not_ours_is_asked_about(
    local: dict[str, str], put: dict[str, tuple[str, bool]], pending: dict[str, str], there: dict[str, str]
) -> None:
    """`put`: what an earlier sync wrote, and whether the share still says so of the file that is there."""
    stamps = {
        path: "same" if text == put[path][0] and put[path][1] else "new" for path, text in there.items() if path in put
    }
    known = Manifest(
        {path: file_of(text, "same") for path, (text, _) in put.items()},
        {path: (file_of(text).sha256,) for path, text in pending.items()},
    )
    found = [Found(path, len(text), stamps.get(path, "new")) for path, text in there.items()]
    wanted = {path: file_of(text) for path, text in local.items()}
    contents = {each.path: file_of(there[each.path]).sha256 for each in unsure(wanted, known, found)}
    plan = planned(wanted, known, found, contents)
    assert plan.equal.keys() | plan.uploads.keys() == local.keys()
    assert all(there[path] == local[path] for path in plan.equal)
    gone = {each.found.path for each in plan.deletions}
    assert gone <= put.keys() | pending.keys()
    assert not gone & local.keys()
    for path in gone | {each.path for each in plan.uploads.values() if each is not None}:
        ours = {text for text in (put.get(path, ("", False))[0], pending.get(path)) if text}
        assert (path in {each.path for each in plan.foreign}) == (there[path] not in ours)


def test_the_question_is_another_one_when_the_files_have_changed_meanwhile() -> None:
    local = {"a": file_of("ours")}
    first = planned(local, Manifest(), [Found("a", 6, "1")], {})
    second = planned(local, Manifest(), [Found("a", 6, "2")], {})
    assert [each.path for each in first.foreign] == ["a"]
    assert first.consent != second.consent


def test_what_stands_in_the_way_goes_first() -> None:
    known = Manifest({name: file_of("one", "1") for name in ("Notes", "folder", "file/below", "old")})
    found = [Found(name, 3, "1") for name in known.files]
    local = {name: file_of("two") for name in ("notes", "folder/inside", "file")}
    plan = planned(local, known, found, {})
    assert {each.found.path for each in plan.deletions if each.early} == {"Notes", "folder", "file/below"}
    assert [each.found.path for each in plan.deletions if not each.early] == ["old"]
    assert plan.foreign == ()


def test_a_list_is_read_as_it_was_written_and_a_damaged_one_is_none() -> None:
    known = Manifest({"ä": file_of("one", "1")}, {"b": ("x", "y")}, ("mark",))
    assert manifest_from(known.to_json()) == known
    assert manifest_from(b'{"a.py": "digest"}') == Manifest({"a.py": File("digest", -1)})


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"3", b"null", b'{"version": 2}', b'{"version": 2, "files": {"a": [1]}}', b"\xff"]
)
def test_a_damaged_list_is_none(said: bytes) -> None:
    assert manifest_from(said) is None


def test_the_folders_of_paths() -> None:
    assert folders_of(["a/b/c", "d"]) == ["", "a", "a/b"]
    assert folded("a/B") == folded("A/b")
