"""What a start costs that answers nobody, and what is paid for though nobody uses it."""

from __future__ import annotations

from sidecar.decisions.prices import Price
from sidecar.decisions.spending import Spent, overdue_after, unused
from sidecar.words.text import Text

SOURCE = Text("a list of today")
KNOWN = Price(3.6, 0.0, "USD", SOURCE)
UNKNOWN = Price(None, None, "", SOURCE)


def test_a_start_is_told_after_twice_what_the_last_one_took_and_never_within_a_minute() -> None:
    assert overdue_after(100) == 200
    assert overdue_after(5) == 60
    assert overdue_after(None) == 600


def test_the_sum_so_far_is_told_or_that_it_is_unknown() -> None:
    assert "20 minutes and nothing answers: about 1.20 USD so far by list price (a list of today)" in str(
        Spent(1200, KNOWN).told
    )
    told = str(Spent(1200, UNKNOWN).told)
    assert "unknown: a list of today" in told
    assert "your bill" not in told


DAY = 86400.0
NOW = 20_000 * DAY


def test_nodes_that_a_dedicated_profile_keeps_are_told_once_the_app_has_run_nothing_for_a_day() -> None:
    def told(days: float, nodes: int = 1, price: Price = KNOWN) -> str:
        since = NOW - days * DAY if days else 0
        return str(unused("app", "gpu", nodes, since, now=NOW, price=price) or "")

    assert "app has run nothing for 2 days" in told(2.5)
    assert "86.40 USD a day" in told(2.5)
    assert "paid for all the same" in told(2, price=UNKNOWN)
    assert told(0.9) == ""
    assert told(0) == "", "what nobody could read proves nothing"
    assert told(9, nodes=0) == "", "without a replica it has no node"
