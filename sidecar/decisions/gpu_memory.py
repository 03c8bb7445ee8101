"""How much memory the GPU of a profile type has, from a dated table: no API of Azure tells it. Pure.

As of 2026-11-29. Sources: Microsoft Learn, "Using serverless GPUs in Azure Container Apps" (NVIDIA T4; NVIDIA A100 with 80 GB)
and "Workload profiles in Azure Container Apps" (NC24-A100, NC48-A100 and NC96-A100: 1, 2 and 4 GPUs). A T4 told PyTorch of
16 704 405 504 bytes; of the A100 the whole of its 80 GiB is counted, of which a driver shows a little less."""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "2026-11-29"


@dataclass(frozen=True)
class Gpu:
    """One GPU of a profile: `memory` in bytes, at most; `count`: GPUs of a replica, of which our server uses the first."""

    name: str
    memory: int
    count: int = 1


T4 = Gpu("T4", 16_704_405_504)
A100 = Gpu("A100", 80 << 30)

TABLE: dict[str, Gpu] = {
    "consumption-gpu-nc8as-t4": T4,
    "consumption-gpu-nc24-a100": A100,
    "nc24-a100": A100,
    "nc48-a100": Gpu("A100", A100.memory, 2),
    "nc96-a100": Gpu("A100", A100.memory, 4),
}


def gpu_of(kind: str) -> Gpu | None:
    """The GPU of a profile type; None for a type that the table does not name: then it is unknown, not none."""
    return TABLE.get(kind.lower())


def fits(kind: str, model: int | None) -> bool | None:
    """Whether a model of so many bytes, with what it needs beside its weights, fits one GPU; None where either is unknown."""
    gpu = gpu_of(kind)
    return None if gpu is None or model is None else model <= gpu.memory
