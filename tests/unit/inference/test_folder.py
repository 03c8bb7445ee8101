"""Model and adapter folders: how adapters are named, and what is refused before anything is read."""

import json
import logging
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from inference.engine.files.adapter import AdapterError
from inference.engine.files.families import FAMILIES
from inference.engine.files.folder import (
    FolderError,
    base_models,
    check_adapter,
    check_model,
    find_adapters,
    find_base,
    name_among,
    read_header,
)
from inference.engine.files.spec import read_spec
from inference.engine.weights.lora import read_lora
from inference.loading import spec_for_ours

CONFIG = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 16,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model-cache" / "org" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"model.norm.weight": torch.ones(8)}, folder / "model.safetensors")
    return folder


def adapter_at(mount: Path, path: str, config: dict[str, Any] | None = None, tensors: Any = None):
    folder = mount / path
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 4, **(config or {})}))
    save_file(tensors or lora_tensors(), folder / "adapter_model.safetensors")
    return folder


def lora_tensors(rank: int = 2, width: int = 8, height: int = 8):
    key = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    return {f"{key}A.weight": torch.ones(rank, width), f"{key}B.weight": torch.ones(height, rank)}


def test_a_proper_model_is_taken(model: Path, tmp_path: Path):
    checked = check_model("org/model", model, tmp_path)
    assert set(checked.tensors) == {"model.norm.weight"}
    assert checked.size == 32
    assert find_base(tmp_path, "") == ("org/model", model)


def test_pickled_weights_are_refused(model: Path, tmp_path: Path):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(FolderError, match=r"pytorch_model\.bin may hold code"):
        check_model("org/model", model, tmp_path)


CODE = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}


@pytest.mark.parametrize("kind", ["nobody-knows", "clip", None, ["llama"], {}])
@pytest.mark.parametrize(
    ("auto_map", "named"),
    [
        (CODE, "configuration_own.OwnConfig, modeling_own.OwnForCausalLM"),
        ({"AutoModel": "own.Model"}, "own.Model"),
        (["own.Model"], "own.Model"),
    ],
)
def test_a_model_that_needs_code_of_its_own_is_refused_by_name(
    model: Path,
    tmp_path: Path,
    kind: dict[str, Any] | list[str] | str | None,
    auto_map: dict[str, Any] | list[str],
    named: str,
):
    """Nobody knows its type, or not as one that writes texts."""
    (model / "config.json").write_text(json.dumps({**CONFIG, "model_type": kind, "auto_map": auto_map}))
    with pytest.raises(FolderError, match=r"config\.json: model_type .*auto_map") as refused:
        check_model("org/model", model, tmp_path)
    assert repr(kind) in str(refused.value)
    assert named in str(refused.value)


def test_a_model_that_does_not_say_its_type_needs_its_own_code(model: Path, tmp_path: Path):
    without = {name: value for name, value in CONFIG.items() if name != "model_type"}
    (model / "config.json").write_text(json.dumps({**without, "auto_map": CODE}))
    with pytest.raises(FolderError, match=r"model_type None .*modeling_own\.OwnForCausalLM"):
        check_model("org/model", model, tmp_path)


@pytest.mark.parametrize("kind", [*FAMILIES, "gemma2", "mamba"])
def test_of_a_known_model_auto_map_is_data_and_is_logged_once(
    model: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
):
    (model / "config.json").write_text(json.dumps({**CONFIG, "model_type": kind, "auto_map": CODE}))
    (model / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["own.Words", None]}}))
    with caplog.at_level(logging.INFO, "inference"):
        assert check_model("org/model", model, tmp_path).config["auto_map"] == CODE
    (line,) = caplog.messages
    assert str(model / "config.json") in line
    assert "modeling_own.OwnForCausalLM" in line


