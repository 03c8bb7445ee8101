"""Large files on a share: block by block under a name that nobody reads yet, then put in place; an upload goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sidecar.gateway.files import CHECKED, RANGE, Share, unfinished_name
from sidecar.gateway.listed import stamping
from sidecar.gateway.share_errors import translated_share
from sidecar.words.text import Text

MARK = 16
"""Letters of a content's sha256 in the name of its unfinished upload."""


@dataclass(frozen=True)
class Begun:
    """An unfinished upload on the share. `written`: first and last byte of the ranges that it has, each compared with its MD5 by
    Azure when it came."""

    path: str
    written: tuple[tuple[int, int], ...] = ()

    def has(self, offset: int, length: int) -> bool:
        return any(first <= offset and offset + length - 1 <= last for first, last in self.written)


class LargeFiles(Share):
    """A share, written to by several threads at once: each block is a request of its own."""

    def begin(self, path: str, size: int, sha256: str, *, begun: bool) -> Begun:
        """`begun`: a listing has told of an upload of the same content, and of this size, that was cut off."""
        unfinished = part_of(path, sha256)
        with translated_share(self._client, Text("Uploading {path} to the share", path=path)):
            client: Any = self._client.get_file_client(unfinished)
            if begun:
                found = self._heard(lambda: [(int(each.start), int(each.end)) for each in client.list_ranges()])
                return Begun(unfinished, joined(found))
            self._in_folder(PurePosixPath(path).parent, lambda: self._heard(lambda: client.create_file(size)))
        return Begun(unfinished)

    def send(self, begun: Begun, path: str, offset: int, block: bytes) -> None:
        with translated_share(self._client, Text("Uploading {path} to the share", path=path)):
            client: Any = self._client.get_file_client(begun.path)
            self._sent(lambda: client.upload_range(block, offset, len(block), **CHECKED))

    def send_whole(self, path: str, content: bytes, sha256: str) -> Begun:
        """A small file, with as few requests as the service allows."""
        begun = Begun(part_of(path, sha256))
        assert len(content) <= RANGE, "a small file is one block"
        with translated_share(self._client, Text("Uploading {path} to the share", path=path)):
            client: Any = self._client.get_file_client(begun.path)
            whole = self._in_folder(
                PurePosixPath(path).parent, lambda: self._created(client, len(content), content or None)
            )
            if content and not whole:
                self._sent(lambda: client.upload_range(content, 0, len(content), **CHECKED))
        return begun

    def finish(self, begun: Begun, path: str, sha256: str) -> str:
        """In place of whatever has the name; the stamp that it has there, empty where the answer was lost. The upload stays
        where it is while somebody has the old one open."""
        from azure.core.exceptions import (  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)
            ResourceNotFoundError,
        )

        stamps: list[str] = []
        with translated_share(self._client, Text("Putting {path} in place", path=path)):
            client: Any = self._client.get_file_client(begun.path)
            try:
                self._once_unshared(
                    lambda: client.rename_file(path, overwrite=True, raw_response_hook=stamping(stamps))
                )
            except ResourceNotFoundError:
                self._must_hold(path, sha256)
                return ""
        return stamps[-1] if stamps else ""


def joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Ranges that touch as one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def part_of(path: str, sha256: str) -> str:
    """Where an upload of this content to this path lies until it is whole."""
    place = PurePosixPath(path)
    return str(place.with_name(unfinished_name(place.name, sha256[:MARK])))
