"""Who runs when: everyone ends, nothing runs beyond its limits, decoding is not held up by long prompts."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.scheduler import Limits, Scheduler
from inference.engine.schedule.sequence import SamplingParams, Sequence

SIZE = 4


def sequence(number: int, prompt: int, most: int):
    return Sequence(
        number, list(range(prompt)), prompt, SamplingParams(max_tokens=most), 0, salt=number, random=Random(0)
    )


def step(scheduler: Scheduler):
    """Schedules, pretends to compute, and appends a token where one is drawn."""
    slices = scheduler.schedule()
    scheduler.computed(slices)
    for part in slices:
        if part.last:
            part.sequence.tokens.append(0)
            if part.sequence.generated >= part.sequence.params.max_tokens:
                scheduler.finish(part.sequence)
    return slices


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 10)), min_size=1, max_size=12),
    st.integers(10, 40),
    st.integers(1, 6),
    st.integers(1, 40),
    st.integers(1, 12),
)
def test_every_request_ends_within_limits(
    requests: list[tuple[int, int]], blocks: int, sequences: int, tokens: int, prefill: int
):
    manager = BlockManager(blocks, SIZE)
    limits = Limits(sequences, max(tokens, prefill), prefill)
    scheduler = Scheduler(manager, limits)
    everyone = [sequence(number, prompt, most) for number, (prompt, most) in enumerate(requests)]
    for one in everyone:
        scheduler.add(one)
    for _ in range(5000):
        if not (scheduler.waiting or scheduler.running):
            break
        slices = scheduler.schedule()
        assert slices, "there is work, so something must run"
        assert len({part.sequence.id for part in slices}) == len(slices)
        assert len(slices) <= limits.sequences
        assert sum(part.count for part in slices if part.sequence.pending > 1) <= limits.tokens
        for part in slices:
            assert part.start == part.sequence.computed
            assert len(part.sequence.blocks) * SIZE >= part.start + part.count
        scheduler.computed(slices)
        for part in slices:
            if part.last:
                part.sequence.tokens.append(0)
                if part.sequence.generated >= part.sequence.params.max_tokens:
                    scheduler.finish(part.sequence)
    assert all(one.generated == one.params.max_tokens for one in everyone)
    assert manager.available == blocks


def test_a_long_prompt_does_not_hold_up_who_decodes():
    scheduler = Scheduler(BlockManager(200, SIZE), Limits(sequences=4, tokens=100, prefill=8))
    first, second = sequence(1, 4, 50), sequence(2, 90, 5)
    scheduler.add(first)
    step(scheduler)
    scheduler.add(second)
    for _ in range(11):
        before = first.generated
        slices = step(scheduler)
        assert first.generated == before + 1
        assert sum(part.count for part in slices) <= 9


def test_the_newest_gives_way_and_is_the_first_to_come_back():
    scheduler = Scheduler(BlockManager(7, SIZE), Limits(sequences=4, tokens=100, prefill=100))
    old, new = sequence(1, 10, 14), sequence(2, 10, 14)
    scheduler.add(old)
    scheduler.add(new)
    while not scheduler.preemptions:
        step(scheduler)
    assert scheduler.running == [old]
    assert list(scheduler.waiting) == [new]
    while scheduler.running or scheduler.waiting:
        step(scheduler)
    assert (old.generated, new.generated) == (14, 14)