def test_a_model_without_auto_map_is_not_spoken_of(model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (model / "config.json").write_text(json.dumps({**CONFIG, "model_type": "nobody-knows", "auto_map": {}}))
    with caplog.at_level(logging.INFO, "inference"):
        check_model("org/model", model, tmp_path)
    assert caplog.messages == []


def test_beside_an_adapter_auto_map_is_data(tmp_path: Path):
    """Trainers leave the base's files there. The base is served without that code, so nothing of the adapter needs it."""
    folder = adapter_at(tmp_path, "a", {"auto_map": CODE, "auto_mapping": {"parent_library": "own"}})
    for name in ("config.json", "tokenizer_config.json"):
        (folder / name).write_text(json.dumps({"model_type": "nobody-knows", "auto_map": CODE}))
    assert set(read(folder, tmp_path).layers[0]) == {"qkv"}


@pytest.mark.parametrize("shard", ["../../../secret.safetensors", "/etc/x.safetensors", "code.py", 7])
def test_a_shard_index_that_leads_elsewhere_is_refused(model: Path, tmp_path: Path, shard: int | str):
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(FolderError, match="shard"):
        check_model("org/model", model, tmp_path)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"]
)
def test_a_link_out_of_the_mount_is_refused(model: Path, tmp_path: Path, name: str):
    mount = tmp_path / "model-cache"
    outside = tmp_path / "outside"
    check_model("org/model", model, mount)
    if (model / name).exists():
        (model / name).rename(outside)
    else:
        outside.write_text("{}")
    (model / name).symlink_to(outside)
    with pytest.raises(FolderError, match=f"{name} leads out"):
        check_model("org/model", model, mount)


def test_truncated_weights_are_refused(model: Path, tmp_path: Path):
    file = model / "model.safetensors"
    os.truncate(file, file.stat().st_size - 5)
    with pytest.raises(FolderError, match="truncated"):
        check_model("org/model", model, tmp_path)
    file.write_bytes(b"abc")
    with pytest.raises(FolderError, match="truncated"):
        check_model("org/model", model, tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        },
        {"a": {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}},
        {"a": {"dtype": "PICKLE", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}},
        {"a": "what"},
        ["no", "object"],
    ],
    ids=["overlap", "negative", "before", "dtype", "size", "entry", "list"],
)
def test_a_lying_header_is_refused(tmp_path: Path, header: dict[str, Any] | list[str]):
    raw = json.dumps(header).encode()
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(16))
    with pytest.raises(FolderError, match=r"x\.safetensors"):
        read_header(file)


def test_a_header_as_long_as_a_gigabyte_is_refused_unread(tmp_path: Path):
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", 1 << 30))
    os.truncate(file, 2 << 30)
    with pytest.raises(FolderError):
        read_header(file)


def test_adapters_are_named_by_their_shortest_unique_ending(tmp_path: Path):
    adapter_at(tmp_path, "models/qlora/qlora/gpu_model/adapter")
    assert set(find_adapters(tmp_path)) == {"gpu_model"}
    adapter_at(tmp_path, "models/other/gpu_model/adapter")
    adapter_at(tmp_path, "models/qlora/qlora/gpu-cpu_model/adapter")
    adapter_at(tmp_path, ".slipway/releases/x")
    assert set(find_adapters(tmp_path)) == {"qlora/gpu_model", "other/gpu_model", "gpu-cpu_model"}


def test_no_adapter_is_called_as_a_base_is(model: Path, tmp_path: Path):
    """Asked for by that name, the base would answer."""
    for path in ("models/org/model/adapter", "old/model/adapter"):
        adapter_at(tmp_path, path)
    found = find_adapters(tmp_path)
    assert set(found) == {"models/org/model", "old/model"}
    for path in found.values():
        others = {each for each in found.values() if each != path}
        assert found[name_among(tmp_path, path, others, set())] == path


def test_an_adapters_hash_changes_with_its_files(tmp_path: Path):
    folder = adapter_at(tmp_path, "a")
    first = check_adapter("a", folder, tmp_path).digest
    assert check_adapter("a", folder, tmp_path).digest == first
    save_file({k: v * 2 for k, v in lora_tensors().items()}, folder / "adapter_model.safetensors")
    changed = check_adapter("a", folder, tmp_path).digest
    assert changed != first
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert check_adapter("a", folder, tmp_path).digest not in {first, changed}


def read(folder: Path, mount: Path):
    return read_lora(check_adapter("a", folder, mount), read_spec(CONFIG), torch.float32, torch.device("cpu"))


def test_a_fitting_adapter_is_read(tmp_path: Path):
    lora = read(adapter_at(tmp_path, "a"), tmp_path)
    left, right = lora.layers[0]["qkv"]
    assert left.shape == (8, 2)
    assert right.shape == (2, 24)


