"""The Azure Files share: listing, whole-file uploads, create-if-absent by rename, and large files range by range."""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, TypeVar

from sidecar.gateway.patience import Patience
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.resources import storage_key
from sidecar.gateway.share_errors import code_of, translated_share
from sidecar.words.errors import Conflict
from sidecar.words.text import Text

if TYPE_CHECKING:
    from azure.storage.fileshare import ShareClient

RANGE = 4 * 2**20
"""Bytes in one Put Range, Azure's limit."""

SENDS = 3
"""Of one range whose bytes arrived damaged: Azure compares them with their MD5."""

SHARED_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries while somebody else has a file open."""

T = TypeVar("T")
Content = bytes | Path
"""Bytes, or a file of this machine."""


@dataclass(frozen=True)
class Listed:
    name: str
    is_directory: bool
    size: int


class Share:
    """One file share, opened with the account's key, which never leaves this process. Close it after use."""

    def __init__(self, client: ShareClient, patience: Patience | None = None) -> None:
        self._client = client
        self._patience = patience or Patience()
        self._folders: set[str] = set()

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def list(self, folder: str, most: int | None = None) -> list[Listed]:
        """What lies directly in a folder, of a large one the first `most`; nothing when the folder does not exist."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        with translated_share(self._client, Text("Listing {folder} on the share", folder=folder or "/")):
            try:
                found = self._client.get_directory_client(folder).list_directories_and_files()
                return [
                    Listed(each.name, bool(each.is_directory), int(getattr(each, "size", None) or 0))
                    for each in islice(found, most)
                ]
            except ResourceNotFoundError as error:
                if code_of(error) == "ShareNotFound":
                    raise
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

    def blocks(self, path: str) -> Iterator[bytes]:
        """A file's content, piece by piece: none is in memory as a whole."""
        with translated_share(self._client, Text("Reading {path} from the share", path=path)):
            yield from self._client.get_file_client(path).download_file().chunks()

    def create(self, path: str, content: Content) -> None:
        """The file appears whole or not at all, and never over another: uploaded under another name, then renamed.

        Raises Conflict when the name is taken."""
        from azure.core.exceptions import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
            ResourceExistsError,
            ResourceNotFoundError,
        )

        unfinished = self._upload_beside(path, content)
        with translated_share(self._client, Text("Putting {path} in place", path=path)):
            client = self._client.get_file_client(unfinished)
            try:
                client.rename_file(path, overwrite=False)
            except ResourceNotFoundError:
                self._look_for(path)
            except ResourceExistsError as error:
                try:
                    client.delete_file()
                except ResourceNotFoundError:
                    return  # it is ours: the SDK has asked twice, since the first answer was lost
                raise Conflict(Text("{path} exists already on the share.", path=path)) from error

    def replace(self, path: str, content: Content) -> None:
        """Puts a whole file in place of whatever stands under the name; readers see the old one or the new. While somebody has
        the old one open, it is tried again."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        unfinished = self._upload_beside(path, content)
        with translated_share(self._client, Text("Putting {path} in place", path=path)):
            client = self._client.get_file_client(unfinished)
            try:
                self._once_unshared(lambda: client.rename_file(path, overwrite=True))
            except ResourceNotFoundError:
                self._look_for(path)

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
                self._send(client, block, offset)
                offset += len(block)
                on_bytes(len(block))

    def delete(self, path: str) -> None:
        with translated_share(self._client, Text("Deleting {path} on the share", path=path)):
            client = self._client.get_file_client(path)
            self._once_unshared(client.delete_file)

    def delete_folder(self, folder: str) -> None:
        """An empty one; one that is not there is done."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        deleting = translated_share(self._client, Text("Deleting {path} on the share", path=folder))
        with deleting, contextlib.suppress(ResourceNotFoundError):
            self._client.get_directory_client(folder).delete_directory()

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

    def _look_for(self, path: str) -> None:
        """After a rename whose first answer was lost: the SDK's second try finds no source, for the file is in place."""
        self._client.get_file_client(path).get_file_properties()

    def _upload_beside(self, path: str, content: Content) -> str:
        """Uploads under a name of its own in the same folder; returns its path."""
        place = PurePosixPath(path)
        self.make_folders(str(place.parent))
        unfinished = str(place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.part"))
        with translated_share(self._client, Text("Uploading {path} to the share", path=path)):
            client = self._client.get_file_client(unfinished)
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            client.create_file(size)
            with _opened(content) as stream:
                offset = 0
                while block := stream.read(RANGE):
                    self._send(client, block, offset)
                    offset += len(block)
        return unfinished

    def _send(self, client: Any, block: bytes, offset: int) -> None:
        """One range with its checksum; sent again where it arrived damaged."""
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        for left in reversed(range(SENDS)):
            try:
                client.upload_range(block, offset, len(block), validate_content=True)
                return
            except HttpResponseError as error:
                if code_of(error) != "Md5Mismatch" or left == 0:
                    raise

    def _once_unshared(self, call: Callable[[], T]) -> T:
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        for pause in SHARED_PAUSES:
            try:
                return call()
            except HttpResponseError as error:
                if code_of(error) != "SharingViolation":
                    raise
            self._patience.wait(pause)
        return call()


def _opened(content: Content) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


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
    client = ShareClient(url.rstrip("/"), share, credential={"account_name": account, "account_key": key}, **options)
    return Share(client, place.session.patience)
