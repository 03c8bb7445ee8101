"""How a revision is to be restarted: beside the running replica where a GPU is left for it, else after that has ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sidecar.words.names import RestartWay
from sidecar.words.text import Text

Way = RestartWay

ROWS: dict[str, tuple[str, ...]] = {
    "Consumption-GPU-NC8as-T4": ("SubscriptionConsumptionT4Gpus", "SubscriptionConsumptionNCT4Gpus"),
    "Consumption-GPU-NC24-A100": ("SubscriptionConsumptionNCA100Gpus",),
    "NC24-A100": ("SubscriptionNCA100Gpus",),
    "NC48-A100": ("SubscriptionNCA100Gpus",),
    "NC96-A100": ("SubscriptionNCA100Gpus",),
}
"""The usages rows that count a profile's GPUs; Azure's own names for them differ, and a row may be missing."""

GPUS = {"NC48-A100": 2, "NC96-A100": 4}
"""GPUs of a replica, where it is not one."""


@dataclass(frozen=True)
class Plan:
    """`reason`: said before anything is done, where the old replica goes first. `scarce`: shown while a replica waits for a GPU
    that others have."""

    way: Way
    reason: Text | None = None
    scarce: Text | None = None
    full: bool = False
    """The quota is known, and has no GPU left."""


def has_gpu(profile: str | None) -> bool:
    return profile is not None and (profile in ROWS or "GPU" in profile.upper())


def plan_for(profile: str | None, usage: Mapping[str, tuple[int, int]] | None, running: int, holding: int) -> Plan:
    """`profile`: the type of the app's workload profile. `usage`: in use and allowed, by row; None where it can't be read.
    `holding`: of the running replicas, those that have begun and so have their GPUs."""
    if profile is None or not has_gpu(profile):
        return Plan("rolling" if running else "wake")
    each = GPUS.get(profile, 1)
    row = next((usage[name] for name in ROWS.get(profile, ()) if name in usage), None) if usage else None
    if row is None:
        unknown = Text("It is not known whether there is a GPU for a second replica.")
        return Plan("old-first", unknown) if running else Plan("wake")
    used, limit = row
    others = used - holding * each
    scarce = None
    if limit - others < each:
        scarce = Text("Waiting for a GPU: {used} of the quota of {limit} are in use…", used=used, limit=limit)
    full = limit - used < each
    if not running:
        return Plan("wake", scarce=scarce, full=full)
    if not full:
        return Plan("rolling")
    none_left = Text(
        "GPUs of the quota in use: {used} of {limit}. None is left for a second replica.", used=used, limit=limit
    )
    return Plan("old-first", none_left, scarce, full=True)


ENDING_SECONDS = 10
"""An old replica takes about so long to end when it has nothing to do."""


def downtime(created: str, started: str | None, ready_after: float | None) -> float | None:
    """Seconds for which nothing will answer, if the next start takes as long as that of the replica that runs: from its
    creation until the model answered. None where it does not tell."""
    if started is None or ready_after is None:
        return None
    try:
        before = (datetime.fromisoformat(started) - datetime.fromisoformat(created)).total_seconds()
    except (ValueError, TypeError):  # a time without a zone, or none
        return None
    return max(before, 0.0) + ready_after + ENDING_SECONDS
