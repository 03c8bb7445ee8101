"""The engine without a server around it: one model from a mount, on the CPU, for who wants to try it or measure it."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import torch

from inference.engine.adapters.table import BASE
from inference.engine.compute.choice import Backend, CacheShape
from inference.engine.compute.model_runner import ModelRunner
from inference.engine.engine import Delta, Engine, Sink
from inference.engine.files.folder import check_model, find_base
from inference.engine.files.spec import read_spec
from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.scheduler import Limits
from inference.engine.schedule.sequence import SamplingParams
from inference.engine.text.tokenizer import load_tokenizer

BLOCK_SIZE = 16


@contextmanager
def engine_on(mount: Path, *, context: int = 256, blocks: int = 64) -> Generator[Engine]:
    """An engine of the one base model that lies on the mount; stopped at the end."""
    name, path = find_base(mount, "")
    folder = check_model(name, path, mount)
    backend = Backend(torch.device("cpu"), torch.float32, "dense")
    cache = CacheShape(blocks, BLOCK_SIZE, context)
    runner = ModelRunner.load(folder, read_spec(folder.config), backend=backend, cache=cache)
    tokenizer, limits = load_tokenizer(path, folder.config), Limits()
    engine = Engine(runner, tokenizer, BlockManager(blocks, BLOCK_SIZE), limits, context, _straight)
    try:
        yield engine
    finally:
        engine.stop()


def _straight(events: list[tuple[Sink, Delta]]) -> None:
    """Deltas to who asked, on the engine's thread."""
    for sink, delta in events:
        sink(delta)


def pieces(engine: Engine, prompt: str, params: SamplingParams) -> Iterator[str]:
    """The base model's answer, piece by piece as it becomes certain; RuntimeError where the engine could not finish it."""
    deltas: SimpleQueue[Delta] = SimpleQueue()
    engine.submit(engine.tokenizer.encode(prompt), params, BASE, deltas.put)
    finish = None
    while finish is None:
        delta = deltas.get()
        yield delta.text
        finish = delta.finish
        if finish in ("error", "cancelled"):
            raise RuntimeError(delta.error or "the engine was stopped")
