"""A base's weights spread over more files: the same tensors, byte for byte, as the safetensors library reads them."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sidecar.core.pieces import BLOCK, Part, content_of_bytes, digest_of, joined
from sidecar.decisions.base_check import INDEX
from sidecar.decisions.resharding import Slice, reshard
from sidecar.workflows.local_model import LocalModel, contents, local_model
from tests.support.model_folders import base_in


def model_of(folder: Path, files: dict[str, dict[str, torch.Tensor]]) -> LocalModel:
    base_in(folder.parent.parent.parent, f"{folder.parent.name}/{folder.name}")
    (folder / "model.safetensors").unlink()
    for name, tensors in files.items():
        save_file(tensors, folder / name, metadata={"format": "pt"})
    if len(files) > 1:
        places = {tensor: name for name, tensors in files.items() for tensor in tensors}
        (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1, "made by": "us"}, "weight_map": places}))
    return local_model(folder)


def written(model: LocalModel, shards: int, to: Path) -> list[str]:
    to.mkdir()
    for name, content in contents(model, shards).items():
        (to / name).write_bytes(b"".join(content.blocks()))
        assert (to / name).stat().st_size == content.size
    return sorted(each.name for each in to.glob("*.safetensors"))


@pytest.mark.parametrize("parts", [1, 3])
def test_sixteen_files_of_similar_size_hold_the_same_tensors(tmp_path: Path, parts: int) -> None:
    torch.manual_seed(0)
    kinds = (torch.bfloat16, torch.float32, torch.float16, torch.int8, torch.bool)
    tensors = {
        f"layer.{number}.weight": (torch.randn(97 + number, 61) * 50).to(kinds[number % len(kinds)])
        for number in range(60)
    }
    tensors["one"] = torch.tensor(3.5)
    tensors["empty"] = torch.zeros(0, 4)
    names = list(tensors)
    files = {
        f"part-{number}.safetensors": {name: tensors[name] for name in names[number::parts]} for number in range(parts)
    }
    if parts == 1:
        files = {"model.safetensors": tensors}
    model = model_of(tmp_path / "mount" / "model-cache" / "org" / "m", files)
    before = {each.name: each.read_bytes() for each in model.folder.iterdir()}

    made = written(model, 16, tmp_path / "there")
    assert made == [f"model-{number:05}-of-00016.safetensors" for number in range(1, 17)]
    sizes = [(tmp_path / "there" / name).stat().st_size for name in made]
    assert max(sizes) < 1.6 * min(sizes)
    index = json.loads((tmp_path / "there" / INDEX).read_text())
    assert index["metadata"]["total_size"] == sum(each.numel() * each.element_size() for each in tensors.values())
    assert index["metadata"].get("made by") == ("us" if parts > 1 else None)
    assert set(index["weight_map"]) == set(tensors)
    for name in made:
        with safe_open(tmp_path / "there" / name, "pt") as opened:
            assert opened.metadata() == {"format": "pt"}
        for tensor, value in load_file(tmp_path / "there" / name).items():
            assert index["weight_map"][tensor] == name
            assert value.dtype == tensors[tensor].dtype
            assert value.shape == tensors[tensor].shape
            assert torch.equal(value, tensors[tensor])
    assert {each.name: each.read_bytes() for each in model.folder.iterdir()} == before, "the originals are untouched"


def test_a_model_that_has_as_many_files_stays_as_it_is(tmp_path: Path) -> None:
    folder = base_in(tmp_path, shards=4)
    model = local_model(folder)
    for shards in (0, 4):
        assert sorted(contents(model, shards)) == sorted(each.name for each in folder.iterdir())
    assert len([each for each in contents(model, 5) if each.endswith(".safetensors")]) == 5


def test_one_tensor_is_never_torn_and_a_large_one_has_a_file_of_its_own() -> None:
    def tensor(name: str, length: int) -> Slice:
        return Slice(name, "U8", (length,), "f", 0, length)

    made = reshard([tensor("huge", 1000), *(tensor(f"t{number}", 10) for number in range(9))], 4, {})
    assert [each.name for each in made[0].tensors] == ["huge"]
    assert [len(shard.tensors) for shard in made] == [1, 3, 3, 3]
    assert len(reshard([tensor("a", 1), tensor("b", 1)], 16, {})) == 2, "no file without a tensor"


def test_what_is_put_together_is_read_piece_by_piece_not_held(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as stream:
        for number in range(10):
            stream.write(bytes([number]) * (3 << 20))
    parts = [Part(file, number * (3 << 20), 3 << 20) for number in (9, 0, 1, 2, 5)]
    content = joined(b"head", parts)
    assert len(content.pieces) == 4, "what follows in the file is read at once"
    expected = b"head" + b"".join(bytes([number]) * (3 << 20) for number in (9, 0, 1, 2, 5))
    tracemalloc.start()
    digest = digest_of(content, lambda _: None)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3 * BLOCK
    assert digest.sha256 == hashlib.sha256(expected).hexdigest()
    assert digest.md5 == hashlib.md5(expected, usedforsecurity=False).digest()
    assert len(digest.blocks) == -(-len(expected) // BLOCK)
    assert content.read(2, 4) == expected[2:6]
    assert content.read(len(expected) - 1, 10) == expected[-1:]
    assert digest_of(content_of_bytes(b""), lambda _: None).blocks == ()
