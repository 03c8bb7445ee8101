"""The digest of a base model: the same for the same files, another one for other weights, and little is read for it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inference.engine.files.base_digest import SAMPLE, SAMPLES, base_digest
from inference.engine.files.folder import ModelFolder, check_model

CONFIG = {"model_type": "llama", "hidden_size": 8}
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def model(mount: Path, *, seed: int = 0, config: dict[str, object] | None = None, large: int = 1 << 20) -> ModelFolder:
    """Two files of weights: one of many samples' size, one smaller than a sample."""
    folder = mount / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | (config or {})))
    (folder / "tokenizer.json").write_text("{}")
    weights = torch.randn(large, generator=torch.Generator().manual_seed(seed))
    save_file({"a": weights}, folder / SHARDS[0])
    save_file({"b": torch.ones(4)}, folder / SHARDS[1])
    index = {"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return check_model("model", folder, mount)


def test_the_same_files_have_one_digest_wherever_they_lie(tmp_path: Path) -> None:
    assert base_digest(model(tmp_path / "here")) == base_digest(model(tmp_path / "there"))


@pytest.mark.parametrize("other", ["weights", "small file", "configuration", "shape"])
def test_another_model_of_one_shape_has_another_digest(other: str, tmp_path: Path) -> None:
    first = base_digest(model(tmp_path / "one"))
    changed = {"configuration": {"config": {"rope_theta": 5}}, "weights": {"seed": 1}, "shape": {"large": 1 << 19}}
    second = model(tmp_path / "two", **changed.get(other, {}))  # pyright: ignore[reportArgumentType]
    if other == "small file":
        save_file({"b": torch.zeros(4)}, second.path / SHARDS[1])
    assert base_digest(second) != first


def test_of_large_files_samples_are_read_the_last_bytes_among_them(tmp_path: Path) -> None:
    folder = model(tmp_path)
    file = folder.path / SHARDS[0]
    before, size = base_digest(folder), file.stat().st_size
    assert size > 4 * SAMPLES * SAMPLE
    with file.open("r+b") as stream:
        stream.seek(size // 2 - 3 * SAMPLE)  # between two samples: it is documented that this is not seen
        stream.write(b"x" * 16)
    assert base_digest(folder) == before
    with file.open("r+b") as stream:
        stream.seek(size - 1)
        stream.write(b"x")
    assert base_digest(folder) != before
