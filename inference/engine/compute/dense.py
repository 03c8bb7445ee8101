"""A dense copy of the decoding sequences' keys and values, so that a step need not gather them from the pages.

Sequences come and go, and grow by one token a step; each change costs what that sequence holds, never what all hold. More
room is made before it is needed, a few layers in each step: moving all layers at once would be a pause for everybody.
"""

import torch
from torch import Tensor

ROOM = 64  # tokens, the unit in which the copy grows
EVEN = 16  # tokens to which the part in use is rounded
AHEAD = 32  # tokens before the end at which the layers begin to move
SLOTS = 8  # made at first; twice as many whenever they do not suffice, since one that is never used takes no memory
SMALL = 64 << 20  # bytes below which room that is too much is kept


class Dense:
    """`layers[layer]` [2 (keys, values), slots, heads, capacity, head_dim]: each head's rows stand one after the other, as
    attention reads them. The first `len(ids)` slots are in use, without holes. While room is being made some layers have
    more capacity than others."""

    def __init__(self, layers: int, heads: int, head_dim: int, dtype: torch.dtype, device: torch.device) -> None:
        self.layers = [torch.empty(2, 0, heads, 0, head_dim, dtype=dtype, device=device) for _ in range(layers)]
        self._heads = heads
        self.ids: list[int] = []
        self.lengths: list[int] = []
        self._slots: dict[int, int] = {}
        self._clean = (
            0  # leading slots that hold finite numbers throughout: what lies beyond a sequence is multiplied by 0
        )
        self._goal = 0  # the capacity that the layers are moving to

    @property
    def slots(self) -> int:
        return self.layers[0].shape[1]

    @property
    def capacity(self) -> int:
        """What every layer has room for."""
        return min(layer.shape[3] for layer in self.layers)

    @property
    def used(self) -> int:
        """Tokens up to which the longest sequence reaches."""
        return min(-(-max(self.lengths) // EVEN) * EVEN, self.capacity)

    def holds(self, number: int, length: int) -> bool:
        """Whether a sequence is there with just so many tokens."""
        slot = self._slots.get(number)
        return slot is not None and self.lengths[slot] == length

    def slot(self, number: int) -> int:
        return self._slots[number]

    def drop(self, number: int) -> None:
        """Takes a sequence out; the last one moves into its place."""
        slot = self._slots.pop(number, None)
        if slot is None:
            return
        last, length = self.ids.pop(), self.lengths.pop()
        if slot < len(self.ids):
            for layer in self.layers:
                layer[:, slot, :, :length] = layer[:, len(self.ids), :, :length]
            self.ids[slot], self.lengths[slot] = last, length
            self._slots[last] = slot

    def add(self, number: int, rows: Tensor) -> None:
        """Puts a sequence's rows [layers, tokens, 2 × heads × head_dim] behind the others; room must be there."""
        slot, length = len(self.ids), rows.shape[1]
        for layer, own in zip(self.layers, rows, strict=True):
            layer[:, slot, :, :length] = own.view(length, 2, self._heads, -1).movedim(0, 2)
            if slot >= self._clean:
                layer[:, slot, :, length:] = 0
        self._clean = max(self._clean, slot + 1)
        self._slots[number] = slot
        self.ids.append(number)
        self.lengths.append(length)

    def grow(self, number: int) -> None:
        """A sequence gets one token more."""
        self.lengths[self._slots[number]] += 1

    def newest(self, numbers: list[int], capacity: int) -> Tensor:
        """Where the sequences' newest tokens go in a layer of that capacity, when all its rows of head_dim numbers are
        counted through: int64 [sequences × 2 × heads]."""
        slots = [self._slots[number] for number in numbers]
        rows = torch.tensor([slot * self._heads * capacity + self.lengths[slot] - 1 for slot in slots])
        parts = torch.arange(2).unsqueeze(1) * self.slots * self._heads + torch.arange(self._heads)
        return (rows.view(-1, 1) + (parts * capacity).view(1, -1)).flatten().to(self.layers[0].device)

    def make_room(self, slots: int, tokens: int) -> None:
        """Room for so many sequences of so many tokens. Called at every step: room is made ahead of need, and given back
        when much is too much."""
        capacity = self.capacity
        if slots > self.slots or tokens > capacity:
            number = self.slots if slots <= self.slots else max(SLOTS, 2 ** (slots - 1).bit_length())
            self._move_all(number, capacity if tokens <= capacity else spare(tokens))
        elif self._clean * capacity > 4 * (slots + 1) * (tokens + ROOM) and self._bytes > SMALL:
            self._move_all(max(SLOTS, 2 ** (slots - 1).bit_length()), spare(tokens))
        elif tokens + AHEAD > capacity:
            self._goal = max(self._goal, spare(tokens + AHEAD))
            behind = [index for index, layer in enumerate(self.layers) if layer.shape[3] < self._goal]
            for index in behind[: -(-2 * len(self.layers) // AHEAD)]:
                self._move(index, self.slots, self._goal)

    @property
    def _bytes(self) -> int:
        """What is in memory: slots that were never used are not."""
        of_all = sum(layer.nbytes for layer in self.layers)
        return of_all * self._clean // max(self.slots, 1)

    def _move_all(self, slots: int, capacity: int) -> None:
        self._goal = capacity
        for index in range(len(self.layers)):
            self._move(index, slots, capacity)

    def _move(self, index: int, slots: int, capacity: int) -> None:
        """A layer to memory of another size. Slots that nothing uses are not touched there."""
        old, count, longest = self.layers[index], len(self.ids), max(self.lengths, default=0)
        new = old.new_empty(2, slots, self._heads, capacity, old.shape[4])
        new[:, :count, :, :longest] = old[:, :count, :, :longest]
        new[:, :count, :, longest:] = 0
        self.layers[index] = new
        self._clean = min(self._clean, count)


def spare(tokens: int) -> int:
    """A fourth more."""
    return -(-(tokens + tokens // 4 + 1) // ROOM) * ROOM
