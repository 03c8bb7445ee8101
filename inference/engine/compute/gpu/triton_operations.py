"""The decode path's operations as Triton kernels, with cuBLAS for the products of more than a few rows."""

from typing import Any

import torch
from torch import Tensor

from inference.engine.compute.gpu.kernels import attention, fused, gemv, lora
from inference.engine.compute.gpu.rows import DecodeRows
from inference.engine.files.spec import ModelSpec
from inference.engine.weights.matrix import Matrix
from inference.engine.weights.weights import LayerWeights

H200_PROCESSORS = 132


class TritonOperations:
    """Shapes alone decide which kernel runs, so that a captured graph always holds the right ones."""

    def __init__(self, spec: ModelSpec, rotations: Tensor) -> None:
        """`rotations` complex [tables, positions, 1, pairs]."""
        self._spec = spec
        self._rotations = torch.view_as_real(rotations.squeeze(2)).contiguous()
        self._processors = processors_of(rotations.device)

    def norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return fused.norm(x, weight, eps)

    def linear(self, x: Tensor, matrix: Matrix) -> Tensor:
        if few(x, matrix):
            return gemv.gemv(x, matrix.weight, matrix.bias)
        return matrix.of(x)

    def normed(self, x: Tensor, weight: Tensor, eps: float, matrix: Matrix) -> Tensor:
        if few(x, matrix):
            return gemv.gemv(x, matrix.weight, matrix.bias, norm=weight, eps=eps)
        return matrix.of(self.norm(x, weight, eps))

    def normed_gate(self, x: Tensor, weight: Tensor, eps: float, matrix: Matrix) -> Tensor:
        if few(x, matrix):
            return gemv.gemv(x, matrix.weight, matrix.bias, norm=weight, eps=eps, gated=True)
        return self.gate(self.normed(x, weight, eps, matrix))

    def added(self, x: Tensor, matrix: Matrix, to: Tensor) -> Tensor:
        if few(x, matrix):
            return gemv.gemv(x, matrix.weight, matrix.bias, to=to)
        return matrix.added(x, to)

    def gate(self, both: Tensor) -> Tensor:
        return fused.gate(both)

    def rotate(self, layer: LayerWeights, qkv: Tensor, pages: Tensor, rows: DecodeRows) -> None:
        spec = self._spec
        norms = None
        if layer.query_norm is not None and layer.key_norm is not None:
            norms = layer.query_norm, layer.key_norm
        fused.rotate(qkv, pages, rows, self._rotations, norms, spec.eps, spec.heads, spec.kv_heads, spec.head_dim)

    def attend(self, query: Tensor, pages: Tensor, rows: DecodeRows, window: int) -> Tensor:
        spec = self._spec
        context = rows.tables.shape[1] * rows.block_size
        parts = attention.parts_for(rows.number, spec.kv_heads, self._processors, window or context)
        return attention.attend(query, pages, rows, window, spec.heads, spec.kv_heads, spec.head_dim, parts)

    def warm_up(self, query: Tensor, pages: Tensor, rows: DecodeRows) -> None:
        spec = self._spec
        for parts in attention.kinds_of_parts():
            attention.attend(query, pages, rows, 0, spec.heads, spec.kv_heads, spec.head_dim, parts)

    def add_lora(self, out: Tensor, x: Tensor, down: Tensor, up: Tensor, ranks: Tensor, slots: Tensor) -> None:
        lora.add_lora(out, x, down, up, ranks, slots)


def processors_of(device: torch.device) -> int:
    if device.type != "cuda":
        return H200_PROCESSORS
    cuda: Any = torch.cuda
    return int(cuda.get_device_properties(device).multi_processor_count)


def few(x: Tensor, matrix: Matrix) -> bool:
    """Whether our product reads the matrix faster than cuBLAS would: few rows, and plain numbers."""
    return x.shape[0] <= gemv.MOST_ROWS and matrix.weight.dtype == x.dtype and matrix.weight.ndim == 2
