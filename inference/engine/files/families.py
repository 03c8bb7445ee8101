"""What sets each family of models apart: a row each, which the shape, the loader and the adapters read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Place = Literal["qkv", "output", "gate_up", "down"]  # a layer's matrices, as we hold them
PLACES: tuple[Place, ...] = ("qkv", "output", "gate_up", "down")
Has = Literal["never", "if configured", "always"]

# What the files call the projections of each matrix, in the order of its rows.
SPLIT: Mapping[Place, tuple[str, ...]] = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "output": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
FUSED: Mapping[Place, tuple[str, ...]] = {
    "qkv": ("self_attn.qkv_proj",),
    "output": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_up_proj",),
    "down": ("mlp.down_proj",),
}


@dataclass(frozen=True)
class Family:
    """`qkv_bias`, `output_bias` and `mlp_bias` follow `attention_bias` and `mlp_bias` of the configuration, where they do.
    `windows`: which layers see a sliding window only, if the configuration has one."""

    projections: Mapping[Place, tuple[str, ...]]
    qkv_bias: Has = "never"
    output_bias: Has = "never"
    mlp_bias: Has = "never"
    qk_norm: bool = False
    windows: Literal["no layer", "every layer", "the layers configured"] = "no layer"


FAMILIES: Mapping[str, Family] = {  # by the configuration's model_type
    "llama": Family(SPLIT, qkv_bias="if configured", output_bias="if configured", mlp_bias="if configured"),
    "mistral": Family(SPLIT, windows="every layer"),
    "phi3": Family(FUSED, windows="every layer"),
    "qwen2": Family(SPLIT, qkv_bias="always", windows="the layers configured"),
    "qwen3": Family(
        SPLIT, qkv_bias="if configured", output_bias="if configured", qk_norm=True, windows="the layers configured"
    ),
}
