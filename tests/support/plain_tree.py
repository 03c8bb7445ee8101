"""A share of its own, as the product and as somebody else write to it, and a folder of code beside it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest

from sidecar.core.codefiles import read_tree
from sidecar.core.journal import Event, Journal
from sidecar.core.sync import Changes
from sidecar.gateway.files import Share
from sidecar.words.errors import ConsentNeeded
from sidecar.workflows.mirror import mirror
from tests.contract.localcloud.conftest import World

GROUP = "mirror"
MANIFEST = ".slipway/mirror-code.json"


@dataclass
class Ground:
    share: Share
    disk: Path
    code: Path
    client: Any
    """Microsoft's own, for what the product would not do."""
    said: list[str] = field(default_factory=list[str])
    meanwhile: Callable[[str], None] = field(default=lambda _: None)
    """What somebody else does when a sentence has been shown."""

    def local(self, path: str, content: str) -> None:
        file = self.code / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def remote(self, path: str, content: str) -> None:
        """As somebody writes who has the share mounted."""
        file = self.disk / "code" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def sync(self, *consents: str, abandoned: float = 0, file: Path | None = None) -> Changes:
        """`abandoned` 0: nobody else is at it, so that what is unfinished is a dead run's."""

        def hear(event: Event) -> None:
            self.said.append(str(event.text))
            self.meanwhile(str(event.text))

        journal = Journal(file, "test", hear, Flag())
        return mirror(read_tree(self.code), self.share, "", journal, consents, abandoned=abandoned)

    @property
    def there(self) -> dict[str, str]:
        root = self.disk / "code"
        return {str(each.relative_to(root)): each.read_text() for each in sorted(root.rglob("*")) if each.is_file()}

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.disk / MANIFEST).read_text())

    def ask(self) -> ConsentNeeded:
        before = self.there
        with pytest.raises(ConsentNeeded) as asked:
            self.sync()
        assert self.there == before, "nothing is touched before the answer"
        assert asked.value.consent.startswith("overwrite-share:")
        return asked.value


def new_account(world: World) -> str:
    world.groups.resource_groups.create_or_update(GROUP, {"location": "westus3"})
    body: Any = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    name = "mirror" + uuid.uuid4().hex[:8]
    world.storage.storage_accounts.begin_create(GROUP, name, body).result()
    return name


@contextmanager
def new_ground(world: World, account: str, folder: Path, **options: Any) -> Generator[Ground]:
    """`options`: of the SDK's client, as `retry_total`."""
    name = "s" + uuid.uuid4().hex[:8]
    world.storage.file_shares.create(GROUP, account, name, {})
    code = folder / "code"
    code.mkdir(parents=True)
    client = world.share(account, name, GROUP, **options)
    with Share(client, pauses=(0.01, 0.01)) as share:
        yield Ground(share, next((world.state / "shares").rglob(name)), code, client)
