"""Adapters over a batch: which rows use which, and their low-rank products added to those rows.

A single adapter is two products a matrix. Several at once are done as one batched product over groups of rows, for
which their matrices are stacked: once for each combination of adapters that stays in use. Where a matrix joins several
projections, each is multiplied alone: the zeros between them would be read at every step.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from inference.engine.files.adapter import BASE_SLOT
from inference.engine.files.families import Place
from inference.engine.weights.lora import Block, Lora, Pair
from inference.engine.weights.matrix import makes_code
from inference.engine.weights.whole_modules import Saved

STACKS = 4  # combinations kept
STACK_AFTER = 8  # steps that a combination must be used in before its stack is worth making
STACK_BYTES = 512 << 20
WORTH = 192 << 10  # bytes of zeros whose reading costs more than one more product


@dataclass(frozen=True)
class Run:
    """Neighbouring rows of one adapter."""

    begin: int
    end: int
    slot: int


class Up(NamedTuple):
    """A projection's B, and which ranks and columns it stands for. [rank, columns], or [adapters, rank, columns]."""

    ranks: slice
    columns: slice
    matrix: Tensor


class Product(NamedTuple):
    """A low-rank product: A's of all projections side by side, then each projection's B."""

    down: Tensor
    ups: tuple[Up, ...]


Products = tuple[Mapping[Place, Product], ...]


@dataclass(frozen=True)
class Groups:
    """Runs as equal groups of rows: `rows` names them, padded; `kept` are the places in it that are no padding."""

    stack: Products
    number: int
    rows: Tensor | None  # None: the batch's rows as they stand
    kept: Tensor | None


@dataclass(frozen=True)
class LoraBatch:
    """What `add` needs for one step of `rows` rows."""

    rows: int
    runs: tuple[tuple[Run, Products], ...]
    groups: Groups | None = None
    saved: tuple[tuple[int, int, Saved], ...] = ()  # rows (from, to) of adapters with an embedding or head of their own

    def add(self, out: Tensor, x: Tensor, layer: int, place: Place) -> None:
        """Adds each run's low-rank product to its rows of `out`, in place."""
        if self.groups is not None:
            add_groups(self.groups, out, x, layer, place)
            return
        for run, products in self.runs:
            product = products[layer].get(place)
            if product is None:
                continue
            if run.end - run.begin == self.rows:
                add_product(product, out, x)
            else:
                add_product(product, out[run.begin : run.end], x[run.begin : run.end])


def add_product(product: Product, out: Tensor, x: Tensor) -> None:
    if makes_code(x):
        add_in_few_sizes(product, out, x)
        return
    low = torch.mm(x, product.down)
    if len(product.ups) == 1 and product.ups[0].matrix.shape[1] == out.shape[1]:
        out.addmm_(low, product.ups[0].matrix)
        return
    for ranks, columns, matrix in product.ups:
        out[:, columns].addmm_(low[:, ranks], matrix)


def add_in_few_sizes(product: Product, out: Tensor, x: Tensor) -> None:
    """The same where every number of rows costs memory (see matrix.py). Each rank has code of its own, so the sizes are
    powers of two."""
    rows = x.shape[0]
    more = (1 << (rows - 1).bit_length()) - rows
    low = torch.mm(pad(x, (0, 0, 0, more)) if more else x, product.down)
    for ranks, columns, matrix in product.ups:
        out[:, columns] += torch.mm(low[:, ranks], matrix)[:rows]


class LoraSlots:
    """The adapters by slot, and stacks of those that are used together. Belongs to the engine's thread.

    `stacks`: whether combinations are stacked at all. On a GPU they are not: rows that decode have the decode path's own
    stacks, and the memory of a second set is in no budget. Nor in 16 bits on a CPU, where each shape of a product costs
    memory for good.
    """

    def __init__(self, stacks: bool = True) -> None:
        self._combine = stacks
        self._slots: dict[int, Lora] = {}
        self._products: dict[int, Products] = {}
        self._stacks: OrderedDict[tuple[int, ...], Products] = OrderedDict()
        self._uses: Counter[tuple[int, ...]] = Counter()

    def install(self, slot: int, lora: Lora) -> None:
        self.remove(slot)
        self._slots[slot] = lora
        self._products[slot] = products_of(lora)

    def remove(self, slot: int) -> None:
        self._slots.pop(slot, None)
        self._products.pop(slot, None)
        for slots in [slots for slots in self._stacks if slot in slots]:
            del self._stacks[slots]
        self._uses.clear()

    def saved(self, slot: int) -> Saved | None:
        lora = self._slots.get(slot)
        return None if lora is None else lora.saved

    def batch(self, adapters: list[int], device: torch.device) -> LoraBatch:
        """`adapters` is each row's slot, equal ones mostly side by side."""
        runs = runs_of(adapters)
        products = tuple((run, self._products[run.slot]) for run in runs)
        saved = tuple((run.begin, run.end, own) for run in runs if (own := self.saved(run.slot)) is not None)
        if len(runs) < 2:
            return LoraBatch(len(adapters), products, None, saved)
        stack = self._stack(tuple(run.slot for run in runs))
        groups = None if stack is None else groups_of(runs, stack, len(adapters), device)
        return LoraBatch(len(adapters), products, groups, saved)

    def _stack(self, slots: tuple[int, ...]) -> Products | None:
        if not self._combine:
            return None
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


