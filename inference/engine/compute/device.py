"""Which device, number format and attention the model runs with: the one place that decides."""

import logging
import math
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from inference.engine.compute.choice import Attention, Backend
from inference.engine.files.patience import Passing

log = logging.getLogger(__name__)

Wanted = Literal["auto", "cpu", "cuda"]
SPARE = 1 << 30  # bytes of GPU memory for activations, graphs and cuBLAS's workspaces
# Bytes for each row and token of the vocabulary: float32 logits, and the four float64 copies of a usual draw.
SCORES = 36
LEAST_CACHE = 256 << 20
LEAST_BLOCKS = 4
KERNELS_FROM = (8, 0)  # the capability from which on there are bfloat16 and Triton's kernels
# Types whose activations leave float16's range: an answer would be noise, or none. vLLM refuses these in float16.
OVERFLOWING = frozenset({"gemma2", "gemma3", "gemma3_text", "glm4", "plamo2"})
# Container Apps' serverless GPUs by profile type, and at most how many bytes each has (2026-11-29).
GPU_PROFILES = (("Consumption-GPU-NC8as-T4", 16_704_405_504), ("Consumption-GPU-NC24-A100", 80 << 30))


class DeviceError(RuntimeError):
    """The wanted device is not there, or cannot hold the model."""


class DeviceLost(Passing):
    """The GPU answers nothing any more. Not a RuntimeError: no request is to blame, and none can be served."""


@dataclass(frozen=True)
class Hardware:
    """What the decision depends on. `capability` is the first GPU's, None without one."""

    capability: tuple[int, int] | None = None
    gpus: int = 0
    name: str = ""
    obstacle: str = ""  # why Triton's kernels do not run here
    unseen: str = ""  # a GPU that is there and that PyTorch cannot use, and why
    built_for_gpus: bool = True  # whether this PyTorch could use one
    cpu_bfloat16: bool = False


