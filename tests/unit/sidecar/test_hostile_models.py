"""Whatever configurations and headers hold, the check of models says something of them and never falls over."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.decisions.adapter_check import KNOWN_KEYS
from sidecar.decisions.model_check import model_checks
from sidecar.decisions.model_facts import Adapter, Base, Broken, ModelFacts, Tensor
from sidecar.decisions.models_on_share import Models
from sidecar.decisions.safetensors import tensors_of
from sidecar.decisions.tokenizer_check import SPECIAL
from tests.support.model_folders import TINY, lora_tensors, tensors_for

WORDS = st.sampled_from(["llama", "LORA", "q_proj", "(", "longrope", "rope_type", "vocab_size"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    *TINY,
    "head_dim",
    "hidden_act",
    "rope_scaling",
    "attention_bias",
    "quantization_config",
    "auto_map",
    "text_config",
]
WEIGHTS = {name: Tensor("BF16", shape) for name, shape in tensors_for(TINY).items()}
LORA = {name: Tensor("F32", shape) for name, shape in lora_tensors().items()}
FILES = {"config.json": 1, "tokenizer.json": 1, "model.safetensors": 1}


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(sorted(KNOWN_KEYS)), VALUES, max_size=3),
    st.none() | st.dictionaries(st.sampled_from((*SPECIAL, "chat_template")), VALUES, max_size=3),
)
def test_any_configuration_is_judged(
    base: dict[str, Any], adapter: dict[str, Any], tokenizer: dict[str, Any] | None
) -> None:
    model = Base("org/tiny", FILES, {**TINY, **base}, None, {"model.safetensors": WEIGHTS}, tokenizer)
    tuned = Adapter("a", {"adapter_model.safetensors": 1}, {"peft_type": "LORA", "r": 4, **adapter}, LORA, tokenizer)
    facts = ModelFacts(Models(("org/tiny",), ("a",)), "", model, (tuned,), 0, {}, "Consumption-GPU-NC8as-T4")
    found = model_checks(facts, needed=True)
    assert "base model" in {each.name for each in found}
    assert all(each.code for each in found if each.verdict == "FAIL")


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=3),
        VALUES
        | st.fixed_dictionaries(
            {"dtype": st.just("F32") | VALUES, "shape": st.lists(st.integers(-3, 9)) | VALUES, "data_offsets": VALUES}
        ),
        max_size=3,
    )
)
def test_any_header_is_read_or_named_as_broken(header: dict[str, Any]) -> None:
    raw = json.dumps(header).encode()
    found = tensors_of(raw, 100 + len(raw))
    assert isinstance(found, Broken) or all(each.stored >= 0 for each in found.values())