def groups_of(runs: list[Run], stack: Products, rows: int, device: torch.device) -> Groups | None:
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
    product = groups.stack[layer].get(place)
    if product is None:
        return
    count, width = groups.number, out.shape[1]
    if groups.rows is None or groups.kept is None:
        low = torch.bmm(x.view(count, -1, x.shape[1]), product.down)
        wide = out.view(count, -1, width)
        for ranks, columns, matrix in product.ups:
            wide[:, :, columns].baddbmm_(low[:, :, ranks], matrix)
        return
    low = torch.bmm(x.index_select(0, groups.rows).view(count, -1, x.shape[1]), product.down)
    rows = groups.rows.index_select(0, groups.kept)
    for ranks, columns, matrix in product.ups:
        full = torch.bmm(low[:, :, ranks], matrix).view(-1, matrix.shape[2])
        out[:, columns].index_add_(0, rows, full.index_select(0, groups.kept))


def products_of(lora: Lora) -> Products:
    """An adapter as it is multiplied: views of its matrices, nothing copied."""
    return tuple(
        {place: product_of(pair, blocks_of(lora, layer, place)) for place, pair in pairs.items()}
        for layer, pairs in enumerate(lora.layers)
    )


def blocks_of(lora: Lora, layer: int, place: Place) -> tuple[Block, ...]:
    """The projections that are multiplied alone: all or, where few zeros stand between them, none."""
    _, right = lora.layers[layer][place]
    blocks = lora.blocks[layer][place] if lora.blocks else ()
    zeros = right.numel() - sum(block.ranks * block.columns for block in blocks)
    if blocks and (zeros * right.element_size() >= WORTH * (len(blocks) - 1)):
        return blocks
    return (Block(0, right.shape[0], 0, right.shape[1]),)


def product_of(pair: Pair, blocks: tuple[Block, ...]) -> Product:
    ups: list[Up] = []
    for block in blocks:
        ranks = slice(block.rank, block.rank + block.ranks)
        columns = slice(block.column, block.column + block.columns)
        ups.append(Up(ranks, columns, pair[1][ranks, columns]))
    return Product(pair[0], tuple(ups))


def stacked(loras: list[Lora]) -> Products:
    """Several adapters' matrices as [adapters, …]."""
    layers: list[dict[Place, Product]] = []
    for layer in range(len(loras[0].layers)):
        places: set[Place] = {place for lora in loras for place in lora.layers[layer]}
        layers.append({place: stack_place(loras, layer, place) for place in places})
    return tuple(layers)


def stack_place(loras: list[Lora], layer: int, place: Place) -> Product:
    """One matrix of several adapters: each projection's ranks padded with zeros to the largest of them."""
    blocks = [blocks_of(lora, layer, place) if place in lora.layers[layer] else () for lora in loras]
    spans = sorted({(block.column, block.columns) for each in blocks for block in each})
    most = {span: max(b.ranks for each in blocks for b in each if (b.column, b.columns) == span) for span in spans}
    left, right = next(lora.layers[layer][place] for lora in loras if place in lora.layers[layer])
    down = left.new_zeros(len(loras), left.shape[0], sum(most.values()))
    ups: list[Up] = []
    first = 0
    for span in spans:
        up = right.new_zeros(len(loras), most[span], span[1])
        for index, each in enumerate(blocks):
            for block in each:
                if (block.column, block.columns) == span:
                    a, b = loras[index].layers[layer][place]
                    ranks = slice(block.rank, block.rank + block.ranks)
                    down[index, :, first : first + block.ranks] = a[:, ranks]
                    up[index, : block.ranks] = b[ranks, block.column : block.column + block.columns]
        ups.append(Up(slice(first, first + most[span]), slice(span[0], span[0] + span[1]), up))
        first += most[span]
    return Product(down, tuple(ups))


def size_of(lora: Lora) -> int:
    return sum(left.nbytes + right.nbytes for layer in lora.layers for left, right in layer.values())
