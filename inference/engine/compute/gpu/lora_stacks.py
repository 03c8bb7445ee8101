"""All adapters in tensors of fixed shape, by layer and place: what lets a captured graph serve any mix of them.

Room grows in powers of two: for slots, and for the rank of each place. While it suffices, an adapter comes or goes as a copy
between two steps; when it has to grow, graphs that were captured over the old tensors are out of date.
"""

import torch
from torch import Tensor

from inference.engine.files.families import PLACES, Place
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.lora import Lora

RANK_UNIT = 16  # what the kernels read at once
Stack = tuple[Tensor, Tensor]  # [slots, in, rank] and [slots, rank, out]


class LoraStacks:
    """Slot 0 is the base: its rank is 0. `version` changes when tensors were replaced."""

    def __init__(self, spec: ModelSpec) -> None:
        self._stacks: list[dict[Place, Stack]] = [{} for _ in range(spec.layers)]
        self._ranks: list[dict[Place, Tensor]] = [{} for _ in range(spec.layers)]
        self._installed: dict[int, Lora] = {}  # views of the stacks
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
        """Copies an adapter into its slot."""
        before = self.version
        self._make_room(slot, lora)
        for layer, pairs in enumerate(lora.layers):
            for place, ranks in self._ranks[layer].items():
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
        self._installed[slot] = lora
        for each in self._installed if self.version != before else (slot,):
            self._installed[each] = self._view(each, self._installed[each])

    def remove(self, slot: int) -> None:
        """Leaves nothing of the adapter that a row could add."""
        self._installed.pop(slot, None)
        for layer in self._ranks:
            for ranks in layer.values():
                if slot < ranks.shape[0]:
                    ranks[slot] = 0

    def installed_in(self, slot: int) -> Lora:
        """An adapter's matrices where they stand in the stacks."""
        return self._installed[slot]

    def _view(self, slot: int, lora: Lora) -> Lora:
        layers: list[dict[Place, Stack]] = [
            {place: self._view_pair(slot, layer, place, pair[0].shape[1]) for place, pair in pairs.items()}
            for layer, pairs in enumerate(lora.layers)
        ]
        return Lora(tuple(layers), lora.blocks, lora.saved)

    def _view_pair(self, slot: int, layer: int, place: Place, rank: int) -> Stack:
        down, up = self._stacks[layer][place]
        return down[slot, :, :rank], up[slot, :rank]

    def _make_room(self, slot: int, lora: Lora) -> None:
        """All new tensors are made before any is used: when memory does not suffice, everything stays as it was."""
        room = self._room
        while room <= slot:
            room = 2 * room - 1 if room else 5  # the base and 4, 8, 16 … adapters
        grown: list[tuple[int, Place, tuple[Tensor, Tensor, Tensor]]] = []
        for layer, pairs in enumerate(lora.layers):
            for place in set(pairs) | set(self._stacks[layer]):
                made = self._grown(layer, place, pairs.get(place), room)
                if made is not None:
                    grown.append((layer, place, made))
        for layer, place, (down, up, ranks) in grown:
            self._stacks[layer][place] = down, up
            self._ranks[layer][place] = ranks
        if grown:
            self.version += 1
        self._room = room

    def _grown(self, layer: int, place: Place, pair: Stack | None, room: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Both stacks and ranks with room for the pair's rank and all slots; None when there is room already."""
        old = self._stacks[layer].get(place)
        rank = max(pair[0].shape[1] if pair else 0, old[0].shape[2] if old else 0)
        rank = -(-rank // RANK_UNIT) * RANK_UNIT
        if old is not None and (room, rank) == (old[0].shape[0], old[0].shape[2]):
            return None
        like = old or pair
        assert like is not None
        inputs, outputs = like[0].shape[-2], like[1].shape[-1]
        down, up = like[0].new_zeros(room, inputs, rank), like[1].new_zeros(room, rank, outputs)
        ranks = torch.zeros(room, dtype=torch.int32, device=down.device)
        if old is not None:
            slots, before = old[0].shape[0], old[0].shape[2]
            down[:slots, :, :before] = old[0]
            up[:slots, :before] = old[1]
            ranks[:slots] = self._ranks[layer][place]
        return down, up, ranks


def first_layer_of_zeros(spec: ModelSpec, dtype: torch.dtype, device: torch.device) -> Lora:
    """An adapter that adds nothing, in every place of the first layer."""

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=dtype, device=device)

    first: dict[Place, Stack] = {
        place: (zeros(spec.inputs(place), RANK_UNIT), zeros(RANK_UNIT, spec.outputs(place))) for place in PLACES
    }
    return Lora((first, *({} for _ in range(spec.layers - 1))))
