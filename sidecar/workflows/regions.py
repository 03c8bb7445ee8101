"""The regions to choose from, those that offer a GPU first: one read a region, a few at a time and not for long."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from sidecar.decisions.gpu_memory import gpu_of
from sidecar.gateway import offers, resources
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session, cloud_of
from sidecar.wire import protocol as wire
from sidecar.words.errors import SlipwayError
from sidecar.workflows.context import Context, opened

READERS = 8
SECONDS = 5.0
"""A person waits for this list: what has not answered by then is listed as not known."""


@dataclass(frozen=True)
class Offered:
    """A region, and the GPUs that it offers for apps (`T4`, `A100`; Azure's name of a profile that we don't know). None: not
    known, since it could not be read in time."""

    name: str
    shown: str
    gpus: tuple[str, ...] | None


def locations(params: wire.SubscriptionParams, context: Context) -> wire.Locations:
    cloud = cloud_of(context.settings, params.cloud, params.subscription_id)
    found = regions_by_gpu(opened(cloud, params.subscription_id, context), params.subscription_id)
    return wire.Locations(
        locations=[
            wire.Location(name=each.name, display_name=each.shown, gpus=None if each.gpus is None else list(each.gpus))
            for each in found
        ]
    )


@dataclass
class _Reading:
    place: GroupPlace
    waiting: list[str]
    deadline: float
    gpus: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        while time.monotonic() < self.deadline:
            with self.lock:
                if not self.waiting:
                    return
                region = self.waiting.pop(0)
            try:
                found = gpus_of(offers.offers(self.place, region))
            except SlipwayError:
                continue  # a region without Container Apps, and one that can't be read: nothing is known of its GPUs
            with self.lock:
                self.gpus[region] = found


def regions_by_gpu(session: Session, subscription_id: str) -> list[Offered]:
    """Those with a GPU, those of which nothing is known, those without; each part by the name that people read."""
    listed = resources.locations(session, subscription_id)
    patience = SECONDS * session.patience.scale
    place = GroupPlace(session, subscription_id, "")  # what a region offers belongs to no resource group
    reading = _Reading(place, [name for name, _ in listed], time.monotonic() + patience)
    # A read that hangs is left behind: it changes nothing, and ends with this process.
    readers = [threading.Thread(target=reading.run, name=f"regions-{n}", daemon=True) for n in range(READERS)]
    for each in readers:
        each.start()
    for each in readers:
        each.join(timeout=max(0.0, reading.deadline - time.monotonic()))
    with reading.lock:
        known = dict(reading.gpus)
    found = [Offered(name, shown, known.get(name)) for name, shown in listed]
    return sorted(found, key=lambda each: 1 if each.gpus is None else 0 if each.gpus else 2)


def gpus_of(offered: dict[str, offers.Offer]) -> tuple[str, ...]:
    """Each kind once, by name."""
    names = ((gpu.name if (gpu := gpu_of(kind)) else kind) for kind, each in offered.items() if each.gpus)
    return tuple(sorted(set(names)))
