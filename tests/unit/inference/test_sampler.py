"""Drawn tokens follow the exact distribution, whatever is drawn beside them."""

import math
from collections import Counter
from random import Random
from typing import Any

import pytest
import torch

from inference.engine.compute.sampler import NO_TOKEN, as_choice, best_of, likeliest, sample
from inference.engine.schedule.sequence import Choice, SamplingParams, Sequence


def sequence(seed: int = 0, tokens: tuple[int, ...] = (1, 2), prompt: int = 2, **params: Any):
    chosen = SamplingParams(max_tokens=8, seed=seed, **params)
    return Sequence(0, list(tokens), prompt, chosen, 0, salt=0, random=Random(seed))


def logits_of(size: int, seed: int = 3, scale: float = 2.0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * scale


def exact(logits: torch.Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0):
    """The distribution by its definition: sort, cut, renormalise."""
    p = torch.softmax(logits.double() / temperature, dim=-1)
    order = p.argsort(descending=True)
    keep = order[: top_k or len(p)]
    kept = p[keep] / p[keep].sum()
    inside = (kept.cumsum(0) - kept) < top_p
    keep, kept = keep[inside], kept[inside]
    inside = kept >= min_p * kept[0]
    keep, kept = keep[inside], kept[inside]
    return {int(token): float(q / kept.sum()) for token, q in zip(keep, kept, strict=True)}


@pytest.mark.parametrize("size", [40, 700])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"temperature": 0.6},
        {"top_k": 5},
        {"top_p": 0.8},
        {"top_p": 0.999, "temperature": 3.0},
        {"min_p": 0.1},
        {"top_k": 20, "top_p": 0.7, "temperature": 1.4},
        {"top_k": 12, "top_p": 0.9, "min_p": 0.2},
    ],
    ids=str,
)
def test_draws_fit_the_exact_distribution(size: int, params: dict[str, Any]):
    logits = logits_of(size)
    expected = exact(logits, **params)
    number = 20_000
    options: Any = {"temperature": 1.0, **params}
    rows = [sequence(seed, **options) for seed in range(number)]
    drawn = Counter(choice.token for choice in sample(logits.repeat(number, 1), rows))
    assert set(drawn) <= set(expected)
    common = [token for token, p in expected.items() if p * number >= 8]
    rare = sum(p for token, p in expected.items() if token not in common)
    statistic = sum((drawn[t] - expected[t] * number) ** 2 / (expected[t] * number) for t in common)
    freedom = len(common) - 1
    if rare * number >= 8:
        seen = sum(count for token, count in drawn.items() if token not in common)
        statistic += (seen - rare * number) ** 2 / (rare * number)
        freedom += 1
    # five standard deviations of chi-square: a fair sampler fails once in a million runs
    assert statistic < freedom + 5 * math.sqrt(2 * max(freedom, 1)) + 5


def test_temperature_zero_takes_the_likeliest():
    logits = torch.stack([logits_of(50, seed) for seed in range(6)])
    choices = sample(logits.clone(), [sequence(temperature=0.0) for _ in range(6)])
    assert [choice.token for choice in choices] == logits.argmax(dim=-1).tolist()


def test_a_seeded_draw_does_not_depend_on_its_mates():
    logits = logits_of(300)
    alone = sample(logits[None].clone(), [sequence(7, temperature=1.0, top_p=0.9)])[0].token
    mates = [sequence(1, temperature=0.0), sequence(2, temperature=2.0), sequence(3, temperature=1.0, top_k=3)]
    for place in range(4):
        rows = [*mates[:place], sequence(7, temperature=1.0, top_p=0.9), *mates[place:]]
        assert sample(logits.repeat(4, 1), rows)[place].token == alone


def test_penalties_and_bias_change_the_logits_as_defined():
    logits = logits_of(20)
    tokens = (3, 4, 5, 5)
    biased = sequence(tokens=tokens, temperature=0.0, logit_bias={11: 100.0})
    assert sample(logits[None].clone(), [biased])[0].token == 11
    row = logits[None].clone()
    sample(row, [sequence(tokens=tokens, temperature=0.0, presence_penalty=0.5, frequency_penalty=0.25)])
    expected = logits.clone()
    expected[5] -= 0.5 + 2 * 0.25
    assert torch.allclose(row[0], expected)
    row = logits[None].clone()
    sample(row, [sequence(tokens=tokens, temperature=0.0, repetition_penalty=1.5)])
    expected = logits.clone()
    for token in (3, 4, 5):
        expected[token] = expected[token] / 1.5 if expected[token] > 0 else expected[token] * 1.5
    assert torch.allclose(row[0], expected)


def test_logprobs_are_those_of_the_model_not_of_the_sampler():
    logits = logits_of(30)
    expected = torch.log_softmax(logits.double(), dim=-1)
    choice = sample(logits[None].clone(), [sequence(temperature=0.3, top_k=2, logprobs=3)])[0]
    assert choice.logprob == pytest.approx(float(expected[choice.token]))
    assert [token for token, _ in choice.top] == expected.topk(3).indices.tolist()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("whole", [True, False], ids=["all", "one"])
@pytest.mark.parametrize(
    "params",
    [{"temperature": 0.0}, {"temperature": 1.0}, {"temperature": 1.0, "top_p": 0.9, "top_k": 5, "logprobs": 2}],
    ids=["greedy", "drawn", "restricted"],
)
def test_numbers_that_are_none_end_their_own_request_only(bad: float, whole: bool, params: dict[str, Any]):
    """Where the arithmetic overflows, any token would come out: NaN wins every comparison."""
    logits = torch.stack([logits_of(50, seed) for seed in range(3)])
    alone = sample(logits[2:].clone(), [sequence(7, **params)])[0]
    broken = logits.clone()
    broken[1, slice(None) if whole else 17] = bad
    first, second, third = sample(broken, [sequence(6, **params), sequence(5, **params), sequence(7, **params)])
    assert not first.error
    assert "no longer finite" in str(second.error)
    assert third == alone


def test_what_a_graph_finds_is_the_same_and_says_where_there_is_none():
    logits = torch.stack([logits_of(50, seed) for seed in range(4)])
    assert best_of(logits).tolist() == likeliest(logits) == logits.argmax(dim=-1).tolist()
    logits[1, 3], logits[2, :] = math.nan, -math.inf
    assert best_of(logits).tolist() == likeliest(logits)
    assert [token for token in likeliest(logits) if token == NO_TOKEN] == [NO_TOKEN, NO_TOKEN]
    assert as_choice(NO_TOKEN).error
    assert as_choice(3) == Choice(3)
