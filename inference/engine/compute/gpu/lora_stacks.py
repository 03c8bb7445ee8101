"""All adapters in tensors of fixed shape, by layer and place: what lets a captured graph serve any mix of them.

Room grows by what is needed, for slots and for the rank of each place: it is memory that keys and values lack. While it
suffices, an adapter comes or goes as a copy between two steps; when it has to grow, graphs that were captured over the old
tensors are out of date. It grows place by place, so that of one place only the old and the new are there at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.engine.files.families import PLACES, Place
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.lora import Block, Lora
from inference.engine.weights.whole_modules import Saved

RANK_UNIT = 16  # what the kernels read at once
Stack = tuple[Tensor, Tensor]  # [slots, in, rank] and [slots, rank, out]


@dataclass(frozen=True)
class Held:
    """What is known of an adapter in the stacks, beside its numbers there: each matrix's rank, by layer and place."""

    ranks: tuple[Mapping[Place, int], ...]
    blocks: tuple[Mapping[Place, tuple[Block, ...]], ...]
    saved: Saved | None


class LoraStacks:
    """Slot 0 is the base: its rank is 0. `version` changes when tensors were replaced."""

    def __init__(self, spec: ModelSpec) -> None:
        self._stacks: list[dict[Place, Stack]] = [{} for _ in range(spec.layers)]
        self._ranks: list[dict[Place, Tensor]] = [{} for _ in range(spec.layers)]
        self._installed: dict[int, Held] = {}
        self._room = 0
        self.version = 0

    @property
    def installed(self) -> list[int]:
        return list(self._installed)

    def of(self, layer: int, place: Place) -> tuple[Tensor, Tensor, Tensor] | None:
        """Both stacks and int32 ranks [slots]; None while no adapter has this place."""
        found = self._stacks[layer].get(place)
        return None if found is None else (*found, self._ranks[layer][place])

    def install(self, slot: int, lora: Lora) -> None:
        """Copies an adapter into its slot. When memory does not suffice for its room, all others stay what they were, though some
        may stand elsewhere."""
        self._make_room(slot, lora)
        for layer, pairs in enumerate(lora.layers):
            for place, ranks in self._ranks[layer].items():
                if slot < ranks.shape[0]:
                    ranks[slot] = pairs[place][0].shape[1] if place in pairs else 0
            for place in self._stacks[layer].keys() - pairs.keys():
                # Not every operation looks at the rank: what the adapter before left here would be added.
                for stack in self._stacks[layer][place]:
                    stack[slot].zero_()
            for place, (left, right) in pairs.items():
                down, up = self._stacks[layer][place]
                # The room behind the rank is read together with it, so it must hold zeros.
                down[slot].zero_()[:, : left.shape[1]].copy_(left)
                up[slot].zero_()[: right.shape[0]].copy_(right)
        known: list[dict[Place, int]] = [
            {place: pair[0].shape[1] for place, pair in pairs.items()} for pairs in lora.layers
        ]
        self._installed[slot] = Held(tuple(known), lora.blocks, lora.saved)

    def remove(self, slot: int) -> None:
        """Leaves nothing of the adapter that a row could add."""
        self._installed.pop(slot, None)
        for layer in self._ranks:
            for ranks in layer.values():
                if slot < ranks.shape[0]:
                    ranks[slot] = 0

    def installed_in(self, slot: int) -> Lora:
        """An adapter's matrices where they stand in the stacks. Whoever keeps them keeps the stacks' memory."""
        held = self._installed[slot]
        layers: list[dict[Place, Stack]] = [
            {place: self._view(slot, layer, place, rank) for place, rank in ranks.items()}
            for layer, ranks in enumerate(held.ranks)
        ]
        return Lora(tuple(layers), held.blocks, held.saved)

    def _view(self, slot: int, layer: int, place: Place, rank: int) -> Stack:
        down, up = self._stacks[layer][place]
        return down[slot, :, :rank], up[slot, :rank]

    def _make_room(self, slot: int, lora: Lora) -> None:
        """Every place that anybody has gets the same number of slots, since whoever multiplies looks each row's slot up."""
        room = max(self._room, slot + 1)
        for layer, pairs in enumerate(lora.layers):
            for place in set(pairs) | set(self._stacks[layer]):
                made = self._grown(layer, place, pairs.get(place), room)
                if made is not None:
                    self.version += 1
                    down, up, ranks = made
                    self._stacks[layer][place] = down, up
                    self._ranks[layer][place] = ranks
        self._room = room

    def _grown(self, layer: int, place: Place, pair: Stack | None, room: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Both stacks and ranks with room for the pair's rank and all slots; None when there is room already."""
        old = self._stacks[layer].get(place)
        rank = max(pair[0].shape[1] if pair else 0, old[0].shape[2] if old else 0)
        rank = -(-rank // RANK_UNIT) * RANK_UNIT
        room = max(room, old[0].shape[0] if old else 0)  # a growth that failed got further here
        if old is not None and (room, rank) == (old[0].shape[0], old[0].shape[2]):
            return None
        like = old or pair
        assert like is not None
        inputs, outputs = like[0].shape[-2], like[1].shape[-1]
        down, up = like[0].new_zeros(room, inputs, rank), like[1].new_zeros(room, rank, outputs)
        ranks = torch.zeros(room, dtype=torch.int32, device=down.device)
        if old is not None:
            slots, before = old[0].shape[0], old[0].shape[2]
            down[:slots, :, :before].copy_(old[0])
            up[:slots, :before].copy_(old[1])
            ranks[:slots].copy_(self._ranks[layer][place])
        return down, up, ranks


def first_layer_of_zeros(spec: ModelSpec, dtype: torch.dtype, device: torch.device) -> Lora:
    """An adapter that adds nothing, in every place of the first layer."""

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=dtype, device=device)

    first: dict[Place, Stack] = {
        place: (zeros(spec.inputs(place), RANK_UNIT), zeros(RANK_UNIT, spec.outputs(place))) for place in PLACES
    }
    return Lora((first, *({} for _ in range(spec.layers - 1))))
