"""What is read from config.json and adapter_config.json beside the shapes: context lengths and scales."""

from typing import Any

import pytest
import torch
from peft.utils.other import get_pattern_key

from inference.engine.files.spec import Rope, read_spec
from inference.engine.weights.ranks import scale_of
from inference.engine.weights.rope import rotations

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "vocab_size": 99,
    "max_position_embeddings": 4096,
}


@pytest.mark.parametrize(
    ("scaling", "usual", "most"),
    [
        ({}, 4096, 4096),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}, 16384, 16384),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}, 4096, 4096),
        ({"type": "linear", "factor": 4.0}, 4096, 16384),
        ({"type": "dynamic", "factor": 4.0}, 4096, 4096),
    ],
)
def test_scaling_tells_how_long_a_sequence_may_be(scaling: dict[str, Any], usual: int, most: int):
    spec = read_spec(LLAMA | ({"rope_scaling": scaling} if scaling else {}))
    assert spec.rope.contexts == (usual, most)
    assert spec.context == usual


def test_of_several_patterns_the_first_that_matches_sets_the_scale():
    patterns = {"self_attn.q_proj": 4, "q_proj": 32, "layers.1.self_attn.k_proj": 8}
    for module in ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.k_proj", "model.layers.0.mlp.up_proj"):
        alpha = patterns.get(get_pattern_key(list(patterns), module), 16)
        assert scale_of({"lora_alpha": 16, "alpha_pattern": patterns}, module, 8) == alpha / 8


@pytest.mark.parametrize(("kind", "tables"), [("default", 1), ("llama3", 1), ("longrope", 2)])
def test_only_longrope_has_a_second_table_of_rotations(kind: str, tables: int):
    """At 131072 positions one is 67 MB, in no budget."""
    factors = {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8, "factor": 8.0}
    waves = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    found = rotations(Rope(kind, 10000.0, 16, {**factors, **waves}, 256), 32, torch.device("cpu"))
    assert found.shape == (tables, 32, 8)
