"""What an app costs now: a price times what is awake, nothing where nothing is, and unknown where it is not known."""

from __future__ import annotations

from datetime import UTC, datetime

from sidecar.decisions.cost_now import ASLEEP, cost_now
from sidecar.decisions.prices import Price
from sidecar.words.text import Text

SOURCE = Text("a list of today")
KNOWN = Price(3.6, 0.0, "USD", SOURCE)
UNKNOWN = Price(None, None, "", SOURCE)
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC).timestamp()


def test_replicas_are_counted_and_what_they_have_cost_since_they_began() -> None:
    told = str(cost_now(KNOWN, ["2026-11-29T11:00:00Z", "2026-11-29T11:30:00.1234567Z"], NOW))
    assert told == ("7.20 USD an hour by list price; about 5.40 USD since its replicas started (a list of today)")


def test_a_moment_that_can_not_be_read_leaves_the_sum_out() -> None:
    assert str(cost_now(KNOWN, ["", "2026-11-29T11:30:00Z"], NOW)) == "7.20 USD an hour by list price (a list of today)"


def test_asleep_is_nothing_for_a_gpu_also_where_no_price_is_known() -> None:
    assert cost_now(UNKNOWN, [], NOW) == ASLEEP
    assert cost_now(KNOWN, [], NOW) == ASLEEP


def test_an_unknown_price_is_told_as_unknown_with_the_reason() -> None:
    assert str(cost_now(UNKNOWN, ["2026-11-29T11:30:00Z"], NOW)) == "unknown: a list of today"


def test_nodes_that_a_dedicated_profile_keeps_are_paid_for_while_nothing_is_awake() -> None:
    assert str(cost_now(KNOWN, [], NOW, nodes=2)).startswith(
        "7.20 USD an hour by list price, whether or not a replica is awake: the dedicated profile keeps 2 nodes"
    )
    assert (
        str(cost_now(KNOWN, ["2026-11-29T11:30:00Z"], NOW, nodes=0))
        == "3.60 USD an hour by list price (a list of today)"
    )
    assert cost_now(KNOWN, [], NOW, nodes=0) == ASLEEP
