"""The memory that adapters on the share will take of a GPU, from their headers alone."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from inference.engine.compute.adapter_room import adapter_bytes
from inference.engine.compute.device import LEAST_CACHE, gpu_share
from inference.engine.compute.gpu.lora_stacks import LoraStacks
from inference.engine.files.families import PLACES
from inference.engine.files.folder import check_adapter, read_header
from inference.engine.files.spec import read_spec
from inference.engine.weights.lora import read_lora
from inference.loading import adapter_headers
from inference.settings import Settings
from tests.support.model_folders import TINY, adapter_in, base_in, lora_tensors

GB = 1 << 30
HEAD = {"base_model.model.lm_head.weight": (300, 64), "base_model.model.model.embed_tokens.weight": (300, 64)}


def test_headers_tell_what_the_stacks_take(tmp_path: Path):
    """With room for a replacement, counted beside the tensors that are made."""
    base_in(tmp_path)
    both = {**lora_tensors(rank=20), **lora_tensors(rank=4, module="self_attn.v_proj", height=32)}
    adapter_in(tmp_path, "models/one", both, r=20, rank_pattern={"v_proj": 4}, target_modules=["q_proj", "v_proj"])
    adapter_in(tmp_path, "models/two", lora_tensors(rank=8, module="mlp.down_proj", width=128), r=8)
    spec, stacks = read_spec(TINY), LoraStacks(read_spec(TINY))
    headers = adapter_headers(Settings(mount=tmp_path))
    made = 0
    for slot, name in enumerate(("one", "two"), start=1):
        folder = check_adapter(name, tmp_path / "models" / name, tmp_path)
        lora = read_lora(folder, spec, torch.bfloat16, torch.device("cpu"))
        stacks.install(slot, lora)
        stacks.install(slot + 1, lora)  # beside the one that it replaces
        made = max(made, sum(left.nbytes + right.nbytes for layer in lora.layers for left, right in layer.values()))
    held = [stacks.of(layer, place) for layer in range(spec.layers) for place in PLACES]
    assert (
        adapter_bytes(spec, headers) == sum(each[0].nbytes + each[1].nbytes for each in held if each is not None) + made
    )


def test_whole_modules_count(tmp_path: Path):
    adapter_in(tmp_path, "models/plain")
    adapter_in(tmp_path, "models/grown", {**lora_tensors(), **HEAD})
    spec = read_spec(TINY)
    plain, grown = (
        read_header(tmp_path / "models" / name / "adapter_model.safetensors") for name in ("plain", "grown")
    )
    assert adapter_bytes(spec, [grown]) - adapter_bytes(spec, [plain]) == 2 * sum(map(math.prod, HEAD.values()))
    assert adapter_bytes(spec, []) == 0


def test_what_cannot_be_read_is_not_counted_and_only_those_that_have_a_slot_are(tmp_path: Path):
    for name in ("a", "b", "c"):
        adapter_in(tmp_path, f"models/{name}")
    (tmp_path / "models" / "a" / "adapter_model.safetensors").write_bytes(b"none")
    assert len(adapter_headers(Settings(mount=tmp_path))) == 2
    assert len(adapter_headers(Settings(mount=tmp_path, max_adapters=2))) == 1


def test_keys_and_values_leave_room_for_them_but_no_adapter_keeps_the_base_from_starting():
    alone = gpu_share(16 * GB, 8 * GB)
    assert gpu_share(16 * GB, 8 * GB, adapters=GB) == alone - GB
    assert gpu_share(16 * GB, 8 * GB, adapters=40 * GB) == LEAST_CACHE
