"""What the decode path computes, by name, and the same in plain torch: the reference for the kernels, and what runs where
Triton does not (T4, no C compiler, no headers of Python).
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention, silu

from inference.engine.compute.decoder import norm, rotate
from inference.engine.compute.gpu.rows import DecodeRows, page_rows
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.matrix import Matrix
from inference.engine.weights.weights import LayerWeights

GATHERED = 256 << 20  # bytes of keys and values that are copied out of the pages at once


class Operations(Protocol):
    """x is [n, hidden] throughout, and contiguous; `pages` are one layer's, [rows, key_value]."""

    def norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor: ...

    def linear(self, x: Tensor, matrix: Matrix) -> Tensor: ...

    def normed(self, x: Tensor, weight: Tensor, eps: float, matrix: Matrix) -> Tensor:
        """`linear` of the norm."""
        ...

    def normed_gate(self, x: Tensor, weight: Tensor, eps: float, matrix: Matrix) -> Tensor:
        """`gate` of `normed`."""
        ...

    def added(self, x: Tensor, matrix: Matrix, to: Tensor) -> Tensor:
        """`to` + `linear`; `to` may be overwritten."""
        ...

    def gate(self, both: Tensor) -> Tensor:
        """silu of the first half times the second."""
        ...

    def rotate(self, layer: LayerWeights, qkv: Tensor, pages: Tensor, rows: DecodeRows) -> None:
        """Normalises and rotates q in place; k (also rotated) and v go to the rows' places in the pages."""
        ...

    def attend(self, query: Tensor, pages: Tensor, rows: DecodeRows, window: int) -> Tensor:
        """query [n, heads × head_dim] → the same shape."""
        ...

    def warm_up(self, query: Tensor, pages: Tensor, rows: DecodeRows) -> None:
        """Compiles what `attend` may need for other numbers of rows, and other lengths."""
        ...

    def add_lora(self, out: Tensor, x: Tensor, down: Tensor, up: Tensor, ranks: Tensor, slots: Tensor) -> None:
        """out += x · down[slot] · up[slot], row by row; nothing for slot 0."""
        ...


class TorchOperations:
    """Every operation as torch has it. Attention copies the keys and values that a row sees out of the pages."""

    def __init__(self, spec: ModelSpec, rotations: Tensor) -> None:
        """`rotations` complex [tables, positions, 1, pairs]."""
        self._spec = spec
        self._rotations = rotations

    def norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return norm(x, weight, eps)

    def linear(self, x: Tensor, matrix: Matrix) -> Tensor:
        return matrix.of(x)

    def normed(self, x: Tensor, weight: Tensor, eps: float, matrix: Matrix) -> Tensor:
        return matrix.of(norm(x, weight, eps))

    def normed_gate(self, x: Tensor, weight: Tensor, eps: float, matrix: Matrix) -> Tensor:
        return self.gate(self.normed(x, weight, eps, matrix))

    def added(self, x: Tensor, matrix: Matrix, to: Tensor) -> Tensor:
        return matrix.added(x, to)

    def gate(self, both: Tensor) -> Tensor:
        half = both.shape[1] // 2
        return silu(both[:, :half]).mul_(both[:, half:])

    def rotate(self, layer: LayerWeights, qkv: Tensor, pages: Tensor, rows: DecodeRows) -> None:
        rotate(self._spec, layer, qkv, self._rotations[rows.ropes.long(), rows.lengths.long() - 1])
        pages.index_copy_(0, page_rows(rows), qkv[:, self._spec.query :])

    def attend(self, query: Tensor, pages: Tensor, rows: DecodeRows, window: int) -> Tensor:
        spec = self._spec
        positions = torch.arange(rows.longest, device=query.device)
        lengths = rows.lengths.unsqueeze(1)
        visible = positions < lengths
        # What a row does not see is read from its first place, which holds finite numbers: zero times NaN is NaN.
        blocks = rows.tables.long()[:, positions // rows.block_size]
        where = torch.where(
            visible, blocks * rows.block_size + positions % rows.block_size, blocks[:, :1] * rows.block_size
        )
        if window:
            visible &= positions >= lengths - window
        grouped = query.reshape(-1, spec.kv_heads, spec.heads // spec.kv_heads, spec.head_dim)
        at_once = max(GATHERED // (rows.longest * pages.shape[1] * pages.element_size()), 1)
        parts: list[Tensor] = []
        for begin in range(0, query.shape[0], at_once):
            some = slice(begin, begin + at_once)
            both = pages[where[some]].view(-1, rows.longest, 2, spec.kv_heads, spec.head_dim)
            keys, values = both[:, :, 0].transpose(1, 2), both[:, :, 1].transpose(1, 2)
            mask = visible[some, None, None, :]
            parts.append(scaled_dot_product_attention(grouped[some], keys, values, attn_mask=mask))
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(query.shape[0], spec.query)

    def warm_up(self, query: Tensor, pages: Tensor, rows: DecodeRows) -> None:
        """Nothing is compiled."""

    def add_lora(self, out: Tensor, x: Tensor, down: Tensor, up: Tensor, ranks: Tensor, slots: Tensor) -> None:
        where = slots.long()
        low = torch.bmm(x.unsqueeze(1), down[where])
        out.add_(torch.bmm(low, up[where]).squeeze(1))
