"""Stacks of adapters: they grow, change places and leave nothing behind, and a GPU that is full harms none."""

import weakref
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from inference.engine.compute.gpu.lora_stacks import RANK_UNIT, LoraStacks
from inference.engine.files.spec import read_spec
from inference.engine.weights.lora import Lora

CONFIG = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 20,
}


def adapter(rank: int, seed: int, places: Any = ("qkv", "down")):
    chance = torch.Generator().manual_seed(seed)
    widths = {"qkv": (8, 24), "down": (12, 8), "output": (8, 8)}
    layers = [
        {
            place: (
                torch.randn(widths[place][0], rank, generator=chance),
                torch.randn(rank, widths[place][1], generator=chance),
            )
            for place in places
        }
        for _ in range(2)
    ]
    return Lora(tuple(layers))


def test_stacks_hold_every_adapter_while_they_grow():
    """By slot, by rank, and by place: what was installed before stays what it was."""
    stacks = LoraStacks(read_spec(CONFIG))
    there = {}
    for slot, rank, places in ((1, 4, ("qkv",)), (2, 20, ("qkv", "down")), (7, 3, ("output",)), (1, 33, ("down",))):
        there[slot] = adapter(rank, slot + rank, places)
        stacks.install(slot, there[slot])
        for each, lora in there.items():
            for layer in range(2):
                for place in ("qkv", "down", "output"):
                    found = stacks.of(layer, place)
                    pair = lora.layers[layer].get(place)
                    if pair is None:
                        assert found is None or int(found[2][each]) == 0
                        continue
                    assert found is not None
                    down, up, ranks = found
                    assert int(ranks[each]) == pair[0].shape[1]
                    assert torch.allclose(down[each] @ up[each], pair[0] @ pair[1], atol=1e-5)
                    view = stacks.installed_in(each).layers[layer][place]
                    assert torch.equal(view[0], pair[0])
                    assert torch.equal(view[1], pair[1])
                    assert view[0].untyped_storage().data_ptr() == down.untyped_storage().data_ptr()


def test_a_swap_that_fits_keeps_the_tensors_and_one_that_does_not_says_so():
    stacks = LoraStacks(read_spec(CONFIG))
    stacks.install(1, adapter(16, 1))
    before, version = stacks.of(0, "qkv"), stacks.version
    assert before is not None
    stacks.remove(1)
    assert int(before[2][1]) == 0
    stacks.install(1, adapter(5, 2))
    after = stacks.of(0, "qkv")
    assert stacks.version == version
    assert after is not None
    assert [tensor.data_ptr() for tensor in before] == [tensor.data_ptr() for tensor in after]
    stacks.install(1, adapter(17, 4))
    assert stacks.version != version


def test_an_adapter_leaves_nothing_to_the_next_one_in_its_slot():
    """Torch's operations multiply by whatever stands in the slot, also where the next one has no matrices."""
    stacks = LoraStacks(read_spec(CONFIG))
    stacks.install(1, adapter(8, 1, ("qkv", "output", "down")))
    stacks.install(2, adapter(8, 2, ("qkv", "output", "down")))
    stacks.install(1, adapter(4, 3, ("qkv",)))
    for layer in range(2):
        for place in ("output", "down"):
            found = stacks.of(layer, place)
            assert found is not None
            assert [bool(stack[slot].any()) for slot in (1, 2) for stack in found[:2]] == [False, False, True, True]
            assert found[2].tolist()[:3] == [0, 0, 8]


class ShortOfMemory(TorchFunctionMode):
    """As when a GPU is full: the tensors after the first few cannot be had."""

    def __init__(self, enough_for: int):
        super().__init__()
        self.left = enough_for

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
        if func is torch.Tensor.new_zeros:
            self.left -= 1
            if self.left < 0:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("enough_for", [0, 1, 3, 7])
def test_growth_that_fails_half_way_changes_no_adapter(enough_for: int):
    """Graphs that were captured over what was replaced are told so, a smaller adapter still finds room, and the next growth is
    whole."""
    stacks = LoraStacks(read_spec(CONFIG))
    first, second, small = adapter(4, 1), adapter(40, 2), adapter(4, 3)
    stacks.install(1, first)
    version = stacks.version
    with ShortOfMemory(enough_for), pytest.raises(torch.OutOfMemoryError):
        stacks.install(9, second)
    assert stacks.installed == [1]
    assert (stacks.version != version) == (enough_for > 1)  # a place has two tensors
    with ShortOfMemory(0):
        stacks.install(1, first)
    assert_hold(stacks, {1: first})
    stacks.install(2, small)
    assert_hold(stacks, {1: first, 2: small})
    stacks.install(9, second)
    assert_hold(stacks, {1: first, 2: small, 9: second})


def assert_hold(stacks: LoraStacks, adapters: dict[int, Lora]):
    for slot, lora in adapters.items():
        for layer in range(2):
            for place in ("qkv", "down"):
                found = stacks.of(layer, place)
                assert found is not None
                assert torch.allclose(found[0][slot] @ found[1][slot], torch.mm(*lora.layers[layer][place]), atol=1e-5)


def test_room_is_made_for_what_is_there_and_no_more():
    """One adapter took five slots, and the fifth nine: memory that keys and values lack."""
    stacks = LoraStacks(read_spec(CONFIG))
    for slot in (1, 2, 5):
        stacks.install(slot, adapter(4, slot))
        found = stacks.of(0, "qkv")
        assert found is not None
        assert [each.shape[0] for each in found] == [slot + 1] * 3
        assert found[0].shape[2] == RANK_UNIT


def test_while_it_grows_only_one_place_is_there_twice():
    stacks = LoraStacks(read_spec(CONFIG))
    stacks.install(1, adapter(16, 1))
    old = [
        weakref.ref(each)
        for layer in range(2)
        for place in ("qkv", "down")
        for each in (stacks.of(layer, place) or ())[:2]
    ]
    alive: list[int] = []

    class Counting(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            if func is torch.Tensor.new_zeros:
                alive.append(sum(each() is not None for each in old))
            return func(*args, **(kwargs or {}))

    with Counting():
        stacks.install(2, adapter(16, 2))
    assert alive[0] == len(old) == 8
    assert alive[-1] <= 2
