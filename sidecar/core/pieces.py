"""What is sent to a share block by block: a file of this machine, or one put together from bytes and parts of others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

BLOCK = 4 << 20
"""Bytes that are sent at a time: what Azure Files takes in one request."""


@dataclass(frozen=True)
class Part:
    """Bytes of a file."""

    file: Path
    start: int
    length: int


Piece = bytes | Part


@dataclass(frozen=True)
class Content:
    """A file as it will be on the share: pieces one behind the other. Nothing of it is held in memory but what it was given."""

    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        return sum(map(_length, self.pieces))

    def read(self, offset: int, length: int) -> bytes:
        """Shorter than asked for where a file of this machine has become shorter."""
        wanted = range(offset, min(offset + length, self.size))
        found: list[bytes] = []
        for piece, end in zip(self.pieces, accumulate(map(_length, self.pieces)), strict=True):
            begin = end - _length(piece)
            first, last = max(begin, wanted.start), min(end, wanted.stop)
            if first < last:
                found.append(_read(piece, first - begin, last - first))
        return b"".join(found)

    def blocks(self) -> Iterator[bytes]:
        for offset in range(0, self.size, BLOCK):
            yield self.read(offset, BLOCK)


def content_of(file: Path) -> Content:
    return Content((Part(file, 0, file.stat().st_size),))


def content_of_bytes(content: bytes) -> Content:
    return Content((content,))


@dataclass(frozen=True)
class Digest:
    """`sha256`: of the whole. `blocks`: the MD5 of each block that is sent; a file that changes meanwhile is known by them."""

    sha256: str
    md5: bytes
    blocks: tuple[bytes, ...]


def digest_of(content: Content, heard: Callable[[int], None]) -> Digest:
    """`heard`: told of the bytes of each block, and may raise."""
    whole, plain, each = hashlib.sha256(), hashlib.md5(usedforsecurity=False), list[bytes]()
    for block in content.blocks():
        whole.update(block)
        plain.update(block)
        each.append(md5_of(block))
        heard(len(block))
    return Digest(whole.hexdigest(), plain.digest(), tuple(each))


def md5_of(block: bytes) -> bytes:
    return hashlib.md5(block, usedforsecurity=False).digest()


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length


def _read(piece: Piece, start: int, length: int) -> bytes:
    if isinstance(piece, bytes):
        return piece[start : start + length]
    with piece.file.open("rb") as stream:
        stream.seek(piece.start + start)
        return stream.read(length)


def joined(first: bytes, parts: Sequence[Part]) -> Content:
    """A header and what stands behind it; parts that follow one another in a file are one."""
    found: list[Piece] = [first]
    for each in parts:
        last = found[-1]
        if isinstance(last, Part) and last.file == each.file and last.start + last.length == each.start:
            found[-1] = Part(each.file, last.start, last.length + each.length)
        elif each.length:
            found.append(each)
    return Content(tuple(found))
