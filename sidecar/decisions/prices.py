"""List prices of a workload profile, from meters of the Retail Prices API: an hour awake and asleep, a month at most. Pure.

What no meter was found for is unknown, never guessed; and none of it is anybody's invoice: discounts, free grants, storage,
logs and traffic are not in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sidecar.words.text import Text

HOURS_A_MONTH = 730
"""As Azure's own price pages count a month."""


@dataclass(frozen=True)
class Meter:
    """One line of a price list. `unit`: as the list writes it, such as "1 Second" or "1 GiB Hour"."""

    name: str
    region: str
    price: float
    unit: str
    currency: str


@dataclass(frozen=True)
class Size:
    """What one replica of a profile, or one node of it, takes."""

    cores: float
    memory: float
    """GiB"""
    gpus: int


@dataclass(frozen=True)
class Price:
    """An hour of one replica awake (of one node of a dedicated profile), and of none; None where it is unknown. `source`: where
    that is from, and when."""

    awake: float | None
    asleep: float | None
    currency: str
    source: Text

    def month(self, replicas: int) -> float | None:
        """All replicas awake, or nodes there, all month."""
        if self.awake is None or self.asleep is None:
            return None
        return (self.awake * replicas + self.asleep) * HOURS_A_MONTH

    def start(self, seconds: float) -> float | None:
        """One replica that starts for so long."""
        return None if self.awake is None else self.awake * seconds / 3600


NOTHING_KNOWN = Text("No price list was read.")
UNKNOWN = Price(None, None, "", NOTHING_KNOWN)


def meters_of(said: object) -> tuple[Meter, ...]:
    """The lines of an answer of the Retail Prices API that are pay-as-you-go; what is not understood is left out."""
    items: object = cast("dict[str, object]", said).get("Items") if isinstance(said, dict) else None
    found: list[Meter] = []
    for each in cast("list[object]", items) if isinstance(items, list) else []:
        line = cast("dict[str, Any]", each) if isinstance(each, dict) else {}
        price = line.get("retailPrice")
        if line.get("type", "Consumption") == "Consumption" and isinstance(price, int | float):
            found.append(
                Meter(
                    str(line.get("meterName", "")),
                    str(line.get("armRegionName", "")).lower(),
                    float(price),
                    str(line.get("unitOfMeasure", "")),
                    str(line.get("currencyCode", "")),
                )
            )
    return tuple(found)


def price_of(kind: str, size: Size, region: str, meters: Sequence[Meter], source: Text) -> Price:
    """Of a profile's type in a region. One part without a meter makes the whole unknown."""
    here = [each for each in meters if each.region == short(region)]
    dedicated = is_dedicated(kind)
    parts = {
        "cores": (size.cores, _hour(here, _CORES[dedicated])),
        "memory": (size.memory, _hour(here, _MEMORY[dedicated])),
        **({"gpus": (size.gpus, _hour(here, gpu_words(kind)))} if size.gpus else {}),
    }
    hours = {name: amount * each for name, (amount, each) in parts.items() if each is not None}
    awake = sum(hours.values()) if len(hours) == len(parts) else None
    asleep = _hour(here, _PLAN) if dedicated else 0.0
    currency = here[0].currency if here else ""
    if awake is None:
        lacking = ", ".join(sorted(set(parts) - set(hours)))
        return Price(
            None,
            asleep if here else None,
            currency,
            Text(
                "{source}: no meter for {parts} of {type} in {region}.",
                source=source,
                parts=lacking,
                type=kind,
                region=region,
            )
            if here
            else Text("{source}: nothing for {region}.", source=source, region=region),
        )
    return Price(awake, asleep, currency, source)


def is_dedicated(kind: str) -> bool:
    return "consumption" not in kind.lower()


def short(region: str) -> str:
    return region.replace(" ", "").lower()


Words = tuple[tuple[str, ...], tuple[str, ...]]
"""Words that a meter's name has, and words that it has not."""

_CORES: Mapping[bool, Words] = {
    False: (("vcpu", "active"), ("dedicated", "hybrid", "gpu")),
    True: (("vcpu", "dedicated"), ("gpu",)),
}
_MEMORY: Mapping[bool, Words] = {
    False: (("memory", "active"), ("dedicated", "hybrid", "gpu")),
    True: (("memory", "dedicated"), ("gpu",)),
}
_PLAN: Words = (("dedicated", "management"), ())


def gpu_words(kind: str) -> Words:
    """A serverless GPU's meter names its model; the dedicated one's names none."""
    if is_dedicated(kind):
        return ("gpu", "dedicated"), ()
    model = re.search(r"[A-Za-z]+\d+$", kind)  # the end of Consumption-GPU-NC8as-T4
    return ("gpu", *((model[0].lower(),) if model else ("no model in the type's name",))), ("dedicated", "idle")


def _hour(meters: Sequence[Meter], words: Words) -> float | None:
    """The price of an hour of the one meter with these words. Of its tiers the dearest: the first is a free grant. Two meters
    that differ in name can't be told apart, so neither is taken."""
    having, lacking = words
    found = [
        each
        for each in meters
        if all(word in each.name.lower() for word in having) and not any(word in each.name.lower() for word in lacking)
    ]
    hours = [hour for each in found if (hour := _of_an_hour(each)) is not None]
    if not hours or len(hours) < len(found) or len({each.name for each in found}) > 1:
        return None
    return max(hours)


def _of_an_hour(meter: Meter) -> float | None:
    """Units are "1 Second", "1 Hour", "1 GiB Second", "100 Seconds", …"""
    unit = re.fullmatch(r"(\d+(?:\.\d+)?)\s+(?:(?:GiB|GB|vCPU)\s+)?(Second|Hour)s?", meter.unit.strip(), re.IGNORECASE)
    if unit is None or float(unit[1]) == 0:
        return None
    return meter.price / float(unit[1]) * (3600 if unit[2].lower() == "second" else 1)
