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

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


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


class CudaCapture(Generic[T]):
    """Captures with one memory pool for all graphs: they never run at the same time.

    torch.cuda.graph() is not used. It empties the allocator's cache each time, and after a capture that fails it leaves its
    stream the current one and the allocator in the belief that a capture is under way: then nothing that is cached can be
    freed any more, and the next capture fails as well. A pool that is only a number is dropped with the last graph, and
    capturing into it again is an error of its own.
    """

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # cuBLAS keeps a workspace for each stream: one, not one a capture
        self._pools = [torch.cuda.MemPool()]  # the last one is in use; those before had a capture that failed
        self._failed: list[
            torch.cuda.CUDAGraph
        ] = []  # the host's allocator goes on asking these which capture is theirs

    def __call__(self, compute: Callable[[], T]) -> Captured[T]:
        try:
            return self._captured(compute)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()  # which cannot happen while a capture is under way
            return self._captured(compute)

    def _captured(self, compute: Callable[[], T]) -> Captured[T]:
        graph, pool = torch.cuda.CUDAGraph(), self._pools[-1]
        begin: Any = graph.capture_begin  # its pool is a NewType of what a MemPool's id is
        torch.cuda.synchronize()
        try:
            with torch.cuda.stream(self._stream):
                # Other threads (an adapter being read) may use the device meanwhile: only what this one does is recorded.
                begin(pool=pool.id, capture_error_mode="thread_local")
                result = self._recorded(graph, pool, compute)
        except RuntimeError:
            graph.reset()
            self._failed.append(graph)
            self._pools.append(torch.cuda.MemPool())
            raise
        return Captured(graph.replay, result)

    def _recorded(self, graph: torch.cuda.CUDAGraph, pool: torch.cuda.MemPool, compute: Callable[[], T]) -> T:
        """What `compute` raises matters more than that the capture cannot be ended because of it."""
        try:
            result = compute()
        except BaseException:
            with suppress(RuntimeError):
                self._end(graph, pool)
            raise
        self._end(graph, pool)
        return result

    def _end(self, graph: torch.cuda.CUDAGraph, pool: torch.cuda.MemPool) -> None:
        try:
            graph.capture_end()
        except RuntimeError:
            # CUDA says first that the capture is void, and the allocator has not been told then that it is over.
            with suppress(RuntimeError):  # it had been, when the graph failed later
                end_allocation(torch.cuda.current_device(), pool.id)
            raise


def end_allocation(device: int, pool: tuple[int, int]) -> None:
    """What `torch.cuda.use_mem_pool` ends with; it has no public name of its own."""
    cuda: Any = torch.cuda.memory
    cuda._cuda_endAllocateToPool(device, pool)
