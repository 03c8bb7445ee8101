"""Blocks: one owner or rightful sharers, none lost, none handed out twice; as a state machine."""

from collections import Counter
from collections.abc import Iterable
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.sequence import SamplingParams, Sequence

SIZE, NUMBER = 4, 12


def sequence(tokens: Iterable[int], salt: int = 0):
    known = list(tokens)
    return Sequence(0, known, len(known), SamplingParams(max_tokens=8), 0, salt=salt, random=Random(0))


class Blocks(RuleBasedStateMachine):
    """Contents are tracked outside: which tokens (with all before them) stand in each block."""

    def __init__(self):
        super().__init__()
        self.manager = BlockManager(NUMBER, SIZE)
        self.live = []
        self.contents = {}

    @rule(tokens=st.lists(st.integers(0, 1), min_size=1, max_size=24), salt=st.integers(0, 1))
    def begin(self, tokens: list[int], salt: int):
        fresh = sequence(tokens, salt)
        shared = self.manager.match_prefix(fresh)
        assert shared < len(tokens)
        for index, block in enumerate(fresh.blocks):
            assert self.contents[block] == (salt, tuple(tokens[: (index + 1) * SIZE]))
        if not self.manager.reserve(fresh, len(tokens)):
            self.manager.release(fresh)
            return
        fresh.computed = shared
        self.live.append(fresh)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), count=st.integers(1, 9))
    def compute(self, data: st.DataObject, count: int):
        chosen = data.draw(st.sampled_from(self.live))
        before = chosen.computed
        chosen.computed = min(chosen.computed + count, len(chosen.tokens))
        for position in range(before, chosen.computed):
            block = chosen.blocks[position // SIZE]
            assert self.manager._owners[block] == 1, "a shared block is never written to"
            self.contents[block] = (chosen.salt, tuple(chosen.tokens[: position + 1]))
        self.manager.seal(chosen)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), token=st.integers(0, 1))
    def grow(self, data: st.DataObject, token: int):
        chosen = data.draw(st.sampled_from(self.live))
        if self.manager.reserve(chosen, len(chosen.tokens) + 1):
            chosen.tokens.append(token)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def end(self, data: st.DataObject):
        chosen = data.draw(st.sampled_from(self.live))
        self.live.remove(chosen)
        self.manager.release(chosen)

    @invariant()
    def owners_are_counted(self):
        owners = Counter(block for one in self.live for block in one.blocks)
        assert [owners.get(block, 0) for block in range(NUMBER)] == self.manager._owners

    @invariant()
    def every_block_is_in_one_place(self):
        free, evictable = set(self.manager._free), set(self.manager._evictable)
        owned = {block for block in range(NUMBER) if self.manager._owners[block]}
        assert len(self.manager._free) == len(free)
        assert len(free) + len(evictable) + len(owned) == NUMBER
        assert free | evictable | owned == set(range(NUMBER))

    @invariant()
    def what_can_be_found_holds_what_it_says(self):
        for block in self.manager._key_of:
            assert len(self.contents[block][1]) % SIZE == 0

    def teardown(self):
        for one in self.live:
            self.manager.release(one)
        assert self.manager.available == NUMBER


TestBlocks = Blocks.TestCase
TestBlocks.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def test_a_second_request_shares_the_first_ones_prefix():
    manager = BlockManager(NUMBER, SIZE)
    first = sequence(range(10))
    assert manager.reserve(first, 10)
    first.computed = 10
    manager.seal(first)
    second = sequence(range(10))
    assert manager.match_prefix(second) == 8
    assert second.blocks == first.blocks[:2]
    other = sequence(range(10), salt=1)
    assert manager.match_prefix(other) == 0


def test_a_prefix_outlives_its_sequence_until_the_room_is_needed():
    manager = BlockManager(4, SIZE)
    first = sequence(range(9))
    assert manager.reserve(first, 9)
    first.computed = 9
    manager.seal(first)
    manager.release(first)
    again = sequence(range(9))
    assert manager.match_prefix(again) == 8
    manager.release(again)
    big = sequence(range(100, 116))
    assert manager.reserve(big, 16)
    manager.release(big)
    assert manager.match_prefix(sequence(range(9))) == 0
