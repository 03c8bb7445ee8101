"""Weights that are stored quantised: which our server serves, from a base's configuration and its tensors' names. Pure.

The rules are the model server's (inference/engine/files/quantised.py)."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from sidecar.decisions.model_facts import Broken, Json
from sidecar.words.text import Text

SERVED = "bitsandbytes in 4 bits"
SECTIONS = ("quantization_config", "compression_config")
PACKED = (".qweight", ".qzeros", ".weight_packed")
WAY_ON = Text(
    "Put the model there as it was before (16-bit safetensors), then run the command again. Where it has to take less memory, "
    "“export SLIPWAY_WEIGHTS=nf4” before the server's command in defaultCommands holds it in 4 bits."
)


def by_configuration(config: Json) -> Broken | None:
    method = _method(config)
    if method in ("", SERVED):
        return None
    return Broken(Text("config.json: its weights are quantised by {method}, which is not served", method=method))


def by_names(names: Collection[str]) -> Broken | None:
    """Whatever its configuration says."""
    found = next((name for name in sorted(names) if name.endswith(PACKED)), None)
    if found is None:
        return None
    return Broken(
        Text("its tensor {name} is of quantised weights (GPTQ, AWQ or alike), which are not served", name=found)
    )


def _method(config: Json) -> str:
    for source in (config, _mapping(config.get("text_config"))):
        for name in SECTIONS:
            section = _mapping(source.get(name))
            if section:
                return _named(section)
    return ""


def _mapping(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _named(section: Json) -> str:
    if section.get("load_in_4bit") or section.get("load_in_8bit"):
        return SERVED if section.get("load_in_4bit") else "bitsandbytes in 8 bits"
    return str(section.get("quant_method") or "a method without a name")
