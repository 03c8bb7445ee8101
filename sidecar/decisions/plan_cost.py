"""What a plan costs by list prices: what of a template decides it, and how long a start that never ends is counted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sidecar.decisions.prices import UNKNOWN, Price, Size, is_dedicated
from sidecar.decisions.resizing import Resized
from sidecar.gateway.offers import Offer
from sidecar.words.text import Text

PROGRESS_DEADLINE = 600
"""Seconds after which Azure says that a revision's progress is over its deadline. It ends nothing."""

CONSUMPTION = "Consumption"


@dataclass(frozen=True)
class Nodes:
    """How many a dedicated profile has: each is paid for while it is there, also where no replica runs on it."""

    least: int
    most: int


@dataclass(frozen=True)
class Cost:
    """`replicas`: at most. `bound`: seconds that a start without an end is counted for; `why`: from where. `dedicated`: nodes are
    paid for instead of replicas, and `nodes` None is unknown."""

    price: Price
    replicas: int
    bound: int
    why: Text
    dedicated: bool = False
    nodes: Nodes | None = None

    @property
    def asleep(self) -> float | None:
        """An hour without a replica: of a dedicated profile the plan's management, and the nodes that stay."""
        fee, awake = self.price.asleep, self.price.awake
        if not self.dedicated or fee is None:
            return fee
        if self.nodes is None or (awake is None and self.nodes.least):
            return None
        return fee + (awake or 0) * self.nodes.least

    @property
    def month(self) -> float | None:
        if not self.dedicated:
            return self.price.month(self.replicas)
        return None if self.nodes is None else self.price.month(self.nodes.most)

    @property
    def start(self) -> float | None:
        return self.price.start(self.bound)


NOTHING = Cost(UNKNOWN, 0, 0, Text(""))


def size_of(kind: str, template: Mapping[str, object], offer: Offer | None) -> Size | None:
    """What is paid for while one replica runs: its own share of a serverless profile, the whole node of a dedicated one. None
    where it can't be told."""
    if is_dedicated(kind):
        return None if offer is None else Size(offer.cores, offer.memory, offer.gpus)
    resources = [cast("dict[str, Any]", each.get("resources") or {}) for each in _containers(template)]
    cores = [_number(each.get("cpu")) for each in resources]
    memory = [_gib(each.get("memory")) for each in resources]
    if not resources or None in cores or None in memory:
        return None
    gpus = offer.gpus if offer is not None else (1 if "GPU" in kind.upper() else 0)
    return Size(sum(each or 0 for each in cores), sum(each or 0 for each in memory), gpus)


def nodes_of(
    kind: str,
    name: str | None,
    there: Sequence[Mapping[str, object]],
    planned: Sequence[Mapping[str, object]],
    resizes: Sequence[Resized],
) -> Nodes | None:
    """Of the environment's profile of this type, `name` before another; else of the template's. None where one of the counts is
    unknown. `resizes`: what the plan changes of them."""
    own = [each for each in there if _lower(each, "workloadProfileType") == kind.lower()]
    found = own or [each for each in planned if _lower(each, "workloadProfileType") == kind.lower()]
    one = next((each for each in found if name and _lower(each, "name") == name.lower()), found[0] if found else {})
    least, most = one.get("minimumCount"), one.get("maximumCount")
    changed = (each.new for each in resizes if each.profile and each.profile.lower() == _lower(one, "name"))
    most = next(changed, most)
    return Nodes(least, most) if isinstance(least, int) and isinstance(most, int) else None


def _lower(profile: Mapping[str, object], key: str) -> str:
    return str(profile.get(key, "")).lower()


def replicas_of(template: Mapping[str, object]) -> int:
    scale = cast("dict[str, Any]", template.get("scale") or {})
    most = scale.get("maxReplicas")
    return most if isinstance(most, int) else 10


def cooldown_of(template: Mapping[str, object]) -> int:
    scale = cast("dict[str, Any]", template.get("scale") or {})
    stated = scale.get("cooldownPeriod")
    return stated if isinstance(stated, int) else 300


def start_bound(template: Mapping[str, object]) -> tuple[int, Text]:
    """For how long one try to start may take before the platform breaks it off or says so."""
    probes = [
        probe for each in _containers(template) for probe in cast("list[dict[str, Any]]", each.get("probes") or [])
    ]
    budgets = [_budget(each) for each in probes]
    longest = max((each for each in budgets if each is not None), default=0)
    if longest > PROGRESS_DEADLINE:
        return longest, Text(
            "one try to start may take {seconds} s by its start-up probe; after that it is tried again, and nothing but a stop "
            "of the app ends it",
            seconds=longest,
        )
    return PROGRESS_DEADLINE, Text(
        "Azure's progress deadline is {seconds} s; it ends nothing, a stop of the app does", seconds=PROGRESS_DEADLINE
    )


def _budget(probe: Mapping[str, Any]) -> int | None:
    """Of a start-up probe: the delay before the first look, and every failure that it bears."""
    if str(probe.get("type", "")).lower() != "startup":
        return None
    return int(probe.get("initialDelaySeconds") or 0) + int(probe.get("periodSeconds") or 10) * int(
        probe.get("failureThreshold") or 3
    )


def _containers(template: Mapping[str, object]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", template.get("containers") or [])


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _gib(value: object) -> float | None:
    text = str(value)
    return _number(text[:-2]) if text.endswith("Gi") else None
