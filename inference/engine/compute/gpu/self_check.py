"""Whether the kernels compute on this device what torch's operations compute, with the model's own numbers."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.engine.compute.gpu.lora_stacks import RANK_UNIT
from inference.engine.compute.gpu.operations import Operations
from inference.engine.compute.gpu.rows import DecodeRows
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.weights import LayerWeights, Weights

# The root of the mean square of the difference, against that of the result: rounding stays far below, a wrong sum far above.
APART = {torch.float32: 1e-3}
APART_IN_HALF = 3e-2
SEEN = 1024  # tokens that all rows together have seen: keys and values made up for them take little memory
SLOTS = 3  # of adapters, the base's included

Try = Callable[[Operations], Sequence[Tensor]]


@dataclass(frozen=True)
class Trial:
    """One operation on given numbers. It writes to nothing but what it has copied."""

    name: str
    run: Try


def difference(
    spec: ModelSpec, weights: Weights, rows: Sequence[DecodeRows], ours: Operations, exact: Operations
) -> str:
    """What differs first, in words; empty when nothing does. `rows` name where each row's token stands, as `made_rows`
    makes them. Whatever an operation raises is the caller's to judge."""
    most = APART.get(weights.norm.dtype, APART_IN_HALF)
    for each in rows:
        for trial in trials(spec, weights, each):
            pairs = zip(trial.run(ours), trial.run(exact), strict=True)
            wrong = [apart for one, other in pairs if not (apart := distance(one, other)) <= most]
            if wrong:
                return f"{trial.name} of {each.number} rows is apart from torch's by {wrong[0]:.2g}"
    return ""


def distance(found: Tensor, expected: Tensor) -> float:
    """Relative; NaN where a number is none."""
    apart = float((found.double() - expected.double()).square().sum())
    size = float(expected.double().square().sum())
    return math.sqrt(apart / size) if size else math.sqrt(apart)


def made_rows(number: int, width: int, block_size: int, device: torch.device) -> DecodeRows:
    """Rows that have seen from one token to all that they have room for, each in blocks of its own; tables as wide as those
    that steps use, for that is what the kernels' programs are divided by."""
    room = min(max(SEEN // number // block_size, 1), width)
    most = room * block_size
    lengths = [most if number == 1 else 1 + index * (most - 1) // (number - 1) for index in range(number)]
    tables = torch.zeros(number, width, dtype=torch.int32)
    tables[:, :room] = torch.arange(number * room, dtype=torch.int32).view(number, room)
    blank = torch.zeros(number, dtype=torch.int32, device=device)
    slots = torch.tensor([index % SLOTS for index in range(number)], dtype=torch.int32, device=device)
    seen = torch.tensor(lengths, dtype=torch.int32, device=device)
    return DecodeRows(blank, seen, blank, slots.sort().values, tables.to(device), block_size, max(lengths))


def trials(spec: ModelSpec, weights: Weights, rows: DecodeRows) -> Iterator[Trial]:
    """Every operation of a step, each on numbers of a model's size, with the first layer's matrices."""
    layer, chance = weights.layers[0], torch.Generator(weights.norm.device).manual_seed(1)

    def drawn(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.empty(shape, dtype=weights.norm.dtype, device=weights.norm.device).normal_(
            0, scale, generator=chance
        )

    number, eps = rows.number, spec.eps
    x, attended = drawn(number, spec.hidden), drawn(number, spec.query)
    both = drawn(number, 2 * spec.intermediate)
    qkv = drawn(number, spec.query + spec.key_value)
    pages = drawn((int(rows.tables.max()) + 1) * rows.block_size, spec.key_value)
    yield Trial("norm", lambda do: [do.norm(x, layer.input_norm, eps)])
    yield Trial("product", lambda do: [do.linear(x, layer.qkv)])
    yield Trial("product of a norm", lambda do: [do.normed(x, layer.input_norm, eps, layer.qkv)])
    yield Trial("gate", lambda do: [do.gate(both)])
    yield Trial("gated product", lambda do: [do.normed_gate(x, layer.mlp_norm, eps, layer.gate_up)])
    yield Trial("sum with a product", lambda do: [do.added(attended, layer.output, x.clone())])
    yield Trial("rotation", lambda do: rotated(do, layer, qkv.clone(), pages.clone(), rows))
    for window in sorted(set(spec.windows)):
        yield Trial("attention", lambda do, window=window: [do.attend(attended, pages, rows, window)])
    yield Trial("head", lambda do: [do.normed(x, weights.norm, eps, weights.head)])
    down = drawn(SLOTS, spec.hidden, RANK_UNIT, scale=spec.hidden**-0.5)
    up = drawn(SLOTS, RANK_UNIT, spec.query + spec.key_value)
    down[0].zero_()  # the base adds nothing, whether an operation looks at its rank or not
    ranks = torch.tensor([0, *[RANK_UNIT] * (SLOTS - 1)], dtype=torch.int32, device=x.device)

    def adapted(do: Operations) -> list[Tensor]:
        out = qkv.clone()
        do.add_lora(out, x, down, up, ranks, rows.slots)
        return [out]

    yield Trial("adapters", adapted)


def rotated(do: Operations, layer: LayerWeights, qkv: Tensor, pages: Tensor, rows: DecodeRows) -> list[Tensor]:
    """q in place, and the pages with the new keys and values; of `qkv` nobody reads k and v again."""
    do.rotate(layer, qkv, pages, rows)
    return [qkv[:, : qkv.shape[1] - pages.shape[1]], pages]
