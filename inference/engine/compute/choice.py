"""What is decided before the runner is made: where and how it computes, and how large its cache is."""

from dataclasses import dataclass
from typing import Literal

import torch

# dense: torch operations over a dense copy of what decodes (CPU). torch: torch operations over pages. triton: our kernels
# over pages, decoding captured as graphs.
Attention = Literal["dense", "torch", "triton"]


@dataclass(frozen=True)
class Backend:
    """What the model computes on, in which number format, with which attention. device.py chooses, the others are told."""

    device: torch.device
    dtype: torch.dtype
    attention: Attention


@dataclass(frozen=True)
class CacheShape:
    """How much the cache holds: `blocks` of `block_size` tokens, of sequences up to `context`; at most `rows` decode together."""

    blocks: int
    block_size: int
    context: int
    rows: int = 32
