"""Captured graphs by key: the first time a key is computed as it is, the second time it is captured, then replayed.

So nothing is captured before the server answers, a step captures one graph at most, and a batch size that never comes back
costs nothing. A capture that fails is logged, and its key goes on being computed as it is.
"""

import logging
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Captured(Generic[T]):
    """`replay` computes anew into `result`, from whatever stands in the buffers that were read."""

    replay: Callable[[], None]
    result: T


class Graphs(Generic[K, T]):
    """`capture` records a computation without running it; None where graphs are not used."""

    def __init__(self, capture: Callable[[Callable[[], T]], Captured[T]] | None) -> None:
        self._capture = capture
        self._seen: set[K] = set()
        self._captured: dict[K, Captured[T]] = {}
        self.failed: set[K] = set()

    @property
    def captured(self) -> frozenset[K]:
        return frozenset(self._captured)

    def run(self, key: K, compute: Callable[[], T]) -> T:
        """The result stands until the next run."""
        if self._capture is None or key in self.failed:
            return compute()
        if key not in self._captured:
            if key not in self._seen:
                self._seen.add(key)
                return compute()
            try:
                self._captured[key] = self._capture(compute)
            except RuntimeError as error:  # also what CUDA and a lack of memory raise
                log.warning("no graph for %s, which goes on without: %s: %s", key, type(error).__name__, error)
                self.failed.add(key)
                return compute()
            log.info("captured a graph for %s", key)
        found = self._captured[key]
        found.replay()
        return found.result

    def drop(self, outdated: Callable[[K], bool]) -> None:
        """Forgets the graphs of these keys; they may be captured again."""
        for key in [key for key in self._captured if outdated(key)]:
            del self._captured[key]


@dataclass(frozen=True)
class Pool:
    """Memory that graphs have in common, and a graph of it that is never let go of.

    Without that one the pool would be used up with the last graph: PyTorch's allocator of pinned memory counts a pool's
    graphs, knows nothing of a MemPool, and takes a count that has come back to nothing for an error.
    """

    memory: torch.cuda.MemPool
    anchor: torch.cuda.CUDAGraph
    zero: Tensor  # what the anchor computes


class CudaCapture(Generic[T]):
    """Captures with one memory pool for all graphs: they never run at the same time.

    torch.cuda.graph() is not used. It empties the allocator's cache each time, and after a capture that fails it leaves its
    stream the current one and the allocator in the belief that a capture is under way: then nothing that is cached can be
    freed any more, and the next capture fails as well.
    """

    def __init__(self) -> None:
        # cuBLAS keeps a workspace for each stream: one, not one a capture. It stands in the pool of the first graph that
        # needed it, and the graphs of later pools write there too: no pool is ever given back.
        self._stream = torch.cuda.Stream()
        self._pools: list[Pool] = []  # the last one is in use; those before had a capture that failed
        self._needs_pool = True  # whether the next capture needs a pool of its own
        # The host's allocator goes on asking these which capture is theirs.
        self._failed: list[tuple[torch.cuda.CUDAGraph, torch.cuda.MemPool]] = []

    def __call__(self, compute: Callable[[], T]) -> Captured[T]:
        with suppress(torch.OutOfMemoryError):
            return self._captured(compute)
        # Only here: with the error goes what the first attempt had computed. Its pool keeps that memory, though; what the
        # second attempt gains is what was cached outside of pools.
        torch.cuda.empty_cache()  # which cannot happen while a capture is under way
        return self._captured(compute)

    def _captured(self, compute: Callable[[], T]) -> Captured[T]:
        torch.cuda.synchronize()
        if self._needs_pool:
            torch.zeros(1, device="cuda")  # its kernel is loaded now: that cannot be captured
            memory = torch.cuda.MemPool()
            self._pools.append(Pool(memory, *self._graph(memory, lambda: torch.zeros(1, device="cuda"))))
            self._needs_pool = False
        graph, result = self._graph(self._pools[-1].memory, compute)
        return Captured(graph.replay, result)

    def _graph(self, memory: torch.cuda.MemPool, compute: Callable[[], R]) -> tuple[torch.cuda.CUDAGraph, R]:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.stream(self._stream):
                self._begin(graph, memory)
                result = self._recorded(graph, memory, compute)
        except BaseException:  # Triton's errors, for one, are no RuntimeError
            graph.reset()
            self._failed.append((graph, memory))
            self._needs_pool = True
            raise
        return graph, result

    def _begin(self, graph: torch.cuda.CUDAGraph, memory: torch.cuda.MemPool) -> None:
        begin: Any = graph.capture_begin  # its pool is a NewType of what a MemPool's id is
        try:
            # Other threads (an adapter being read) may use the device meanwhile: only what this one does is recorded.
            begin(pool=memory.id, capture_error_mode="thread_local")
        except RuntimeError:
            with suppress(RuntimeError):  # the allocator is told before CUDA is, if it came so far
                end_allocation(torch.cuda.current_device(), memory.id)
            raise

    def _recorded(self, graph: torch.cuda.CUDAGraph, memory: torch.cuda.MemPool, compute: Callable[[], R]) -> R:
        """What `compute` raises matters more than that the capture cannot be ended because of it."""
        try:
            result = compute()
        except BaseException:
            with suppress(RuntimeError):
                self._end(graph, memory)
            raise
        self._end(graph, memory)
        return result

    def _end(self, graph: torch.cuda.CUDAGraph, memory: torch.cuda.MemPool) -> None:
        try:
            graph.capture_end()
        except RuntimeError:
            # CUDA says first that the capture is void, and the allocator has not been told then that it is over.
            with suppress(RuntimeError):  # it had been, when the graph failed later
                end_allocation(torch.cuda.current_device(), memory.id)
            raise


def end_allocation(device: int, pool: tuple[int, int]) -> None:
    """What `torch.cuda.use_mem_pool` ends with; it has no public name of its own."""
    cuda: Any = torch.cuda.memory
    cuda._cuda_endAllocateToPool(device, pool)
