"""Where requests go while a release rolls out beside the one that serves, and what a new revision is made for."""

from __future__ import annotations

import pytest

from sidecar.decisions.candidate import Candidate, candidate_from, candidate_of, with_candidate
from sidecar.decisions.shifting import given_back, handed_over, labelled, pinned, shifted, weight_of
from sidecar.gateway.traffic import Entry, Routing

SINGLE = Routing("Single", (Entry(None, 100),))
LATEST = Routing("Multiple", (Entry(None, 100),))
SPLIT = Routing("Multiple", (Entry("old", 70), Entry("other", 30)))
BLUE = Routing("Multiple", (Entry("old", 100, "blue"),))


@pytest.mark.parametrize("was", [SINGLE, LATEST, Routing("Multiple")])
def test_traffic_is_pinned_by_name_before_another_revision_is_made(was: Routing) -> None:
    assert pinned(was, "old") == Routing("Multiple", (Entry("old", 100),))


def test_what_others_get_stays_with_them() -> None:
    held = pinned(SPLIT, "old")
    assert held == SPLIT
    assert shifted(held, "old", "new", 100) == Routing("Multiple", (Entry("new", 70), Entry("other", 30)))
    assert given_back(SPLIT, "old", "new", "new") == shifted(held, "old", "new", 100)
    half = shifted(held, "old", "new", 50)
    assert [weight_of(half, name) for name in ("old", "new", "other")] == [35, 35, 30]


def test_the_latest_and_a_name_for_it_become_one() -> None:
    both = Routing("Multiple", (Entry(None, 50), Entry("old", 50)))
    assert pinned(both, "old") == Routing("Multiple", (Entry("old", 100),))


def test_what_followed_the_latest_follows_it_again() -> None:
    assert given_back(SINGLE, "old", "new", "new") == SINGLE
    assert given_back(LATEST, "old", "new", "new") == LATEST


@pytest.mark.parametrize("was", [SINGLE, LATEST])
def test_a_revision_that_somebody_made_meanwhile_gets_nothing_unseen(was: Routing) -> None:
    assert given_back(was, "old", "new", "newer") == Routing("Multiple", (Entry("new", 100),))


def test_a_label_stays_at_its_revision() -> None:
    assert shifted(BLUE, "old", "new", 100) == Routing("Multiple", (Entry("old", 0, "blue"), Entry("new", 100)))
    assert (labelled(BLUE, "old"), labelled(SPLIT, "old")) == ("blue", None)
    follows = Routing("Multiple", (Entry(None, 100, "blue"),))
    assert pinned(follows, "old") == BLUE
    assert given_back(follows, "old", "new", "new") == follows
    assert labelled(follows, "old") is None
    assert handed_over(follows, "old", "new") == Routing("Multiple", (Entry("new", 100, "blue"),)), (
        "it never leads nowhere"
    )


def test_all_of_the_old_ones_part_is_handed_over_by_name() -> None:
    assert handed_over(SPLIT, "old", "new") == shifted(SPLIT, "old", "new", 100)
    assert handed_over(BLUE, "old", "new") == shifted(BLUE, "old", "new", 100)
    for was in (SINGLE, LATEST, Routing("Multiple"), Routing("Multiple", (Entry(None, 50), Entry("old", 50)))):
        assert handed_over(was, "old", "new") == Routing("Multiple", (Entry("new", 100),))


@pytest.mark.parametrize("percent", [1, 10, 33, 50, 99, 100])
def test_weights_always_make_a_hundred(percent: int) -> None:
    moved = shifted(SPLIT, "old", "new", percent)
    assert sum(each.weight for each in moved.entries) == 100


def test_a_candidate_is_read_back_from_the_template_that_was_made_for_it() -> None:
    candidate = Candidate(12, "a" * 64, "1f")
    template = {"containers": [{"name": "main", "env": [{"name": "OTHER", "value": "x"}]}, {"name": "side"}]}
    made = with_candidate(with_candidate(template, Candidate(11, "b" * 64, "1e")), candidate)
    assert candidate_of(made) == candidate
    assert [each["name"] for each in made["containers"][0]["env"]] == ["OTHER", "SLIPWAY_CANDIDATE"]
    assert candidate_of(template) is candidate_of({}) is None
    assert template["containers"][0]["env"] == [{"name": "OTHER", "value": "x"}]
    assert candidate_from(str(candidate)) == candidate
    assert candidate_from("12:short:1") is None
