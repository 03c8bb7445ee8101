"""Where something is: a resource group of a subscription, in a session; and an app in it."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.gateway.session import Session


@dataclass(frozen=True)
class GroupPlace:
    """A resource group; passed to everything that asks about what lies in it."""

    session: Session
    subscription_id: str
    group: str

    def app(self, name: str) -> AppPlace:
        return AppPlace(self, name)


@dataclass(frozen=True)
class AppPlace:
    """A container app in its resource group."""

    around: GroupPlace
    name: str

    @property
    def group(self) -> str:
        return self.around.group
