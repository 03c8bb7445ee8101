"""`auto_map` is data where we or transformers know the model: it is served by the native class, and no code of a folder's
own is run, nor does anything ask whether to run it."""

import builtins
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file

from inference.engine.files.folder import check_model
from inference.engine.files.native import configuration, tokenizer_class
from inference.engine.files.spec import read_spec
from tests.unit.inference.conftest import Families, RigMaker
from tests.unit.inference.foreign_code import lay_trap

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT.parent / "shared" / "models"
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
PHI_3 = {"AutoConfig": "configuration_phi3.Phi3Config", "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"}


def published(name: str) -> dict[str, Any]:
    file = MODELS / name / "config.json"
    if not file.exists():
        pytest.skip("the published configurations are not beside the project (../shared/models)")
    # Phi-4-mini-reasoning stands for Phi-4-mini-instruct, which has the same shape and is published with this auto_map.
    return {"auto_map": {**PHI_3, "AutoTokenizer": "Xenova/gpt-4o"}, **json.loads(file.read_text())}


def shrunk(config: dict[str, Any]) -> dict[str, Any]:
    """The same configuration of a small model: other sizes, and tokens and rope factors that fit them."""
    heads, head_dim = 6, 8
    scaling = config.get("rope_scaling")
    factors = int(head_dim * config.get("partial_rotary_factor", 1.0)) // 2
    return config | {
        "hidden_size": heads * head_dim,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "num_key_value_heads": heads * config["num_key_value_heads"] // config["num_attention_heads"],
        "vocab_size": 160,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "rope_scaling": scaling
        and {name: value[:factors] if isinstance(value, list) else value for name, value in scaling.items()},
    }


def model_with(config: dict[str, Any], families: Any, mount: Path) -> Any:
    """Random weights of the configuration's shape, the configuration itself as it is written, and transformers' own model."""
    known = {name: value for name, value in config.items() if name not in {"auto_map", "torch_dtype", "architectures"}}
    made = families.make(mount, "Phi3Config", FUSED, **known)
    (made.path / "config.json").write_text(json.dumps(config))
    made.reference = transformers.AutoModelForCausalLM.from_pretrained(
        made.path, trust_remote_code=False, dtype=torch.float32
    )
    made.reference.generation_config.eos_token_id = None
    return made


def assert_tokens_equal(made: Any, families: Any, make_rig: Any) -> None:
    rig, reference = make_rig(made), families.reference(made)
    for adapter in ("", "first"):
        asked = rig.ask([5, 9, 31, 77, 12], adapter, max_tokens=16)
        assert asked.done.wait(240)
        assert asked.tokens == reference.generate(asked.prompt, adapter, 16)


@pytest.mark.parametrize(
    ("name", "context", "rope"),
    [
        ("Phi-3-mini-4k-instruct", 4096, "default"),
        ("Phi-3-mini-128k-instruct", 131072, "longrope"),
        ("Phi-3.5-mini-instruct", 131072, "longrope"),
        ("Phi-4-mini-reasoning", 131072, "longrope"),
    ],
)
def test_the_published_phi_models_are_served(
    name: str, context: int, rope: str, families: Families, make_rig: RigMaker, tmp_path: Path
):
    config = published(name)
    whole = tmp_path / "model-cache" / "microsoft" / name
    whole.mkdir(parents=True)
    (whole / "config.json").write_text(json.dumps(config))
    (whole / "tokenizer.json").write_text("{}")
    save_file({"model.norm.weight": torch.ones(8)}, whole / "model.safetensors")
    spec = read_spec(check_model(f"microsoft/{name}", whole, tmp_path).config)
    assert (spec.family, spec.context, spec.rope.kind) == ("phi3", context, rope)
    assert_tokens_equal(model_with(shrunk(config), families, tmp_path / "small"), families, make_rig)


def test_a_model_with_auto_map_is_served_by_our_own_code(families: Families, make_rig: RigMaker, tmp_path: Path):
    """As the published ones, with a trap in place of their code: beside the base and beside the adapters."""
    made = families.make(tmp_path, "Phi3Config", FUSED, num_key_value_heads=6)
    mark = tmp_path / "run"
    lay_trap(made.path, mark, "config.json", "tokenizer_config.json")
    for path in made.adapters.values():
        lay_trap(path, mark, "config.json", "tokenizer_config.json", "adapter_config.json")
    assert_tokens_equal(made, families, make_rig)
    assert not mark.exists()
    runpy.run_path(str(made.path / "trap.py"))
    assert mark.exists(), "the trap is none"


def test_for_our_own_families_transformers_is_not_asked(tmp_path: Path):
    """Its import takes seconds, in which nothing is loaded."""
    script = (
        "import sys; from inference.engine.files.native import is_known; assert is_known({'model_type': 'phi3'});"
        "sys.exit(any(name in sys.modules for name in ('transformers', 'torch')))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


@pytest.mark.parametrize("auto_map", [{"AutoModel": "trap.Trap"}, {"AutoModel": 7}, None, [], "trap.Trap"])
def test_transformers_is_shown_no_auto_map(
    auto_map: dict[str, Any] | list[Any] | str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Not that of a part of a model either: for a part that it does not know it would ask at the terminal, and run it."""
    asked: list[str] = []
    monkeypatch.setattr(builtins, "input", lambda text="": asked.append(text) or "y")
    mark = tmp_path / "run"
    lay_trap(tmp_path, mark)
    part = {"model_type": "align_vision_model", "auto_map": auto_map, "_name_or_path": str(tmp_path)}
    config = configuration({"model_type": "gemma3", "auto_map": auto_map, "vision_config": part}, tmp_path)
    assert not hasattr(config, "auto_map")
    assert not hasattr(config.vision_config, "auto_map")
    assert config.name_or_path == str(tmp_path)
    with torch.device("meta"), pytest.raises(ValueError, match=r"Unrecognized configuration class .*Align"):
        transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    assert asked == []
    assert not mark.exists()


@pytest.mark.parametrize(
    ("settings", "config", "found"),
    [
        ({"tokenizer_class": "LlamaTokenizer"}, {}, "LlamaTokenizer"),
        ({"tokenizer_class": "LlamaTokenizerFast"}, {"model_type": "phi3"}, "LlamaTokenizer"),
        ({}, {"model_type": "llama", "tokenizer_class": "GPT2Tokenizer"}, "GPT2Tokenizer"),
        ({}, {"model_type": "gpt2"}, "GPT2Tokenizer"),
        ({"tokenizer_class": "BaichuanTokenizer"}, {"model_type": "llama"}, None),
        ({"tokenizer_class": "AutoModelForCausalLM"}, {"model_type": "llama"}, None),
        ({"auto_map": {"AutoTokenizer": "own.Words"}}, {"model_type": "llama"}, None),
        ({"auto_map": {"AutoTokenizer": "own.Words"}, "tokenizer_class": "LlamaTokenizer"}, {}, "LlamaTokenizer"),
        ({}, {"model_type": "llama"}, "TokenizersBackend"),
    ],
)
def test_a_tokenizer_is_known_by_its_class_or_by_the_model(
    settings: dict[str, Any], config: dict[str, Any], found: str | None
):
    kind = tokenizer_class(settings, config)
    assert (kind and kind.__name__) == found
