"""The rolling replacement, as single steps and played to its end."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.localcloud.runtime.rolling import Member, Step, next_step


def members(old: int, starting: int = 0, ready: int = 0) -> list[Member]:
    return [
        *(Member(f"old{number}", current=False, ready=True) for number in range(old)),
        *(Member(f"starting{number}", current=True, ready=False) for number in range(starting)),
        *(Member(f"ready{number}", current=True, ready=True) for number in range(ready)),
    ]


@pytest.mark.fact(74)
def test_one_extra_replica_starts_and_one_old_one_leaves_for_each_that_is_ready():
    assert next_step(3, members(old=3)) == Step(1, ())
    assert next_step(3, members(old=3, starting=1)) == Step(0, ())
    step = next_step(3, members(old=3, ready=1))
    assert step.add == 1
    assert len(step.remove) == 1
    assert next_step(3, members(old=1, ready=3)) == Step(0, ("old0",))


@pytest.mark.fact(78)
def test_a_new_replica_that_never_gets_ready_leaves_the_old_one_for_good():
    assert next_step(1, members(old=1, starting=1)) == Step(0, ())


def test_an_old_replica_that_is_not_ready_waits_for_the_new_one_too():
    waiting = [Member("old", current=False, ready=False)]
    assert next_step(1, waiting) == Step(1, ())
    assert next_step(1, [*waiting, Member("new", current=True, ready=False)]) == Step(0, ())


def test_what_is_not_wanted_any_more_leaves_at_once():
    assert next_step(0, members(old=2, starting=1)).remove == ("old0", "old1", "starting0")
    assert next_step(1, members(old=0, ready=3)).remove == ("ready0", "ready1")


@given(st.integers(1, 8))
def test_played_to_its_end_it_replaces_all_and_never_serves_with_fewer(wanted: int):
    now = members(old=wanted)
    for turn in range(10 * wanted):
        step = next_step(wanted, now)
        now = [member for member in now if member.name not in step.remove]
        assert sum(member.ready for member in now) >= wanted
        now += [Member(f"new{turn}", current=True, ready=False)] * step.add
        assert len(now) <= wanted + 1
        if not step.add and not step.remove:
            now = [dataclasses.replace(member, ready=True) for member in now]
    assert [member.current for member in now] == [True] * wanted
