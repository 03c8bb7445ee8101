"""Which rank and scale an adapter's configuration gives a module: patterns go before what it says for all."""

import math
import re
from collections.abc import Mapping
from typing import Any

MAX_RANK = 256
MOST_WAYS = 10**8
LONGEST = 64
"""Characters of a module's name."""


def rank_of(config: Mapping[str, Any], module: str) -> int:
    """The rank that the configuration gives a module, 0 when it gives none."""
    patterns: dict[str, Any] = dict(config.get("rank_pattern") or {})
    for pattern, value in patterns.items():
        if matches(pattern, module):
            return int(value)  # of several that match, PEFT takes the first
    return int(config.get("r") or 0)


def scale_of(config: Mapping[str, Any], module: str, rank: int) -> float:
    """alpha / r, or alpha / √r with rank stabilisation; patterns may set alpha for some modules."""
    alpha = float(config.get("lora_alpha", 8))  # 8 is PEFT's own where none is written
    patterns: dict[str, Any] = dict(config.get("alpha_pattern") or {})
    for pattern, value in patterns.items():
        if matches(pattern, module):
            alpha = float(value)
            break  # of several that match, PEFT takes the first
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def matches(pattern: str, module: str) -> bool:
    """As PEFT has it. One that could go back and forth for ever is refused before (`ways`)."""
    return re.match(rf"(.*\.)?({pattern})$", module) is not None


def ways(pattern: str) -> float:
    """In how many ways it may be tried on a module's name, at most; nothing else runs meanwhile. What repeats a group has no
    bound."""
    parted = re.search(r"\(\?(#|[a-zA-Z-]*x)", pattern)  # by comments or blanks, what belongs together
    if len(pattern) > LONGEST * 16 or parted:
        return math.inf
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "c", pattern)
    if re.search(r"\)[*+{]", bare):
        return math.inf
    found, branches = 1, [1]
    for each in bare:
        if each == "(":
            branches.append(1)
        elif each == ")" and len(branches) > 1:
            found *= branches.pop()
        elif each == "|":
            branches[-1] += 1
        elif each in "*+{":
            found *= LONGEST
        elif each == "?":
            found *= 2
    return found * math.prod(branches)
