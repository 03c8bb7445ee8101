"""Which rank and scale an adapter's configuration gives a module: patterns go before what it says for all."""

import math
import re
from collections.abc import Mapping
from typing import Any

MAX_RANK = 256


def rank_of(config: Mapping[str, Any], module: str) -> int:
    """The rank that the configuration gives a module, 0 when it gives none."""
    patterns: dict[str, Any] = dict(config.get("rank_pattern") or {})
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return int(value)  # of several that match, PEFT takes the first
    return int(config.get("r") or 0)


def scale_of(config: Mapping[str, Any], module: str, rank: int) -> float:
    """alpha / r, or alpha / √r with rank stabilisation; patterns may set alpha for some modules."""
    alpha = float(config.get("lora_alpha", 8))  # 8 is PEFT's own where none is written
    patterns: dict[str, Any] = dict(config.get("alpha_pattern") or {})
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            alpha = float(value)
            break  # of several that match, PEFT takes the first
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
