"""How many replicas an app should have, and which revisions its traffic goes to. Pure decisions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sidecar.localcloud.core.fields import Json, member, objects


@dataclass(frozen=True)
class Scale:
    minimum: int = 0
    maximum: int = 10
    concurrent: int = 10
    """Requests at once that one replica is meant for."""
    cooldown: float = 300


@dataclass(frozen=True)
class Demand:
    in_flight: int
    """Requests being served or held."""
    idle: float
    """Seconds since the last one ended (or since the revision was created)."""
    running: int


Mode = Literal["single", "multiple", "labels"]


@dataclass(frozen=True)
class Traffic:
    """What part of an ingress's traffic goes where."""

    revision: str | None
    latest: bool
    """The latest revision, whichever that is."""
    weight: int
    label: str
    """In lower case; empty where it has none."""


def traffic_of(entry: Json) -> Traffic:
    return Traffic(
        revision=str(entry["revisionName"]) if entry.get("revisionName") else None,
        latest=bool(entry.get("latestRevision")),
        weight=int(entry.get("weight") or 0),
        label=str(entry.get("label") or "").lower(),
    )


def scale_of(template: Json) -> Scale:
    """The scale of a revision's template, ACA's defaults filled in."""
    scale: Json = member(template, "scale")
    http = [rule["http"] for rule in objects(scale, "rules") if rule.get("http")]
    concurrent = str(((member(http[0], "metadata")) if http else Json()).get("concurrentRequests", "10"))
    cooldown = scale.get("cooldownPeriod")
    return Scale(
        minimum=scale.get("minReplicas") or 0,
        maximum=scale.get("maxReplicas") or 10,
        concurrent=max(1, int(concurrent)) if concurrent.isdigit() else 10,
        cooldown=300 if cooldown is None else float(cooldown),
    )


def desired_replicas(scale: Scale, demand: Demand, cooldown: float) -> int:
    """Up at once with the requests; down only after the cooldown without any."""
    needed = math.ceil(demand.in_flight / scale.concurrent)
    if needed < demand.running and demand.idle < cooldown:
        needed = demand.running
    return max(scale.minimum, min(needed, scale.maximum))


def weights(traffic: Sequence[Traffic], active: Sequence[str], mode: Mode) -> dict[str, int]:
    """Weight by revision as the configuration means it; `active` oldest first. The latest is the newest, ready or not."""
    if not active:
        return {}
    if mode == "single" or not traffic:
        return {active[-1]: 100}
    found: dict[str, int] = {}
    for entry in traffic:
        name = active[-1] if entry.latest else entry.revision
        if name and entry.weight and name in active:
            found[name] = found.get(name, 0) + entry.weight
    return found


def traffic_problem(traffic: Sequence[Traffic], names: Sequence[str]) -> str | None:
    """Why ACA refuses these weights; None where they are fine."""
    if not traffic:
        return None
    if sum(entry.weight for entry in traffic) != 100:
        return "The sum of all traffic weights must equal 100."
    for entry in traffic:
        if bool(entry.revision) == entry.latest:
            return "Exactly one of revisionName and latestRevision must be given for each traffic weight."
        if entry.revision and entry.revision not in names:
            return f"The revision '{entry.revision}' in the traffic weights was not found."
    labels = [entry.label for entry in traffic if entry.label]
    return "Each label can be used once only." if len(labels) != len(set(labels)) else None
