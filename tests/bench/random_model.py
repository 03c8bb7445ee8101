"""The GPU benchmark's models: random weights made where they are used, driven by the real scheduler without a server."""

from dataclasses import dataclass, fields, is_dataclass, replace
from random import Random
from typing import Any, TypeVar

import torch
from torch import Tensor

from inference.engine.compute.choice import Backend, CacheShape
from inference.engine.compute.model_runner import ModelRunner
from inference.engine.files.families import PLACES, Place
from inference.engine.files.spec import ModelSpec, read_spec
from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.scheduler import Limits, Scheduler
from inference.engine.schedule.sequence import Choice, SamplingParams, Sequence
from inference.engine.weights.loader import allocate
from inference.engine.weights.lora import Lora
from inference.engine.weights.weights import Weights

T = TypeVar("T")

BLOCK_SIZE = 16
PHI3_MINI = {
    "model_type": "phi3",
    "vocab_size": 32064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-5,
    "sliding_window": 2047,
}
TINY = PHI3_MINI | {
    "vocab_size": 48,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "max_position_embeddings": 48,
}


@dataclass(frozen=True)
class Sizes:
    """What is measured: sequences at once, tokens that they have seen, tokens that are timed."""

    model: dict[str, Any]
    batches: tuple[int, int, int, int, int]
    context: int
    steps: int
    peer_prompt: int
    peer_tokens: int
    buffer: int  # bytes of the bandwidth measurement
    square: int  # side of the product


FULL = Sizes(PHI3_MINI, (1, 2, 4, 16, 64), 1024, 64, 128, 128, 4 << 30, 8192)
SMALL = Sizes(TINY, (1, 2, 3, 4, 5), 12, 1, 4, 2, 1 << 20, 64)


def spec_of(model: dict[str, Any], **changes: object) -> ModelSpec:
    return read_spec(model | changes)


def random_weights(spec: ModelSpec, dtype: torch.dtype, device: torch.device) -> Weights:
    """Matrices ~ N(0, 1.2/√fan_in), so that greedy text does not degenerate; nothing is read or copied."""
    chance = torch.Generator(device).manual_seed(1)
    draft, targets = allocate(spec, dtype, device)
    for name, target in targets.items():
        if "norm" in name:
            target.tensor.uniform_(0.5, 1.5, generator=chance)
        else:
            scale = 1.0 if "embed" in name else 1.2 / target.tensor.shape[-1] ** 0.5
            target.tensor.normal_(0, scale, generator=chance)
    return draft.packed()


def random_adapter(spec: ModelSpec, rank: int, dtype: torch.dtype, device: torch.device, seed: int) -> Lora:
    """All projections, as one fused pair for each place."""
    chance = torch.Generator(device).manual_seed(seed)
    sizes: dict[Place, tuple[int, int]] = {place: (spec.inputs(place), spec.outputs(place)) for place in PLACES}

    def normal(rows: int, columns: int, scale: float) -> Tensor:
        return torch.empty(rows, columns, dtype=dtype, device=device).normal_(0, scale, generator=chance)

    layers: list[dict[Place, tuple[Tensor, Tensor]]] = [
        {place: (normal(i, rank, i**-0.5), normal(rank, o, 0.1)) for place, (i, o) in sizes.items()}
        for _ in range(spec.layers)
    ]
    return Lora(tuple(layers))


def converted(model: T, dtype: torch.dtype) -> T:
    """Weights or an adapter: the same numbers in another format."""

    def convert(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(dtype)
        if isinstance(value, tuple):
            return tuple(convert(each) for each in value)
        if isinstance(value, dict):
            return {key: convert(each) for key, each in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{field.name: convert(getattr(value, field.name)) for field in fields(value)})
        return value

    return convert(model)


class Batch:
    """Sequences that run together, step by step, as the engine runs them."""

    def __init__(self, runner: ModelRunner, blocks: int, sequences: int) -> None:
        self.runner = runner
        self.scheduler = Scheduler(BlockManager(blocks, BLOCK_SIZE), Limits(sequences, tokens=4096, prefill=4096))
        self.sequences: list[Sequence] = []

    def add(self, prompt: list[int], tokens: int, adapter: int = 0, logprobs: int | None = None) -> Sequence:
        number = len(self.sequences) + 1
        params = SamplingParams(tokens, 0.0, logprobs=logprobs)
        # Salts of their own: no prefix is shared, every prompt is computed.
        sequence = Sequence(number, list(prompt), len(prompt), params, adapter, salt=number, random=Random(number))
        self.sequences.append(sequence)
        self.scheduler.add(sequence)
        return sequence

    def step(self, forced: int | None = None) -> list[Choice]:
        """One step; each sequence that drew gets its token (or the forced one), and leaves when it has all."""
        slices = self.scheduler.schedule()
        choices = self.runner.run(slices)
        self.scheduler.computed(slices)
        for part, choice in zip([part for part in slices if part.last], choices, strict=True):
            part.sequence.tokens.append(choice.token if forced is None else forced)
            if part.sequence.generated >= part.sequence.params.max_tokens:
                self.end(part.sequence)
        return choices

    def prefill(self) -> None:
        """Steps until every sequence decodes."""
        while self.scheduler.waiting or any(sequence.pending > 1 for sequence in self.scheduler.running):
            self.step()

    def finish(self) -> None:
        while self.scheduler.running or self.scheduler.waiting:
            self.step()

    def end(self, sequence: Sequence) -> None:
        self.scheduler.finish(sequence)
        self.runner.forget(sequence)

    def clear(self) -> None:
        for sequence in [*self.scheduler.running, *self.scheduler.waiting]:
            self.end(sequence)


def make_runner(spec: ModelSpec, weights: Weights, backend: Backend, *, blocks: int, rows: int) -> ModelRunner:
    cache = CacheShape(blocks, BLOCK_SIZE, spec.context, rows)
    return ModelRunner(spec, weights, backend=backend, cache=cache)


def prompt_of(length: int, vocabulary: int, seed: int) -> list[int]:
    chance = Random(seed)
    return [chance.randrange(3, vocabulary) for _ in range(length)]


def distance(exact: list[list[Choice]], found: list[list[Choice]]) -> float:
    """Root of the mean square between the logprobs of two runs, over the tokens that both report."""
    squares: list[float] = []
    for one, other in zip(exact, found, strict=True):
        for a, b in zip(one, other, strict=True):
            known = dict(b.top)
            squares += [(value - known[token]) ** 2 for token, value in a.top if token in known]
    return (sum(squares) / len(squares)) ** 0.5
