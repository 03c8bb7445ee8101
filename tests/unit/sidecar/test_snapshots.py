"""What others rely on has not changed unseen: the wire's messages, the terminal's help. `npm run fix` takes a change over."""

from __future__ import annotations

import difflib
import sys

import pytest

from tests.support.snapshots import FOLDER, SNAPSHOTS


def compare(name: str) -> None:
    kept, now = (FOLDER / name).read_text(encoding="utf-8"), SNAPSHOTS[name]()
    changed = "".join(difflib.unified_diff(kept.splitlines(keepends=True), now.splitlines(keepends=True), name, "now"))
    if changed:
        pytest.fail(f"{changed}\nIf that is meant: npm run fix.", pytrace=False)


def test_the_messages_of_the_wire_are_those_that_were_looked_at() -> None:
    compare("wire.json")


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="from Python 3.13 on argparse lays help out in another way")
def test_the_terminals_help_is_what_was_looked_at() -> None:
    compare("help.txt")


def test_every_file_there_is_made() -> None:
    assert {each.name for each in FOLDER.iterdir()} == set(SNAPSHOTS)
