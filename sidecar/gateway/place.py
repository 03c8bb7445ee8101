"""Where something is: a resource group of a subscription, in a session; and an app in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sidecar.gateway.patience import Patience
from sidecar.gateway.session import Session


@dataclass(frozen=True)
class GroupPlace:
    """A resource group; passed to everything that asks about what lies in it."""

    session: Session
    subscription_id: str
    group: str

    def after_cancel(self) -> GroupPlace:
        """The same place for what is still to be done after a cancel: its waits do not hear that one any more."""
        patience = Patience(scale=self.session.patience.scale)
        return replace(self, session=replace(self.session, patience=patience))

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
