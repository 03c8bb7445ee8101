"""The decoding batch in buffers that never move, padded to a bucket: what a captured graph reads.

Rows beyond the batch are harmless: they read one token of the spare block, write there, use no adapter, and nobody looks at
what comes out of them.
"""

import torch
from torch import Tensor

from inference.engine.compute.gpu.rows import DecodeRows
from inference.engine.schedule.scheduler import Slice

BUCKETS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072)


def buckets_up_to(most: int) -> tuple[int, ...]:
    """Batch sizes of which each gets a graph of its own; the last one holds `most` rows."""
    return (*(bucket for bucket in BUCKETS if bucket < most), most)


class StaticBatch:
    """Filled anew each step: four numbers a row in one copy, and the rows of the block tables that have changed."""

    def __init__(self, rows: int, context: int, block_size: int, spare: int, device: torch.device) -> None:
        self.buckets = buckets_up_to(rows)
        self.padded = True
        """Whether a batch is filled up to its bucket: without graphs, and kernels for a number of rows, that is wasted work."""
        self._block_size = block_size
        self._spare = spare
        self.width = -(-context // block_size)
        pinned = device.type == "cuda"
        self._numbers_here = torch.zeros(4, rows, dtype=torch.int32, pin_memory=pinned)
        self._tables_here = torch.full((rows, self.width), spare, dtype=torch.int32, pin_memory=pinned)
        self._numbers = self._numbers_here.to(device, copy=True)
        self._tables = self._tables_here.to(device, copy=True)
        self._blocks: list[list[int]] = [[] for _ in range(rows)]  # what each row of the tables holds

    def bucket(self, number: int) -> int:
        return next(bucket for bucket in self.buckets if bucket >= number)

    def fill(self, parts: list[Slice]) -> DecodeRows:
        """The batch in the first rows of its bucket. The step before must have been computed: its buffers are written."""
        padding = self.bucket(len(parts)) - len(parts) if self.padded else 0
        sequences = [part.sequence for part in parts]
        lengths = [part.start + 1 for part in parts]
        columns = [
            [sequence.tokens[part.start] for part, sequence in zip(parts, sequences, strict=True)] + [0] * padding,
            lengths + [1] * padding,
            [sequence.rope for sequence in sequences] + [0] * padding,
            [sequence.adapter for sequence in sequences] + [0] * padding,
        ]
        return self._write(columns, [sequence.blocks for sequence in sequences] + [[]] * padding)

    def blank(self, bucket: int) -> DecodeRows:
        """A bucket of nothing but padding."""
        return self._write([[0] * bucket, [1] * bucket, [0] * bucket, [0] * bucket], [[]] * bucket)

    def _write(self, columns: list[list[int]], tables: list[list[int]]) -> DecodeRows:
        bucket = len(tables)
        self._numbers_here[:, :bucket] = torch.tensor(columns, dtype=torch.int32)
        self._numbers.copy_(self._numbers_here, non_blocking=True)
        for row, blocks in enumerate(tables):
            if self._blocks[row] != blocks:
                self._set(row, blocks)
        tokens, seen, ropes, slots = (self._numbers[index, :bucket] for index in range(4))
        return DecodeRows(tokens, seen, ropes, slots, self._tables[:bucket], self._block_size, max(columns[1]))

    def _set(self, row: int, blocks: list[int]) -> None:
        named = blocks or [self._spare]
        here: Tensor = self._tables_here[row, : len(named)]
        here.copy_(torch.tensor(named, dtype=torch.int32))
        self._tables[row, : len(named)].copy_(here, non_blocking=True)
        self._blocks[row] = list(blocks)
