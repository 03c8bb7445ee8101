"""Run by the Python of another environment, with the peft and transformers that are there: writes adapters for a base model as
they do, and beside each the tokens that they draw with it.

    python adapter_writer.py BASE OUT PROMPTS(JSON) TOKENS
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": ALL},
    "by-default": {},
    "rslora": {"target_modules": ALL, "use_rslora": True},
    "patterns": {"target_modules": ALL, "rank_pattern": {"q_proj": 4}, "alpha_pattern": {"down_proj": 32}},
    "head": {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["lm_head"]},
    "embedding": {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["embed_tokens", "lm_head"]},
    "on-embedding": {"target_modules": ["q_proj", "embed_tokens", "lm_head"]},
    "grown": {"target_modules": ["q_proj", "v_proj"]},
    "dora": {"target_modules": ["q_proj", "v_proj"], "use_dora": True},
}
MORE_TOKENS = 3  # of `grown`


def main(base: str, out: str, prompts: str, tokens: str) -> None:
    kinds: Any = peft
    known = {field.name for field in dataclasses.fields(kinds.LoraConfig)}
    written: dict[str, Any] = {}
    for number, (name, options) in enumerate(VARIANTS.items()):
        if not options.keys() <= known or (name == "grown" and "save_embedding_layers" not in save_takes()):
            continue  # that version had no such thing
        torch.manual_seed(number)
        auto: Any = transformers.AutoModelForCausalLM
        model: Any = auto.from_pretrained(base, torch_dtype=torch.float32)
        if name == "grown":
            model.resize_token_embeddings(model.config.vocab_size + MORE_TOKENS)
        adapted: Any = kinds.get_peft_model(
            model, kinds.LoraConfig(r=8, lora_alpha=16, task_type="CAUSAL_LM", **options)
        )
        for key, parameter in adapted.named_parameters():
            saved = name == "grown" and ("embed_tokens" in key or "lm_head" in key)
            if parameter.requires_grad or saved:
                parameter.data += torch.randn_like(parameter) * 0.3
        how = {} if name == "by-default" else {"safe_serialization": True}
        more = {"save_embedding_layers": True} if name == "grown" else {}
        adapted.save_pretrained(str(Path(out) / name), **how, **more)
        adapted.eval()
        written[name] = [drawn(adapted, prompt, int(tokens)) for prompt in json.loads(prompts)]
    (Path(out) / "written.json").write_text(json.dumps({"writer": f"peft {peft.__version__}", "tokens": written}))


def save_takes() -> tuple[str, ...]:
    kinds: Any = peft
    return kinds.PeftModel.save_pretrained.__code__.co_varnames


def drawn(model: Any, prompt: list[int], number: int) -> list[int]:
    """Greedy tokens, one forward pass each: what `generate` asks of a model differs from version to version."""
    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(number):
            tokens.append(int(model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


if __name__ == "__main__":
    main(*sys.argv[1:])
