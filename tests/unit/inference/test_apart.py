"""Adapters for a model that a trainer took apart: q, k and v by themselves, where the base's files hold them as one matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.support.tiny_models import Oracle, write_json, write_model
from tests.support.whole_load import Asked, answers, loaded

CONFIG: dict[str, Any] = {
    "model_type": "phi3",
    "vocab_size": 160,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
SPLIT = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ROWS = {
    "self_attn.qkv_proj": (("q_proj", 48), ("k_proj", 16), ("v_proj", 16)),
    "mlp.gate_up_proj": (("gate_proj", 80), ("up_proj", 80)),
}
PROMPT = [5, 9, 31, 77, 12, 44, 101]


def taken_apart(base: Path, folder: Path) -> Path:
    """The same model as a Mistral, whose arithmetic is Phi-3's."""
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {**CONFIG, "model_type": "mistral", "sliding_window": None})
    found: dict[str, Any] = {}
    for name, tensor in load_file(base / "model.safetensors").items():
        fused = next((each for each in ROWS if f".{each}." in name), None)
        if fused is None:
            found[name] = tensor
            continue
        first = 0
        for part, rows in ROWS[fused]:
            found[name.replace(fused.rpartition(".")[2], part)] = tensor[first : first + rows].clone()
            first += rows
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("targets", [SPLIT, ["q_proj", "v_proj"], ["k_proj", "up_proj"]], ids="-".join)
def test_an_adapter_of_the_parts_answers_as_on_the_model_taken_apart(targets: list[str], tmp_path: Path):
    """In a batch with the base and with one for the fused matrices."""
    import peft  # noqa: PLC0415  (seconds; only who makes an adapter waits)
    import transformers  # noqa: PLC0415  (as above)

    base, apart = tmp_path / "model-cache" / "acme" / "tiny", tmp_path / "apart"
    write_model(base, CONFIG)
    taken_apart(base, apart)
    adapter, fused = tmp_path / "models" / "apart", tmp_path / "models" / "fused"
    kinds: Any = peft
    auto: Any = transformers.AutoModelForCausalLM
    for model, folder, modules in ((apart, adapter, targets), (base, fused, ["qkv_proj", "gate_up_proj"])):
        config = kinds.LoraConfig(
            r=4, target_modules=modules, init_lora_weights=False, use_rslora=True, rank_pattern={"k_proj": 6}
        )
        kinds.get_peft_model(auto.from_pretrained(model), config).save_pretrained(str(folder))
    with loaded(tmp_path) as served:
        assert served.adapters.refused == {}
        assert served.engine.kind == "slipway"
        said = answers(served, [Asked(PROMPT, name) for name in ("apart", "", "fused", "apart")], 12)
    should = [
        Oracle(apart, adapter).tokens(PROMPT, 12),
        Oracle(base).tokens(PROMPT, 12),
        Oracle(base, fused).tokens(PROMPT, 12),
    ]
    assert said == [*should, should[0]]
    assert should[0] != should[1]
