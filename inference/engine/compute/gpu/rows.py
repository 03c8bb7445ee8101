"""The rows of a decoding batch as tensors: one token each, and where the keys and values of their sequences are."""

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class DecodeRows:
    """int32 tensors of n rows. A row's new token stands at position `lengths - 1`.

    `tables` [n, blocks] names each row's blocks in order; what stands behind its last block is never read.
    `longest` bounds the lengths; only the torch operations use it, and a captured graph never does.
    """

    tokens: Tensor
    lengths: Tensor
    ropes: Tensor  # which table of rotations
    slots: Tensor  # the adapter, 0 for the base
    tables: Tensor
    block_size: int
    longest: int

    @property
    def number(self) -> int:
        return self.tokens.shape[0]


def page_rows(rows: DecodeRows) -> Tensor:
    """int64 [n]: the page row of each row's new token."""
    positions = rows.lengths.long() - 1
    blocks = rows.tables.long().gather(1, (positions // rows.block_size).unsqueeze(1)).squeeze(1)
    return blocks * rows.block_size + positions % rows.block_size


def copied(rows: DecodeRows) -> DecodeRows:
    """The same rows in tensors of their own."""
    return replace(
        rows,
        tokens=rows.tokens.clone(),
        lengths=rows.lengths.clone(),
        ropes=rows.ropes.clone(),
        slots=rows.slots.clone(),
        tables=rows.tables.clone(),
    )
