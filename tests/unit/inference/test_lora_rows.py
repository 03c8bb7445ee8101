"""Several adapters in one batch: grouped products equal the products row by row, in every arrangement."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engine.compute import lora_rows
from inference.engine.compute.lora_rows import STACK_AFTER, LoraSlots, runs_of
from inference.engine.weights.lora import Block, Lora

INPUTS, OUTPUTS = 6, 10
CPU = torch.device("cpu")


def lora(rank: int, seed: int, places: Any = ("qkv", "down")):
    chance = torch.Generator().manual_seed(seed)
    pair = {
        place: (torch.randn(INPUTS, rank, generator=chance), torch.randn(rank, OUTPUTS, generator=chance))
        for place in places
    }
    return Lora((pair,))


def lora_of_blocks(seed: int, *blocks: Any):
    """Several projections in one matrix: zeros beside the blocks."""
    chance = torch.Generator().manual_seed(seed)
    ranks = sum(block.ranks for block in blocks)
    up = torch.zeros(ranks, OUTPUTS)
    for block in blocks:
        values = torch.randn(block.ranks, block.columns, generator=chance)
        up[block.rank : block.rank + block.ranks, block.column : block.column + block.columns] = values
    return Lora(({"qkv": (torch.randn(INPUTS, ranks, generator=chance), up)},), ({"qkv": blocks},))


LORAS = {
    1: lora_of_blocks(1, Block(0, 2, 0, 4), Block(2, 3, 4, 6)),
    2: lora_of_blocks(2, Block(0, 4, 4, 6)),
    3: lora(3, 3, places=("qkv", "down")),
}


def expected(adapters: Any, x: torch.Tensor, out: torch.Tensor, place: Any):
    rows = []
    for row, slot in enumerate(adapters):
        pair = LORAS[slot].layers[0].get(place) if slot else None
        rows.append(out[row] if pair is None else out[row] + x[row] @ pair[0] @ pair[1])
    return torch.stack(rows)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=14), st.booleans(), st.sampled_from([0, lora_rows.WORTH]))
def test_grouped_products_equal_those_row_by_row(adapters: Any, ordered: bool, worth: int):
    """`worth` 0: every projection is multiplied alone."""
    slots = LoraSlots()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lora_rows, "WORTH", worth)  # patched: matrices this small never reach the real bound
        compare(slots, adapters, ordered)


def compare(slots: LoraSlots, adapters: Any, ordered: bool):
    for slot, one in LORAS.items():
        slots.install(slot, one)
    adapters = sorted(adapters) if ordered else adapters
    x, out = torch.randn(len(adapters), INPUTS), torch.randn(len(adapters), OUTPUTS)
    for _ in range(STACK_AFTER):
        slots.batch(adapters, CPU)
    batch = slots.batch(adapters, CPU)
    for place in ("qkv", "down", "output"):
        done = out.clone()
        batch.add(done, x, 0, place)
        assert torch.allclose(done, expected(adapters, x, out, place), atol=1e-5)


def test_a_combination_in_use_is_stacked_and_a_replaced_adapter_ends_its_stack():
    slots = LoraSlots()
    slots.install(1, LORAS[1])
    slots.install(2, LORAS[2])
    for _ in range(STACK_AFTER):
        slots.batch([1, 1, 2, 2], CPU)
    batch = slots.batch([1, 1, 2, 2], CPU)
    assert batch.groups is not None
    assert batch.groups.rows is None
    slots.install(2, lora(4, 9))
    assert slots.batch([1, 1, 2, 2], CPU).groups is None


def test_nothing_is_stacked_where_its_memory_is_in_no_budget():
    slots = LoraSlots(stacks=False)
    slots.install(1, LORAS[1])
    slots.install(2, LORAS[2])
    x, out = torch.randn(4, INPUTS), torch.randn(4, OUTPUTS)
    batches = [slots.batch([1, 1, 2, 2], CPU) for _ in range(2 * STACK_AFTER)]
    assert all(batch.groups is None for batch in batches)
    done = out.clone()
    batches[-1].add(done, x, 0, "qkv")
    assert torch.allclose(done, expected([1, 1, 2, 2], x, out, "qkv"), atol=1e-5)


def test_runs_leave_out_the_base():
    assert [(run.begin, run.end, run.slot) for run in runs_of([0, 1, 1, 0, 2])] == [(1, 3, 1), (4, 5, 2)]
    with pytest.raises(KeyError):
        LoraSlots().batch([7], CPU)
