"""Names that a file share can't hold are found as a set, before anything is uploaded."""

from __future__ import annotations

import pytest

from sidecar.decisions.share_names import bad_names, folded, shown

ACCEPTED = ["a.py", "b b/c.py", ".hidden", "ä/ö.txt", "conx", "com10", "straße", "strasse", "e\u0301", "é", "x" * 255]


def test_ordinary_names_are_taken() -> None:
    assert bad_names(ACCEPTED) == ()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("10:30.txt", "allows no :"),
        ("a\\b", "allows no \\"),
        ('say "x"?', 'allows no " ?'),
        ("notes.", "ends with a dot"),
        ("sub /a.py", "ends with a dot or a space"),
        ("a\nb", "control"),
        ("a\x81", "control"),
        ("\ue000", "private"),
        ("\udcff.txt", "no UTF-8"),
        ("CON", "reserved"),
        ("sub/lpt1/a.py", "reserved"),
        ("clock$", "reserved"),
        ("x" * 256, "longer than 255"),
        ("𝒳" * 128, "longer than 255"),
        ("/".join(["x"] * 251), "deep"),
        ("/".join(["x" * 200] * 11), "longer than 2048"),
    ],
)
def test_a_name_that_a_share_can_not_hold_is_named_with_its_reason(path: str, reason: str) -> None:
    (found,) = bad_names(["fine.py", path])
    assert found.path == path
    assert reason in str(found.reason)
    str(found).encode()  # it can be printed


def test_the_folder_that_they_go_to_counts() -> None:
    path = "/".join(["x" * 200] * 10)
    assert bad_names([path]) == ()
    assert bad_names([path], "y" * 100 + "/")


def test_names_that_are_one_on_a_share_name_each_other() -> None:
    found = bad_names(["Notes.md", "NOTES.md", "Sub/a.py", "sub/b.py", "other.py"])
    assert [each.path for each in found] == ["NOTES.md", "Notes.md", "Sub", "sub"]
    assert "the same as Notes.md" in str(found[0].reason)


def test_a_file_and_a_folder_are_twins_as_well() -> None:
    assert [each.path for each in bad_names(["Data", "data/a.csv"])] == ["Data", "data"]


def test_what_is_one_is_decided_character_by_character() -> None:
    assert folded("Ä/Z") == folded("ä/z")
    assert folded("straße") != folded("strasse")
    assert folded("\u212a") != folded("k")


def test_names_are_shown_so_that_they_can_be_printed() -> None:
    assert shown("a\n\udcffé") == "a\\n\\udcffé"
