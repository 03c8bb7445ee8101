"""The Azure Files share: listing, whole-file uploads, create-if-absent by rename, and large files range by range."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sidecar.gateway.place import GroupPlace
from sidecar.gateway.resources import storage_key
from sidecar.gateway.share_errors import translated_share
from sidecar.words.errors import Conflict
from sidecar.words.text import Text

if TYPE_CHECKING:
    from azure.storage.fileshare import ShareClient

RANGE = 4 * 2**20
"""Bytes in one Put Range, Azure's limit."""


@dataclass(frozen=True)
class Listed:
    name: str
    is_directory: bool
    size: int


class Share:
    """One file share, opened with the account's key, which never leaves this process. Close it after use."""

    def __init__(self, client: ShareClient) -> None:
        self._client = client
        self._folders: set[str] = set()

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def list(self, folder: str) -> list[Listed]:
        """What lies directly in a folder; nothing when it does not exist."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        with translated_share(self._client, Text("Listing {folder} on the share", folder=folder or "/")):
            try:
                found = self._client.get_directory_client(folder).list_directories_and_files()
                return [
                    Listed(each.name, bool(each.is_directory), int(getattr(each, "size", None) or 0)) for each in found
                ]
            except ResourceNotFoundError:
                return []

    def exists(self, path: str) -> bool:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        with translated_share(self._client, Text("Looking for {path} on the share", path=path)):
            try:
                self._client.get_file_client(path).get_file_properties()
            except ResourceNotFoundError:
                return False
        return True

    def read(self, path: str) -> bytes:
        with translated_share(self._client, Text("Reading {path} from the share", path=path)):
            return self._client.get_file_client(path).download_file().readall()

    def create(self, path: str, content: bytes) -> None:
        """The file appears whole or not at all, and never over another: uploaded under another name, then renamed.

        Raises Conflict when the name is taken."""
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        place = PurePosixPath(path)
        self.make_folders(str(place.parent))
        unfinished = str(place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.part"))
        self._upload(unfinished, content)
        with translated_share(self._client, Text("Putting {path} in place", path=path)):
            client = self._client.get_file_client(unfinished)
            try:
                client.rename_file(path, overwrite=False)
            except ResourceExistsError as error:
                client.delete_file()
                raise Conflict(Text("{path} exists already on the share.", path=path)) from error

    def replace(self, path: str, content: bytes) -> None:
        """Puts a whole file in place of whatever stands under the name; readers see the old one or the new."""
        place = PurePosixPath(path)
        self.make_folders(str(place.parent))
        unfinished = str(place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.part"))
        self._upload(unfinished, content)
        with translated_share(self._client, Text("Putting {path} in place", path=path)):
            self._client.get_file_client(unfinished).rename_file(path, overwrite=True)

    def upload(self, source: Path, path: str, on_bytes: Callable[[int], None]) -> None:
        """A large file, in ranges of 4 MiB with a checksum each; replaces what stands under the name."""
        self.make_folders(str(PurePosixPath(path).parent))
        with (
            translated_share(self._client, Text("Uploading {path} to the share", path=path)),
            source.open("rb") as stream,
        ):
            client = self._client.get_file_client(path)
            client.create_file(source.stat().st_size)
            offset = 0
            while block := stream.read(RANGE):
                client.upload_range(block, offset, len(block), validate_content=True)
                offset += len(block)
                on_bytes(len(block))

    def delete(self, path: str) -> None:
        with translated_share(self._client, Text("Deleting {path} on the share", path=path)):
            self._client.get_file_client(path).delete_file()

    def make_folders(self, folder: str) -> None:
        """Makes the folder and those above it; remembers what it has made."""
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        if folder in ("", ".") or folder in self._folders:
            return
        self.make_folders(str(PurePosixPath(folder).parent))
        making = translated_share(self._client, Text("Making {folder} on the share", folder=folder))
        with making, contextlib.suppress(ResourceExistsError):  # made earlier, or by somebody else: just as good
            self._client.get_directory_client(folder).create_directory()
        self._folders.add(folder)

    def _upload(self, path: str, content: bytes) -> None:
        with translated_share(self._client, Text("Uploading {path} to the share", path=path)):
            client = self._client.get_file_client(path)
            client.create_file(len(content))
            for offset in range(0, len(content), RANGE):
                block = content[offset : offset + RANGE]
                client.upload_range(block, offset, len(block), validate_content=True)


def open_share(place: GroupPlace, account: str, share: str) -> Share:
    """Opens a share of a storage account that this person may list the keys of."""
    from azure.storage.fileshare import ShareClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    key, url = storage_key(place, account)
    options: dict[str, Any] = {
        **place.session.transport_options(),
        "connection_verify": place.session.verify,
        "retry_total": 4,
        "initial_backoff": 1,
        "increment_base": 2,
    }
    return Share(
        ShareClient(url.rstrip("/"), share, credential={"account_name": account, "account_key": key}, **options)
    )
