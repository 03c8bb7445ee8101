"""Captured graphs by key: the first time a key is computed as it is, the second time it is captured, then replayed.

So nothing is captured before the server answers, a step captures one graph at most, and a batch size that never comes back
costs nothing. A capture that fails is logged, and its key goes on being computed as it is.
"""

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

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
    """Captures with one memory pool for all graphs: they never run at the same time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, compute: Callable[[], T]) -> Captured[T]:
        graph = torch.cuda.CUDAGraph()
        # Other threads (an adapter being read) may use the device meanwhile: only what this one does is recorded.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = compute()
        return Captured(graph.replay, result)
