"""The record of releases: what damaged and foreign files mean, where the way back leads, and what may be cleared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.releases import (
    KEPT_RELEASES,
    LEFTOVER_SECONDS,
    Generation,
    collectable,
    cut_off,
    generation_from,
    generation_numbers,
    manifest_from,
    manifest_json,
    never_current,
    next_number,
    way_back,
)

A, B, C = (letter * 64 for letter in "abc")


def numbered(*releases: str) -> dict[int, Generation]:
    return {number: Generation(number, release) for number, release in enumerate(releases, 1)}


def test_a_generation_is_read_as_it_was_written_and_an_older_one_lacks_what_it_lacks() -> None:
    whole = Generation(7, A, "2026-11-28T10:00:00Z", "Łukasz", "0" * 40 + "+", "0.1.0", "rollback")
    assert generation_from(7, whole.to_json()) == whole
    unjudged = Generation(8, A, gated=True)
    assert generation_from(8, unjudged.to_json()) == unjudged
    assert generation_from(1, b'{"generation": 1, "release": "%s"}' % A.encode()) == Generation(1, A)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"release": 1}', b'{"release": "../../etc"}'])
def test_a_damaged_generation_is_none(content: bytes) -> None:
    assert generation_from(1, content) is None


def test_generations_count_on_from_the_highest_and_ignore_other_names() -> None:
    assert next_number(["1.json", "12.json", ".13.json.part", "x.json", "1 - Copy.json", "²).json"]) == 13
    assert next_number([]) == 1
    assert generation_numbers(["3.json", "10.json", "2.json"]) == [2, 3, 10]


def test_manifests_survive_the_share_and_foreign_files_are_none() -> None:
    assert manifest_from(manifest_json({"ä.py": A})) == {"ä.py": A}
    assert manifest_from(b'{"files": 3}') is None
    assert manifest_from(b"x") is None


def test_the_way_back_is_the_newest_other_release_that_has_served() -> None:
    found = numbered(A, B, C)
    there = frozenset({A, B, C})
    assert way_back(3, found, frozenset({1}), there) == found[1]
    assert way_back(3, found, frozenset({1, 2}), there) == found[2]
    assert way_back(3, found, frozenset(), there) == found[2]
    assert way_back(3, found, frozenset({2}), frozenset({A, C})) == found[1]
    assert way_back(1, found, frozenset(), there) is None
    assert way_back(3, numbered(A, A, A), frozenset({1, 2}), there) is None


releases = st.lists(st.sampled_from([letter * 64 for letter in "abcdefghij"]), max_size=20)


@given(releases, st.sets(st.integers(1, 20)), st.sets(st.sampled_from([letter * 64 for letter in "abcdefghijxyz"])))
def test_nothing_that_is_current_or_recently_served_or_on_its_way_is_ever_cleared(
    order: list[str], served: set[int], there: set[str]
) -> None:
    found = numbered(*order)
    gone = set(collectable(found, frozenset(served), there))
    assert gone <= there
    if not order:
        assert gone == set()
        return
    assert order[-1] not in gone
    assert gone <= set(order), "a release that no generation names may be another deployer's"
    recent = list(
        dict.fromkeys(each.release for _, each in sorted(found.items(), reverse=True) if each.number in served)
    )
    others = [each for each in recent if each != order[-1]]
    assert not gone & set(others[:KEPT_RELEASES])
    assert not gone & set(list(dict.fromkeys(reversed(order)))[:KEPT_RELEASES])
    assert len((there & set(order)) - gone) <= 2 * (KEPT_RELEASES + 1)


NOW = 1_800_000_000.0
ages = st.floats(-100, 3 * LEFTOVER_SECONDS)
bundle_names = st.sampled_from([f"{letter * 64}{end}" for letter in "abc" for end in ("", ".json")])
part_names = st.sampled_from([f".{A}.0123abcd.part", f".{B}.json.0123abcd.part", ".7.json.0123abcd.part"])
foreign_names = st.sampled_from(
    ["notes.txt", f"{A}.bak", A.upper(), f"{A}.json.json", f".{A}.part", f"{A}.0123abcd.part", "x.json", ".x.0123abcd.part",
     f".{A}.0123ABCD.part", f".{A}.0123abcd.part.txt", "weights.safetensors.0123abcd.part"]
)  # fmt: skip


@given(
    st.dictionaries(st.one_of(bundle_names, part_names, foreign_names), ages, max_size=12),
    st.sets(st.sampled_from([A, B, C])),
)
def test_what_is_collected_of_leftovers_is_ours_unnamed_and_old(aged: dict[str, float], named: set[str]) -> None:
    written = {name: NOW - age for name, age in aged.items()}
    parts, bundles = cut_off(written, NOW), never_current(written, named, NOW)
    for name in parts:
        assert aged[name] > LEFTOVER_SECONDS
        assert name.endswith(".0123abcd.part")
        assert name.startswith(".")
    for name in bundles:
        release = name.removesuffix(".json")
        assert release in {A, B, C} - named
        assert all(age > LEFTOVER_SECONDS for each, age in aged.items() if each.removesuffix(".json") == release)
    ours = {*(f"{each}{end}" for each in (A, B, C) for end in ("", ".json")), f".{A}.0123abcd.part",
            f".{B}.json.0123abcd.part", ".7.json.0123abcd.part", ".7.served.0123abcd.part"}  # fmt: skip
    assert {*parts, *bundles} <= ours, "what somebody else put there stays"
    old = {name for name in ours & set(aged) if aged[name] > LEFTOVER_SECONDS + 1}
    kept = {name for name in old if name not in parts and name not in bundles}
    assert all(is_kept_for(name, aged, named) for name in kept), "and nothing of ours stays without a reason"


def is_kept_for(name: str, aged: dict[str, float], named: set[str]) -> bool:
    release = name.removesuffix(".json")
    return release in named or any(
        age <= LEFTOVER_SECONDS + 1 for each, age in aged.items() if each.removesuffix(".json") == release
    )
