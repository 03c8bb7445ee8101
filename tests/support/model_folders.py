"""Model and adapter folders as they are published, without weights: headers are real, behind them files have holes."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sidecar.decisions.model_facts import DTYPES
from sidecar.decisions.model_shape import Shape, shape_of
from sidecar.gateway.listed import Listed
from sidecar.words.errors import NotFound
from sidecar.words.text import Text

Shapes = Mapping[str, tuple[int, ...]]

TINY: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
}
PREFIX = "base_model.model.model.layers"


def write_weights(file: Path, shapes: Shapes, dtype: str = "BF16") -> None:
    """A safetensors file with these tensors, all of them zeros that take no room on the disk."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * DTYPES.get(dtype, 1)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + end)


def tensors_for(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """What a checkpoint of this configuration holds, by its published names."""
    shape = shape_of(config)
    assert isinstance(shape, Shape), shape
    return {name if name == "lm_head.weight" else f"model.{name}": each for name, each in shape.tensors.items()}


def base_in(mount: Path, name: str = "org/tiny", shards: int = 1, **changed: Any) -> Path:
    """A base model of the Llama family unless the configuration is changed."""
    folder = mount / "model-cache" / name
    folder.mkdir(parents=True)
    config = {**TINY, **changed}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    tensors = list(tensors_for(config).items())
    if shards == 1:
        write_weights(folder / "model.safetensors", dict(tensors))
        return folder
    files = {
        f"model-{number + 1:05}-of-{shards:05}.safetensors": dict(tensors[number::shards]) for number in range(shards)
    }
    for file, part in files.items():
        write_weights(folder / file, part)
    index = {"weight_map": {tensor: file for file, part in files.items() for tensor in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def lora_tensors(rank: int = 4, module: str = "self_attn.q_proj", width: int = 64, height: int = 64) -> Shapes:
    """One pair for each of two layers."""
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(2):
        found[f"{PREFIX}.{layer}.{module}.lora_A.weight"] = (rank, width)
        found[f"{PREFIX}.{layer}.{module}.lora_B.weight"] = (height, rank)
    return found


def adapter_in(mount: Path, name: str = "models/tuned", shapes: Shapes | None = None, **changed: Any) -> Path:
    folder = mount / name
    folder.mkdir(parents=True)
    config = {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj"],
        "base_model_name_or_path": "org/tiny",
        **changed,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    write_weights(folder / "adapter_model.safetensors", lora_tensors() if shapes is None else shapes, "F32")
    return folder


class LocalFiles:
    """A folder of this machine, read as a share is: what was read is noted as (path, offset, bytes)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: list[tuple[str, int, int]] = []

    def list(self, folder: str, most: int | None = None) -> list[Listed]:
        place = self.folder / folder
        found = sorted(place.iterdir()) if place.is_dir() else []
        return [Listed(each.name, each.is_dir(), 0 if each.is_dir() else each.stat().st_size) for each in found][:most]

    def part(self, path: str, offset: int, length: int) -> bytes:
        file = self.folder / path
        if not file.is_file():
            raise NotFound(Text("{path} is not there", path=path))
        with file.open("rb") as stream:
            stream.seek(offset)
            self.read.append((path, offset, length))
            return stream.read(length)
