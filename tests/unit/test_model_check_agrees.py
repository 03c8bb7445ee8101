"""The check of models before a GPU is paid for says of a folder what the model server says of it when it starts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from inference.engine.compute.device import DeviceError, bytes_in, gpu_share
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import AdapterFolder, FolderError, check_adapter, check_model, find_base
from inference.engine.files.spec import UnsupportedModel, read_spec
from inference.engine.weights.loader import allocate, refuse_misfits, strip
from inference.engine.weights.lora import read_lora, refuse_unsupported
from inference.engine.weights.nf4 import size_in_nf4
from sidecar.decisions.adapter_check import CHANGE_THE_BASE, KNOWN_KEYS, REFUSED_KEYS, adapter_check
from sidecar.decisions.base_check import NAME
from sidecar.decisions.checks import Check
from sidecar.decisions.model_check import model_checks
from sidecar.decisions.model_facts import Adapter, ModelFacts
from sidecar.decisions.model_memory import RUNNING, SCORES, in_four_bits, need
from sidecar.decisions.model_shape import FAMILIES, Foreign, Shape, shape_of
from sidecar.workflows.model_files import model_facts
from tests.support.model_folders import TINY, LocalFiles, adapter_in, base_in, lora_tensors, tensors_for, write_weights

Spoil = Callable[[Path], object]
PUBLISHED = Path(__file__).resolve().parents[2].parent / "shared" / "models"


def facts(mount: Path, **settings: str) -> ModelFacts:
    return model_facts(LocalFiles(mount), "", settings, "Consumption-GPU-NC8as-T4")


def ours(mount: Path) -> Mapping[str, Check]:
    return {each.name: each for each in model_checks(facts(mount), needed=True)}


def servers(mount: Path) -> str:
    """Why the server does not start with the base model; empty where it does. No number of the weights is read."""
    try:
        name, path = find_base(mount, "")
        folder = check_model(name, path, mount)
        spec = read_spec(folder.config)
        _, targets = allocate(spec, torch.bfloat16, torch.device("meta"))
        refuse_misfits(folder, targets, {strip(tensor): place for tensor, place in folder.tensors.items()})
    except UnsupportedModel:
        return ""  # transformers is asked
    except (FolderError, KeyError, ValueError, TypeError) as error:
        return str(error) or type(error).__name__
    return ""


def servers_of_adapter(mount: Path, folder: str) -> str:
    """Why the server refuses the adapter; empty where it takes it."""
    name, path = find_base(mount, "")
    spec = read_spec(check_model(name, path, mount).config)
    try:
        read_lora(check_adapter("a", mount / folder, mount), spec, torch.float32, torch.device("cpu"))
    except (FolderError, AdapterError) as error:
        return str(error)
    return ""


def changed(**values: object) -> Spoil:
    """Of the base's configuration; None takes a key out."""

    def spoil(folder: Path) -> None:
        file = folder / "config.json"
        whole = {**json.loads(file.read_text()), **values}
        file.write_text(json.dumps({key: value for key, value in whole.items() if value is not None}))

    return spoil


def weights(dtype: str = "BF16", **shapes: tuple[int, ...] | None) -> Spoil:
    """Other tensors in the base's file; None takes one out."""

    def spoil(folder: Path) -> None:
        whole = {**tensors_for(TINY), **{name.replace("__", "."): each for name, each in shapes.items()}}
        write_weights(
            folder / "model.safetensors", {name: each for name, each in whole.items() if each is not None}, dtype
        )

    return spoil


def text(name: str, content: str) -> Spoil:
    return lambda folder: (folder / name).write_text(content)


def header(content: str) -> Spoil:
    raw = content.encode()
    return lambda folder: (folder / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw)


def index(**named: object) -> Spoil:
    return text("model.safetensors.index.json", json.dumps(named))


BASES: dict[str, tuple[Spoil, bool]] = {
    "as it is published": (lambda folder: None, True),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), False),
    "a tokenizer of the other kind": (
        lambda folder: (folder / "tokenizer.json").rename(folder / "tokenizer.model"),
        True,
    ),
    "pickled weights": (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), False),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), False),
    "cut off": (lambda folder: os.truncate(folder / "model.safetensors", 20_000), False),
    "a byte short": (
        lambda folder: os.truncate(folder / "model.safetensors", (folder / "model.safetensors").stat().st_size - 1),
        False,
    ),
    "empty weights": (text("model.safetensors", ""), False),
    "a header that is no JSON": (header("{"), False),
    "a header that is a list": (header("[]"), False),
    "no tensors": (header("{}"), False),
    "tensors that overlap": (
        header(
            json.dumps(
                {name: {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for name in "ab"}
                | {
                    "c": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                    "d": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]},
                }
            )
        ),
        False,
    ),
    "a type that nobody reads": (weights("F8_E4M3"), False),
    "integers": (weights("I8"), False),
    "32 bits": (weights("F32"), True),
    "configuration that is no JSON": (text("config.json", "{"), False),
    "configuration that is a list": (text("config.json", "[]"), False),
    "another width": (changed(hidden_size=96), False),
    "more layers": (changed(num_hidden_layers=3), False),
    "fewer layers": (changed(num_hidden_layers=1), True),
    "no vocabulary": (changed(vocab_size=None), False),
    "a width that is no number": (changed(intermediate_size="wide"), False),
    "tied, with a head too": (changed(tie_word_embeddings=True), True),
    "biases that are not there": (changed(attention_bias=True), False),
    "another family's norms": (changed(model_type="qwen3"), False),
    "without the head": (weights(lm_head__weight=None), False),
    "a longer vocabulary": (weights(model__embed_tokens__weight=(300, 64)), False),
    "an unknown activation": (changed(hidden_act="gelu"), True),
    "an unknown rope": (changed(rope_scaling={"type": "own"}), True),
    "another type": (changed(model_type="mamba"), True),
    "code that is not needed": (changed(auto_map={"AutoModelForCausalLM": "own.Model"}), True),
    "an index without a map": (index(metadata={}), False),
    "an index that leads out": (index(weight_map={"a": "../secret.safetensors"}), False),
    "an index of another kind": (index(weight_map={"a": "code.py"}), False),
    "an index of a missing file": (index(weight_map={"a": "model-00001-of-00002.safetensors"}), False),
    "an index of the one file": (index(weight_map={"a": "model.safetensors"}), True),
}


