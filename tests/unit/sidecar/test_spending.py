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


def test_a_dedicated_profile_is_told_once_nothing_has_run_for_a_day() -> None:
    two_days = str(unused("NC24-A100", "gpu", NOW - 2.5 * DAY, NOW, KNOWN))
    assert "for 2 days" in two_days
    assert "86.40 USD a day" in two_days
    assert "paid for all the same" in str(unused("NC24-A100", "gpu", NOW - 2 * DAY, NOW, UNKNOWN))
    assert unused("NC24-A100", "gpu", NOW - 0.9 * DAY, NOW, KNOWN) is None
    assert unused("NC24-A100", "gpu", 0, NOW, KNOWN) is None, "what nobody could read proves nothing"
    assert unused("Consumption-GPU-NC24-A100", "gpu", NOW - 9 * DAY, NOW, KNOWN) is None, "it costs nothing asleep"
