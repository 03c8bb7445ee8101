"""Whether a second server like this one fits into the memory beside it: asked before a release is exchanged."""

import re
from dataclasses import dataclass
from pathlib import Path

from inference.service import Service

GROUPS = Path("/sys/fs/cgroup")
SPARE = 256 << 20  # bytes that must stay free on a CPU, for what requests take meanwhile
UNLIMITED = 1 << 60  # cgroup v1 writes a number of this size where there is no limit


@dataclass(frozen=True)
class Room:
    """None: it can't be told."""

    fits: bool | None
    why: str


def measured(service: Service) -> Room:
    """Of the process as it is now. On a thread: /proc and the GPU are asked."""
    served = service.served
    if served is None:
        return Room(None, "the model that serves is still loading")
    if served.runs_on.device == "cuda":
        return on_gpu(service.settings.kv_bytes)
    import psutil  # noqa: PLC0415  (the GPU benchmark has PyTorch alone)

    left = free_in_group(GROUPS, Path("/proc/self/cgroup"))
    free = psutil.virtual_memory().available
    return on_cpu(free if left is None else min(free, left), psutil.Process().memory_info().rss)


def on_cpu(free: int, taken: int) -> Room:
    """`taken`: what this process holds, weights and cache. The new one takes as much in the end."""
    needed = taken + taken // 10 + SPARE
    said = f"a second server needs about {gigabytes(needed)} of memory, and {gigabytes(free)} are free"
    return Room(free >= needed, said)


def on_gpu(kv_bytes: int) -> Room:
    if not kv_bytes:
        # By design the cache takes nearly all that the weights leave: a second server would find no room, or would serve
        # with a smaller cache than after a restart, for good and unnoticed.
        return Room(False, "the cache of the server that runs takes the GPU's memory (SLIPWAY_KV_BYTES would bound it)")
    import torch  # noqa: PLC0415  (loaded already where a model serves)

    device = torch.device("cuda", 0)
    free, _ = torch.cuda.mem_get_info(device)
    return second_on_gpu(free, torch.cuda.memory_reserved(device))


def second_on_gpu(free: int, taken: int) -> Room:
    """`taken`: what PyTorch holds in this process, the bounded cache included; CUDA itself takes more for each process."""
    needed = taken + (1 << 30)
    said = f"a second server needs about {gigabytes(needed)} of GPU memory, and {gigabytes(free)} are free"
    return Room(free >= needed, said)


def gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB"


def free_in_group(groups: Path, own: Path) -> int | None:
    """Bytes that the control group of this process leaves it; None without a limit. What is only cached counts as free."""
    try:
        said = own.read_text()
    except OSError:
        return None
    unified = re.search(r"^0::(/.*)$", said, re.MULTILINE)
    older = re.search(r"^\d+:[^:\n]*\bmemory\b[^:\n]*:(/.*)$", said, re.MULTILINE)
    if older is not None:
        places = [groups / "memory" / older[1].lstrip("/"), groups / "memory"]
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    elif unified is not None:
        places = [groups / unified[1].lstrip("/"), groups]
        names = ("memory.max", "memory.current", "inactive_file")
    else:
        return None
    place = next((each for each in places if (each / names[0]).exists()), None)
    return None if place is None else left_in(place, *names)


def left_in(place: Path, limit_file: str, used_file: str, cached: str) -> int | None:
    limit = (place / limit_file).read_text().strip()
    if not limit.isdecimal() or int(limit) >= UNLIMITED:
        return None
    used = int((place / used_file).read_text())
    idle = re.search(rf"^{cached} (\d+)$", (place / "memory.stat").read_text(), re.MULTILINE)
    return int(limit) - used + (int(idle[1]) if idle else 0)
