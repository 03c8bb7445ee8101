"""Where Triton's kernels run in these tests: on a GPU that is new enough for them, else in Triton's interpreter."""

import torch

from inference.engine.compute.device import KERNELS_FROM

CUDA = torch.cuda.is_available()
KERNELS = torch.device("cuda" if CUDA and torch.cuda.get_device_capability() >= KERNELS_FROM else "cpu")
