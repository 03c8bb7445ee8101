"""Memory of the GPU behind a workload profile's type, from a dated table: a type that is not in it is unknown. Pure."""

from __future__ import annotations

DATED = "2026-11"

GPU_BYTES: dict[str, int] = {
    # One run on a T4 profile printed it (August 2026, public).
    "Consumption-GPU-NC8as-T4": 16_704_405_504,
    # Microsoft's page of the machines NC A100 v4: one, two or four A100 with 80 GB each. PyTorch sees a little less.
    "Consumption-GPU-NC24-A100": 80_000_000_000,
    "NC24-A100": 80_000_000_000,
    "NC48-A100": 80_000_000_000,
    "NC96-A100": 80_000_000_000,
}
"""Of one GPU: a model is loaded onto one."""


def fits(kind: str, model: int | None) -> bool | None:
    """Whether a model of so many bytes, with what it needs beside its weights, fits one GPU; None where either is unknown."""
    memory = GPU_BYTES.get(kind)
    return None if memory is None or model is None else model <= memory
