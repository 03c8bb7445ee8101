"""Which device and number format the model runs with: the one place that decides."""

import logging
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """Where and how to compute. `kv_bytes` is the memory that the KV cache may take."""

    device: torch.device
    dtype: torch.dtype
    kv_bytes: int
    prefill: int  # prompt tokens that a step may mix in while others decode
    tokens: int  # prompt tokens of a step in which none decodes

    @property
    def name(self) -> str:
        return f"{self.device.type} {str(self.dtype).removeprefix('torch.')}"


def choose(wanted: str, kv_bytes: int, weights: int, stored: frozenset[str]) -> Device:
    """`wanted` is auto, cpu or cuda; `weights` the bytes of the model on disk, `stored` the formats of its tensors."""
    if wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available()):
        return choose_cuda(kv_bytes, weights)
    free = psutil.virtual_memory().available
    halves = stored <= {"BF16", "F16"} and has_bfloat16()
    dtype = torch.bfloat16 if halves else torch.float32
    share = min(max((free - 2 * weights) // 4, 64 << 20), 8 << 30)
    return Device(torch.device("cpu"), dtype, kv_bytes or share, prefill=64, tokens=512)


def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; without that it is slower than float32."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and " avx512_bf16" in flags.read_text()


def choose_cuda(kv_bytes: int, weights: int) -> Device:
    device = torch.device("cuda", 0)
    if torch.cuda.device_count() > 1:
        log.warning("%d GPUs are there; the first one is used", torch.cuda.device_count())
    dtype = torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    free, _ = torch.cuda.mem_get_info(device)
    share = max(int((free - weights) * 0.85) - (1 << 30), 256 << 20)
    return Device(device, dtype, kv_bytes or share, prefill=512, tokens=4096)
