"""The dense copy of the decoding sequences' rows against a dictionary of what each sequence holds."""

import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inference.engine.dense import EVEN, Dense

LAYERS, WIDTH = 2, 3


class DenseMachine(RuleBasedStateMachine):
    """Sequences come with some rows, grow by one, and go in any order."""

    def __init__(self):
        super().__init__()
        self.dense = Dense(LAYERS, WIDTH, torch.float32, torch.device("cpu"))
        self.held = {}
        self.numbers = 0
        self.values = 0.0

    def fresh(self, tokens):
        self.values += 1.0
        return torch.full((LAYERS, tokens, WIDTH), self.values)

    @rule(tokens=st.integers(1, 200))
    def add(self, tokens):
        longest = max([tokens, *(rows.shape[1] for rows in self.held.values())])
        self.dense.make_room(len(self.held) + 1, longest + 1)
        self.numbers += 1
        self.held[self.numbers] = self.fresh(tokens)
        self.dense.add(self.numbers, self.held[self.numbers])

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def drop(self, data):
        number = data.draw(st.sampled_from(sorted(self.held)))
        self.dense.drop(number)
        del self.held[number]
        self.dense.drop(number)  # a second time changes nothing

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def grow(self, data):
        number = data.draw(st.sampled_from(sorted(self.held)))
        longest = max(rows.shape[1] for rows in self.held.values())
        self.dense.make_room(len(self.held), longest + 1)
        place = self.dense.grow(number)
        row = self.fresh(1)
        self.dense.rows.view(LAYERS, -1, WIDTH)[:, place] = row[:, 0]
        self.held[number] = torch.cat([self.held[number], row], dim=1)

    @invariant()
    def every_sequence_has_its_rows(self):
        assert sorted(self.dense.ids) == sorted(self.held)
        for number, rows in self.held.items():
            slot = self.dense.slot(number)
            assert slot < len(self.held)
            assert self.dense.holds(number, rows.shape[1])
            assert not self.dense.holds(number, rows.shape[1] + 1)
            assert torch.equal(self.dense.rows[:, slot, : rows.shape[1]], rows)
            assert rows.shape[1] <= self.dense.used <= self.dense.capacity

    @invariant()
    def memory_is_bounded_by_what_is_held(self):
        if self.held:
            longest = max(rows.shape[1] for rows in self.held.values())
            self.dense.make_room(len(self.held), longest + 1)
            assert self.dense.slots * self.dense.capacity <= 4 * (len(self.held) + 1) * (longest + 1 + 64)
            assert self.dense.used <= longest + EVEN
        assert bool(torch.isfinite(self.dense.rows).all())


TestDense = DenseMachine.TestCase
TestDense.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