@dataclass(frozen=True)
class Plan:
    """What was decided, and what of it a person should know."""

    kind: Literal["cpu", "cuda"]
    dtype: torch.dtype
    attention: Attention
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Device(Backend):
    """And what it has room and time for. `kv_bytes` is the memory that the KV cache may take."""

    kv_bytes: int
    prefill: int  # prompt tokens that a step may mix in while others decode
    tokens: int  # prompt tokens of a step in which none decodes
    notes: tuple[str, ...] = ()  # what of the choice a person should know

    @property
    def format(self) -> str:
        """Of the numbers, as PyTorch calls it."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def name(self) -> str:
        return f"{self.device.type} {self.format}, {self.attention} attention"


def choose(
    wanted: Wanted,
    kv_bytes: int,
    *,
    model: str,
    on_disk: int,
    stored: frozenset[str],
    loaded: Callable[[torch.dtype], int],
    smaller: int = 0,
    adapters: int = 0,
) -> Device:
    """`model` is its type; `on_disk` and `loaded` are its bytes there and, by format, once it is loaded, what its steps need
    for logits included; `stored` are the formats of its tensors. `smaller`: what it would need in 4 bits, where it can.
    `adapters`: what those that are there take of a GPU."""
    plan = plan_for(wanted, look(wanted), stored, model)
    for note in plan.notes:
        log.warning("%s", note)
    if plan.kind == "cpu":
        import psutil  # noqa: PLC0415  (the GPU benchmark has PyTorch alone)

        share = kv_bytes or cpu_share(psutil.virtual_memory().available, on_disk)
        kind, prefill, tokens = torch.device("cpu"), 64, 512
    else:
        set_up_cuda()
        kind, prefill, tokens = torch.device("cuda", 0), 512, 4096
        free, _ = torch.cuda.mem_get_info(kind)
        share = kv_bytes or gpu_share(free, loaded(plan.dtype), smaller, adapters)
    return Device(kind, plan.dtype, plan.attention, kv_bytes=share, prefill=prefill, tokens=tokens, notes=plan.notes)


def plan_for(wanted: Wanted, hardware: Hardware, stored: frozenset[str], model: str = "") -> Plan:
    """The decision; DeviceError when CUDA is wanted and there is none."""
    if wanted == "cuda" and hardware.capability is None:
        why = f" ({hardware.unseen})" if hardware.unseen else ""
        raise DeviceError(f"SLIPWAY_DEVICE is cuda, but PyTorch sees no CUDA device{why}; set it to auto or cpu")
    if wanted == "auto" and hardware.unseen and hardware.built_for_gpus:
        # A paid GPU would do nothing, and nobody would know: the CPU serves where it is asked for.
        raise DeviceError(f"{hardware.unseen} Set SLIPWAY_DEVICE to cpu to serve without a GPU")
    if wanted == "cpu" or hardware.capability is None:
        halves = stored <= {"BF16", "F16"} and hardware.cpu_bfloat16
        said = (f"{hardware.unseen}: the CPU serves, slowly",) if hardware.unseen and wanted != "cpu" else ()
        return Plan("cpu", torch.bfloat16 if halves else torch.float32, "dense", said)
    notes: list[str] = []
    if hardware.gpus > 1:
        notes.append(f"{hardware.gpus} GPUs are there; the first one ({hardware.name}) is used")
    if hardware.capability < KERNELS_FROM:
        # Neither bfloat16 nor Triton: float16 weights, with norms, softmax and logits in float32.
        if model not in OVERFLOWING:
            return Plan("cuda", torch.float16, "torch", tuple(notes))
        notes.append(
            f"{model} overflows float16, and {hardware.name} has no bfloat16: float32 is used, twice the memory"
        )
        return Plan("cuda", torch.float32, "torch", tuple(notes))
    if hardware.obstacle:
        notes.append(f"{hardware.obstacle}: decoding goes on without our kernels and graphs, more slowly")
        return Plan("cuda", torch.bfloat16, "torch", tuple(notes))
    return Plan("cuda", torch.bfloat16, "triton", tuple(notes))


def look(wanted: Wanted) -> Hardware:
    """What this machine has."""
    if not torch.cuda.is_available():
        cuda = torch.version.cuda
        unseen = unseen_gpu(gpu_nodes(), cuda)
        return Hardware(unseen=unseen, built_for_gpus=cuda is not None, cpu_bfloat16=has_bfloat16())
    capability = torch.cuda.get_device_capability(0)
    kernels = wanted != "cpu" and capability >= KERNELS_FROM
    return Hardware(
        capability=capability,
        gpus=torch.cuda.device_count(),
        name=torch.cuda.get_device_name(0),
        obstacle=obstacle_to(lambda: try_kernel(torch.device("cuda", 0))) if kernels else "",
        cpu_bfloat16=has_bfloat16(),
    )


def obstacle_to(probe: Callable[[], None]) -> str:
    """Why Triton's kernels do not run here, empty when `probe` says that they do. Besides its package Triton needs a C
    compiler, Python's headers, libcuda.so.1, ptxas, and a place for what they make: only a try says that all are there."""
    try:
        probe()
    except Exception as error:  # noqa: BLE001  (whatever it is, torch's operations do the same)
        what = (str(error).strip() or "no reason given").splitlines()[0][:200]
        return f"Triton does not work here ({type(error).__name__}: {what})"
    return ""


def try_kernel(device: torch.device) -> None:
    """Compiles and runs the smallest of our kernels; raises when that fails or gives a wrong number."""
    from inference.engine.compute.gpu.kernels.fused import gate  # noqa: PLC0415  (Triton is not everywhere: this is the try)

    found = gate(torch.ones(1, 2, device=device)).item()
    if abs(found - torch.sigmoid(torch.ones(())).item()) > 1e-5:
        raise RuntimeError(f"a kernel computed {found}")


