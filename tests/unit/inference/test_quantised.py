"""Bases whose weights are stored quantised: bitsandbytes' are served, all others refused by name, with what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from inference.engine.files.folder import FolderError, check_model
from inference.engine.files.quantised import WAY_ON
from inference.loading import device_for
from inference.settings import Settings
from tests.support.model_folders import TINY, base_in, tensors_for, write_weights
from tests.support.tiny_models import Oracle, write_model
from tests.support.whole_load import Asked, answers, loaded

CONFIG: dict[str, Any] = {
    "model_type": "qwen3",
    "vocab_size": 160,
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 256,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
PROMPT = [5, 9, 31, 77, 12]


def refusal(folder: Path, mount: Path) -> str:
    with pytest.raises(FolderError) as refused:
        check_model("org/tiny", folder, mount)
    return str(refused.value)


IN_8_BITS = {"quant_method": "bitsandbytes", "load_in_8bit": True, "load_in_4bit": False}


@pytest.mark.parametrize(
    ("method", "section"),
    [
        *((name, {"quant_method": name}) for name in ("gptq", "awq", "fp8", "mxfp4", "compressed-tensors")),
        ("bitsandbytes in 8 bits", IN_8_BITS),
    ],
)
def test_a_method_that_is_not_served_is_named_with_the_file_and_the_way_on(
    method: str, section: dict[str, Any], tmp_path: Path
):
    folder = base_in(tmp_path)
    (folder / "config.json").write_text(json.dumps({**TINY, "quantization_config": section}))
    said = refusal(folder, tmp_path)
    assert method in said
    assert str(folder / "config.json") in said
    assert WAY_ON in said


@pytest.mark.parametrize(
    ("changed", "dtype", "said"),
    [
        ({"model.layers.0.mlp.up_proj.qweight": (8, 16)}, "I32", "up_proj.qweight is of quantised weights"),
        ({}, "F8_E4M3", "is FP8"),
    ],
    ids=["GPTQ of before config.json spoke of it", "FP8"],
)
def test_what_only_the_tensors_show_is_named_too(changed: dict[str, Any], dtype: str, said: str, tmp_path: Path):
    folder = base_in(tmp_path)
    write_weights(folder / "model.safetensors", {**tensors_for(TINY), **changed}, dtype)
    found = refusal(folder, tmp_path)
    assert said in found
    assert str(folder / "model.safetensors") in found
    assert WAY_ON in found


def test_gguf_is_named(tmp_path: Path):
    folder = base_in(tmp_path)
    (folder / "model.safetensors").rename(folder / "tiny.Q4_K_M.gguf")
    assert "GGUF is not served" in refusal(folder, tmp_path)


def packed_base(tmp_path: Path) -> Path:
    """A mount with a base that bitsandbytes has packed in 4 bits, as transformers saves it."""
    import transformers  # noqa: PLC0415  (seconds; only who needs it waits)

    plain, mount = tmp_path / "plain", tmp_path / "mount"
    write_model(plain, CONFIG)
    wanted: Any = transformers.BitsAndBytesConfig
    auto: Any = transformers.AutoModelForCausalLM
    in_4_bits = wanted(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    packed = auto.from_pretrained(plain, quantization_config=in_4_bits)
    folder = mount / "model-cache" / "acme" / "tiny"
    packed.save_pretrained(folder)
    shutil.copy(plain / "tokenizer.json", folder)
    return mount


def test_a_base_in_4_bits_answers_as_in_transformers_with_adapters_too(tmp_path: Path):
    import peft  # noqa: PLC0415  (seconds; only who needs it waits)
    import transformers  # noqa: PLC0415  (as above)

    mount = packed_base(tmp_path)
    folder, adapter = mount / "model-cache" / "acme" / "tiny", mount / "models" / "tuned"
    auto: Any = transformers.AutoModelForCausalLM
    config: Any = peft.LoraConfig
    lora = config(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    peft.get_peft_model(auto.from_pretrained(folder), lora).save_pretrained(str(adapter))
    with loaded(mount) as served:
        assert served.engine.kind == "transformers"
        said = answers(served, [Asked(PROMPT), Asked(PROMPT, "tuned")], 8)
    assert said == [Oracle(folder).tokens(PROMPT, 8), Oracle(folder, adapter).tokens(PROMPT, 8)]
    assert said[0] != said[1]


def test_packed_weights_take_the_memory_that_they_are_stored_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A base in 4 bits of 7 GB on disk fits a GPU of 15 GB: its bytes do not double as numbers of 16 bits would."""
    folder = base_in(tmp_path)
    shapes = tensors_for(TINY)
    write_weights(folder / "model.safetensors", shapes, "U8")
    counted: list[int] = []

    def choose(*asked: Any, loaded: Any, **more: Any) -> None:
        counted.append(loaded(dtype_of_16_bits()))

    monkeypatch.setattr(
        "inference.loading.choose", choose
    )  # patched: the decision needs a GPU; what is counted is seen
    checked = check_model("org/tiny", folder, tmp_path)
    device_for(Settings(mount=tmp_path, max_running=0), checked, None, 0)
    assert counted == [checked.size]


def dtype_of_16_bits() -> Any:
    import torch  # noqa: PLC0415  (seconds; only who needs it waits)

    return torch.bfloat16
