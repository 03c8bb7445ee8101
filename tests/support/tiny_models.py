"""Model folders with random weights of a given configuration, and what transformers answers of them: the oracle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers


def write_model(folder: Path, config: Mapping[str, Any], generation: Mapping[str, Any] | None = None) -> None:
    """Weights drawn so that greedy text does not degenerate; config.json word for word as given, not as transformers would
    save it again. Its tokenizer has one word a token."""
    import torch  # noqa: PLC0415  (seconds; only who makes a model waits)
    import transformers  # noqa: PLC0415  (as above)
    from safetensors.torch import save_file  # noqa: PLC0415  (as above)

    folder.mkdir(parents=True)
    write_json(folder / "config.json", config)
    if generation is not None:
        write_json(folder / "generation_config.json", generation)
    auto: Any = transformers.AutoModelForCausalLM
    torch.manual_seed(len(json.dumps(dict(config))))
    made: Any = auto.from_config(transformers.AutoConfig.from_pretrained(folder), dtype=torch.float32)
    for name, parameter in made.named_parameters():
        if name.endswith("bias") or "sinks" in name:
            torch.nn.init.normal_(parameter, std=0.3)
        elif "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        elif "embed" in name or "lm_head" in name:
            torch.nn.init.normal_(parameter, std=1.0 / multiplier(config))
        else:
            torch.nn.init.normal_(parameter, std=1.2 / parameter.shape[-1] ** 0.5)
    tied = set(made.all_tied_weights_keys)
    tensors = {name: each.contiguous() for name, each in made.state_dict().items() if name not in tied}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    words(int(made.config.get_text_config().vocab_size)).save(str(folder / "tokenizer.json"))


def multiplier(config: Mapping[str, Any]) -> float:
    """What a family multiplies its embeddings by: were they as large as others' besides, its layers would change no token."""
    gemma = str(config["model_type"]).startswith("gemma")
    return float(config["hidden_size"]) ** 0.5 if gemma else float(config.get("embedding_multiplier") or 1.0)


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(dict(value), indent=1), encoding="utf-8")


def words(size: int) -> FastTokenizer:
    """One word a token: `w0`, `w1`, …"""
    fast = FastTokenizer(models.WordLevel({f"w{n}": n for n in range(size)}, unk_token="w0"))
    fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast.decoder = decoders.Fuse()
    return fast


class Oracle:
    """transformers' own answers, with PEFT's where an adapter is named by its folder."""

    def __init__(self, folder: Path, adapter: Path | None = None) -> None:
        import torch  # noqa: PLC0415  (seconds; only who makes a model waits)
        import transformers  # noqa: PLC0415  (as above)

        auto: Any = transformers.AutoModelForCausalLM
        self._torch = torch
        self._model: Any = auto.from_pretrained(folder, dtype=torch.float32)
        said: Any = self._model.generation_config.eos_token_id
        self.ends: frozenset[int] = frozenset([said] if isinstance(said, int) else said or [])
        self._model.generation_config = transformers.GenerationConfig(pad_token_id=0)
        if adapter is not None:
            import peft  # noqa: PLC0415  (as above)

            peft_model: Any = peft.PeftModel
            self._model = peft_model.from_pretrained(self._model, str(adapter))
        self._model.eval()

    def tokens(self, prompt: list[int], number: int) -> list[int]:
        ids = self._torch.tensor([prompt])
        out = self._model.generate(
            input_ids=ids, attention_mask=self._torch.ones_like(ids), do_sample=False, max_new_tokens=number
        )
        return out[0, len(prompt) :].tolist()
