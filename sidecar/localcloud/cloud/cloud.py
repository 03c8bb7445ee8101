"""LocalCloud: one state folder being served; what every provider needs of it."""

import asyncio
import datetime
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.localcloud.core.accounts import share_folder
from sidecar.localcloud.core.certificates import Certificates, certificates_in
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.identity import TOKEN_LIFETIME, Directory, Subscription, directory_in, issue
from sidecar.localcloud.core.operations import Operations
from sidecar.localcloud.core.resource_id import ResourceId, group_id
from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.core.state import Resource, Store
from sidecar.localcloud.runtime.runtime import Runtime


@dataclass(frozen=True)
class Endpoints:
    """Where the cloud listens. Every part has its own port, kept across restarts."""

    arm: str
    """ARM and the authority: `https://127.0.0.1:P`."""
    files: str
    data: str
    """Log streams."""
    ports: Mapping[str, int] = field(default_factory=dict[str, int])


class LocalCloud:
    """Everything that lives while the process serves its state folder."""

    def __init__(self, folder: Path, settings: Settings, endpoints: Endpoints, runtime: Runtime, store: Store) -> None:
        self.folder = folder
        self.settings = settings
        self.endpoints = endpoints
        self.store = store
        self.runtime = runtime
        self.directory: Directory = directory_in(folder / "identity.json", self.settings)
        self.certificates: Certificates = certificates_in(folder / "tls")
        self.operations = Operations(store)
        self.last_used = time.monotonic()

    def now(self) -> float:
        """The cloud's clock, in seconds since 1970: the machine's, or one that is wrong on purpose."""
        return time.time() + self.settings.clock_skew

    def used(self) -> None:
        """A client was here: the time until the cloud stops for want of clients starts again."""
        self.last_used = time.monotonic()

    def subscription(self, subscription_id: str) -> Subscription:
        for subscription in self.directory.subscriptions:
            if subscription.id.lower() == subscription_id.lower():
                return subscription
        raise ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription_id}' could not be found.")

    def group(self, subscription_id: str, name: str) -> Resource:
        """The resource group; ArmError 404 where there is none."""
        found = self.store.get(group_id(subscription_id, name))
        if found is None:
            raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
        return found

    def share_folder(self, account: str, share: str) -> Path:
        """The plain folder that a share's files lie in, and that a replica sees as its mount."""
        return share_folder(self.folder, account, share)

    def parent_of(self, resource_id: ResourceId) -> Resource:
        """The resource that this one is a child of; ArmError ParentResourceNotFound where there is none."""
        parent = resource_id.parent
        found = self.store.get(parent.text) if parent else None
        if found is None:
            raise ArmError(
                404,
                "ParentResourceNotFound",
                f"Failed to perform 'write' on resource(s) of type '{resource_id.type.partition('/')[2]}', because the parent "
                f"resource '{parent.text if parent else ''}' could not be found.",
            )
        return found

    async def pass_time(self, seconds: float) -> None:
        """Takes as long as Azure would, where the settings ask for realistic latencies."""
        if seconds > 0:
            await asyncio.sleep(seconds)

    def data_token(self, resource_id: str) -> tuple[str, str]:
        """A token for the log streams of one resource, and when it ends."""
        now = self.now()
        token = issue(self.directory, self.endpoints.data, self.directory.owner, resource_id.lower(), now)
        return token, datetime.datetime.fromtimestamp(now + TOKEN_LIFETIME, datetime.UTC).isoformat()

    def discard_folder(self, folder: Path) -> None:
        """Removes a folder and all in it, out of sight at once."""
        if folder.exists():
            grave = folder.with_name(f"{folder.name}.{time.monotonic_ns()}.gone")
            folder.rename(grave)
            shutil.rmtree(grave, ignore_errors=True)

    async def stop(self) -> None:
        await self.operations.stop()
        await self.runtime.stop()
