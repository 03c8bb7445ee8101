"""Static buffers, buckets, and graphs by key: captured, replayed, let go."""

import gc
import weakref
from contextlib import contextmanager
from itertools import count, pairwise
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engine.compute.gpu.graphs import Captured, CudaCapture, Graphs
from inference.engine.compute.gpu.paged_cache import decode_rows
from inference.engine.compute.gpu.rows import page_rows
from inference.engine.compute.gpu.static_batch import StaticBatch, buckets_up_to
from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import SamplingParams, Sequence

CPU = torch.device("cpu")
SIZE = 4
SPARE = 50


def decoding(number: int, blocks: list[int], length: int, adapter: int = 0, rope: int = 0):
    """The slice of a sequence that has `length` tokens, of which it computes the last."""
    sequence = Sequence(number, list(range(length)), 1, SamplingParams(4), adapter, salt=0, random=Random(1), rope=rope)
    sequence.blocks.extend(blocks)
    return Slice(sequence, length - 1, 1, True)


parts_of_a_step = st.lists(
    st.tuples(st.integers(1, 30), st.permutations(range(SPARE)), st.integers(0, 3), st.integers(0, 1)),
    min_size=1,
    max_size=9,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(parts_of_a_step, min_size=1, max_size=5))
def test_static_buffers_hold_what_a_batch_made_anew_would(steps: Any):
    """Whatever the steps before left in the buffers."""
    batch = StaticBatch(9, 32, SIZE, SPARE, CPU)
    for step in steps:
        parts = [
            decoding(number, blocks[: -(-length // SIZE)], length, adapter, rope)
            for number, (length, blocks, adapter, rope) in enumerate(step)
        ]
        rows, exact = batch.fill(parts), decode_rows(parts, SIZE, CPU)
        number = len(parts)
        assert rows.number == batch.bucket(number) >= number
        for name in ("tokens", "lengths", "ropes", "slots"):
            assert torch.equal(getattr(rows, name)[:number], getattr(exact, name))
        for row, part in enumerate(parts):
            assert rows.tables[row, : len(part.sequence.blocks)].tolist() == part.sequence.blocks
        # Padding reads and writes the spare block only, without an adapter.
        assert (page_rows(rows)[number:] // SIZE == SPARE).all()
        assert (rows.lengths[number:] == 1).all()
        assert (rows.slots[number:] == 0).all()


def test_static_buffers_never_move():
    batch = StaticBatch(8, 32, SIZE, SPARE, CPU)
    first = batch.fill([decoding(1, [3], 2)])
    again = batch.fill([decoding(2, [5, 6], 7)])
    for name in ("tokens", "lengths", "ropes", "slots", "tables"):
        assert getattr(first, name).data_ptr() == getattr(again, name).data_ptr()


def test_a_blank_bucket_is_padding_whatever_was_there():
    batch = StaticBatch(8, 32, SIZE, SPARE, CPU)
    full = batch.fill([decoding(number, [number, 9], 7, 2, 1) for number in range(8)])
    for bucket in batch.buckets:
        rows = batch.blank(bucket)
        assert (rows.number, rows.longest) == (bucket, 1)
        assert (page_rows(rows) == SPARE * SIZE).all()
        assert not rows.slots.any()
        assert not rows.ropes.any()
        assert rows.tables.data_ptr() == full.tables.data_ptr()
    assert batch.fill([decoding(1, [3, 9], 7)]).tables[0, :2].tolist() == [3, 9]


def test_a_sequence_that_came_back_with_other_blocks_is_read_from_those():
    batch = StaticBatch(4, 32, SIZE, SPARE, CPU)
    batch.fill([decoding(1, [3, 4], 6)])
    rows = batch.fill([decoding(1, [4, 9], 6)])
    assert rows.tables[0, :2].tolist() == [4, 9]


@pytest.mark.parametrize("most", [1, 3, 32, 50, 300])
def test_every_batch_has_a_bucket(most: int):
    buckets = buckets_up_to(most)
    assert buckets[-1] == most
    assert list(buckets) == sorted(set(buckets))


def test_a_large_batch_is_not_padded_to_twice_its_size():
    """Above 256 rows the next bucket was the most that may run: 257 of 1,024 were computed as 1,024."""
    buckets = buckets_up_to(4096)
    assert min(bucket for bucket in buckets if bucket >= 257) == 384
    assert all(more <= 2 * fewer for fewer, more in pairwise(buckets))


def test_nothing_is_padded_where_no_graph_would_be_replayed():
    """torch's operations take any number of rows: padding was up to 1.8 times the work of a T4."""
    batch = StaticBatch(32, 32, SIZE, SPARE, CPU)
    parts = [decoding(number, [number, 9], 7) for number in range(9)]
    assert batch.fill(parts).number == 16
    batch.padded = False
    assert batch.fill(parts).number == 9


class Recorder:
    """Stands in for CUDA: remembers a computation without running it."""

    def __init__(self, fails: Any = ()):
        self.captured = 0
        self.fails = fails

    def __call__(self, compute: Any):
        self.captured += 1
        if self.captured in self.fails:
            raise RuntimeError("CUDA error: out of memory")
        result = []
        return Captured(lambda: result.__setitem__(slice(None), compute()), result)


def test_a_graph_is_captured_the_second_time_and_replayed_from_then_on():
    recorder = Recorder()
    graphs: Graphs[int, list[int]] = Graphs(recorder)
    numbers = [1]
    assert graphs.run(1, lambda: list(numbers)) == [1]
    assert recorder.captured == 0
    for step in range(3):
        numbers[0] = step
        assert graphs.run(1, lambda: list(numbers)) == [step]
    assert recorder.captured == 1
    graphs.run(2, lambda: list(numbers))
    assert graphs.captured == {1}


def test_a_failed_capture_is_said_and_its_key_goes_on_without(caplog: pytest.LogCaptureFixture):
    recorder = Recorder(fails={1})
    graphs: Graphs[int, list[int]] = Graphs(recorder)
    for step in range(4):
        assert graphs.run(1, lambda step=step: [step]) == [step]
    assert recorder.captured == 1
    assert graphs.failed == {1}
    assert "no graph for 1" in caplog.text
    assert "out of memory" in caplog.text
    for _ in range(3):
        assert graphs.run(2, lambda: [7]) == [7]
    assert graphs.captured == {2}


def test_dropped_graphs_are_captured_anew():
    recorder = Recorder()
    graphs: Graphs[int, list[int]] = Graphs(recorder)
    for _ in range(2):
        graphs.run(1, lambda: [1])
        graphs.run(2, lambda: [2])
    graphs.drop(lambda key: key == 1)
    assert graphs.captured == {2}
    assert graphs.run(1, lambda: [7]) == [7]
    assert recorder.captured == 3


class Counts:
    """One allocator's view of pools: how many hold each, and into which a capture is under way."""

    def __init__(self):
        self.held: dict[tuple[int, int], int] = {}
        self.underway: list[tuple[int, int]] = []

    def begin(self, pool: tuple[int, int]):
        if self.held.get(pool, 1) == 0:
            raise RuntimeError("use_count > 0 INTERNAL ASSERT FAILED")
        self.held[pool] = self.held.get(pool, 0) + 1
        if pool in self.underway:
            raise RuntimeError("beginAllocateToPool: already recording to mempool_id")
        self.underway.append(pool)

    def end(self, pool: tuple[int, int]):
        if pool not in self.underway:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.underway.remove(pool)

    def release(self, pool: tuple[int, int]):
        self.held[pool] -= 1


class Cuda:
    """CUDA's streams and torch's allocators, as far as a capture changes them (torch 2.13: CUDAGraph.cpp,
    CUDACachingAllocator.cpp, CachingHostAllocator.h; the second one's pools are of graphs alone)."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.stream = "default"
        self.device, self.host = Counts(), Counts()
        self.void = False  # what was recorded cannot be a graph: ending the capture fails
        self.refuses = False  # CUDA begins no capture
        self.emptied = 0
        cuda, ids = self, count(1)

        class MemPool:
            def __init__(self):
                self.id = (0, next(ids))
                cuda.device.held[self.id] = 1

            def __del__(self):
                cuda.device.release(self.id)

        class CUDAGraph:
            ended = False

            def capture_begin(self, pool: tuple[int, int], capture_error_mode: Any):
                if cuda.stream == "default":
                    raise RuntimeError("CUDA graphs must be captured on a non-default stream")
                self.pool = pool
                cuda.device.begin(pool)
                cuda.host.begin(pool)
                if cuda.refuses:
                    raise RuntimeError("CUDA error: operation not permitted")

            def capture_end(self):
                if cuda.void:
                    cuda.void = False
                    raise RuntimeError("operation failed due to a previous error during capture")
                cuda.device.end(self.pool)
                cuda.host.end(self.pool)
                self.ended = True

            def replay(self):
                assert self.ended

            def reset(self):
                if self.ended:
                    cuda.device.release(self.pool)
                    cuda.host.release(self.pool)
                self.ended = False

            __del__ = reset

        @contextmanager
        def on(stream: bool):
            before, cuda.stream = cuda.stream, stream
            try:
                yield
            finally:
                cuda.stream = before

        known = {"MemPool": MemPool, "CUDAGraph": CUDAGraph, "stream": on, "empty_cache": self.empty_cache}
        known |= {"Stream": lambda: "side", "synchronize": lambda: None, "current_device": lambda: 0}
        for name, stand_in in known.items():
            patch.setattr(torch.cuda, name, stand_in)
        patch.setattr(torch.cuda.memory, "_cuda_endAllocateToPool", lambda device, pool: self.device.end(pool))
        zeros = torch.zeros
        patch.setattr(torch, "zeros", lambda *shape, device=None: zeros(*shape))

    @property
    def underway(self):
        return self.device.underway

    def empty_cache(self):
        if self.underway:
            raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED")
        self.emptied += 1


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    return Cuda(monkeypatch)


def test_captures_go_on_after_all_graphs_were_dropped(cuda: Cuda):
    graphs: Graphs[int, list[int]] = Graphs(CudaCapture())
    for _ in range(3):
        assert [graphs.run(1, lambda: [1]) for _ in range(2)] == [[1], [1]]
        assert graphs.captured == {1}
        assert (cuda.stream, cuda.underway, cuda.emptied) == ("default", [], 0)
        graphs.drop(lambda key: True)
        gc.collect()
    assert not graphs.failed


@pytest.mark.parametrize("raises", [True, False], ids=["in what is recorded", "only at its end"])
def test_a_capture_that_cannot_be_ended_leaves_no_trace(cuda: Cuda, raises: bool, caplog: pytest.LogCaptureFixture):
    """The stream is the one before, the allocator frees what it caches, and other sizes are captured."""
    graphs: Graphs[int, list[int]] = Graphs(CudaCapture())

    def waits_for_the_gpu():
        if cuda.underway:
            cuda.void = True
            if raises:
                raise RuntimeError("operation not permitted when stream is capturing")
        return [1]

    for _ in range(2):
        assert graphs.run(1, waits_for_the_gpu) == [1]
    assert graphs.failed == {1}
    assert ("not permitted" if raises else "previous error") in caplog.text
    assert (cuda.stream, cuda.underway) == ("default", [])
    torch.cuda.empty_cache()
    for _ in range(2):
        assert graphs.run(2, lambda: [2]) == [2]
    assert graphs.captured == {2}


def test_a_capture_that_does_not_begin_leaves_no_trace(cuda: Cuda):
    graphs: Graphs[int, list[int]] = Graphs(CudaCapture())
    assert [graphs.run(1, lambda: [1]) for _ in range(2)] == [[1], [1]]
    cuda.refuses = True
    assert [graphs.run(2, lambda: [2]) for _ in range(2)] == [[2], [2]]
    cuda.refuses = False
    assert (graphs.failed, cuda.stream, cuda.underway) == ({2}, "default", [])
    torch.cuda.empty_cache()
    assert [graphs.run(3, lambda: [3]) for _ in range(2)] == [[3], [3]]
    assert graphs.captured == {1, 3}


def test_a_failed_attempt_is_let_go_of_before_the_next(cuda: Cuda):
    """With its error, which holds its tensors."""
    capture: CudaCapture[list[int]] = CudaCapture()
    kept: list[weakref.ref[torch.Tensor]] = []

    def hungry():
        assert all(each() is None for each in kept)
        activations = torch.ones(3)
        kept.append(weakref.ref(activations))
        if not cuda.emptied:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [int(activations.sum())]

    assert capture(hungry).result == [3]
    assert len(kept) == 2


def test_a_capture_without_memory_is_tried_again_once_what_is_cached_was_freed(cuda: Cuda):
    graphs: Graphs[int, list[int]] = Graphs(CudaCapture())

    def hungry():
        if cuda.underway and not cuda.emptied:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [3]

    assert [graphs.run(3, hungry) for _ in range(2)] == [[3], [3]]
    assert graphs.captured == {3}
    assert (cuda.stream, cuda.underway, cuda.emptied) == ("default", [], 1)
