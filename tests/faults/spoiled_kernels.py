"""Kernels of which one goes wrong, on a model small enough for Triton's interpreter: `python -m tests.faults.spoiled_kernels`."""

import json
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inference.engine.compute.choice import Backend
from inference.engine.compute.model_runner import ModelRunner
from tests.bench.random_model import TINY, Batch, make_runner, prompt_of, random_adapter, random_weights, spec_of

BLOCKS = 24


class Spoiled:
    """Operations of which one goes wrong."""

    def __init__(self, whole: Any, name: str, how: Callable[..., Any]) -> None:
        self._whole, self._name, self._how = whole, name, how

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        return (lambda *given: self._how(found, *given)) if name == self._name else found


def made(device: torch.device) -> ModelRunner:
    """A runner over kernels; the interpreter multiplies no bfloat16 matrices."""
    half = torch.bfloat16 if device.type == "cuda" else torch.float16
    spec = spec_of(TINY, num_attention_heads=2, sliding_window=20)
    runner = make_runner(
        spec, random_weights(spec, half, device), Backend(device, half, "triton"), blocks=BLOCKS, rows=3
    )
    runner.install_adapter(1, random_adapter(spec, 4, half, device, 1))
    return runner


def spoil(runner: ModelRunner, name: str, how: Callable[..., Any]) -> None:
    assert runner.gpu is not None
    spoiled: Any = Spoiled(runner.gpu.decode.operations, name, how)
    runner.gpu.decode.operations = runner.gpu.cache.operations = spoiled


def plain(device: torch.device) -> ModelRunner:
    """The same model over torch's operations."""
    runner = made(device)
    assert runner.gpu is not None
    runner.gpu.give_way()
    return runner


def tokens(runner: ModelRunner, steps: int = 4) -> list[list[int]]:
    batch = Batch(runner, BLOCKS, 3)
    for index in range(3):
        batch.add(prompt_of(6 + index, runner.spec.vocabulary, index), steps, index % 2)
    batch.finish()
    return [sequence.tokens for sequence in batch.sequences]


def wrong(found: Callable[..., Tensor], *given: Any) -> Tensor:
    return found(*given) * 1.2


def main() -> None:
    """What came of a wrong attention, and of none: for the table of faults."""
    cpu = torch.device("cpu")
    spoiled = made(cpu)
    spoil(spoiled, "attend", wrong)
    spoiled.warm_up()
    sound = made(cpu)
    sound.warm_up()
    same = tokens(spoiled) == tokens(plain(cpu))
    print(json.dumps({"attention": spoiled.attention, "notes": spoiled.notes, "same": same, "sound": sound.attention}))


if __name__ == "__main__":
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported, which only the runner does
    main()
