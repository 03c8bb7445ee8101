"""Adapters of every kind that PEFT knows, and what can be wrong with one."""

import json
import shutil
from pathlib import Path
from typing import Any

import peft
import torch
from safetensors.torch import load_file, save_file

from tests.unit.inference.conftest import Family

TARGETS = ["q_proj", "down_proj"]


def lora(**options: Any) -> Any:
    kind: Any = peft.LoraConfig
    return kind(**{"r": 3, "lora_alpha": 6, "target_modules": TARGETS, "init_lora_weights": False, **options})


def other(kind: Any, **options: Any) -> Any:
    return kind(target_modules=TARGETS, **options)


KINDS: dict[str, Any] = {
    "plain": lora(),
    "head": lora(modules_to_save=["lm_head"]),
    "embedding": lora(modules_to_save=["embed_tokens"]),
    "both": lora(modules_to_save=["embed_tokens", "lm_head"]),
    "kept-tied": lora(modules_to_save=["embed_tokens"], ensure_weight_tying=True),
    "norm-and-mlp": lora(target_modules=["q_proj"], modules_to_save=["model.norm", "mlp"]),
    "low-rank-head": lora(target_modules=["q_proj", "lm_head", "embed_tokens"]),
    "dora": lora(use_dora=True, modules_to_save=["lm_head"]),
    "parameters": lora(target_modules=[], target_parameters=["mlp.up_proj.weight"]),
    "ia3": other(
        peft.IA3Config, feedforward_modules=["down_proj"], init_ia3_weights=False, modules_to_save=["lm_head"]
    ),
    "loha": other(peft.LoHaConfig, r=3, init_weights=False, modules_to_save=["lm_head"]),
    "lokr": other(peft.LoKrConfig, r=3, init_weights=False, modules_to_save=["embed_tokens"]),
    "oft": other(peft.OFTConfig, oft_block_size=4, init_weights=False, modules_to_save=["lm_head"]),
}

PREFIX = "base_model.model."
HEAD = f"{PREFIX}lm_head.weight"
Q = f"{PREFIX}model.layers.0.self_attn.q_proj"
BROKEN: dict[str, Any] = {  # what is done to the tensors of "head", what to its configuration, and what is said of it
    "the head's shape": (lambda t: t.update({HEAD: torch.ones(160, 47)}), {}, "does not fit the base model"),
    "a missing head": (lambda t: t.pop(HEAD), {}, "does not fit the base model.*lm_head"),
    "a shape": (lambda t: t.update({f"{Q}.lora_A.weight": torch.ones(3, 47)}), {}, "does not fit the base model"),
    "a missing matrix": (lambda t: t.pop(f"{Q}.lora_A.weight"), {}, "does not fit the base model at .*q_proj.lora_A"),
    "a strange matrix": (
        lambda t: t.update({f"{PREFIX}model.layers.9.x_proj.lora_A.weight": torch.ones(3, 48)}),
        {},
        "does not fit the base model at .*x_proj",
    ),
    "no number": (lambda t: t[HEAD].fill_(torch.nan), {}, "lm_head.weight is not finite"),
    "a layer that takes none": (lambda t: None, {"target_modules": ["q_proj", "model.norm"]}, "does not fit the base"),
    "a method that changes the base": (lambda t: None, {"kasa_config": {}}, "uses kasa_config"),
    "a start that changes the base": (lambda t: None, {"init_lora_weights": "pissa"}, "pissa, which changes the base"),
    "no rank": (lambda t: None, {"rank_pattern": {"layers.2.self_attn.q_proj": 0}}, "does not fit the base"),
    "a layer of the base": (
        lambda t: t.update({f"{PREFIX}model.layers.1.mlp.up_proj.weight": torch.ones(80, 48)}),
        {},
        "up_proj.weight, which would replace the base model's own",
    ),
    "a norm of the base": (
        lambda t: t.update({f"{PREFIX}model.norm.weight": torch.ones(48)}),
        {},
        "norm.weight, which would replace the base model's own",
    ),
    "what is under an adapter": (
        lambda t: t.update({f"{Q}.base_layer.weight": torch.ones(48, 48)}),
        {},
        "base_layer.weight, which would replace the base model's own",
    ),
    "what is beside a head": (
        lambda t: t.update({f"{PREFIX}lm_head.original_module.weight": torch.ones(160, 48)}),
        {},
        "original_module.weight, which would replace the base model's own",
    ),
}


def broken(made: Family, tmp_path: Path, name: str):
    change, config, _ = BROKEN[name]
    path = tmp_path / "mount" / "broken"
    shutil.copytree(made.adapters["head"], path)
    tensors = load_file(path / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, path / "adapter_model.safetensors")
    written = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps(written | config))
    return path
