"""Patterns in adapters' configurations: what could be tried without an end neither side tries; what people write both do."""

from __future__ import annotations

import re
import time

import pytest

from inference.engine.weights import ranks
from sidecar.decisions import rank_patterns

NAME = "model.layers.31.self_attn.q_proj" * 2

WRITTEN = (
    "q_proj",
    "layers.1.self_attn.k_proj",
    r".*decoder.layers.1.*k_proj",
    r"^(?!.*vision).*\.(q|k|v|o)_proj",
    r"model\.layers\.(0|1|2|3|4|5|6|7|8|9|10|11)\.(mlp|self_attn)\.[a-z]+_proj",
    r"layers\.(?:[0-9]|1[0-9])\.mlp\..*",
    r"[*+(]|\(\w+\)",
    "(",
)
ENDLESS = (
    "(a+)+$",
    r"([a-z_.0-9]+)*!",
    r"(?:.|.){1,60}!",
    ".*.*.*.*.*.*!",
    "a?" * 40 + "!",
    "(?x:([a-z_.0-9]+) +!)",
    "([a-z_.0-9]+)(?#so)+!",
    "(.|.)" * 40 + "!",
    "a" * 2000,
)


@pytest.mark.parametrize("pattern", WRITTEN)
def test_what_people_write_is_tried(pattern: str) -> None:
    assert ranks.ways(pattern) == rank_patterns.ways(pattern) <= ranks.MOST_WAYS == rank_patterns.MOST_WAYS


@pytest.mark.parametrize("pattern", ENDLESS)
def test_what_may_come_to_no_end_is_not(pattern: str) -> None:
    assert ranks.ways(pattern) == rank_patterns.ways(pattern) > ranks.MOST_WAYS


def test_the_worst_that_is_tried_comes_to_an_end() -> None:
    """Within a margin that tells seconds from for ever."""
    worst = r".*.*.*.*!"
    assert ranks.ways(worst) <= ranks.MOST_WAYS
    began = time.monotonic()
    assert not ranks.matches(worst, NAME)
    assert re.match(worst, NAME) is None
    assert time.monotonic() - began < 60
