"""What of an environment and a share that exist is resized to what is stated: a profile's nodes, the share's quota. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.deployment import Planned
from sidecar.decisions.provisioning import ENVIRONMENT, SHARE, Existing
from sidecar.words.text import Text

INSTANCES, QUOTA = "maximumInstanceCount", "shareQuota"
COUNT = "maximumCount"


@dataclass(frozen=True)
class Resized:
    """One number of a resource. `profile`: the workload profile's name; None: the share's quota, in GiB."""

    resource: str
    profile: str | None
    old: int
    new: int

    @property
    def kind(self) -> str:
        """The resource's type."""
        return SHARE if self.profile is None else ENVIRONMENT

    @property
    def path(self) -> str:
        """What of it changes."""
        return "properties.shareQuota" if self.profile is None else f"workloadProfiles[{self.profile}].{COUNT}"

    @property
    def text(self) -> Text:
        if self.profile is None:
            return Text(
                "The quota of {name} changes from {old} to {new} GiB.", name=self.resource, old=self.old, new=self.new
            )
        told = {"profile": self.profile, "name": self.resource, "old": self.old, "new": self.new}
        return Text("The maximum of nodes of {profile} in {name} changes from {old} to {new}.", **told)


def nodes_to_resize(planned: Planned, existing: Existing, stated: Mapping[str, object], name: str) -> Resized | None:
    """Of the dedicated profile that the app runs on. A serverless one has no count: there the app's replicas have a maximum.
    `name`: the environment's."""
    environment, app = existing.environment, existing.app
    profile = planned.profile if app is None else app.profile
    if INSTANCES not in stated or environment is None or profile is None:
        return None
    has = _count(environment.profiles, profile)
    wanted = _count(planned.profiles, profile)
    if has is None or wanted is None or has == wanted:
        return None
    return Resized(name, profile, has, wanted)


def with_count(profiles: tuple[Mapping[str, object], ...], change: Resized) -> list[dict[str, object]]:
    """An environment's profiles, all of them as they are but for the one number."""
    return [{**each, COUNT: change.new} if _is_named(each, change.profile or "") else dict(each) for each in profiles]


def quota_to_set(planned: Planned, stated: Mapping[str, object], quota: int | None) -> Resized | None:
    """`quota`: of the share that is there, in GiB; None where there is none."""
    if QUOTA not in stated or quota is None or planned.share_quota is None or planned.share_quota == quota:
        return None
    return Resized(planned.names[SHARE], None, quota, planned.share_quota)


def _count(profiles: tuple[Mapping[str, object], ...], name: str) -> int | None:
    found = next((each.get(COUNT) for each in profiles if _is_named(each, name)), None)
    return found if isinstance(found, int) else None


def _is_named(profile: Mapping[str, object], name: str) -> bool:
    return str(profile.get("name", "")).lower() == name.lower()
