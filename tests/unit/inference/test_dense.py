"""The dense copy of the decoding sequences' rows against a dictionary of what each sequence holds."""

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inference.engine.compute.dense import EVEN, Dense

LAYERS, HEADS, WIDTH = 3, 2, 3


class DenseMachine(RuleBasedStateMachine):
    """Sequences come with some rows, grow by one, and go in any order."""

    def __init__(self):
        super().__init__()
        self.dense = Dense(LAYERS, HEADS, WIDTH, torch.float32, torch.device("cpu"))
        self.held = {}
        self.numbers = 0
        self.values = 0.0

    def fresh(self, tokens: int):
        self.values += 1.0
        return torch.arange(LAYERS * tokens * 2 * HEADS * WIDTH).view(LAYERS, tokens, -1) + 0.1 * self.values

    @rule(tokens=st.integers(1, 200))
    def add(self, tokens: int):
        longest = max([tokens, *(rows.shape[1] for rows in self.held.values())])
        self.dense.make_room(len(self.held) + 1, longest + 1)
        self.numbers += 1
        self.held[self.numbers] = self.fresh(tokens)
        self.dense.add(self.numbers, self.held[self.numbers])

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def drop(self, data: st.DataObject):
        number = data.draw(st.sampled_from(sorted(self.held)))
        self.dense.drop(number)
        del self.held[number]
        self.dense.drop(number)  # a second time changes nothing

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def grow(self, data: st.DataObject):
        number = data.draw(st.sampled_from(sorted(self.held)))
        longest = max(rows.shape[1] for rows in self.held.values())
        self.dense.make_room(len(self.held), longest + 1)
        self.dense.grow(number)
        row = self.fresh(1)
        for layer, own in zip(self.dense.layers, row, strict=True):
            places = self.dense.newest([number], layer.shape[3])
            layer.view(-1, WIDTH).index_copy_(0, places, own.view(-1, WIDTH))
        self.held[number] = torch.cat([self.held[number], row], dim=1)

    @invariant()
    def every_sequence_has_its_rows(self):
        assert sorted(self.dense.ids) == sorted(self.held)
        for number, rows in self.held.items():
            slot = self.dense.slot(number)
            assert slot < len(self.held)
            assert self.dense.holds(number, rows.shape[1])
            assert not self.dense.holds(number, rows.shape[1] + 1)
            for layer, own in zip(self.dense.layers, rows, strict=True):
                there = layer[:, slot, :, : rows.shape[1]].permute(2, 0, 1, 3).flatten(1)
                assert torch.equal(there, own)
            assert rows.shape[1] <= self.dense.used <= self.dense.capacity

    @invariant()
    def what_is_multiplied_is_finite(self):
        if self.held:
            longest = max(rows.shape[1] for rows in self.held.values())
            assert self.dense.used <= longest + EVEN
            for layer in self.dense.layers:
                assert bool(torch.isfinite(layer[:, : len(self.held)]).all())


TestDense = DenseMachine.TestCase
TestDense.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)


def long_lived(layers: int = 1, width: int = 32, tokens: int = 100):
    dense = Dense(layers, 1, width, torch.float32, torch.device("cpu"))
    dense.make_room(1, tokens + 1)
    dense.add(1, torch.zeros(layers, tokens, 2 * width))
    return dense


def test_room_is_made_ahead_and_never_more_than_a_few_layers_in_one_step():
    dense = long_lived(layers=40)
    moved = []
    for tokens in range(101, 900):
        before = list(dense.layers)
        dense.make_room(1, tokens)
        moved.append(sum(a is not b for a, b in zip(before, dense.layers, strict=True)))
        dense.grow(1)
        assert tokens <= dense.capacity
    assert max(moved) == 3
    assert sum(moved) < 40 * 10


def test_much_too_much_memory_is_given_back_and_little_is_kept():
    for width, given_back in ((256, True), (4, False)):
        dense = Dense(2, 1, width, torch.float32, torch.device("cpu"))
        dense.make_room(9, 3000)
        for number in range(9):
            dense.add(number, torch.zeros(2, 2999, 2 * width))
        for number in range(1, 9):
            dense.drop(number)
        dense.drop(0)
        dense.make_room(1, 50)
        assert (dense.capacity < 1000) == given_back
