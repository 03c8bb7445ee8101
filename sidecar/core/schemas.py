"""JSON Schemas of a project's files, from the models that read them: for editors that know no more of the files than that.

What an editor says by them, Slipway's own help does not say again. So they hold no words, which nobody could translate there, and
propose nothing. Comments and trailing commas are taken, as by the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sidecar.core import evaluation, smoke
from sidecar.core.workspace import FinetuningConfig, InferenceConfig

DIALECT = "http://json-schema.org/draft-07/schema#"
FILES: Mapping[str, tuple[str, ...]] = {
    "inference.config": ("infra/inference.config.json",),
    "finetuning.config": ("infra/finetuning.config.json",),
    "smoke": (smoke.FILE,),
    "evaluation": (evaluation.FILE,),
    "parameters": (
        "infra/provision/inference.parameters.json",
        "infra/inference.parameters.json",
        "infra/provision/finetuning.parameters.json",
        "infra/finetuning.parameters.json",
    ),
}
"""Which files each schema is for."""


def schemas() -> dict[str, dict[str, object]]:
    """By the names in FILES. Of a parameters file only that it is an object: its names and types are those of the project's own
    template, which Slipway reads."""
    made: dict[str, dict[str, object]] = {
        "inference.config": InferenceConfig.model_json_schema(),
        "finetuning.config": FinetuningConfig.model_json_schema(),
        "smoke": {**smoke.schema(), "maxItems": smoke.MOST},
        "evaluation": evaluation.schema(),
        "parameters": {"type": "object"},
    }
    return {
        name: {"$schema": DIALECT, "allowComments": True, "allowTrailingCommas": True, **_wordless(schema)}
        for name, schema in made.items()
    }


def _wordless(schema: dict[str, object]) -> dict[str, object]:
    """Without titles and descriptions; definitions where draft 7 has them."""
    kept = {name: each for name, each in schema.items() if name not in ("title", "description", "default")}
    for name in ("properties", "$defs"):
        inner = cast("dict[str, dict[str, object]]", kept.pop(name, {}))
        offered = {} if name == "$defs" else {"doNotSuggest": True}
        if inner:
            kept["definitions" if name == "$defs" else name] = {
                key: {**_wordless(each), **offered} for key, each in inner.items()
            }
    if "anyOf" in kept:
        either = [_wordless(each) for each in cast("list[dict[str, object]]", kept.pop("anyOf"))]
        plain = all(set(each) == {"type"} for each in either)
        kept |= {"type": [each["type"] for each in either]} if plain else {"anyOf": either}
    if isinstance(kept.get("items"), dict):
        kept["items"] = _wordless(cast("dict[str, object]", kept["items"]))
    reference = kept.get("$ref")
    if isinstance(reference, str):
        kept["$ref"] = reference.replace("#/$defs/", "#/definitions/")
    return kept
