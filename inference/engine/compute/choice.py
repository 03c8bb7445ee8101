"""How attention is computed, by name: device.py chooses, the model runner and the GPU's path are told."""

from typing import Literal

# dense: torch operations over a dense copy of what decodes (CPU). torch: torch operations over pages. triton: our kernels
# over pages, decoding captured as graphs.
Attention = Literal["dense", "torch", "triton"]
