"""Whether the region has the GPU, and the subscription a quota for it: needed, in use and allowed, in GPUs. Pure."""

from __future__ import annotations

from sidecar.decisions.checks import Check, Unread, failed, passed, unverified, warned
from sidecar.decisions.preflight_facts import Facts
from sidecar.decisions.restart import GPUS, ROWS, has_gpu
from sidecar.words.text import Text


def profile_check(facts: Facts) -> list[Check]:
    kind = facts.profile
    if kind is None:
        return [passed("profile", Text("The app runs without a GPU profile of its own."))]
    if isinstance(facts.offers, Unread):
        return [unverified("profile", facts.offers)]
    if kind in facts.offers:
        return [passed("profile", Text("{type} is offered in {location}.", type=kind, location=facts.location))]
    others = sorted(name for name, offer in facts.offers.items() if offer.gpus)
    told = {"type": kind, "location": facts.location, "others": ", ".join(others)}
    if not others:
        # Nobody has seen this list of a real subscription yet: one that names no GPU at all may not know of them.
        return [
            warned(
                "profile",
                Text("{type} is not among the profiles listed for {location}, nor is any other GPU.", **told),
                Text("If Azure refuses it, state another location."),
                "location",
            )
        ]
    return [
        failed(
            "profile",
            "WorkloadProfileTypeNotAvailable",
            Text("{type} is not offered in {location}. With a GPU there: {others}.", **told),
            Text("State another gpuProfileType, or another location."),
            "gpuProfileType",
        )
    ]


def quota_check(facts: Facts) -> list[Check]:
    kind = facts.profile
    if kind is None or not has_gpu(kind):
        return []
    if isinstance(facts.usage, Unread):
        return [unverified("quota", facts.usage)]
    row = next((each for each in ROWS.get(kind, ()) if each in facts.usage), None)
    if row is None:
        reason = Text(
            "Azure lists no GPU quota for {type} in {location}: that is unknown, not zero.",
            type=kind,
            location=facts.location,
        )
        return [unverified("quota", Unread(reason), Text("The portal shows it: Quotas, Azure Container Apps."))]
    used, limit = facts.usage[row]
    return [_against(facts, kind, row, used, limit)]


def gpus_counted(facts: Facts) -> tuple[int, int, int] | None:
    """GPUs that one more replica needs, in use, and allowed; None where that is unknown, or there is no GPU in it."""
    kind = facts.profile
    if kind is None or isinstance(facts.usage, Unread):
        return None
    usage = facts.usage
    row = next((each for each in ROWS.get(kind, ()) if each in usage), None)
    return None if row is None else (GPUS.get(kind, 1), *usage[row])


def _against(facts: Facts, kind: str, row: str, used: int, limit: int) -> Check:
    """Needed, used and allowed, in GPUs: the unit of these rows. A dedicated profile's nodes count with all they may become."""
    each = GPUS.get(kind, 1)
    dedicated = "Consumption" not in kind and (facts.environment is None or facts.nodes is not None)
    nodes = facts.instances if facts.nodes is None else facts.nodes.new
    needed = each * nodes if dedicated else each
    counted = Text(
        "GPUs needed: {needed}, in use: {used}, allowed: {limit} ({row} in {location}).",
        needed=needed,
        used=used,
        limit=limit,
        row=row,
        location=facts.location,
    )
    if needed > limit:
        fewer = dedicated and nodes > 1 and each <= limit
        return failed(
            "quota",
            "MaxRegionalQuotaExceeded",
            counted,
            Text("State a smaller maximumInstanceCount, or ask for a larger quota: the portal, Quotas.")
            if fewer
            else Text("Ask for a larger quota (the portal, Quotas), or state another gpuProfileType or location."),
            "maximumInstanceCount" if fewer else "gpuProfileType",
        )
    if facts.app is None and limit - used < needed:
        return warned(
            "quota",
            counted,
            Text("The first replica waits until one is free: stop what uses them, or ask for a larger quota."),
        )
    most = limit // each
    if not dedicated and facts.instances > most:
        return warned(
            "quota",
            Text(
                "Instances stated: {instances}. Of {limit} GPUs that {row} allows, {most} can run.",
                instances=facts.instances,
                limit=limit,
                row=row,
                most=most,
            ),
            Text("More than that never start. State a smaller maximumInstanceCount, or ask for a larger quota."),
            "maximumInstanceCount",
        )
    return passed("quota", counted)
