"""A model's shape, read from its config.json: what the decoder has to know of a model of families.py."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from inference.engine.files.families import FAMILIES, SPLIT, Family, Has, Place


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


class Projection(NamedTuple):
    """Rows of a matrix that the files hold under one name. The first `turning` are rotated, head by head."""

    name: str
    rows: int
    turning: int = 0


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

    def biased(self, place: Place) -> bool:
        """Whether a layer's matrix has a bias."""
        biases = {"qkv": self.qkv_bias, "output": self.output_bias, "gate_up": self.mlp_bias, "down": self.mlp_bias}
        return biases[place]

    def inputs(self, place: Place) -> int:
        """Columns of a layer's matrix."""
        return {"qkv": self.hidden, "output": self.query, "gate_up": self.hidden, "down": self.intermediate}[place]

    def outputs(self, place: Place) -> int:
        """Its rows."""
        return sum(projection.rows for projection in self.projections(place))

    def projections(self, place: Place) -> tuple[Projection, ...]:
        """Its rows as the files hold them: one after the other, or all of them under one name."""
        names, parts = FAMILIES[self.family].projections[place], self.apart(place)
        if len(names) == len(parts):
            return tuple(part._replace(name=name) for name, part in zip(names, parts, strict=True))
        return (Projection(names[0], sum(part.rows for part in parts), sum(part.turning for part in parts)),)

    def apart(self, place: Place) -> tuple[Projection, ...]:
        """The same rows one after the other, as most families' files name them."""
        kv = self.kv_heads * self.head_dim
        sizes: dict[Place, tuple[tuple[int, int], ...]] = {
            "qkv": ((self.query, self.query), (kv, kv), (kv, 0)),
            "output": ((self.hidden, 0),),
            "gate_up": ((self.intermediate, 0), (self.intermediate, 0)),
            "down": ((self.hidden, 0),),
        }
        return tuple(Projection(name, *size) for name, size in zip(SPLIT[place], sizes[place], strict=True))

    def adaptable(self, place: Place) -> tuple[tuple[int, Projection], ...]:
        """What an adapter may add to, and its first row: each name that the files have. Where these hold several under one, those
        apart too: some trainers take such a model apart first."""
        own, parts = self.projections(place), self.apart(place)
        return (*with_first_rows(own), *(with_first_rows(parts) if len(own) != len(parts) else ()))


def with_first_rows(projections: tuple[Projection, ...]) -> Iterator[tuple[int, Projection]]:
    first = 0
    for each in projections:
        yield first, each
        first += each.rows


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """The shape from a configuration, in the forms of several transformers versions; raises UnsupportedModel."""
    name = str(config.get("model_type"))
    family = FAMILIES.get(name)
    if family is None:
        raise UnsupportedModel(f"model type {name!r}")
    if config.get("hidden_act", "silu") != "silu":
        raise UnsupportedModel(f"activation {config.get('hidden_act')!r}")
    if config.get("quantization_config"):
        raise UnsupportedModel("quantised weights")
    heads = int(config["num_attention_heads"])
    head_dim = int(config.get("head_dim") or config["hidden_size"] // heads)
    biased = bool(config.get("attention_bias", False))
    layers = int(config["num_hidden_layers"])
    return ModelSpec(
        family=name,
        layers=layers,
        hidden=int(config["hidden_size"]),
        intermediate=int(config["intermediate_size"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=head_dim,
        vocabulary=int(config["vocab_size"]),
        eps=float(config.get("rms_norm_eps", 1e-6)),
        qkv_bias=has(family.qkv_bias, biased),
        output_bias=has(family.output_bias, biased),
        mlp_bias=has(family.mlp_bias, bool(config.get("mlp_bias", False))),
        qk_norm=family.qk_norm,
        tied=bool(config.get("tie_word_embeddings", False)),
        rope=read_rope(config, head_dim),
        windows=tuple(window_of(config, family, layer) for layer in range(layers)),
    )


def has(it: Has, configured: bool) -> bool:
    return it == "always" or (it == "if configured" and configured)


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


def window_of(config: Mapping[str, Any], family: Family, layer: int) -> int:
    window = int(config.get("sliding_window") or 0)
    if family.windows != "the layers configured":
        return window if family.windows == "every layer" else 0
    kinds = config.get("layer_types")
    if not config.get("use_sliding_window", False):
        return 0
    if kinds:
        return window if kinds[layer] == "sliding_attention" else 0
    return window if layer >= int(config.get("max_window_layers") or 0) else 0
