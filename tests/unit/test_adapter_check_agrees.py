"""The check of adapters before a GPU is paid for says of each what the model server says of it when it loads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import WordLevel

from inference.engine.adapters.tokenizer import AdapterTokenizers
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import (
    AdapterFolder,
    FolderError,
    check_adapter,
    check_model,
    find_base,
)
from inference.engine.files.spec import read_spec
from inference.engine.text.tokenizer import load_tokenizer
from inference.engine.weights.lora import read_lora, refuse_unsupported
from sidecar.decisions.adapter_check import CHANGE_THE_BASE, KNOWN_KEYS, REFUSED_KEYS, adapter_check
from sidecar.decisions.model_facts import Adapter
from sidecar.decisions.model_shape import Shape, shape_of
from sidecar.decisions.tokenizer_check import MOST_BYTES
from tests.support.model_folders import TINY, adapter_in, base_in, lora_tensors
from tests.unit.test_model_check_agrees import PUBLISHED, facts, ours


def servers_of_adapter(mount: Path, folder: str) -> str:
    """Why the server refuses the adapter; empty where it takes it."""
    name, path = find_base(mount, "")
    spec = read_spec(check_model(name, path, mount).config)
    try:
        places = check_model(name, path, mount).tensors
        read_lora(check_adapter("a", mount / folder, mount), spec, torch.float32, torch.device("cpu"), places)
    except (FolderError, AdapterError) as error:
        return str(error)
    return ""


HEAD_PAIR = {"base_model.model.lm_head.lora_A.weight": (4, 64), "base_model.model.lm_head.lora_B.weight": (256, 4)}
WORDS_PAIR = {
    "base_model.model.model.embed_tokens.lora_embedding_A": (4, 256),
    "base_model.model.model.embed_tokens.lora_embedding_B": (64, 4),
}

ADAPTERS: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]], bool]] = {
    "LoRA on the head": ({}, {**lora_tensors(), **HEAD_PAIR}, True),
    "LoRA on the head alone": ({}, HEAD_PAIR, True),
    "LoRA on the embedding": ({}, {**lora_tensors(), **WORDS_PAIR}, True),
    "half a pair on the head": ({}, dict([*lora_tensors().items(), *list(HEAD_PAIR.items())[:1]]), False),
    "another rank on the head": ({"r": 8, "rank_pattern": {"q_proj": 4}}, {**lora_tensors(), **HEAD_PAIR}, False),
    "a head of another width": ({}, {**HEAD_PAIR, "base_model.model.lm_head.lora_A.weight": (4, 32)}, False),
    "as it is trained": ({}, dict(lora_tensors()), True),
    "another kind": ({"peft_type": "IA3"}, dict(lora_tensors()), False),
    "no kind": ({"peft_type": None}, dict(lora_tensors()), False),
    **{key: ({key: True}, dict(lora_tensors()), False) for key in REFUSED_KEYS},
    **{way: ({"init_lora_weights": f"{way}_niter_4"}, dict(lora_tensors()), False) for way in CHANGE_THE_BASE},
    "biases": ({"bias": "all"}, dict(lora_tensors()), False),
    "another rank than it says": ({"r": 8}, dict(lora_tensors()), False),
    "a rank by a pattern": ({"r": 8, "rank_pattern": {"q_proj": 4}}, dict(lora_tensors()), True),
    "too large a rank": ({"r": 257}, dict(lora_tensors(257)), False),
    "another width": ({}, dict(lora_tensors(width=96)), False),
    "another height": ({}, dict(lora_tensors(height=32)), False),
    "the fused matrix of another family": ({}, dict(lora_tensors(module="self_attn.qkv_proj")), False),
    "one of two matrices": ({}, {name: each for name, each in lora_tensors().items() if "lora_A" in name}, False),
    "nothing": ({}, {}, False),
    "a layer too many": (
        {},
        {name.replace("layers.1", "layers.7"): each for name, each in lora_tensors().items()},
        False,
    ),
    "a magnitude": (
        {},
        {**lora_tensors(), "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector": (64,)},
        False,
    ),
    "a whole module": (
        {"modules_to_save": ["embed_tokens"]},
        {**lora_tensors(), "base_model.model.model.embed_tokens.weight": (260, 64)},
        True,
    ),
    "a whole module that is not there": ({"modules_to_save": ["lm_head"]}, dict(lora_tensors()), False),
    "another whole module": ({"modules_to_save": ["norm"]}, dict(lora_tensors()), False),
    "a head with more tokens than there are": (
        {},
        {**lora_tensors(), "base_model.model.lm_head.weight": (300, 64)},
        False,
    ),
    "a head of fewer tokens": ({}, {**lora_tensors(), "base_model.model.lm_head.weight": (200, 64)}, True),
    "an embedding of another width": (
        {},
        {**lora_tensors(), "base_model.model.model.embed_tokens.weight": (256, 32)},
        False,
    ),
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_is_doubted_where_the_server_refuses_it(name: str, tmp_path: Path) -> None:
    config, tensors, taken = ADAPTERS[name]
    base_in(tmp_path)
    adapter_in(tmp_path, shapes=tensors, **config)
    said = servers_of_adapter(tmp_path, "models/tuned")
    check = ours(tmp_path)["adapter models/tuned"]
    assert (said == "") == taken, said
    assert ("will refuse" in str(check.sentence)) == (not taken), (check, said)
    assert check.verdict == ("PASS" if taken else "WARN"), check


@pytest.mark.parametrize(
    ("module", "height", "taken"),
    [
        ("self_attn.qkv_proj", 128, True),
        ("self_attn.q_proj", 64, True),
        ("self_attn.v_proj", 32, True),
        ("mlp.up_proj", 128, True),
        ("self_attn.v_proj", 64, False),
        ("self_attn.w_proj", 64, False),
    ],
)
def test_an_adapter_may_name_what_a_fused_base_has_in_one(
    module: str, height: int, taken: bool, tmp_path: Path
) -> None:
    base_in(tmp_path, model_type="phi3")
    name = module.rpartition(".")[2]
    adapter_in(tmp_path, shapes=lora_tensors(module=module, height=height), target_modules=[name])
    said = servers_of_adapter(tmp_path, "models/tuned")
    check = ours(tmp_path)["adapter models/tuned"]
    assert (said == "") == taken, said
    assert check.verdict == ("PASS" if taken else "WARN"), check


def test_published_adapter_configurations_are_judged_as_the_server_judges_them(tmp_path: Path) -> None:
    if not PUBLISHED.exists():
        pytest.skip("no published configurations are beside the project (../shared/models)")
    base = facts(base_in(tmp_path).parents[2]).base
    assert base is not None
    shape = shape_of(TINY)
    assert isinstance(shape, Shape)
    files = sorted((PUBLISHED / "adapters").rglob("adapter_config.json"))
    assert len(files) > 30
    for file in files:
        config = json.loads(file.read_text(encoding="utf-8"))
        said = str(adapter_check(Adapter("a", {}, config, {}, None), base, shape).sentence)
        try:
            refuse_unsupported(AdapterFolder("a", file.parent, config, {}, ""))
        except AdapterError:
            assert "will refuse" in said, file
            continue
        # Without weights it is refused for that, and for nothing that its configuration says.
        assert said.endswith(("it holds no LoRA weights.", "but holds no such tensor.")), (file, said)
        assert {key for key, value in config.items() if value} <= KNOWN_KEYS, file


def brought(**files: object) -> Mapping[str, object]:
    """Files of a tokenizer, by name without its end: an object is written as JSON, a number as a file of so many bytes."""
    return files


TOKENIZERS: dict[str, tuple[Mapping[str, object], bool]] = {
    "none": (brought(), True),
    "settings": (brought(tokenizer_config={"eos_token": "a", "chat_template": "{{ messages }}"}), True),
    "a token with its marks": (brought(tokenizer_config={"eos_token": {"content": "a", "lstrip": False}}), True),
    "a token without its text": (brought(tokenizer_config={"eos_token": {"lstrip": False}}), False),
    "a token in a list": (brought(tokenizer_config={"pad_token": ["a"]}), False),
    "settings that are no JSON": (brought(tokenizer_config="{"), False),
    "settings that are a list": (brought(tokenizer_config=[]), False),
    "templates by name": (brought(tokenizer_config={"chat_template": [{"name": "default", "template": "x"}]}), True),
    "a template without a name": (brought(tokenizer_config={"chat_template": [{"template": "x"}]}), False),
    "templates that are texts": (brought(tokenizer_config={"chat_template": ["x"]}), False),
    "a template that is a number": (brought(tokenizer_config={"chat_template": 3}), False),
    "a template of its own beside one that is none": (
        brought(tokenizer_config={"chat_template": 3}, chat_template="x"),
        True,
    ),
    "a template larger than the server reads": (brought(chat_template=MOST_BYTES + 1), False),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_tokenizer_that_an_adapter_brings_is_doubted_where_the_server_refuses_it(name: str, tmp_path: Path) -> None:
    files, taken = TOKENIZERS[name]
    base = base_in(tmp_path)
    FastTokenizer(WordLevel({"a": 0, "b": 1}, unk_token="b")).save(str(base / "tokenizer.json"))
    folder = adapter_in(tmp_path)
    for stem, content in files.items():
        file = folder / ("chat_template.jinja" if stem == "chat_template" else f"{stem}.json")
        if isinstance(content, int):
            with file.open("wb") as stream:
                stream.truncate(content)
        else:
            file.write_text(content if isinstance(content, str) else json.dumps(content))
    tokenizers = AdapterTokenizers(load_tokenizer(base, TINY), base, tmp_path)
    try:
        tokenizers.of(check_adapter("a", folder, tmp_path))
        said = ""
    except FolderError as error:
        said = str(error)
    check = ours(tmp_path)["adapter models/tuned"]
    assert (said == "") == taken, said
    assert ("will refuse" in str(check.sentence)) == (not taken), (check, said)


def test_pickled_and_missing_weights_of_an_adapter_are_told_apart(tmp_path: Path) -> None:
    base_in(tmp_path)
    folder = adapter_in(tmp_path)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    assert "may hold code" in servers_of_adapter(tmp_path, "models/tuned")
    assert "may hold code" in str(ours(tmp_path)["adapter models/tuned"].sentence)
    (folder / "adapter_model.bin").unlink()
    assert "has no adapter_model.safetensors" in servers_of_adapter(tmp_path, "models/tuned")
    assert "has no adapter_model.safetensors" in str(ours(tmp_path)["adapter models/tuned"].sentence)