@pytest.mark.parametrize("name", BASES)
def test_a_base_model_fails_where_the_server_would_not_start(name: str, tmp_path: Path) -> None:
    spoil, starts = BASES[name]
    spoil(base_in(tmp_path))
    said = servers(tmp_path)
    check = ours(tmp_path)[NAME]
    assert (said == "") == starts, said
    assert (check.verdict != "FAIL") == starts, (check, said)
    assert check.verdict in ("PASS", "WARN") or check.code == "BaseModelUnusable"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "more", [{}, {"attention_bias": True, "mlp_bias": True}, {"tie_word_embeddings": True, "head_dim": 32}]
)
def test_each_family_has_the_tensors_that_the_server_allocates(
    family: str, more: dict[str, Any], tmp_path: Path
) -> None:
    base_in(tmp_path, shards=3, model_type=family, **more)
    assert servers(tmp_path) == ""
    assert ours(tmp_path)[NAME].verdict == "PASS"


def test_published_configurations_are_read_as_the_server_reads_them() -> None:
    if not PUBLISHED.exists():
        pytest.skip("no published configurations are beside the project (../shared/models)")
    files = sorted(PUBLISHED.glob("*/config.json"))
    assert len(files) > 10
    for file in files:
        config = json.loads(file.read_text(encoding="utf-8"))
        mine = shape_of(config)
        try:
            spec = read_spec(config)
        except UnsupportedModel:
            assert isinstance(mine, Foreign), file
            continue
        _, targets = allocate(spec, torch.bfloat16, torch.device("meta"))
        assert isinstance(mine, Shape), file
        assert mine.tensors == {name: tuple(each.tensor.shape) for name, each in targets.items()}, file


ADAPTERS: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]], bool]] = {
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
        said = str(adapter_check(Adapter("a", {}, config, {}), base, shape).sentence)
        try:
            refuse_unsupported(AdapterFolder("a", file.parent, config, {}, ""))
        except AdapterError:
            assert "will refuse" in said, file
            continue
        # Without weights it is refused for that, and for nothing that its configuration says.
        assert said.endswith(("it holds no LoRA weights.", "but holds no such tensor.")), (file, said)
        assert {key for key, value in config.items() if value} <= KNOWN_KEYS, file


def test_pickled_and_missing_weights_of_an_adapter_are_told_apart(tmp_path: Path) -> None:
    base_in(tmp_path)
    folder = adapter_in(tmp_path)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    assert "may hold code" in servers_of_adapter(tmp_path, "models/tuned")
    assert "may hold code" in str(ours(tmp_path)["adapter models/tuned"].sentence)
    (folder / "adapter_model.bin").unlink()
    assert "has no adapter_model.safetensors" in servers_of_adapter(tmp_path, "models/tuned")
    assert "has no adapter_model.safetensors" in str(ours(tmp_path)["adapter models/tuned"].sentence)


def test_memory_is_counted_as_the_server_counts_it(tmp_path: Path) -> None:
    base_in(tmp_path, hidden_size=256, intermediate_size=512)
    name, path = find_base(tmp_path, "")
    folder = check_model(name, path, tmp_path)
    found = facts(tmp_path).base
    assert found is not None
    shape = shape_of(folder.config)
    assert isinstance(shape, Shape)
    scores = SCORES * RUNNING * shape.vocabulary
    for four_bits, size in (
        (False, bytes_in(torch.bfloat16, [each.shape for each in folder.tensors.values()])),
        (True, size_in_nf4(folder)),
    ):
        wanted = need(found.tensors, shape, shape.vocabulary, RUNNING, four_bits=four_bits)
        assert wanted.weights == size + scores
        gpu_share(wanted.total + 2, wanted.weights)
        with pytest.raises(DeviceError):
            gpu_share(wanted.total - 2, wanted.weights)
    assert in_four_bits(found.tensors) < sum(each.stored for each in found.tensors.values())
    spec = read_spec(folder.config)
    assert need(found.tensors, shape, 0, 1).token == spec.layers * spec.key_value * 2
    shutil.rmtree(tmp_path / "model-cache")
