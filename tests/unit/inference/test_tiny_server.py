"""The sentences of the server that plays failed starts are those of the real one, which needs a model or a GPU to say them."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.engine.compute.device import LEAST_CACHE, SPARE, DeviceError, gpu_share, unseen_gpu
from inference.engine.files.folder import FolderError, find_base
from tests.faults.situations.tiny_server import GIVEN_UP


def test_no_base_model(tmp_path: Path) -> None:
    with pytest.raises(FolderError) as refused:
        find_base(tmp_path, "")
    assert str(refused.value).replace(str(tmp_path), "/mount") == GIVEN_UP["no-model"]


def test_a_driver_that_is_too_old() -> None:
    assert unseen_gpu(["/dev/nvidia0"], "13.0") == GIVEN_UP["old-driver"]


def test_a_model_that_the_gpu_does_not_hold() -> None:
    with pytest.raises(DeviceError) as refused:
        gpu_share(free=14_200_000_000, weights=int(15_800_000_000 - (SPARE + LEAST_CACHE) / 0.85))
    assert str(refused.value) == GIVEN_UP["gpu-memory"]
