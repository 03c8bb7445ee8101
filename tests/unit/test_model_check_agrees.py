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
from inference.engine.files.folder import (
    FolderError,
    base_models,
    check_model,
    find_adapters,
    find_base,
)
from inference.engine.files.spec import UnsupportedModel, read_spec
from inference.engine.weights.loader import allocate, refuse_misfits, strip
from inference.engine.weights.nf4 import size_in_nf4
from sidecar.decisions.base_check import NAME
from sidecar.decisions.checks import Check
from sidecar.decisions.model_check import model_checks
from sidecar.decisions.model_facts import ModelFacts
from sidecar.decisions.model_memory import RUNNING, SCORES, in_four_bits, need
from sidecar.decisions.model_shape import FAMILIES, Foreign, Shape, shape_of
from sidecar.workflows.model_files import model_facts
from tests.support.model_folders import TINY, LocalFiles, adapter_in, base_in, tensors_for, write_weights

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


def alone(**named: object) -> Spoil:
    """An index without the one file of weights, which would go before it."""

    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        index(**named)(folder)

    return spoil


def merges(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text("{}")
    (folder / "merges.txt").write_text("")


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
    "an index without a map": (alone(metadata={}), False),
    "an index that leads out": (alone(weight_map={"a": "../secret.safetensors"}), False),
    "an index of another kind": (alone(weight_map={"a": "code.py"}), False),
    "an index of a missing file": (alone(weight_map={"a": "model-00001-of-00002.safetensors"}), False),
    "an index of the one file": (index(weight_map={"a": "model.safetensors"}), True),
    "an index that was left behind": (index(weight_map={"a": "model-00001-of-00002.safetensors"}), True),
    "vocabulary and merges": (merges, True),
    "GPTQ by its configuration": (changed(quantization_config={"quant_method": "gptq", "bits": 4}), False),
    "FP8 by its configuration": (changed(quantization_config={"quant_method": "fp8"}), False),
    "quantised without a name": (changed(compression_config={"format": "pack"}), False),
    "quantised in its part for texts": (
        changed(model_type="mistral3", text_config={"quantization_config": {"quant_method": "awq"}}),
        False,
    ),
    "AWQ by its tensors alone": (weights(model__layers__0__mlp__up_proj__qweight=(64, 16)), False),
    "bitsandbytes": (changed(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}), True),
    "bitsandbytes before it had a name": (changed(quantization_config={"load_in_4bit": True}), True),
    "bitsandbytes in 8 bits": (changed(quantization_config={"load_in_8bit": True, "load_in_4bit": False}), False),
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


def test_the_same_folders_are_bases_and_adapters_for_both(tmp_path: Path) -> None:
    """Checkpoints beside what came of them, alone, and an adapter with the base's configuration under model-cache."""
    base = base_in(tmp_path)
    for folder in (
        "runs/a/adapter",
        "runs/a/checkpoint-9",
        "runs/b/checkpoint-10",
        "runs/b/checkpoint-9",
        "checkpoint-1",
        "env/lib/python3.12/site-packages/peft/one",
    ):
        adapter_in(tmp_path, folder)
    looks_like_a_base = adapter_in(tmp_path, "model-cache/me/lora")
    shutil.copy(base / "config.json", looks_like_a_base)
    found = facts(tmp_path).models
    assert set(found.bases) == set(base_models(tmp_path)) == {"org/tiny"}
    servers_own = {path.relative_to(tmp_path).as_posix() for path in find_adapters(tmp_path).values()}
    assert (
        set(found.adapters)
        == servers_own
        == {"runs/a/adapter", *(f"runs/b/checkpoint-{n}" for n in (9, 10)), "model-cache/me/lora"}
    )
