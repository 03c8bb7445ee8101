"""Configurations of popular models, as published or (where no file may be kept) by their numbers; and each made small."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PUBLISHED = Path(__file__).resolve().parents[2].parent / "shared" / "models"
ROPE_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@dataclass(frozen=True)
class Published:
    """A model's config.json, and its generation_config.json where there is one. `numbers_only`: nobody has the file, so that a
    run can only say that the shape is served."""

    name: str
    config: Mapping[str, Any]
    generation: Mapping[str, Any] | None = None
    numbers_only: bool = False

    @property
    def quantised(self) -> str:
        """The method, where its weights are quantised; else nothing."""
        return str((self.config.get("quantization_config") or {}).get("quant_method") or "")


def shape(kind: str, sizes: tuple[int, int, int, int, int], **more: Any) -> Mapping[str, Any]:
    """`sizes`: hidden, intermediate, layers, heads, key heads."""
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    return {"model_type": kind, **dict(zip(names, sizes, strict=True)), **more}


def llama(sizes: tuple[int, int, int, int, int], **more: Any) -> Mapping[str, Any]:
    return shape("llama", sizes, **{"rope_theta": 500000.0, "bos_token_id": 128000, "vocab_size": 128256, **more})


CHAT_ENDS = [128001, 128008, 128009]
NUMBERS: Mapping[str, Mapping[str, Any]] = {
    "Llama 3 70B": llama((8192, 28672, 80, 64, 8), max_position_embeddings=8192, eos_token_id=128001),
    "Llama 3.1 70B": llama(
        (8192, 28672, 80, 64, 8),
        max_position_embeddings=131072,
        eos_token_id=CHAT_ENDS,
        rope_scaling=ROPE_LLAMA3,
    ),
    "Llama 3.2 1B": llama(
        (2048, 8192, 16, 32, 8),
        head_dim=64,
        tie_word_embeddings=True,
        max_position_embeddings=131072,
        eos_token_id=CHAT_ENDS,
        rope_scaling={**ROPE_LLAMA3, "factor": 32.0},
    ),
    "Llama 3.2 3B": llama(
        (3072, 8192, 28, 24, 8),
        head_dim=128,
        tie_word_embeddings=True,
        max_position_embeddings=131072,
        eos_token_id=CHAT_ENDS,
        rope_scaling={**ROPE_LLAMA3, "factor": 32.0},
    ),
    "Gemma 7B": shape(
        "gemma",
        (3072, 24576, 28, 16, 16),
        head_dim=256,
        vocab_size=256000,
        max_position_embeddings=8192,
        rope_theta=10000.0,
        bos_token_id=2,
        eos_token_id=1,
    ),
    "Gemma 2 2B": shape(
        "gemma2",
        (2304, 9216, 26, 8, 4),
        head_dim=256,
        vocab_size=256000,
        max_position_embeddings=8192,
        rope_theta=10000.0,
        sliding_window=4096,
        bos_token_id=2,
        eos_token_id=1,
        attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0,
        query_pre_attn_scalar=256,
    ),
    "Gemma 3 1B": shape(
        "gemma3_text",
        (1152, 6912, 26, 4, 1),
        head_dim=256,
        vocab_size=262144,
        max_position_embeddings=32768,
        rope_theta=1000000,
        rope_scaling=None,
        sliding_window=512,
        sliding_window_pattern=6,
        rope_local_base_freq=10000,
        bos_token_id=2,
        eos_token_id=[1, 106],
        attn_logit_softcapping=None,
        final_logit_softcapping=None,
        query_pre_attn_scalar=256,
    ),
    "SmolLM2-135M": shape(
        "llama",
        (576, 1536, 30, 9, 3),
        vocab_size=49152,
        max_position_embeddings=8192,
        rope_theta=100000,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    ),
    "SmolLM3-3B": shape(
        "smollm3",
        (2048, 11008, 36, 16, 4),
        vocab_size=128256,
        max_position_embeddings=65536,
        rope_theta=5000000,
        tie_word_embeddings=True,
        no_rope_layer_interval=4,
        no_rope_layers=[1, 1, 1, 0] * 9,
        bos_token_id=128000,
        eos_token_id=128001,
        pad_token_id=128004,
    ),
    "OLMo-2-0425-1B": shape(
        "olmo2",
        (2048, 8192, 16, 16, 16),
        vocab_size=100352,
        max_position_embeddings=4096,
        rope_theta=500000,
        eos_token_id=100257,
        pad_token_id=100277,
        tie_word_embeddings=False,
    ),
    "Mistral-Nemo 12B": shape(
        "mistral",
        (5120, 14336, 40, 32, 8),
        head_dim=128,
        vocab_size=131072,
        max_position_embeddings=1024000,
        rope_theta=1000000,
        sliding_window=None,
        tie_word_embeddings=False,
    ),
    "DeepSeek-R1-Distill-Qwen-1.5B": shape(
        "qwen2",
        (1536, 8960, 28, 12, 2),
        vocab_size=151936,
        max_position_embeddings=131072,
        rope_theta=10000,
        bos_token_id=151643,
        eos_token_id=151643,
        tie_word_embeddings=False,
    ),
    "Pythia-410m": {
        "model_type": "gpt_neox",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "vocab_size": 50304,
        "max_position_embeddings": 2048,
        "rotary_pct": 0.25,
        "partial_rotary_factor": 0.25,
        "use_parallel_residual": True,
        "attention_bias": True,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
    },
}
"""As published sources tell them; for Llama, Gemma and others no file may be kept."""


def all_published() -> list[Published]:
    """Those with a file, none where the files are not beside the project; then those by their numbers."""
    found = [
        Published(file.parent.name, _read(file), _read(file.with_name("generation_config.json")) or None)
        for file in sorted(PUBLISHED.glob("*/config.json"))
    ]
    return found + [Published(name, config, numbers_only=True) for name, config in NUMBERS.items()]


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


LAYERS, HEAD_DIM, VOCABULARY, CONTEXT, WINDOW = 4, 16, 2048, 2048, 24
SMALLER = {  # sizes of mixtures of experts, and of what else costs time and shows nothing
    "num_local_experts": 4,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "experts_per_token": 2,
    "moe_intermediate_size": 32,
    "intermediate_size": 64,
}


def shrunk(published: Published, *, plainly: bool = False) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Configuration and generation settings of a tiny model of the same form: every key is kept, sizes become small, and what
    depends on one another still does (groups of heads, a head_dim that is not hidden / heads, tied or not, the order of the
    layers' kinds, which rope reaches how far). `plainly`: without its quantisation."""
    config = json.loads(json.dumps(dict(published.config)))
    ids = _fewer_ids(config, published.generation)
    config |= {key: value for key, value in SMALLER.items() if key in config}
    config |= _heads(config)
    config |= _layers(config)
    config |= _reach(config)
    if config.get("query_pre_attn_scalar"):
        config["query_pre_attn_scalar"] = HEAD_DIM
    config["vocab_size"] = VOCABULARY
    generation = None if published.generation is None else dict(published.generation)
    for source in (config, generation or {}):
        for key in (key for key in source if key.endswith("_token_id")):
            source[key] = _renamed(source[key], ids)
    if plainly:
        config.pop("quantization_config", None)
    return config, generation


