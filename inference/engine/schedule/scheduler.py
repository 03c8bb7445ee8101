"""Who runs next: continuous batching with chunked prefill, and preemption when blocks are short."""

from collections import deque
from dataclasses import dataclass

from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.sequence import Sequence, Status


@dataclass(frozen=True)
class Slice:
    """`count` tokens of a sequence from `start` on that one step computes; `last` when a token is to be drawn after them."""

    sequence: Sequence
    start: int
    count: int
    last: bool


@dataclass(frozen=True)
class Limits:
    """What one step may hold. `prefill` bounds the prompt tokens that are mixed into a step in which others decode."""

    sequences: int = 32
    tokens: int = 1024
    prefill: int = 256


class Scheduler:
    """Decides each step's batch. First come, first served; the newest gives way when blocks run out."""

    def __init__(self, blocks: BlockManager, limits: Limits) -> None:
        self.blocks = blocks
        self.limits = limits
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.preemptions = 0

    def add(self, sequence: Sequence) -> None:
        assert self.blocks.blocks_for(len(sequence.tokens) + sequence.params.max_tokens) <= self.blocks.number
        self.waiting.append(sequence)

    def schedule(self) -> list[Slice]:
        """The next step's batch; empty when there is nothing to do."""
        slices = self._continue_running()
        self._admit_waiting(slices)
        return slices

    def finish(self, sequence: Sequence) -> None:
        """Forgets a sequence, wherever it stands, and frees its blocks."""
        if sequence.status is Status.RUNNING:
            self.running.remove(sequence)
        elif sequence.status is Status.WAITING:
            self.waiting.remove(sequence)
        sequence.status = Status.FINISHED
        self.blocks.release(sequence)

    def restart(self, sequence: Sequence) -> None:
        """Computes a running sequence's keys and values anew: they no longer hold."""
        self._preempt(sequence)

    def computed(self, slices: list[Slice]) -> None:
        """Notes that a step's tokens have their keys and values in the cache."""
        for part in slices:
            part.sequence.computed = part.start + part.count
            self.blocks.seal(part.sequence)

    def _continue_running(self) -> list[Slice]:
        slices: list[Slice] = []
        decoding = any(sequence.pending == 1 for sequence in self.running)
        budget = self.limits.prefill if decoding else self.limits.tokens
        for sequence in list(self.running):
            if sequence.status is not Status.RUNNING:
                continue  # preempted for one before it
            count = sequence.pending if sequence.pending == 1 else min(sequence.pending, budget)
            if count == 0:
                continue
            if not self._reserve(sequence, sequence.computed + count):
                continue
            if sequence.pending > 1:
                budget -= count
            slices.append(part_of(sequence, count))
        return [part for part in slices if part.sequence.status is Status.RUNNING]

    def _reserve(self, sequence: Sequence, tokens: int) -> bool:
        """Makes room, taking it from the newest when needed; False when the sequence itself had to give way."""
        while not self.blocks.reserve(sequence, tokens):
            victim = self.running[-1]
            self._preempt(victim)
            if victim is sequence:
                return False
        return True

    def _preempt(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self.blocks.release(sequence)
        sequence.computed = 0
        sequence.status = Status.WAITING
        self.waiting.appendleft(sequence)
        self.preemptions += 1

    def _admit_waiting(self, slices: list[Slice]) -> None:
        decoding = any(part.sequence.pending == 1 for part in slices)
        spent = sum(part.count for part in slices if part.sequence.pending > 1)
        budget = (self.limits.prefill if decoding else self.limits.tokens) - spent
        while self.waiting and budget > 0 and len(self.running) < self.limits.sequences:
            sequence = self.waiting[0]
            cached = self.blocks.match_prefix(sequence)
            count = min(len(sequence.tokens) - cached, budget)
            # One block is kept for each of those that decode: a newcomer must not push them out at once.
            spare = len(self.running)
            short = self.blocks.blocks_for(cached + count) - len(sequence.blocks) + spare > self.blocks.available
            if (short and self.running) or not self.blocks.reserve(sequence, cached + count):
                self.blocks.release(sequence)
                return
            self.waiting.popleft()
            sequence.computed = cached
            if not sequence.generated:  # later it finds its own blocks
                sequence.cached = min(cached, sequence.prompt_length)
            sequence.status = Status.RUNNING
            self.running.append(sequence)
            slices.append(part_of(sequence, count))
            budget -= count


def part_of(sequence: Sequence, count: int) -> Slice:
    return Slice(sequence, sequence.computed, count, sequence.computed + count == len(sequence.tokens))
