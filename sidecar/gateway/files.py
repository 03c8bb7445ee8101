"""The Azure Files share: listing, whole-file uploads, create-if-absent by rename, and large files range by range."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from sidecar.gateway.kept import Kept, kept_for
from sidecar.gateway.listed import Listed, listed, stamping, throttled_is_busy
from sidecar.gateway.patience import Patience
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.resources import storage_key
from sidecar.gateway.share_errors import code_of, translated_share
from sidecar.gateway.transport import left_with
from sidecar.words.errors import Conflict
from sidecar.words.text import Text

if TYPE_CHECKING:
    from azure.storage.fileshare import ShareClient

RANGE = 4 * 2**20
"""Bytes in one Put Range, and in a Create File that brings its content (x-ms-version 2026-02-06 and later): Azure's limits."""

SENDS = 3
"""Of bytes that arrived damaged: Azure compares them with their MD5."""

CHECKED: dict[str, Any] = {"validate_content": True}

SHARED_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries while somebody else has a file open."""

T = TypeVar("T")
Content = bytes | Path
"""Bytes, or a file of this machine."""


class Share:
    """One file share, opened with the account's key, which never leaves this process. Close it after use."""

    def __init__(
        self,
        client: ShareClient,
        patience: Patience | None = None,
        pauses: tuple[float, ...] = SHARED_PAUSES,
        kept: Kept | None = None,
    ) -> None:
        self._client = client
        self._patience = patience or Patience()
        self._pauses = pauses
        self._folders: set[str] = set()
        self._missing: set[str] = set()
        self._takes_content = True
        self._kept = kept or Kept(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.save()
        self._client.close()

    def list(self, folder: str, most: int | None = None) -> list[Listed]:
        """What lies directly in a folder, of a large one the first `most`; nothing when the folder does not exist."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        with translated_share(self._client, Text("Listing {folder} on the share", folder=folder or "/")):
            try:
                client = self._client.get_directory_client(folder)
                found = client.list_directories_and_files(include=["timestamps", "Etag"])
                return self._heard(lambda: [listed(each) for each in islice(found, most)])
            except ResourceNotFoundError as error:
                if code_of(error) == "ShareNotFound":
                    raise
                self._missing.add(folder)
                return []

    def exists(self, path: str) -> bool:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        with translated_share(self._client, Text("Looking for {path} on the share", path=path)):
            try:
                self._heard(self._client.get_file_client(path).get_file_properties)
            except ResourceNotFoundError:
                return False
        return True

    def look(self, path: str) -> Listed | None:
        """The file as it is now; None when there is none."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        with translated_share(self._client, Text("Looking for {path} on the share", path=path)):
            try:
                return listed(self._heard(self._client.get_file_client(path).get_file_properties))
            except ResourceNotFoundError:
                return None

    def read(self, path: str) -> bytes:
        with translated_share(self._client, Text("Reading {path} from the share", path=path)):
            client = self._client.get_file_client(path)
            return self._heard(lambda: client.download_file().readall())

    def read_as(self, path: str, stamp: str) -> bytes:
        """A small file as a listing has just told of it; not asked for where it was read with this stamp before."""
        known = self._kept.get(path, stamp)
        if known is None:
            known = self.read(path)
            self._kept.put(path, stamp, known)
        return known

    def part(self, path: str, offset: int, length: int) -> bytes:
        """As many of a file's bytes from `offset` on as there are, up to `length`, in one request."""
        with translated_share(self._client, Text("Reading {path} from the share", path=path)):
            client = self._client.get_file_client(path)
            return self._heard(lambda: client.download_file(offset=offset, length=length).readall())

    def blocks(self, path: str) -> Iterator[bytes]:
        """A file's content, piece by piece: none is in memory as a whole."""
        with translated_share(self._client, Text("Reading {path} from the share", path=path)):
            client = self._client.get_file_client(path)
            pieces = iter(self._heard(lambda: client.download_file().chunks()))
            while (block := self._heard(lambda: next(pieces, None))) is not None:
                yield block

    def create(self, path: str, content: Content) -> None:
        """The file appears whole or not at all, and never over another: uploaded under another name, then renamed.

        Raises Conflict when the name is taken."""
        from azure.core.exceptions import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
            ResourceExistsError,
            ResourceNotFoundError,
        )

        unfinished, sent = self._upload_beside(path, content, _new_mark())
        with translated_share(self._client, Text("Putting {path} in place", path=path)):
            client = self._client.get_file_client(unfinished)
            stamps: list[str] = []
            try:
                client.rename_file(path, overwrite=False, raw_response_hook=stamping(stamps))
                if isinstance(content, bytes) and stamps:
                    self._kept.put(path, stamps[-1], content)
            except ResourceNotFoundError:
                self._must_hold(path, sent)
            except ResourceExistsError as error:
                try:
                    client.delete_file()
                except ResourceNotFoundError:
                    return  # it is ours: the SDK has asked twice, since the first answer was lost
                raise Conflict(Text("{path} exists already on the share.", path=path)) from error

    def replace(self, path: str, content: Content) -> None:
        """Puts a whole file in place of whatever stands under the name; readers see the old one or the new. While somebody has
        the old one open, it is tried again."""
        self._put_in_place(path, *self._upload_beside(path, content, _new_mark()))

    def replace_if(self, path: str, source: Path, sha256: str, mark: str) -> bool:
        """As `replace`, if the bytes that were sent are the expected ones; False, and nothing is replaced, when the file has
        changed meanwhile. `mark`: in the name of the unfinished upload, by which its leavings are known (`is_unfinished`)."""
        unfinished, sent = self._upload_beside(path, source, mark)
        if sent == sha256:
            self._put_in_place(path, unfinished, sent)
            return True
        self.delete(unfinished)
        return False

    def _put_in_place(self, path: str, unfinished: str, sent: str) -> None:
        from azure.core.exceptions import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
            HttpResponseError,
            ResourceNotFoundError,
        )

        with translated_share(self._client, Text("Putting {path} in place", path=path)):
            client = self._client.get_file_client(unfinished)
            try:
                self._once_unshared(lambda: client.rename_file(path, overwrite=True))
            except ResourceNotFoundError:
                self._must_hold(path, sent)
            except HttpResponseError as error:
                if code_of(error) == "SharingViolation":
                    client.delete_file()
                raise

    def upload(self, source: Path, path: str, on_bytes: Callable[[int], None]) -> None:
        """A large file, in ranges of 4 MiB with a checksum each; replaces what stands under the name."""
        self.make_folders(str(PurePosixPath(path).parent))
        with (
            translated_share(self._client, Text("Uploading {path} to the share", path=path)),
            source.open("rb") as stream,
        ):
            client = self._client.get_file_client(path)
            self._heard(lambda: client.create_file(source.stat().st_size))
            offset = 0
            while block := stream.read(RANGE):
                self._sent(lambda block=block, at=offset: client.upload_range(block, at, len(block), **CHECKED))
                offset += len(block)
                on_bytes(len(block))

    def delete(self, path: str) -> None:
        with translated_share(self._client, Text("Deleting {path} on the share", path=path)):
            client = self._client.get_file_client(path)
            self._once_unshared(client.delete_file)

    def remove_folder(self, folder: str) -> bool:
        """Deletes a folder that is empty; whether it is gone."""
        from azure.core.exceptions import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
            HttpResponseError,
            ResourceNotFoundError,
        )

        self._folders = {each for each in self._folders if each != folder and not each.startswith(f"{folder}/")}
        with translated_share(self._client, Text("Deleting {path} on the share", path=folder)):
            try:
                self._client.get_directory_client(folder).delete_directory()
            except ResourceNotFoundError:
                return True
            except HttpResponseError as error:
                if code_of(error) == "DirectoryNotEmpty":
                    return False
                raise
        return True

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

    def _must_hold(self, path: str, sha256: str) -> None:
        """After a rename that finds no source: its first answer was lost and the file is in place, or somebody else has taken the
        upload away, and what has the name is something else."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        found = ""
        with contextlib.suppress(ResourceNotFoundError):  # then nothing has the name
            seen = hashlib.sha256()
            for block in self._client.get_file_client(path).download_file().chunks():
                seen.update(block)
            found = seen.hexdigest()
        if found != sha256:
            raise Conflict(
                Text("Somebody else has taken the upload of {path} away, or replaced it.", path=path),
                Text("Run the command again when nobody else writes to the share."),
                code="ChangesMeanwhile",
            )

    def _upload_beside(self, path: str, content: Content, mark: str) -> tuple[str, str]:
        """Uploads under a name of its own in the same folder; returns its path, and the sha256 of what was sent."""
        place = PurePosixPath(path)
        unfinished = str(place.with_name(unfinished_name(place.name, mark)))
        seen = hashlib.sha256()
        with (
            translated_share(self._client, Text("Uploading {path} to the share", path=path)),
            _opened(content) as stream,
        ):
            client = self._client.get_file_client(unfinished)
            size = len(content) if isinstance(content, bytes) else os.fstat(stream.fileno()).st_size
            block = stream.read(min(RANGE, size))
            seen.update(block)
            content_at_once = block if 0 < size == len(block) else None
            whole = self._in_folder(place.parent, lambda: self._created(client, size, content_at_once))
            offset = 0
            while block and not whole:
                self._sent(lambda block=block, at=offset: client.upload_range(block, at, len(block), **CHECKED))
                offset += len(block)
                block = stream.read(min(RANGE, size - offset))  # what is added meanwhile has no place there
                seen.update(block)
        return unfinished, seen.hexdigest()

    def _in_folder(self, folder: PurePosixPath, create: Callable[[], T]) -> T:
        """Creates a file; the folder is made where it is not there, since it nearly always is."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        if str(folder) in self._missing:
            self.make_folders(str(folder))
        try:
            return create()
        except ResourceNotFoundError as error:
            if code_of(error) != "ParentNotFound":
                raise
            self._folders.clear()  # somebody has taken one away
            self.make_folders(str(folder))
            return create()

    def _created(self, client: Any, size: int, content: bytes | None) -> bool:
        """Whether the service says that it has taken the content with the create; older ones refuse it."""
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        if content is not None and self._takes_content:
            try:
                answer: Any = self._sent(lambda: client.create_file(size, data=content, **CHECKED))
                return answer.get("content_md5") == hashlib.md5(content, usedforsecurity=False).digest()
            except HttpResponseError as error:
                if error.status_code != 400 or code_of(error) == "Md5Mismatch":
                    raise
                self._takes_content = False
        self._heard(lambda: client.create_file(size))
        return False

    def _sent(self, send: Callable[[], T]) -> T:
        """Bytes with their checksum; sent again where they arrived damaged."""
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        for left in reversed(range(SENDS)):
            try:
                return self._heard(send)
            except HttpResponseError as error:
                if code_of(error) != "Md5Mismatch" or left == 0:
                    raise
        raise AssertionError("the last try returns or raises")

    def _heard(self, ask: Callable[[], T]) -> T:
        """What is read, or written where nobody looks yet: left at once by who cancels. Not what puts a file in place: whether
        that was done has to be known."""
        stop = self._patience.stop
        return ask() if stop.is_set() else left_with(stop, ask)

    def _once_unshared(self, call: Callable[[], T]) -> T:
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

        for pause in self._pauses:
            try:
                return call()
            except HttpResponseError as error:
                if code_of(error) != "SharingViolation":
                    raise
            self._patience.wait(pause)
        return call()


