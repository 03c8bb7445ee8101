"""A dense copy of the decoding sequences' keys and values, so that a step need not gather them from the pages.

Sequences come and go, and grow by one token a step; each change costs what that sequence holds, never what all hold.
"""

import torch
from torch import Tensor

ROOM = 64  # tokens, the unit in which the copy grows
EVEN = 16  # tokens to which the part in use is rounded


class Dense:
    """`rows` [layers, slots, capacity, key_value]: the first `len(ids)` slots are in use, without holes."""

    def __init__(self, layers: int, width: int, dtype: torch.dtype, device: torch.device) -> None:
        self.rows = torch.zeros(layers, 0, 0, width, dtype=dtype, device=device)
        self.ids: list[int] = []
        self.lengths: list[int] = []
        self._slots: dict[int, int] = {}

    @property
    def slots(self) -> int:
        return self.rows.shape[1]

    @property
    def capacity(self) -> int:
        return self.rows.shape[2]

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
            self.rows[:, slot, :length] = self.rows[:, len(self.ids), :length]
            self.ids[slot], self.lengths[slot] = last, length
            self._slots[last] = slot

    def add(self, number: int, rows: Tensor) -> None:
        """Puts a sequence's rows [layers, tokens, key_value] behind the others; room for them must be there."""
        slot = len(self.ids)
        self.rows[:, slot, : rows.shape[1]] = rows
        self._slots[number] = slot
        self.ids.append(number)
        self.lengths.append(rows.shape[1])

    def grow(self, number: int) -> int:
        """A sequence gets one token more; returns where its keys and values go when all slots' rows are numbered."""
        slot = self._slots[number]
        position = self.lengths[slot]
        self.lengths[slot] = position + 1
        return slot * self.capacity + position

    def make_room(self, slots: int, tokens: int) -> None:
        """Room for so many sequences of so many tokens: a fourth more than asked for, and given back when much is too much."""
        enough = slots <= self.slots and tokens <= self.capacity
        wasteful = self.slots * self.capacity > 4 * (slots + 1) * (tokens + ROOM)
        if enough and not wasteful:
            return
        capacity = self.capacity if not wasteful and tokens <= self.capacity else spare(tokens, ROOM)
        number = self.slots if not wasteful and slots <= self.slots else spare(slots, 2)
        old, (layers, _, _, width) = self.rows, self.rows.shape
        # Zeros, not whatever was there: what lies beyond a sequence is multiplied by a weight of zero.
        self.rows = torch.zeros(layers, number, capacity, width, dtype=old.dtype, device=old.device)
        for slot, length in enumerate(self.lengths):
            self.rows[:, slot, :length] = old[:, slot, :length]


def spare(wanted: int, unit: int) -> int:
    return -(-(wanted + wanted // 4 + 1) // unit) * unit
