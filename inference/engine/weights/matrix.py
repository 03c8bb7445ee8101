"""A weight matrix and the way it is multiplied: on a CPU packed once for oneDNN, elsewhere as it is.

Packed, the small products of decoding are two to seven times faster than torch's plain `linear` (MKL) on the same CPU. But
oneDNN makes code for each number of rows and shape of a matrix that it meets, and keeps it for good: half a megabyte. So
there are few numbers of rows, to which a product is padded.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from inference.engine.weights.nf4 import Nf4, quantised

TYPICAL_ROWS = 16  # what the packed layout is chosen for
EXACT = 16  # rows up to which every number has code of its own
STEPS = ((32, 4), (128, 8), (256, 16), (512, 32))  # rows up to the first are a multiple of the second
LARGEST_STEP = 64


@dataclass(frozen=True)
class Matrix:
    """[out, in] and its bias. `packed` holds the same numbers in oneDNN's own order, `nf4` in 4 bits; `weight` is empty
    then."""

    weight: Tensor
    bias: Tensor | None = None
    packed: Tensor | None = None
    nf4: Nf4 | None = None

    @property
    def nbytes(self) -> int:
        held = self.nf4 or (self.weight if self.packed is None else self.packed)
        return held.nbytes + (0 if self.bias is None else self.bias.nbytes)

    def of(self, x: Tensor) -> Tensor:
        """x [n, in] → [n, out]."""
        more = self._padding(x)
        return self._of(pad(x, (0, 0, 0, more)))[:-more] if more else self._of(x)

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        """`to` + x·weightᵀ + bias; `to` may be overwritten."""
        more = self._padding(x)
        if more:
            return self._added(pad(x, (0, 0, 0, more)), pad(to, (0, 0, 0, more)))[:-more]
        return self._added(x, to)

    def _of(self, x: Tensor) -> Tensor:
        if self.nf4 is not None:
            return self.nf4.times(x, self.bias)
        if self.packed is None:
            return linear(x, self.weight, self.bias)
        return products()[0](x, self.packed, self.bias, "none", [], "")

    def _added(self, x: Tensor, to: Tensor) -> Tensor:
        if self.nf4 is not None:
            return self.nf4.times(x, self.bias).add_(to)
        if self.packed is not None:
            return products()[1](x, to, self.packed, self.bias, "add")
        to.addmm_(x, self.weight.t())
        return to if self.bias is None else to.add_(self.bias)

    def _padding(self, x: Tensor) -> int:
        return padding(x.shape[0]) if self.packed is not None or makes_code(x) else 0


def makes_code(x: Tensor) -> bool:
    """Whether torch's own products of this tensor are oneDNN's: in 16 bits on a CPU."""
    return x.dtype in (torch.bfloat16, torch.float16) and x.device.type == "cpu"


def padding(rows: int) -> int:
    """How many rows a product of oneDNN's gets in addition: up to sixteen none, then what takes little time beside the rest."""
    if rows <= EXACT:
        return 0
    return -rows % next((step for most, step in STEPS if rows <= most), LARGEST_STEP)


def packed(matrix: Matrix) -> Matrix:
    """The matrix in the form that this machine multiplies fastest."""
    weight = matrix.weight
    if weight.device.type != "cpu" or not packable(weight.dtype):
        return matrix
    reordered = operators().mkldnn._reorder_linear_weight(weight, TYPICAL_ROWS)
    return Matrix(torch.empty(0), matrix.bias, reordered)


def packable(dtype: torch.dtype) -> bool:
    """Whether oneDNN multiplies this format here: bfloat16 needs more of a CPU than float32."""
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and operators().mkldnn._is_mkldnn_bf16_supported())


def in_four_bits(matrix: Matrix, device: torch.device) -> Matrix:
    """The matrix as nf4 on its device."""
    bias = None if matrix.bias is None else matrix.bias.to(device)
    return Matrix(torch.empty(0), bias, nf4=quantised(matrix.weight, device))


@cache
def products() -> tuple[Any, Any]:
    """oneDNN's product, and the one that is added to something. Chosen here, not by their arguments at each of a step's
    hundred calls: that takes a tenth of a small product's time."""
    made = operators().mkldnn._linear_pointwise
    return made.default, made.binary


def operators() -> Any:
    """torch.ops is made at run time and has no types."""
    return torch.ops
