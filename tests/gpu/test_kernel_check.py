"""Kernels are checked against torch's operations before anything is served, and give way to them, also under way."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from inference.engine.compute.gpu.operations import TorchOperations
from inference.engine.compute.gpu.self_check import distance
from tests.faults.spoiled_kernels import made, plain, spoil, tokens, wrong
from tests.gpu.where import KERNELS

triton = pytest.importorskip("triton")
from inference.engine.compute.gpu.kernels import gemv  # noqa: E402  (Triton is not everywhere)


@pytest.fixture(autouse=True)
def fewer_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    if KERNELS.type == "cpu":
        monkeypatch.setattr(gemv, "N_STEP", 256)  # patched: the interpreter takes its time for each program
        monkeypatch.setattr(gemv, "K_STEP", 64)  # patched: as above


def no_numbers(found: Callable[..., Tensor], *given: Any) -> Tensor:
    return found(*given).fill_(torch.nan)


def fails(found: Callable[..., Tensor], *given: Any) -> Tensor:
    raise triton.runtime.errors.OutOfResources(300_000, 232_448, "shared memory")


def refused(found: Callable[..., Tensor], *given: Any) -> Tensor:
    raise AssertionError("cannot be compiled\nin detail")


def test_kernels_that_are_right_stay() -> None:
    runner = made(KERNELS)
    runner.warm_up()
    assert runner.attention == "triton", runner.notes
    assert runner.notes == ()


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("attend", wrong, "attention of 1 rows is apart from torch's by 0.2"),
        ("normed_gate", no_numbers, "gated product of 1 rows is apart from torch's by nan"),
        ("add_lora", lambda found, *given: None, "adapters of 2 rows is apart"),
        ("rotate", fails, "OutOfResources in a kernel: "),
        ("linear", refused, "AssertionError: cannot be compiled"),
    ],
)
def test_one_that_is_wrong_gives_way_before_anything_is_served(name: str, how: Callable[..., Any], said: str) -> None:
    runner = made(KERNELS)
    spoil(runner, name, how)
    runner.warm_up()
    assert runner.attention == "torch"
    assert said in runner.notes[0]
    assert runner.notes[0].startswith("our kernels give way to PyTorch's operations")
    assert "\n" not in runner.notes[0]
    assert runner.gpu is not None
    assert isinstance(runner.gpu.decode.operations, TorchOperations)
    assert tokens(runner) == tokens(plain(KERNELS))


def test_one_that_fails_under_way_gives_way_and_no_request_ends() -> None:
    """Triton's errors are no RuntimeErrors: one would have ended the engine."""
    runner = made(KERNELS)
    spoil(runner, "normed", fails)
    assert tokens(runner) == tokens(plain(KERNELS))
    assert runner.attention == "torch"
    assert "OutOfResources" in runner.notes[0]


def test_a_lack_of_memory_is_no_reason_to_give_way() -> None:
    def too_much(*given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    runner = made(KERNELS)
    spoil(runner, "attend", too_much)
    with pytest.raises(torch.OutOfMemoryError):
        runner.warm_up()
    assert runner.attention == "triton"


def test_distances() -> None:
    assert distance(torch.tensor([3.0, 4.4]), torch.tensor([3.0, 4.0])) == pytest.approx(0.08)
    assert distance(torch.zeros(2), torch.zeros(2)) == 0
