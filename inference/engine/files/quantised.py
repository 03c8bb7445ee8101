"""Weights that are stored quantised: by which methods they are served, and what is said where they are not."""

from collections.abc import Collection, Mapping
from typing import Any

SERVED = "bitsandbytes in 4 bits"  # transformers' own integration, whose package the image has
SECTIONS = ("quantization_config", "compression_config")
PACKED = (".qweight", ".qzeros", ".weight_packed")
"""How GPTQ, AWQ and compressed-tensors end their tensors' names: files of before config.json spoke of it."""
WAY_ON = (
    "put the model there as it was before (16-bit safetensors); where it has to take less memory, SLIPWAY_WEIGHTS=nf4 holds it "
    "in 4 bits"
)


def method_of(config: Mapping[str, Any]) -> str:
    """As the configuration names it; empty where the weights are plain numbers."""
    for source in (config, mapping(config.get("text_config"))):
        for name in SECTIONS:
            if section := mapping(source.get(name)):
                return named(section)
    return ""


def mapping(value: Any) -> Mapping[str, Any]:
    """Empty where it is none."""
    return dict(value) if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def named(section: Mapping[str, Any]) -> str:
    """bitsandbytes has two methods, and once wrote no name. With 8 bits its layers keep their scales elsewhere once they have
    been used, so that the base and an adapter's copy of it would spoil one another."""
    if section.get("load_in_4bit") or section.get("load_in_8bit"):
        return SERVED if section.get("load_in_4bit") else "bitsandbytes in 8 bits"
    return str(section.get("quant_method") or "a method without a name")


def refusal(config: Mapping[str, Any]) -> str:
    """Why a model of this configuration is not served, empty where it may be."""
    method = method_of(config)
    return f"the weights are quantised by {method}, which is not served; {WAY_ON}" if method not in {"", SERVED} else ""


def refusal_of_names(names: Collection[str]) -> str:
    """The same from the tensors' names, whatever the configuration says."""
    found = next((name for name in sorted(names) if name.endswith(PACKED)), "")
    return (
        f"tensor {found} is of quantised weights (GPTQ, AWQ or alike), which are not served; {WAY_ON}" if found else ""
    )
