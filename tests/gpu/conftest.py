"""These tests need PyTorch, with its Triton, and pytest, and nothing else: a GPU is lent by the minute, and often bare.

Where there is no GPU that our kernels run on, they are interpreted; what is marked `gpu` skips.
"""

import os

from tests.gpu.where import KERNELS

if KERNELS.type == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported: its kernels run on CPU tensors
