"""Which tensors a base model must have by its configuration, for the families that our own engine serves. Pure.

The rules are the model server's (inference/engine/files/families.py, spec.py and weights/loader.py): nothing of it is imported,
and tests/unit/test_model_check_agrees.py holds both against the same folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from sidecar.decisions.model_facts import Broken, Json
from sidecar.words.text import Text

Has = Literal["never", "if configured", "always"]
MOST_LAYERS = 4096
"""No model has as many; each costs room here too."""

ROPES = {"default", "linear", "dynamic", "yarn", "llama3", "longrope", "su"}


@dataclass(frozen=True)
class Family:
    """`fused`: q, k and v are one tensor, gate and up another."""

    fused: bool = False
    qkv_bias: Has = "never"
    output_bias: Has = "never"
    mlp_bias: Has = "never"
    qk_norm: bool = False


FAMILIES: Mapping[str, Family] = {
    "llama": Family(qkv_bias="if configured", output_bias="if configured", mlp_bias="if configured"),
    "mistral": Family(),
    "phi3": Family(fused=True),
    "qwen2": Family(qkv_bias="always"),
    "qwen3": Family(qkv_bias="if configured", output_bias="if configured", qk_norm=True),
}


@dataclass(frozen=True)
class Projection:
    """A matrix of a layer: rows (outputs) and columns (inputs)."""

    rows: int
    columns: int
    bias: bool


@dataclass(frozen=True)
class Shape:
    """`projections`: a layer's matrices by their names below it. `apart`: parts of these that an adapter may name, where a family
    has several in one."""

    layers: int
    hidden: int
    vocabulary: int
    head_dim: int
    kv_heads: int
    tied: bool
    qk_norm: bool
    projections: Mapping[str, Projection]
    apart: Mapping[str, Projection]

    @property
    def adaptable(self) -> Mapping[str, Projection]:
        return {**self.apart, **self.projections}

    @property
    def tensors(self) -> Mapping[str, tuple[int, ...]]:
        """Every tensor that the server needs, with its shape, by its name without a leading `model.`."""
        found: dict[str, tuple[int, ...]] = {
            "embed_tokens.weight": (self.vocabulary, self.hidden),
            "norm.weight": (self.hidden,),
        }
        if not self.tied:
            found["lm_head.weight"] = (self.vocabulary, self.hidden)
        for layer in range(self.layers):
            found |= {f"layers.{layer}.{name}": shape for name, shape in self._layer.items()}
        return found

    @property
    def _layer(self) -> Mapping[str, tuple[int, ...]]:
        norms = {"input_layernorm.weight": (self.hidden,), "post_attention_layernorm.weight": (self.hidden,)}
        if self.qk_norm:
            norms |= {f"self_attn.{name}_norm.weight": (self.head_dim,) for name in "qk"}
        weights = {f"{name}.weight": (each.rows, each.columns) for name, each in self.projections.items()}
        biases = {f"{name}.bias": (each.rows,) for name, each in self.projections.items() if each.bias}
        return {**norms, **weights, **biases}


@dataclass(frozen=True)
class Foreign:
    """A model that transformers has to serve, and why our engine does not."""

    reason: Text


def shape_of(config: Json) -> Shape | Foreign | Broken:
    """Broken: the server can't start with such a configuration."""
    kind = str(config.get("model_type"))
    family = FAMILIES.get(kind)
    if family is None:
        return Foreign(Text("its model type is {kind}", kind=kind))
    if config.get("hidden_act", "silu") != "silu":
        return Foreign(Text("its activation is {kind}", kind=config.get("hidden_act")))
    if config.get("quantization_config"):
        return Foreign(Text("its weights are quantised"))
    rope = _rope(config)
    if rope not in ROPES:
        return Foreign(Text("its rope type is {kind}", kind=rope))
    try:
        found = _shape(config, family)
    except KeyError as error:
        return Broken(Text("its config.json has no {key}", key=error.args[0]))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return Broken(Text("a size in its config.json is no number"))
    if found.layers > MOST_LAYERS:
        return Broken(Text("its config.json speaks of {count} layers", count=found.layers))
    return found


def _rope(config: Json) -> str:
    scaling = config.get("rope_parameters") or config.get("rope_scaling")
    known = cast("dict[str, object]", scaling) if isinstance(scaling, dict) else {}
    return str(known.get("rope_type") or known.get("type") or "default")


def _shape(config: Json, family: Family) -> Shape:
    def size(key: str, default: int = 0) -> int:
        value = (config.get(key) or default) if default else config[key]
        return int(cast("int", value))

    heads, hidden, middle = size("num_attention_heads"), size("hidden_size"), size("intermediate_size")
    head_dim, kv_heads = size("head_dim", hidden // heads), size("num_key_value_heads", heads)
    biased, mlp = bool(config.get("attention_bias", False)), bool(config.get("mlp_bias", False))
    qkv, out, wide = _has(family.qkv_bias, biased), _has(family.output_bias, biased), _has(family.mlp_bias, mlp)
    query, kv = heads * head_dim, kv_heads * head_dim
    apart = {f"self_attn.{name}_proj": (query if name == "q" else kv, hidden, qkv) for name in "qkv"}
    apart |= {f"mlp.{name}_proj": (middle, hidden, wide) for name in ("gate", "up")}
    rows = dict(apart)
    if family.fused:
        rows = {"self_attn.qkv_proj": (query + 2 * kv, hidden, qkv), "mlp.gate_up_proj": (2 * middle, hidden, wide)}
    rows |= {"self_attn.o_proj": (hidden, query, out), "mlp.down_proj": (hidden, middle, wide)}
    return Shape(
        layers=size("num_hidden_layers"),
        hidden=hidden,
        vocabulary=size("vocab_size"),
        head_dim=head_dim,
        kv_heads=kv_heads,
        tied=bool(config.get("tie_word_embeddings", False)),
        qk_norm=family.qk_norm,
        projections={name: Projection(*each) for name, each in rows.items()},
        apart={name: Projection(*each) for name, each in apart.items()},
    )


def _has(it: Has, configured: bool) -> bool:
    return it == "always" or (it == "if configured" and configured)
