"""Rotary position tables: each position's rotation as complex numbers, for every kind of scaling."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from inference.engine.files.spec import Rope


def rotations(rope: Rope, length: int, device: torch.device) -> Tensor:
    """complex64 [tables, length, dims/2]. Table 1 is for sequences beyond the original length; only longrope has one."""
    kinds = (False, True) if rope.kind == "longrope" else (False,)
    tables = [rotation(*frequencies(rope, long), length, device) for long in kinds]
    return torch.stack(tables)


def rotation(inverse: Tensor, factor: float, length: int, device: torch.device) -> Tensor:
    angles = torch.outer(torch.arange(length, dtype=torch.float32), inverse)
    return torch.complex(angles.cos() * factor, angles.sin() * factor).to(device)


def frequencies(rope: Rope, long: bool) -> tuple[Tensor, float]:
    """Inverse frequencies [dims/2] and the factor on cosine and sine. Formulas: the papers named below."""
    inverse = plain(rope)
    if rope.kind == "linear":
        return inverse / float(rope.scaling["factor"]), 1.0
    if rope.kind == "llama3":
        return llama3(inverse, rope.scaling), 1.0
    if rope.kind == "yarn":
        return yarn(inverse, rope)
    if rope.kind == "longrope":
        return longrope(inverse, rope, long)
    return inverse, 1.0  # default; dynamic differs only beyond the trained positions


def plain(rope: Rope) -> Tensor:
    exponents = torch.arange(0, rope.dims, 2, dtype=torch.int64).float() / rope.dims
    return 1.0 / (rope.theta**exponents)


def llama3(inverse: Tensor, scaling: Mapping[str, Any]) -> Tensor:
    """Llama 3.1: long waves are stretched, short ones kept, those between blended."""
    factor, low, high = (float(scaling[name]) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    original = float(scaling["original_max_position_embeddings"])
    wave = 2 * math.pi / inverse
    blend = (original / wave - low) / (high - low)
    blended = (1 - blend) * inverse / factor + blend * inverse
    stretched = torch.where(wave > original / low, inverse / factor, inverse)
    return torch.where((wave <= original / low) & (wave >= original / high), blended, stretched)


def yarn(inverse: Tensor, rope: Rope) -> tuple[Tensor, float]:
    """YaRN (arXiv 2309.00071)."""
    scaling, dims, original = rope.scaling, rope.dims, rope.original
    factor = float(scaling["factor"] if scaling.get("factor") else rope.max_positions / original)

    def scale(by: float, m: float = 1.0) -> float:
        return 0.1 * m * math.log(by) + 1.0 if by > 1 else 1.0

    attention = scaling.get("attention_factor")
    if attention is None:
        m, m_all = scaling.get("mscale"), scaling.get("mscale_all_dim")
        attention = scale(factor, float(m)) / scale(factor, float(m_all)) if m and m_all else scale(factor)

    def dimension(turns: float) -> float:
        return dims * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(rope.theta))

    low, high = dimension(float(scaling.get("beta_fast") or 32)), dimension(float(scaling.get("beta_slow") or 1))
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dims - 1)
    ramp = ((torch.arange(dims // 2, dtype=torch.float32) - low) / max(high - low, 0.001)).clamp(0, 1)
    return inverse / factor * ramp + inverse * (1 - ramp), float(attention)


def longrope(inverse: Tensor, rope: Rope, long: bool) -> tuple[Tensor, float]:
    """LongRoPE (arXiv 2402.13753) as Phi-3 uses it: one list of factors below the original length, one beyond."""
    factors = torch.tensor(rope.scaling["long_factor" if long else "short_factor"], dtype=torch.float32)
    factor = rope.scaling.get("factor")
    if rope.scaling.get("original_max_position_embeddings"):
        factor = rope.max_positions / rope.original
    attention = rope.scaling.get("attention_factor")
    if attention is None:
        stretch = float(factor or 1.0)
        attention = math.sqrt(1 + math.log(stretch) / math.log(rope.original)) if stretch > 1 else 1.0
    return inverse / factors, float(attention)
