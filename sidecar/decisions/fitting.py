"""What would fit, where a GPU, a region or a quota says no: regions × profiles × quota × list price × this model. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.decisions.checks import Check
from sidecar.decisions.gpu_memory import AS_OF, fits, gpu_of
from sidecar.decisions.prices import Meter, Price, Size, price_of, short
from sidecar.decisions.restart import GPUS, ROWS
from sidecar.gateway.offers import Offer
from sidecar.gateway.resources import Region
from sidecar.words.text import Text

REGIONS = 4
"""Beside the stated one."""

READS = 12
SECONDS = 10.0

DECIDED_BY_PLACE = ("profile", "quota", "memory")
"""Checks that another profile or another region may pass."""


@dataclass(frozen=True)
class Looked:
    """A region, its GPU profiles, and GPUs in use and allowed by row; None where that could not be read."""

    region: str
    offers: Mapping[str, Offer]
    usage: Mapping[str, tuple[int, int]] | None


@dataclass(frozen=True)
class Fit:
    """A profile in a region. `needed`, `used`, `limit`: GPUs; None where the quota is unknown. `memory`: bytes of one GPU.
    `fits`: whether this model does; None: unknown."""

    region: str
    profile: str
    needed: int
    used: int | None
    limit: int | None
    price: Price
    memory: int | None
    fits: bool | None

    @property
    def room(self) -> bool | None:
        """Whether the quota has a GPU left."""
        return None if self.used is None or self.limit is None else self.limit - self.used >= self.needed


@dataclass(frozen=True)
class Fitting:
    """`why`: how the regions were chosen, and how far the look went."""

    fits: tuple[Fit, ...]
    why: Text


def is_wanted(checks: Iterable[Check]) -> bool:
    return any(each.verdict == "FAIL" and each.name in DECIDED_BY_PLACE for each in checks)


def nearest(regions: Sequence[Region], stated: str) -> tuple[Region, ...]:
    """All but the stated one: those of its geography first, each by distance; where that is unknown by name."""
    home = next(
        (each for each in regions if short(each.name) == short(stated) or short(each.shown) == short(stated)), None
    )
    others = [each for each in regions if each is not home]
    if home is None:
        return tuple(sorted(others, key=lambda each: each.name))
    return tuple(sorted(others, key=lambda each: (each.geography != home.geography, _distance(home, each), each.name)))


def _distance(one: Region, other: Region) -> float:
    """Kilometres over the globe."""
    if one.place is None or other.place is None:
        return math.inf
    (a, b), (c, d) = ((math.radians(x), math.radians(y)) for x, y in (one.place, other.place))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6371 * math.asin(min(1.0, math.sqrt(half)))


def fits_of(looked: Sequence[Looked], meters: Sequence[Meter], source: Text, model: int | None) -> tuple[Fit, ...]:
    """Each GPU profile of each region, in their order. `model`: bytes that it needs on one GPU; None: unknown."""
    found: list[Fit] = []
    for each in looked:
        for kind, offer in sorted(each.offers.items()):
            if not offer.gpus:
                continue
            row = (
                None if each.usage is None else next((name for name in ROWS.get(kind, ()) if name in each.usage), None)
            )
            used, limit = (None, None) if row is None or each.usage is None else each.usage[row]
            size = Size(offer.cores, offer.memory, offer.gpus)
            price = price_of(kind, size, each.region, meters, source)
            needed = GPUS.get(kind, offer.gpus)
            gpu = gpu_of(kind)
            memory = None if gpu is None else gpu.memory
            found.append(Fit(each.region, kind, needed, used, limit, price, memory, fits(kind, model)))
    return tuple(found)


def why_these(stated: str, home: Region | None, looked: int, others: int, *, whole: bool) -> Text:
    facts = {
        "stated": stated,
        "geography": Text("unknown") if home is None or not home.geography else home.geography,
        "asked": looked,
        "others": others,
        "reads": READS,
        "seconds": f"{SECONDS:g}",
        "dated": AS_OF,
    }
    if whole:
        return Text(
            "Looked at: {stated}, then regions of this subscription that offer a GPU, those of the same geography ({geography}) "
            "and near by first. {asked} of {others} others were asked, in at most {reads} reads and {seconds} s. GPU memory: "
            "table of {dated}.",
            **facts,
        )
    return Text(
        "Looked at: {stated}, then regions of this subscription that offer a GPU, those of the same geography ({geography}) and "
        "near by first. {asked} of {others} others were asked, in at most {reads} reads and {seconds} s, which were used up. GPU "
        "memory: table of {dated}.",
        **facts,
    )
