"""The table of roll-outs' faults: what can't be played is not as expected, and groups run side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from tests.faults import rollout, rollout_load
from tests.faults.rolling.table import Group, Play, Told, chosen_from, main


def group(*names: str, play: Callable[[str], Told], opens: bool = True) -> Group:
    @contextmanager
    def opened() -> Generator[Play]:
        assert opens, "no ground"
        yield play

    return Group(names, opened)


def good(name: str) -> Told:
    return Told("good", f"{name} is good", held=True)


def broken(name: str) -> Told:
    raise ValueError(f"{name} is broken")


def test_a_table_fails_unless_every_row_is_as_expected(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("t", [group("a", "b", play=good)], ["a", "b"]) == 0
    assert "t: 2 of 2 as expected" in capsys.readouterr().out
    rows = [group("a", play=good), group("b", play=broken), group("c", "d", play=good, opens=False)]
    assert main("t", rows, ["a", "b", "c", "d"]) == 1
    said = capsys.readouterr().out
    assert "b | expected: to be played | seen: ValueError: b is broken" in said
    assert said.count("AssertionError: no ground") == 2
    assert "t: 1 of 4 as expected" in said


def test_only_what_is_asked_for_is_played(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [group("a", "b", play=good), group("c", play=broken)]
    assert chosen_from([], "", rows) == ["a", "b", "c"]
    assert main("t", rows, chosen_from(["b"], "", rows)) == 0
    assert "t: 1 of 1 as expected" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        chosen_from(["no-such-row"], "", rows)


def test_two_groups_are_played_at_a_time() -> None:
    both = threading.Barrier(2, timeout=120)

    def meets(name: str) -> Told:
        both.wait()
        return good(name)

    assert main("t", [group("a", play=meets), group("b", play=meets)], ["a", "b"]) == 0


def test_no_row_has_the_name_of_another() -> None:
    for groups in (rollout.GROUPS, rollout_load.GROUPS):
        names = [name for each in groups for name in each.names]
        assert len(names) == len(set(names))
