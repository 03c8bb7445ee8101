"""4-bit weights (nf4, blocks of 64), as many adapters were trained with: quantised while loading, by bitsandbytes.

The numbers are those of transformers' `load_in_4bit` with nf4: blocks run along the inputs of a matrix, so joining
matrices and reordering their rows changes nothing as long as the inputs are a multiple of the block.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import linear

from inference.engine.files.folder import ModelFolder

Packing = Literal["full", "nf4"]  # how a model's matrices are held: in the format of the others, or in 4 bits
BLOCK = 64
DEVICES = ("cpu", "cuda")


class Nf4Error(RuntimeError):
    """4-bit weights cannot be had here; the message says why and what to do."""


@dataclass(frozen=True)
class Nf4:
    """A matrix [out, in] in 4 bits a number, two in a byte, with a float32 scale for each block."""

    data: Tensor
    state: Any  # bitsandbytes' QuantState

    @property
    def nbytes(self) -> int:
        scales: Tensor = self.state.absmax
        return self.data.nbytes + scales.nbytes

    def times(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x [n, in] → [n, out]. A GPU multiplies a single row from the 4 bits; else the matrix is unfolded for a moment."""
        if x.is_cuda:
            product: Any = library().matmul_4bit
            return product(x, self.data, self.state, bias=bias)
        return linear(x, self.unfolded(), bias)

    def unfolded(self) -> Tensor:
        weight: Tensor = library().functional.dequantize_4bit(self.data, self.state)
        return weight


def four_bits(packing: Packing) -> bool:
    return packing == "nf4"


def quantised(weight: Tensor, device: torch.device) -> Nf4:
    data, state = library().functional.quantize_4bit(weight.to(device), blocksize=BLOCK, quant_type="nf4")
    return Nf4(data, state)


def check(device: torch.device, hidden: int, intermediate: int, query: int) -> None:
    """Raises Nf4Error unless the matrices of this model can be held in 4 bits on this device."""
    if device.type not in DEVICES:
        raise Nf4Error(f"SLIPWAY_WEIGHTS=nf4 does not work on {device.type}; only on {' and '.join(DEVICES)}")
    odd = odd_inputs(hidden, intermediate, query)
    if odd:
        raise Nf4Error(
            f"SLIPWAY_WEIGHTS=nf4 needs matrices whose inputs are multiples of {BLOCK}; this model's have {odd[0]}. "
            "Leave SLIPWAY_WEIGHTS out"
        )
    library()


def odd_inputs(*inputs: int) -> list[int]:
    """Those that blocks do not divide."""
    return [each for each in inputs if each % BLOCK]


def library() -> Any:
    try:
        import bitsandbytes  # noqa: PLC0415  (only nf4 needs the package)
    except ImportError as error:
        raise Nf4Error("SLIPWAY_WEIGHTS=nf4 needs the package bitsandbytes, which is not installed") from error
    return bitsandbytes


def size_in_nf4(folder: ModelFolder) -> int:
    """Bytes of the weights once the projections are quantised."""
    return sum(
        int(numbers(place.shape) * (0.5 + 4 / BLOCK)) if name.endswith("_proj.weight") else place.length
        for name, place in folder.tensors.items()
    )


def numbers(shape: tuple[int, ...]) -> int:
    product = 1
    for extent in shape:
        product *= extent
    return product
