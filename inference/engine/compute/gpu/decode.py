"""Steps in which every row decodes: one pass over static buffers, replayed as a graph where there are graphs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding

from inference.engine.compute.gpu.graphs import Captured, Graphs
from inference.engine.compute.gpu.lora_stacks import LoraStacks, first_layer_of_zeros
from inference.engine.compute.gpu.operations import Operations
from inference.engine.compute.gpu.paged_cache import PagedKeyValues
from inference.engine.compute.gpu.rows import DecodeRows, copied
from inference.engine.compute.gpu.static_batch import StaticBatch
from inference.engine.compute.sampler import best_of
from inference.engine.files.spec import ModelSpec
from inference.engine.schedule.scheduler import Slice
from inference.engine.weights.weights import Weights


@dataclass(frozen=True)
class Key:
    """What a graph was captured for: the rows, and which stacks of adapters (0: no row uses one)."""

    rows: int
    stacks: int


@dataclass(frozen=True)
class Scores:
    """float32 logits [rows, vocabulary] and the likeliest tokens [rows]. They stand until the next step."""

    logits: Tensor
    best: Tensor


Capture = Callable[[Callable[[], Scores]], Captured[Scores]]


class DecodePath:
    """Belongs to the engine's thread."""

    def __init__(
        self,
        spec: ModelSpec,
        weights: Weights,
        cache: PagedKeyValues,
        operations: Operations,
        stacks: LoraStacks,
        *,
        batch: StaticBatch,
        capture: Capture | None,
    ) -> None:
        self._spec = spec
        self._weights = weights
        self._cache = cache
        self.operations = operations
        self._stacks = stacks
        self._batch = batch
        # One for all graphs: what each had of its own would be rows × vocabulary for every number of rows.
        self._logits = weights.norm.new_empty(batch.buckets[-1], spec.vocabulary, dtype=torch.float32)
        self.graphs: Graphs[Key, Scores] = Graphs(capture)

    @property
    def buckets(self) -> tuple[int, ...]:
        """The numbers of rows that are computed."""
        return self._batch.buckets

    @property
    def width(self) -> int:
        """Blocks of a row's table."""
        return self._batch.width

    def use(self, operations: Operations) -> None:
        """Others from now on, without graphs: those that are there hold the kernels of the ones before."""
        self.operations = operations
        self.graphs = Graphs(None)
        self._batch.padded = False

    def run(self, parts: list[Slice]) -> Scores:
        """One token of each part, in their order."""
        rows = self._batch.fill(parts)
        adapted = any(part.sequence.adapter for part in parts)
        key = Key(rows.number, self._stacks.version if adapted else 0)
        scores = self.graphs.run(key, lambda: self._compute(rows, self._stacks if adapted else None))
        return Scores(scores.logits[: len(parts)], scores.best[: len(parts)])

    def run_directly(self, parts: list[Slice]) -> Scores:
        """The same without a graph, to check a graph by."""
        rows = self._batch.fill(parts)
        adapted = any(part.sequence.adapter for part in parts)
        scores = self._compute(rows, self._stacks if adapted else None)
        return Scores(scores.logits[: len(parts)], scores.best[: len(parts)])

    def warm_up(self) -> None:
        """Computes each bucket of padding, with and without adapters, so that no kernel is compiled while requests wait.

        The first layer's places stand for all others': only windows differ from layer to layer.
        """
        weights, spec, pages = self._weights, self._spec, self._cache.pages[0]
        stacks = LoraStacks(spec)
        stacks.install(1, first_layer_of_zeros(spec, weights.norm.dtype, weights.norm.device))
        for bucket in self._batch.buckets:
            rows = self._batch.blank(bucket)
            self._compute(rows, None)
            self._compute(rows, stacks)
        # Steps with prompts attend over tensors that are made anew, of any number of rows.
        anew = copied(self._batch.blank(1))
        qkv = weights.norm.new_zeros(1, spec.query + spec.key_value)
        self.operations.warm_up(qkv[:, : spec.query], pages, anew)

    def stacks_changed(self) -> None:
        """Adapters stand elsewhere now: graphs that read the old tensors are dropped."""
        self.graphs.drop(lambda key: key.stacks not in (0, self._stacks.version))

    def _compute(self, rows: DecodeRows, stacks: LoraStacks | None) -> Scores:
        """`stacks` hold the adapters; None when no row uses one."""
        weights, do, eps = self._weights, self.operations, self._spec.eps
        x = embedding(rows.tokens, weights.embedding)
        for index in range(self._spec.layers):
            x = self._layer(index, x, rows) if stacks is None else self._adapted_layer(index, x, rows, stacks)
        logits = self._logits[: rows.number].copy_(do.normed(x, weights.norm, eps, weights.head))
        return Scores(logits, best_of(logits))

    def _layer(self, index: int, x: Tensor, rows: DecodeRows) -> Tensor:
        """Seven kernels for a few rows: norms, gate and residual sums are done where the matrices are read."""
        layer, do, eps = self._weights.layers[index], self.operations, self._spec.eps
        h = self._attend(index, do.normed(x, layer.input_norm, eps, layer.qkv), rows)
        x = do.added(h, layer.output, x)
        h = do.normed_gate(x, layer.mlp_norm, eps, layer.gate_up)
        return do.added(h, layer.down, x)

    def _adapted_layer(self, index: int, x: Tensor, rows: DecodeRows, stacks: LoraStacks) -> Tensor:
        """The same step by step, since adapters add to what the matrices give before it is used."""
        layer, do, eps = self._weights.layers[index], self.operations, self._spec.eps
        h = do.norm(x, layer.input_norm, eps)
        qkv = do.linear(h, layer.qkv)
        self._add_lora(stacks.of(index, "qkv"), qkv, h, rows)
        h = self._attend(index, qkv, rows)
        x = do.added(h, layer.output, x)
        self._add_lora(stacks.of(index, "output"), x, h, rows)
        h = do.norm(x, layer.mlp_norm, eps)
        both = do.linear(h, layer.gate_up)
        self._add_lora(stacks.of(index, "gate_up"), both, h, rows)
        h = do.gate(both)
        x = do.added(h, layer.down, x)
        self._add_lora(stacks.of(index, "down"), x, h, rows)
        return x

    def _attend(self, index: int, qkv: Tensor, rows: DecodeRows) -> Tensor:
        pages, spec = self._cache.pages[index], self._spec
        self.operations.rotate(self._weights.layers[index], qkv, pages, rows)
        return self.operations.attend(qkv[:, : spec.query], pages, rows, spec.windows[index])

    def _add_lora(self, stack: tuple[Tensor, Tensor, Tensor] | None, out: Tensor, x: Tensor, rows: DecodeRows) -> None:
        if stack is not None:
            self.operations.add_lora(out, x, *stack, rows.slots)