def is_unfinished(name: str, mark: str) -> bool:
    """Whether a file is an upload that was begun with this mark and cut off."""
    return name.endswith(f".{mark}.part")


def _new_mark() -> str:
    return uuid.uuid4().hex[:8]


def unfinished_name(name: str, mark: str) -> str:
    """A name of its own beside the file's, no longer than a name may be."""
    room = 255 - len(f"..{mark}.part")
    kept = name.encode()[:room].decode(errors="ignore")
    return f".{kept}.{mark}.part"


def _opened(content: Content) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


S = TypeVar("S", bound=Share)


def open_share(place: GroupPlace, account: str, share: str) -> Share:
    """Opens a share of a storage account that this person may list the keys of."""
    return open_as(Share, place, account, share)


def open_as(kind: type[S], place: GroupPlace, account: str, share: str) -> S:
    from azure.storage.fileshare import ShareClient  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    key, url = storage_key(place, account)
    options: dict[str, Any] = {
        **place.session.transport_options(),
        "connection_verify": place.session.verify,
        "retry_total": 4,
        "initial_backoff": 0,
        "increment_base": 2,
        "random_jitter_range": 1,  # pauses of about 2, 4 and 8 seconds, never 10
        "raw_response_hook": throttled_is_busy,
    }
    client = ShareClient(url.rstrip("/"), share, credential={"account_name": account, "account_key": key}, **options)
    return kind(client, place.session.patience, kept=kept_for(place.session.shares, url, share))
