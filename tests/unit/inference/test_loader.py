"""Weights from disk: the very numbers that safetensors' own reader gives, progress on the way, and files that are not as said."""

import os
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from inference.engine.files.folder import FolderError, check_model
from inference.engine.files.spec import ModelSpec, read_spec
from inference.engine.weights import loader
from inference.engine.weights.loader import load_weights
from tests.unit.inference.conftest import Families
from tests.unit.inference.test_oracle import FAMILIES

PIECE = 2000  # bytes: several reads for most matrices, and heads that do not fill a piece


@pytest.fixture(scope="module", params=["llama-mha-biases-linear", "phi3-longrope", "qwen3"])
def shards(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, families: Families) -> Path:
    """A model in many files, as large ones are stored."""
    kind, targets, config = FAMILIES[request.param]
    mount = tmp_path_factory.mktemp("loader")
    made = families.make(mount / "made", kind, targets, **config)
    made.reference.save_pretrained(mount / "shards", max_shard_size="40KB")
    (mount / "shards" / "tokenizer.json").write_text("{}")
    assert len(list((mount / "shards").glob("*.safetensors"))) > 5
    return mount / "shards"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loader, "PIECE", PIECE)  # patched: a model of many pieces would be many megabytes
    monkeypatch.setattr(
        torch.backends.mkldnn, "is_available", lambda: False
    )  # or matrices are packed beyond recognition


def load(path: Path, note: Any = lambda share: None, dtype: torch.dtype = torch.float32, **changes: Any):
    folder = check_model("test/model", path, path.parent)
    spec = read_spec({**folder.config, **changes})
    return spec, load_weights(folder, spec, dtype=dtype, device=torch.device("cpu"), note=note)


def read_by_safetensors(path: Path):
    tensors = {}
    for file in path.glob("*.safetensors"):
        with safe_open(file, "pt") as opened:
            tensors |= {name.removeprefix("model."): opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return tensors


def turned(rows: torch.Tensor, spec: ModelSpec):
    """In each head, the i-th and the (i + dims/2)-th row side by side; those that are not rotated behind them."""
    dims = spec.rope.dims
    heads = rows.view(-1, spec.head_dim, *rows.shape[1:])
    pairs = heads[:, :dims].unflatten(1, (2, dims // 2)).transpose(1, 2).flatten(1, 2)
    return torch.cat([pairs, heads[:, dims:]], dim=1).flatten(0, 1)


def joined(take: Any, prefix: str, kind: str, spec: ModelSpec):
    """A layer's q, k and v as one matrix (or bias), turned but for v; and gate and up as another."""
    if spec.family == "phi3":
        rows = take(f"{prefix}self_attn.qkv_proj.{kind}")
        turning = spec.query + spec.kv_heads * spec.head_dim
        qkv = [turned(rows[:turning], spec), rows[turning:]]
        return torch.cat(qkv), take(f"{prefix}mlp.gate_up_proj.{kind}")
    query, key, value = (take(f"{prefix}self_attn.{name}_proj.{kind}") for name in "qkv")
    both = [take(f"{prefix}mlp.{name}_proj.{kind}") for name in ("gate", "up")]
    return torch.cat([turned(query, spec), turned(key, spec), value]), torch.cat(both)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_every_number_is_where_it_belongs(shards: Path, dtype: torch.dtype):
    """Straight from the file where the formats are equal, by way of a buffer where they are not."""
    spec, weights = load(shards, dtype=dtype)
    there = {name: tensor.to(dtype) for name, tensor in read_by_safetensors(shards).items()}
    take = there.pop
    pairs: list[Any] = [
        (weights.embedding, take("embed_tokens.weight")),
        (weights.norm, take("norm.weight")),
        (weights.head.weight, take("lm_head.weight")),
    ]
    for index, layer in enumerate(weights.layers):
        prefix = f"layers.{index}."
        for kind in ("weight", "bias") if layer.qkv.bias is not None else ("weight",):
            ours = [getattr(each, kind) for each in (layer.qkv, layer.gate_up, layer.output, layer.down)]
            rest = [take(f"{prefix}{name}.{kind}") for name in ("self_attn.o_proj", "mlp.down_proj")]
            pairs += zip(ours, [*joined(take, prefix, kind, spec), *rest], strict=True)
        pairs.append((layer.input_norm, take(f"{prefix}input_layernorm.weight")))
        pairs.append((layer.mlp_norm, take(f"{prefix}post_attention_layernorm.weight")))
        if spec.qk_norm:
            pairs.append((layer.query_norm, turned(take(f"{prefix}self_attn.q_norm.weight"), spec)))
            pairs.append((layer.key_norm, turned(take(f"{prefix}self_attn.k_norm.weight"), spec)))
    assert all(torch.equal(ours, expected) for ours, expected in pairs)
    assert there == {}  # nothing in the files was left out


def test_progress_grows_from_nothing_to_all(shards: Path):
    shares = []
    load(shards, shares.append)
    assert len(shares) > 10
    assert 0 < shares[0] < 0.5
    assert all(before <= after for before, after in pairwise(shares))
    assert shares[-1] == 1.0


def test_several_reads_are_under_way_at_a_time(shards: Path, monkeypatch: pytest.MonkeyPatch):
    """A share answers each slowly and many at once: the first read here waits for another to have begun."""
    plain, begun, second = os.preadv, [], threading.Event()

    def meeting(*args: Any):
        begun.append(args)
        if begun[0] is not args:
            second.set()
        assert second.wait(240)
        return plain(*args)

    monkeypatch.setattr(os, "preadv", meeting)
    load(shards)
    assert len(begun) > 10


def test_a_file_that_is_cut_short_while_it_is_read_is_named(shards: Path, tmp_path: Path):
    """All is well when the headers are checked and when reading begins; then the share loses the end of every file."""
    copy = tmp_path / "mount" / "copy"
    copy.mkdir(parents=True)
    for file in shards.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())

    def cut(share: Any):
        for file in copy.glob("*.safetensors"):
            os.truncate(file, 100)

    with pytest.raises(FolderError, match=r"copy/model-\d+-of-\d+\.safetensors is truncated"):
        load(copy, cut)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"intermediate_size": 88},
            r"model-\d+-of-\d+\.safetensors: tensor layers\.0\.mlp\.\S+ has the shape \(\d+, 48\), not",
        ),
        ({"vocab_size": 161}, r"tensor embed_tokens\.weight has the shape \(160, 48\), not \(161, 48\)"),
        ({"num_hidden_layers": 4}, r"lacks the tensors layers\.3\.input_layernorm\.weight, .* …"),
    ],
    ids=["projection", "vocabulary", "layer"],
)
def test_tensors_that_do_not_fit_the_configuration_are_named(shards: Path, changes: dict[str, Any], said: str):
    with pytest.raises(FolderError, match=said):
        load(shards, **changes)
