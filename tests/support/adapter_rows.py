"""What `npm run contract -- adapters` asks of the configurations that trainers and PEFT's own experiments published."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.published_rows import TOKENS, prompts
from tests.support.published_shapes import PUBLISHED, all_published, shrunk
from tests.support.rows import Row
from tests.support.tiny_models import Oracle, write_model
from tests.support.whole_load import Asked, answers, loaded

FOLDER = PUBLISHED / "adapters"


@dataclass(frozen=True)
class Layout:
    """An adapter_config.json, the model whose form it is for, and who wrote it. `refused`: what the server says instead of
    serving it on its own engine; nothing where it is to be served."""

    folder: str
    model: str
    trainer: str
    refused: str = ""


LLAMA, PHI, QWEN, GEMMA = "Llama 3.2 3B", "Phi-3-mini-4k-instruct", "Qwen2.5-1.5B", "Gemma 3 1B"
NOT_PEFT = "names no peft_type"
LAYOUTS = (
    Layout("axolotl", LLAMA, "axolotl"),
    Layout("axolotl-2023", LLAMA, "axolotl of 2023"),
    Layout("unsloth-bnb4bit", LLAMA, "unsloth"),
    Layout("unsloth-regex", GEMMA, "unsloth, one expression for all modules"),
    Layout("flock-qwen1.5", QWEN, "trl"),
    Layout("fms-hf-tuning", LLAMA, "fms-hf-tuning (trl)"),
    Layout("sophgo-embed_tokens", QWEN, "peft, LoRA on the embedding"),
    Layout("peft-0.11-kaito-phi3", PHI, "peft 0.11, names of which a fused model has two"),
    Layout("peft-0.11-phi3-fused", PHI, "peft 0.11"),
    Layout("peft-0.15", LLAMA, "peft 0.15"),
    Layout("peft-0.18.1", QWEN, "peft 0.18.1"),
    *(
        Layout(f"mlx-lm-{name}", LLAMA, "mlx-lm, which is not PEFT's form", NOT_PEFT)
        for name in ("2024", "full", "minimal", "qwen2.5")
    ),
)
METHODS: Mapping[str, str] = {
    "lora.rank10-target-mlp": "",
    "lora.rank32": "",
    "lora.rank32-lorafa": "",
    "lora.rank32-riemannian": "",
    "lora.rank64": "",
    "lora.rank64-rslora": "",
    "lora.rank14-target-mlp-bdlora": "uses use_bdlora",
    "lora.rank32-dora": "uses use_dora",
    "lora.rank32-kasa": "uses kasa_config",
    "lora.rank32-mica": "",
}
"""Of PEFT's experiments: what is LoRA. All else is refused by its type."""


def layout_rows(folder: Path, chosen: list[str]) -> Generator[Row]:
    methods = [
        Layout(f"peft-methods/{each.name}", LLAMA, "PEFT's experiment", METHODS.get(each.name, "adapter; only LORA"))
        for each in sorted((FOLDER / "peft-methods").glob("*"))
    ]
    for number, each in enumerate((*LAYOUTS, *methods)):
        if not chosen or each.folder in chosen:
            yield row_of(folder / str(number), each)


def row_of(mount: Path, layout: Layout) -> Row:
    name = f"{layout.folder.removeprefix('peft-methods/')} ({layout.trainer})"
    if not (FOLDER / layout.folder).exists():
        return Row(name, "unverified", "its adapter_config.json is not beside the project")
    published = next(each for each in all_published() if each.name == layout.model)
    base, adapter = mount / "model-cache" / "acme" / "tiny", mount / "models" / "tuned"
    write_model(base, *shrunk(published))
    try:
        write_adapter(base, adapter, FOLDER / layout.folder, plainly=bool(layout.refused))
        return played(mount, name, layout, None if layout.refused else Oracle(base, adapter))
    except Exception as error:  # noqa: BLE001  (whatever it is, it is this row's answer)
        return Row(name, "RED", f"{type(error).__name__}: {error}".replace(str(mount), "")[:300])


def played(mount: Path, name: str, layout: Layout, oracle: Oracle | None) -> Row:
    with loaded(mount) as served:
        refused, kind = served.adapters.refused.get("tuned", ""), served.engine.kind
        if layout.refused or refused:
            right = bool(layout.refused) and layout.refused in refused
            return Row(name, "ok" if right else "RED", f"refused: {refused}" if refused else "served")
        said = answers(served, [Asked(prompt, "tuned") for prompt in prompts()], TOKENS)
        base = answers(served, [Asked(prompt) for prompt in prompts()], TOKENS)
    if oracle is None or said != [oracle.tokens(prompt, TOKENS) for prompt in prompts()]:
        return Row(name, "RED", f"{kind} engine: other tokens than PEFT")
    return Row(name, "ok" if said != base else "RED", f"{kind} engine: PEFT's tokens")


def write_adapter(base: Path, adapter: Path, source: Path, *, plainly: bool) -> None:
    """Tensors as PEFT makes them of this configuration, with random numbers, beside the file word for word. `plainly`: plain
    LoRA's tensors, since by the file alone it is refused."""
    import peft  # noqa: PLC0415  (seconds; only who makes an adapter waits)
    import torch  # noqa: PLC0415  (as above)
    import transformers  # noqa: PLC0415  (as above)

    kinds: Any = peft
    config: Any = (
        kinds.LoraConfig(target_modules=["q_proj"]) if plainly else kinds.PeftConfig.from_pretrained(str(source))
    )
    config.task_type, config.inference_mode = "CAUSAL_LM", False  # else nothing of it is trained
    auto: Any = transformers.AutoModelForCausalLM
    torch.manual_seed(3)
    model: Any = kinds.get_peft_model(auto.from_pretrained(base), config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn_like(parameter) * 0.5
    model.save_pretrained(str(adapter), save_embedding_layers=False)
    shutil.copy(source / "adapter_config.json", adapter)
