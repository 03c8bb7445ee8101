"""What the checks of the set-up judge: everything that was read, and what could not be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.deployment import Planned
from sidecar.decisions.checks import Unread
from sidecar.decisions.model_facts import ModelFacts
from sidecar.decisions.profiles import Wanted, kind_of
from sidecar.decisions.provisioning import Existing
from sidecar.decisions.registries import Stated
from sidecar.decisions.resizing import Resized
from sidecar.gateway.apps import App, Environment
from sidecar.gateway.offers import Account, Grant, Offer
from sidecar.words.errors import SlipwayError
from sidecar.words.text import Text


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was read. `usage`: GPUs in use and allowed, by row. `files`: None where the share answers, or there is none yet."""

    who: Text | Unread
    token_tenant: str | None
    tenant: str
    location: str
    planned: Planned
    project: str | None
    wanted: Wanted | None
    instances: int
    existing: Existing | None
    """None: nothing was looked at, for a provider is not registered yet."""
    registered: Mapping[str, str | Unread]
    grants: tuple[Grant, ...] | Unread
    offers: Mapping[str, Offer] | Unread
    usage: Mapping[str, tuple[int, int]] | Unread
    account: Account | Unread | None
    name_free: bool | Unread | None
    """Whether nobody else has the storage account's name; None where the account is there."""
    files: Unread | SlipwayError | None
    nodes: Resized | None = None
    """The maximum of nodes of a dedicated profile, where it is to be changed."""
    login: Stated | None = None
    """For the image's registry."""
    models: ModelFacts | None = None
    """What is on the share; None where there is none yet, or where another server than ours is to be started."""

    @property
    def app(self) -> App | None:
        return None if self.existing is None else self.existing.app

    @property
    def environment(self) -> Environment | None:
        return None if self.existing is None else self.existing.environment

    @property
    def profile(self) -> str | None:
        """The type of the app's workload profile; of one that the template only names, as the environment has it."""
        if self.wanted is None:
            return None
        environment = self.environment
        return self.wanted.kind or (None if environment is None else kind_of(environment, self.wanted.name))
