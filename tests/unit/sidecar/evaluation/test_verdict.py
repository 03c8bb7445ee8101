"""Better, worse, can't tell: how often a verdict on a model against itself is wrong, and whether a difference is seen."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from sidecar.decisions.verdict import FEWEST, Verdict, student, verdict

RUNS = 200
MOST_WRONG = 16
"""Of 200 at 95 %: ten are to be expected; more than sixteen, by chance alone, in one table of twenty."""

Draw = Callable[[random.Random, float], float]


def right_or_wrong(chance: random.Random, skill: float) -> float:
    return float(chance.random() < skill)


def near_or_far(chance: random.Random, skill: float) -> float:
    return 100 * min(1.0, max(0.0, chance.gauss(skill, 0.2)))


def answered(draw: Draw, rows: int, seed: int, gain: float = 0.0) -> Verdict:
    """Two sampled runs over the same rows, of which some are easy for both; the second's is better by `gain`."""
    chance = random.Random(seed)
    skills = [chance.random() for _ in range(rows)]
    pairs = [(draw(chance, skill), draw(chance, min(1.0, skill + gain))) for skill in skills]
    return verdict(pairs, seed)


@pytest.mark.parametrize(
    ("draw", "rows"), [(right_or_wrong, 6), (right_or_wrong, 50), (near_or_far, 8), (near_or_far, 50)]
)
def test_a_model_against_itself_is_rarely_called_better_or_worse(draw: Draw, rows: int) -> None:
    wrong = sum(answered(draw, rows, seed).word != "can't tell" for seed in range(RUNS))
    print(f"A/A: {wrong} of {RUNS} runs over {rows} rows said better or worse")
    assert wrong <= MOST_WRONG


@pytest.mark.parametrize("draw", [right_or_wrong, near_or_far])
def test_a_model_that_is_better_is_called_so_and_the_other_worse(draw: Draw) -> None:
    assert [answered(draw, 200, seed, 0.3).word for seed in range(5)] == ["better"] * 5
    pairs = [(1.0, 0.0)] * 20
    assert verdict(pairs, 0).word == "worse"
    assert verdict(pairs, 0, more_is_better=False).word == "better"


def test_the_interval_is_around_the_difference_and_the_same_seed_gives_the_same() -> None:
    found = answered(near_or_far, 50, 7, 0.3)
    assert found.low is not None
    assert found.high is not None
    assert found.difference is not None
    assert found.low < found.difference < found.high
    assert answered(near_or_far, 50, 7, 0.3) == found


def test_no_difference_and_too_few_rows_tell_nothing() -> None:
    assert verdict([(1.0, 1.0)] * 50, 0) == Verdict("can't tell", 50, 0.0, 0.0, 0.0)
    few = verdict([(0.0, 1.0)] * (FEWEST - 1), 0)
    assert (few.word, few.difference, few.low) == ("can't tell", 1.0, None)
    assert verdict([], 0).difference is None


def test_students_quantiles_are_those_of_the_tables() -> None:
    known = {4: 2.776, 5: 2.571, 10: 2.228, 30: 2.042, 1000: 1.962}
    assert {at: student(0.975, at) for at in known} == pytest.approx(known, abs=0.001)