def _renamed(value: Any, ids: Mapping[int, int]) -> Any:
    return [ids[each] for each in value] if isinstance(value, list) else ids.get(value) if value is not None else None  # pyright: ignore[reportUnknownVariableType]


def _fewer_ids(*sources: Mapping[str, Any] | None) -> dict[int, int]:
    """The special tokens' numbers within a smaller vocabulary, in their order."""
    found: set[int] = set()
    for source in sources:
        for key, value in (source or {}).items():
            if key.endswith("_token_id") and value is not None:
                found.update(value if isinstance(value, list) else [value])  # pyright: ignore[reportUnknownArgumentType]
    return {old: new if old < VOCABULARY // 2 else VOCABULARY - 100 + new for new, old in enumerate(sorted(found))}


def _heads(config: Mapping[str, Any]) -> dict[str, Any]:
    heads = int(config["num_attention_heads"])
    key_heads = int(config.get("num_key_value_heads") or heads)
    group, share = heads // key_heads, config["hidden_size"] / heads
    fewer = 1 if group > 4 else 2
    found: dict[str, Any] = {"num_attention_heads": fewer * group}
    if "num_key_value_heads" in config:
        found["num_key_value_heads"] = fewer
    width = HEAD_DIM
    if config.get("head_dim"):
        found["head_dim"] = HEAD_DIM
        width = max(int(HEAD_DIM * share / config["head_dim"]) // 2 * 2, 2)
    return {**found, "hidden_size": fewer * group * width}


def _layers(config: Mapping[str, Any]) -> dict[str, Any]:
    pattern = int(config.get("sliding_window_pattern") or config.get("no_rope_layer_interval") or 1)
    number = max(LAYERS, pattern)
    cut = {key: config[key][:number] for key in ("layer_types", "no_rope_layers") if config.get(key)}
    most = {key: min(int(config[key]), number // 2) for key in ("max_window_layers",) if config.get(key)}
    return {"num_hidden_layers": number, **cut, **most}


def _reach(config: Mapping[str, Any]) -> dict[str, Any]:
    """Positions, windows and what rope scaling says of them, in proportion."""
    positions = int(config["max_position_embeddings"])

    def scaled(value: Any) -> int:
        return int(value) * CONTEXT // positions

    found: dict[str, Any] = {"max_position_embeddings": CONTEXT}
    if window := config.get("sliding_window"):
        found["sliding_window"] = WINDOW if int(window) < positions else scaled(window)
    started = "original_max_position_embeddings"
    if config.get(started):
        found[started] = scaled(config[started])
    if config.get("initial_context_length"):
        found["initial_context_length"] = scaled(config["initial_context_length"])
    if scaling := dict(config.get("rope_scaling") or {}):
        dims = int(HEAD_DIM * float(config.get("partial_rotary_factor") or 1.0))
        lists = {key: scaling[key][: dims // 2] for key in ("long_factor", "short_factor") if key in scaling}
        original = {started: scaled(scaling[started])} if scaling.get(started) else {}
        found["rope_scaling"] = {**scaling, **lists, **original}
    return found
