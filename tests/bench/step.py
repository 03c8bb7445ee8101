"""A decoding step of sixteen rows beside the bare products of the same shapes and rows: how much is not multiplying.

`python tests/bench/step.py MOUNT`, a process of its own, prints both in seconds.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.engine.files.spec import ModelSpec

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

ROWS, SEEN, STEPS = 16, 96, 60


def measured(mount: Path) -> dict[str, float]:
    import torch
    from random_model import BLOCK_SIZE, Batch, prompt_of

    from inference.engine.compute.choice import Backend, CacheShape
    from inference.engine.compute.model_runner import ModelRunner
    from inference.engine.files.folder import check_model, find_base
    from inference.engine.files.spec import read_spec

    name, path = find_base(mount, "")
    folder = check_model(name, path, mount)
    spec = read_spec(folder.config)
    blocks = ROWS * (-(-(SEEN + 2 * STEPS) // BLOCK_SIZE) + 1)
    backend = Backend(torch.device("cpu"), torch.float32, "dense")
    runner = ModelRunner.load(folder, spec, backend=backend, cache=CacheShape(blocks, BLOCK_SIZE, spec.context, ROWS))
    batch = Batch(runner, blocks, ROWS)
    for index in range(ROWS):
        batch.add(prompt_of(SEEN, spec.vocabulary, index), 2 * STEPS)
    batch.prefill()
    weights = runner.weights
    layers = [each for layer in weights.layers for each in (layer.qkv, layer.output, layer.gate_up, layer.down)]
    pairs = [(each, torch.randn(ROWS, size)) for each, size in zip((*layers, weights.head), inputs(spec), strict=True)]

    @torch.inference_mode()
    def products() -> None:
        for matrix, x in pairs:
            matrix.of(x)

    steps: list[float] = []
    bare: list[float] = []
    for _ in range(STEPS):  # in turn, so that both see the same machine
        steps.append(seconds(batch.step))
        bare.append(seconds(products))
    return {"step": median(steps), "products": median(bare)}


def inputs(spec: "ModelSpec") -> list[int]:
    """Of each matrix in turn: a layer's four, and the head."""
    from inference.engine.files.families import PLACES

    return [spec.inputs(place) for _ in range(spec.layers) for place in PLACES] + [spec.hidden]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(measured(Path(sys.argv[1]))))
