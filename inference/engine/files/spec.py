"""A model's shape, read from its config.json: what the decoder has to know of the Llama, Mistral, Phi-3 and Qwen families."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FAMILIES = ("llama", "mistral", "phi3", "qwen2", "qwen3")


class UnsupportedModel(ValueError):
    """An architecture that our decoder does not know; the fallback may."""


@dataclass(frozen=True)
class Rope:
    """Rotary positions. `scaling` is the family's own dictionary of parameters."""

    kind: str
    theta: float
    dims: int
    scaling: Mapping[str, Any]
    max_positions: int

    @property
    def contexts(self) -> tuple[int, int]:
        """Tokens of a sequence: as many as are allowed by themselves, and as may be asked for (SLIPWAY_MAX_CONTEXT).

        YaRN names the length that it started from, so what it reaches is known. Linear scaling does not: some models have
        the longer length in max_position_embeddings already, so more must be asked for. Dynamic scaling only begins beyond
        the trained positions, where we do not go: in transformers 5.23 the frequencies then follow the longest sequence
        that the model object has seen, so that a prompt's logits change with the requests before it, and keys that are
        cached keep the rotation of their own step. There is no right answer to equal.
        """
        factor = float(self.scaling.get("factor") or 1.0)
        if self.kind == "yarn":
            reached = max(self.max_positions, int(self.original * factor))
            return reached, reached
        return self.max_positions, int(self.max_positions * factor) if self.kind == "linear" else self.max_positions

    @property
    def original(self) -> int:
        """The positions that the model was first trained for."""
        return int(self.scaling.get("original_max_position_embeddings") or self.max_positions)


@dataclass(frozen=True)
class ModelSpec:
    """A decoder's shape. `windows` holds each layer's sliding window, 0 for none."""

    family: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    eps: float
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    qk_norm: bool
    tied: bool
    rope: Rope
    windows: tuple[int, ...]

    @property
    def fused(self) -> bool:
        """Whether the weights on disk hold q, k, v (and gate, up) as one."""
        return self.family == "phi3"

    @property
    def query(self) -> int:
        return self.heads * self.head_dim

    @property
    def key_value(self) -> int:
        """Width of keys and values of one token in one layer."""
        return 2 * self.kv_heads * self.head_dim

    @property
    def context(self) -> int:
        """Tokens of a sequence, unless more are asked for."""
        return self.rope.contexts[0]


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """The shape from a configuration, in the forms of several transformers versions; raises UnsupportedModel."""
    family = str(config.get("model_type"))
    if family not in FAMILIES:
        raise UnsupportedModel(f"model type {family!r}")
    if config.get("hidden_act", "silu") != "silu":
        raise UnsupportedModel(f"activation {config.get('hidden_act')!r}")
    if config.get("quantization_config"):
        raise UnsupportedModel("quantised weights")
    heads = int(config["num_attention_heads"])
    head_dim = int(config.get("head_dim") or config["hidden_size"] // heads)
    biased = bool(config.get("attention_bias", False))
    layers = int(config["num_hidden_layers"])
    return ModelSpec(
        family=family,
        layers=layers,
        hidden=int(config["hidden_size"]),
        intermediate=int(config["intermediate_size"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=head_dim,
        vocabulary=int(config["vocab_size"]),
        eps=float(config.get("rms_norm_eps", 1e-6)),
        qkv_bias=family == "qwen2" or (biased and family in {"llama", "qwen3"}),
        output_bias=biased and family in {"llama", "qwen3"},
        mlp_bias=family == "llama" and bool(config.get("mlp_bias", False)),
        qk_norm=family == "qwen3",
        tied=bool(config.get("tie_word_embeddings", False)),
        rope=read_rope(config, head_dim),
        windows=tuple(window_of(config, family, layer) for layer in range(layers)),
    )


def read_rope(config: Mapping[str, Any], head_dim: int) -> Rope:
    scaling: dict[str, Any] = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    kind = str(scaling.get("rope_type") or scaling.get("type") or "default")
    if kind == "su":  # the name that Phi-3 first had for it
        kind = "longrope"
    if kind not in {"default", "linear", "dynamic", "yarn", "llama3", "longrope"}:
        raise UnsupportedModel(f"rope type {kind!r}")
    theta = scaling.get("rope_theta") or config.get("rope_theta") or 10000.0
    partial = scaling.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1.0
    original = config.get("original_max_position_embeddings")
    if original and not scaling.get("original_max_position_embeddings"):
        scaling["original_max_position_embeddings"] = original
    positions = int(config.get("max_position_embeddings") or 2048)
    return Rope(kind, float(theta), int(head_dim * float(partial)), scaling, positions)


def window_of(config: Mapping[str, Any], family: str, layer: int) -> int:
    window = int(config.get("sliding_window") or 0)
    kinds = config.get("layer_types")
    if family in {"qwen2", "qwen3"}:
        if not config.get("use_sliding_window", False):
            return 0
        if kinds:
            return window if kinds[layer] == "sliding_attention" else 0
        return window if layer >= int(config.get("max_window_layers") or 0) else 0
    return window if family in {"mistral", "phi3"} else 0
