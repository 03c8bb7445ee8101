"""Resizes an environment's profile and a share, which *Provision* only refers to, to what the parameters state; by PATCH."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.core.journal import Journal
from sidecar.decisions.provisioning import ENVIRONMENT, SHARE, Existing
from sidecar.decisions.resizing import QUOTA, Resized, nodes_to_resize, quota_to_set, with_count
from sidecar.gateway import apps, offers
from sidecar.gateway.place import GroupPlace
from sidecar.workflows.resolve import Plan


def resizes(place: GroupPlace, plan: Plan, existing: Existing) -> tuple[Resized, ...]:
    """What differs. The share is asked only where a quota is stated and its account is there."""
    nodes = nodes_to_resize(plan.planned, existing, plan.values, plan.planned.names.get(ENVIRONMENT, ""))
    account, _, share = plan.planned.names.get(SHARE, "").partition("/default/")
    asked = QUOTA in plan.values and existing.takes_keys is not None and share
    quota = quota_to_set(plan.planned, plan.values, offers.share_quota(place, account, share) if asked else None)
    return tuple(each for each in (nodes, quota) if each is not None)


def resize(place: GroupPlace, existing: Existing, changes: Sequence[Resized], journal: Journal) -> None:
    for each in changes:
        if each.profile is None:
            journal.step("resize", each.text, share=each.resource)
            account, _, share = each.resource.partition("/default/")
            offers.set_share_quota(place, account, share, each.new)
        elif existing.environment is not None:
            journal.step("resize", each.text, environment=each.resource)
            profiles = with_count(existing.environment.profiles, each)
            apps.set_profiles(place, each.resource, existing.environment, profiles)
