"""Adapters over a batch: which rows use which, and their low-rank products added to those rows.

A single adapter is two products a matrix. Several at once are done as one batched product over groups of rows, for
which their matrices are stacked: once for each combination of adapters that stays in use.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.engine.adapters import BASE_SLOT
from inference.engine.lora import Lora, Pair, Place

STACKS = 4  # combinations kept
STACK_AFTER = 8  # steps that a combination must be used in before its stack is worth making
STACK_BYTES = 512 << 20


@dataclass(frozen=True)
class Run:
    """Neighbouring rows of one adapter."""

    begin: int
    end: int
    slot: int


@dataclass(frozen=True)
class Groups:
    """Runs as equal groups of rows: `rows` names them, padded; `kept` are the places in it that are no padding."""

    stack: tuple[Mapping[Place, Pair], ...]
    number: int
    rows: Tensor | None  # None: the batch's rows as they stand
    kept: Tensor | None


@dataclass(frozen=True)
class LoraBatch:
    """What `add` needs for one step."""

    runs: tuple[tuple[Run, Lora], ...]
    groups: Groups | None = None

    def add(self, out: Tensor, x: Tensor, layer: int, place: Place) -> None:
        """Adds each run's low-rank product to its rows of `out`, in place."""
        if self.groups is not None:
            add_groups(self.groups, out, x, layer, place)
            return
        for run, lora in self.runs:
            pair = lora.layers[layer].get(place)
            if pair is not None:
                out[run.begin : run.end].addmm_(x[run.begin : run.end] @ pair[0], pair[1])


class LoraSlots:
    """The adapters by slot, and stacks of those that are used together. Belongs to the engine's thread."""

    def __init__(self) -> None:
        self._slots: dict[int, Lora] = {}
        self._stacks: OrderedDict[tuple[int, ...], tuple[Mapping[Place, Pair], ...]] = OrderedDict()
        self._uses: Counter[tuple[int, ...]] = Counter()

    def install(self, slot: int, lora: Lora) -> None:
        self.remove(slot)
        self._slots[slot] = lora

    def remove(self, slot: int) -> None:
        self._slots.pop(slot, None)
        for slots in [slots for slots in self._stacks if slot in slots]:
            del self._stacks[slots]
        self._uses.clear()

    def batch(self, adapters: list[int], device: torch.device) -> LoraBatch:
        """`adapters` is each row's slot, equal ones mostly side by side."""
        runs = runs_of(adapters)
        pairs = tuple((run, self._slots[run.slot]) for run in runs)
        if len(runs) < 2:
            return LoraBatch(pairs)
        stack = self._stack(tuple(run.slot for run in runs))
        return LoraBatch(pairs, None if stack is None else groups_of(runs, stack, len(adapters), device))

    def _stack(self, slots: tuple[int, ...]) -> tuple[Mapping[Place, Pair], ...] | None:
        found = self._stacks.get(slots)
        if found is not None:
            self._stacks.move_to_end(slots)
            return found
        self._uses[slots] += 1
        if len(self._uses) > 1000:
            self._uses.clear()
        if self._uses[slots] < STACK_AFTER:
            return None
        loras = [self._slots[slot] for slot in slots]
        if sum(size_of(lora) for lora in loras) > STACK_BYTES:
            return None
        while len(self._stacks) >= STACKS:
            self._stacks.popitem(last=False)
        self._stacks[slots] = stacked(loras)
        return self._stacks[slots]


def runs_of(adapters: list[int]) -> list[Run]:
    """Runs of equal adapters; the base's rows are in none."""
    runs: list[Run] = []
    begin = 0
    for row in range(1, len(adapters) + 1):
        if row == len(adapters) or adapters[row] != adapters[begin]:
            if adapters[begin] != BASE_SLOT:
                runs.append(Run(begin, row, adapters[begin]))
            begin = row
    return runs


def groups_of(
    runs: list[Run], stack: tuple[Mapping[Place, Pair], ...], rows: int, device: torch.device
) -> Groups | None:
    """Equal groups; None when padding the runs to the longest would cost more than it saves."""
    longest = max(run.end - run.begin for run in runs)
    used = sum(run.end - run.begin for run in runs)
    if longest * len(runs) > 2 * used + 8:
        return None
    if used == rows and longest * len(runs) == used:
        return Groups(stack, len(runs), None, None)
    padded = [min(run.begin + step, run.end - 1) for run in runs for step in range(longest)]
    kept = [index * longest + step for index, run in enumerate(runs) for step in range(run.end - run.begin)]
    return Groups(stack, len(runs), torch.tensor(padded, device=device), torch.tensor(kept, device=device))


def add_groups(groups: Groups, out: Tensor, x: Tensor, layer: int, place: Place) -> None:
    pair = groups.stack[layer].get(place)
    if pair is None:
        return
    count = groups.number
    if groups.rows is None or groups.kept is None:
        low = torch.bmm(x.view(count, -1, x.shape[1]), pair[0])
        out.view(count, -1, out.shape[1]).baddbmm_(low, pair[1])
        return
    low = torch.bmm(x.index_select(0, groups.rows).view(count, -1, x.shape[1]), pair[0])
    full = torch.bmm(low, pair[1]).view(-1, out.shape[1])
    out.index_add_(0, groups.rows.index_select(0, groups.kept), full.index_select(0, groups.kept))


def stacked(loras: list[Lora]) -> tuple[Mapping[Place, Pair], ...]:
    """Several adapters' matrices as [adapters, …], ranks padded with zeros to the largest."""
    layers: list[dict[Place, Pair]] = []
    for layer in range(len(loras[0].layers)):
        places: set[Place] = {place for lora in loras for place in lora.layers[layer]}
        layers.append({place: stack_pairs([lora.layers[layer].get(place) for lora in loras]) for place in places})
    return tuple(layers)


def stack_pairs(pairs: list[Pair | None]) -> Pair:
    there = [pair for pair in pairs if pair is not None]
    left, right = there[0]
    rank = max(pair[0].shape[1] for pair in there)
    down = left.new_zeros(len(pairs), left.shape[0], rank)
    up = right.new_zeros(len(pairs), rank, right.shape[1])
    for index, pair in enumerate(pairs):
        if pair is not None:
            down[index, :, : pair[0].shape[1]] = pair[0]
            up[index, : pair[1].shape[0]] = pair[1]
    return down, up


def size_of(lora: Lora) -> int:
    return sum(left.nbytes + right.nbytes for layer in lora.layers for left, right in layer.values())
