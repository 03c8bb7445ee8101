"""Paged KV book-keeping: which block belongs to whom, which are shared, which can be taken.

A full block may be shared by every sequence whose tokens up to its end are equal (and that uses the same adapter).
Equality is exact: a block's key is its parent's key and its tokens, not a hash that could collide. Freed blocks keep
their contents until they are needed.
"""

from collections import OrderedDict
from itertools import count

from inference.engine.schedule.sequence import Sequence

Key = tuple[int, tuple[int, ...]]


class BlockManager:
    """Hands out blocks of `block_size` tokens. Every block is either free, evictable (unowned but findable) or owned."""

    def __init__(self, number: int, block_size: int) -> None:
        self.number = number
        self.block_size = block_size
        self._free = list(range(number - 1, -1, -1))
        self._evictable: OrderedDict[int, None] = OrderedDict()  # oldest first
        self._owners = [0] * number
        self._by_key: dict[Key, tuple[int, int]] = {}  # key → block, content id
        self._key_of: dict[int, Key] = {}
        self._contents = count(1)

    @property
    def available(self) -> int:
        return len(self._free) + len(self._evictable)

    @property
    def used(self) -> int:
        return self.number - self.available

    def blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.block_size)

    def match_prefix(self, sequence: Sequence) -> int:
        """Gives the sequence the shared blocks that its tokens start with; returns how many tokens they hold.

        The last token is never taken from the cache: its logits are wanted.
        """
        assert not sequence.blocks
        size = self.block_size
        parent = -1 - sequence.salt
        for start in range(0, len(sequence.tokens) - size, size):
            found = self._by_key.get((parent, tuple(sequence.tokens[start : start + size])))
            if found is None:
                break
            block, parent = found
            self._own(block)
            sequence.blocks.append(block)
            sequence.sealed += 1
            sequence.seal_key = parent
        return len(sequence.blocks) * size

    def reserve(self, sequence: Sequence, tokens: int) -> bool:
        """Makes room for the sequence's first `tokens` tokens; False (and nothing taken) when blocks are short."""
        wanted = self.blocks_for(tokens) - len(sequence.blocks)
        if wanted > self.available:
            return False
        for _ in range(wanted):
            sequence.blocks.append(self._take())
        return True

    def seal(self, sequence: Sequence) -> None:
        """Registers the sequence's computed full blocks, so that others may share them."""
        size = self.block_size
        while (sequence.sealed + 1) * size <= sequence.computed:
            index = sequence.sealed
            parent = sequence.seal_key if index else -1 - sequence.salt
            key = (parent, tuple(sequence.tokens[index * size : (index + 1) * size]))
            known = self._by_key.get(key)
            if known is None:
                known = (sequence.blocks[index], next(self._contents))
                self._by_key[key] = known
                self._key_of[known[0]] = key
            sequence.seal_key = known[1]
            sequence.sealed += 1

    def release(self, sequence: Sequence) -> None:
        """Gives every block back; the last ones first, so that a prefix outlives what followed it."""
        for block in reversed(sequence.blocks):
            self._owners[block] -= 1
            assert self._owners[block] >= 0
            if self._owners[block] == 0:
                if block in self._key_of:
                    self._evictable[block] = None
                else:
                    self._free.append(block)
        sequence.blocks.clear()
        sequence.sealed = 0
        sequence.seal_key = 0

    def _own(self, block: int) -> None:
        if self._owners[block] == 0:
            del self._evictable[block]
        self._owners[block] += 1

    def _take(self) -> int:
        if self._free:
            block = self._free.pop()
        else:
            block, _ = self._evictable.popitem(last=False)
            del self._by_key[self._key_of.pop(block)]
        self._owners[block] = 1
        return block