def gpu_nodes() -> list[str]:
    """The system's names of NVIDIA GPUs, WSL's included; none when the environment hides them from CUDA."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return []
    return sorted(str(node) for pattern in ("nvidia[0-9]*", "dxg") for node in Path("/dev").glob(pattern))


def unseen_gpu(nodes: list[str], cuda: str | None) -> str:
    """What to say of GPUs that PyTorch does not see; `cuda` is the version that it was built for, None without."""
    if not nodes:
        return ""
    if cuda is None:
        return f"{nodes[0]} is there, but this PyTorch is built without CUDA"
    return f"{nodes[0]} is there, but PyTorch sees no GPU: is the driver too old for its CUDA {cuda}?"


def set_up_cuda() -> None:
    """How CUDA has to compute, whoever makes the model."""
    # 16-bit products are summed in float32: fp16 sums overflow, and the T4 would make them.
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    # cuDNN's attention makes a plan for every new shape, so for almost every prompt.
    torch.backends.cuda.enable_cudnn_sdp(False)


def raise_if_lost(error: RuntimeError, wait: Callable[[], None]) -> None:
    """DeviceLost when after `error` the device cannot even be waited for: CUDA reports a broken context for ever after,
    and only a new process gets another one. A lack of memory, or a shape that does not fit, leaves it as it was."""
    try:
        wait()
    except RuntimeError as still:
        raise DeviceLost(f"the GPU is lost: {error}; waiting for it: {still}") from error


@contextmanager
def noticing_loss(device: torch.device) -> Generator[None, None, None]:
    """Around a step: DeviceLost in place of an error after which the GPU can do nothing any more."""
    try:
        yield
    except RuntimeError as error:
        if device.type == "cuda":
            raise_if_lost(error, torch.cuda.synchronize)
        raise
    except Exception as error:
        if not is_tritons(error):
            raise
        if device.type == "cuda":
            raise_if_lost(RuntimeError(error), torch.cuda.synchronize)
        raise RuntimeError(f"{type(error).__name__} in a kernel: {error}") from error


def is_tritons(error: BaseException) -> bool:
    """Whether Triton raised it: its errors are no RuntimeErrors, and would otherwise end whoever expects none but those."""
    return any(kind.__module__.partition(".")[0] == "triton" for kind in type(error).__mro__)


def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; without that it is slower than float32."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and " avx512_bf16" in flags.read_text()


def bytes_in(dtype: torch.dtype, shapes: Iterable[tuple[int, ...]]) -> int:
    """What tensors of these shapes take once they are loaded, in whichever format they were stored."""
    return sum(math.prod(shape) for shape in shapes) * dtype.itemsize


def kv_blocks(kv_bytes: int, block_bytes: int, most: int, least: int = LEAST_BLOCKS) -> int:
    """How many blocks of keys and values there are: as many as fit, at most what can be used."""
    return max(min(kv_bytes // block_bytes, most), least)


def cpu_share(free: int, weights: int) -> int:
    """Bytes for keys and values of the memory that is free before the weights are loaded."""
    return min(max((free - 2 * weights) // 4, 64 << 20), 8 << 30)


def gpu_share(free: int, weights: int, smaller: int = 0, adapters: int = 0) -> int:
    """Bytes for keys and values of the GPU memory that is free before the weights are loaded.

    Budgeted are the weights, SPARE for activations, graphs and cuBLAS, and the adapters that are there: as far as the least
    cache is left, since no adapter keeps the base from starting. Nobody knows which will come: those live in the 15 % that is
    left over. An adapter that finds no room there is refused, and what is served goes on.
    """
    share = int((free - weights) * 0.85) - SPARE
    if share < LEAST_CACHE:
        needed = least_memory(weights)
        told = f"the model needs {needed / 1e9:.1f} GB of GPU memory and {free / 1e9:.1f} GB are free"
        raise DeviceError(f"{told}; {would_fit(free, needed, least_memory(smaller) if smaller else 0)}")
    return max(share - adapters, LEAST_CACHE)


def least_memory(weights: int) -> int:
    return int(weights + (SPARE + LEAST_CACHE) / 0.85)


def would_fit(free: int, needed: int, smaller: int) -> str:
    """What serves a model that does not fit: in 4 bits (`smaller` bytes, 0 where it can't be), or on another GPU."""
    ways = [f"SLIPWAY_WEIGHTS=nf4 needs {smaller / 1e9:.1f} GB"] if 0 < smaller <= free else []
    larger = [
        (kind, memory) for kind, memory in GPU_PROFILES if memory > 1.2 * free
    ]  # others have less than is theirs free
    for size, how in ((needed, ""), (smaller, " with SLIPWAY_WEIGHTS=nf4")):
        fitting = [
            f"gpuProfileType {kind} has {memory / (1 << 30):.0f} GiB{how}" for kind, memory in larger if memory >= size
        ]
        if size and fitting:
            ways.append(fitting[0])
            break
    return " or ".join(ways) or "no serverless GPU holds it: serve a smaller model"


def uuid_of(device: torch.device) -> str:
    """The name of a CUDA device in NVML, whatever CUDA_VISIBLE_DEVICES makes of its number."""
    cuda: Any = torch.cuda
    return f"GPU-{cuda.get_device_properties(device).uuid}"


def gpu_name(device: torch.device) -> str | None:
    """A CUDA device's own name; None for a CPU."""
    return None if device.type != "cuda" else str(torch.cuda.get_device_name(device))
