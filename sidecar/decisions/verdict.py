"""Whether one model is better than another: a paired bootstrap of what they scored on the same rows. Pure, and seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from sidecar.words.names import EvaluationWord

CONFIDENCE = 0.95
RESAMPLES = 2000
MOST_DRAWS = 20_000_000
"""For very long data sets there are fewer resamples: their interval is narrow anyway."""

FEWEST = 5
"""Rows: fewer tell nothing."""


@dataclass(frozen=True)
class Verdict:
    """Of the second against the first. `difference`: of the means; `low` and `high`: its 95 % interval; None without enough
    rows."""

    word: EvaluationWord
    rows: int
    difference: float | None
    low: float | None
    high: float | None


def verdict(
    pairs: Sequence[tuple[float, float]],
    seed: int,
    *,
    more_is_better: bool = True,
    look: Callable[[], None] | None = None,
) -> Verdict:
    """`pairs`: what the two scored on each row. `look`: called before each resample; what it raises ends them."""
    count = len(pairs)
    differences = [other - one for one, other in pairs]
    if count < FEWEST:
        return Verdict("can't tell", count, fmean(differences) if differences else None, None, None)
    draw = random.Random(seed)  # noqa: S311  (nothing is guarded by it: the same seed has to give the same verdict)
    times = max(200, min(RESAMPLES, MOST_DRAWS // count))
    means: list[float] = []
    for _ in range(times):
        if look is not None:
            look()
        means.append(sum(draw.choices(differences, k=count)) / count)
    means.sort()
    cut = min(int(_tail(count) * times), times // 2)
    low, high = means[cut], means[times - 1 - cut]
    word: EvaluationWord = "can't tell"
    if low > 0 or high < 0:
        word = "better" if (low > 0) == more_is_better else "worse"
    return Verdict(word, count, fmean(differences), low, high)


def _tail(count: int) -> float:
    """Which part of the resamples is cut off at each end. Resamples of few rows vary less than the rows' source does: it is
    widened as Student's t is (the expanded percentile interval), else two runs of one model would differ too often."""
    return NormalDist().cdf(-math.sqrt(count / (count - 1)) * student(1 - (1 - CONFIDENCE) / 2, count - 1))


def student(level: float, freedom: int) -> float:
    """The quantile of Student's t, by its expansion around the normal one: to 0.001 from four degrees of freedom on."""
    z = NormalDist().inv_cdf(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