@pytest.mark.parametrize(
    ("config", "tensors", "named"),
    [
        ({}, lora_tensors(width=9), "shapes"),
        ({}, lora_tensors(height=7), "shapes"),
        ({}, lora_tensors(rank=257), "rank 257; at most 256"),
        ({"r": 4}, None, "has rank 2; .*adapter_config.json says 4"),
        ({"r": 2, "rank_pattern": {"q_proj": 8, "self_attn.q_proj": 2}}, None, "says 8"),
        ({"peft_type": "IA3"}, None, "IA3"),
        ({"use_dora": True}, None, "use_dora"),
        ({"modules_to_save": ["embed_tokens"]}, None, "its own embed_tokens, but holds no such tensor"),
        ({"bias": "all"}, None, "biases"),
        ({}, {"base_model.model.something.else": torch.ones(2)}, "no place for"),
        ({}, {k: v * float("nan") for k, v in lora_tensors().items()}, "not finite"),
        ({"lora_alpha": 1e30}, {k: v * 1e10 for k, v in lora_tensors().items()}, "not finite once it is scaled and in"),
        ({}, dict(list(lora_tensors().items())[:1]), "only one of its two"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, config: dict[str, Any], tensors: dict[str, Any] | None, named: str
):
    folder = adapter_at(tmp_path, "a", config, tensors)
    with pytest.raises(AdapterError, match=named):
        read(folder, tmp_path)


def test_an_adapter_with_the_bases_configuration_is_no_base(model: Path, tmp_path: Path):
    """Trainers leave config.json beside it, and it may lie under model-cache."""
    folder = adapter_at(tmp_path, "model-cache/me/tide-lora")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    assert find_base(tmp_path, "") == ("org/model", model)
    assert set(find_adapters(tmp_path)) == {"tide-lora"}
    save_file(
        {"model.norm.weight": torch.ones(8)}, folder / "model.safetensors"
    )  # a base that was saved with its adapter
    assert set(base_models(tmp_path)) == {"org/model", "me/tide-lora"}


def test_checkpoints_give_way_to_what_came_of_their_training(tmp_path: Path):
    for path in ("runs/first", *(f"runs/first/checkpoint-{step}" for step in (500, 1000)), "runs/second/adapter"):
        adapter_at(tmp_path, path)
    for step in (90, 1000, 200):
        adapter_at(tmp_path, f"other/cut-off/checkpoint-{step}")
    adapter_at(tmp_path, "beside/gpu_model/adapter")
    adapter_at(tmp_path, "beside/checkpoint-7")
    names = list(find_adapters(tmp_path))
    assert names == ["gpu_model", "first", "second", "checkpoint-1000", "checkpoint-200", "checkpoint-90"]


def test_an_index_that_was_left_behind_is_not_read(model: Path, tmp_path: Path):
    """Saved again as one file; the shards that the index names are gone."""
    (model / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}})
    )
    assert set(check_model("org/model", model, tmp_path).tensors) == {"model.norm.weight"}


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 11421896\n"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pointer_in_a_files_place_is_called_one(model: Path, tmp_path: Path, name: str):
    (model / name).write_text(POINTER)
    with pytest.raises(FolderError, match=f"{name} .*Git LFS pointer"):
        check_model("org/model", model, tmp_path)


def test_vocabulary_and_merges_are_a_tokenizer_too(model: Path, tmp_path: Path):
    (model / "tokenizer.json").unlink()
    (model / "vocab.json").write_text("{}")
    with pytest.raises(FolderError, match="neither"):
        check_model("org/model", model, tmp_path)
    (model / "merges.txt").write_text("")
    assert check_model("org/model", model, tmp_path).name == "org/model"


def test_a_stored_head_counts_though_the_configuration_ties_it(model: Path, tmp_path: Path):
    (model / "config.json").write_text(json.dumps({**CONFIG, "tie_word_embeddings": True}))
    spec = spec_for_ours("auto", check_model("org/model", model, tmp_path))
    assert spec is not None
    assert spec.tied
    save_file({"lm_head.weight": torch.ones(16, 8)}, model / "model.safetensors")
    spec = spec_for_ours("auto", check_model("org/model", model, tmp_path))
    assert spec is not None
    assert not spec.tied
