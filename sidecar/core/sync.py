"""Bundles: the code of a project as one deterministic tar file, named by its content; and what differs between two trees.

A bundle's first member is its manifest, so that two releases can be compared by a look at where each begins."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sidecar.core.codefiles import Entry, Tree, unreadable
from sidecar.core.releases import Packages, manifest_from, manifest_json
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

MAX_BUNDLE = 256 * 2**20
"""Bytes. Code is small; models belong on the share, not into a release."""

TRIES = 3
"""To read a folder in which something is being written."""

BLOCK = 1 << 20

MANIFEST = ".slipway-manifest.json"
"""Of a bundle, its first member: beside the code's folder, where nothing of the code can be."""

FIRST = 1 << 18
"""Bytes that are asked for at once: manifests of some thousand files are in them whole."""


@dataclass(frozen=True)
class Release:
    """The bundle: a tar file whose sha256 is its name. `manifest`: path → sha256 of each file."""

    digest: str
    file: Path
    size: int
    manifest: dict[str, str]
    packages: Packages | None = None


class _Changed(Exception):
    def __init__(self, file: Path) -> None:
        super().__init__(str(file))
        self.file = file


def pack(tree: Tree, file: Path, packages: Packages | None = None) -> Release:
    """Writes the bundle of a tree to `file`, block by block; the code's folder keeps its name inside it.

    The same content gives the same bytes on every machine: sorted paths, fixed times and owners, modes 755 or 644. Raises
    WorkspaceError for a tree without files, for more than MAX_BUNDLE bytes, and for a file that goes on changing."""
    refuse_too_large(tree)
    if not tree.files:
        raise WorkspaceError(
            Text("There is no code in {folder}.", folder=tree.top),
            Text("Create the project files first (AI Toolkit: Create project files)."),
        )
    for again in range(TRIES):
        try:
            return _written(tree, file, packages)
        except _Changed as changed:
            if again == TRIES - 1:
                raise WorkspaceError(
                    Text("{file} is being changed while it is read.", file=changed.file),
                    Text("Wait until what writes it has ended, then run Deploy again."),
                    code="ChangesMeanwhile",
                ) from changed
    raise AssertionError("the last try returns or raises")


def refuse_too_large(tree: Tree) -> None:
    """Before anything of it is read."""
    if tree.size > MAX_BUNDLE:
        raise _too_large(tree.top, tree.size)


def _too_large(folder: str, size: int) -> WorkspaceError:
    return WorkspaceError(
        Text("The code in {folder} holds {size} MiB, more than a release may have.", folder=folder, size=size // 2**20),
        Text("Keep models and data on the share, outside the code folder, or name them in .slipwayignore."),
        code="TooLarge",
    )


def _written(tree: Tree, file: Path, packages: Packages | None) -> Release:
    manifest = manifest_of(tree)
    with file.open("wb") as target:
        whole = _Hashing(target)
        with tarfile.open(fileobj=whole, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            written = manifest_json(manifest, packages)
            archive.addfile(_member(MANIFEST, len(written)), io.BytesIO(written))
            for entry in tree.entries:
                if _add(archive, entry, tree.top) != manifest.get(entry.path):
                    raise _Changed(entry.source)
                if target.tell() > MAX_BUNDLE + BLOCK:  # something has grown since it was measured
                    raise _too_large(tree.top, target.tell())
    return Release(whole.hash.hexdigest(), file, file.stat().st_size, manifest, packages)


def _add(archive: tarfile.TarFile, entry: Entry, top: str) -> str | None:
    """Adds one entry; the sha256 of a file's content, None for a link."""
    info = _member(f"{top}/{entry.path}", 0, 0o755 if entry.executable else 0o644)
    if entry.kind == "link":
        info.type = tarfile.SYMTYPE
        info.linkname = entry.target
        archive.addfile(info)
        return None
    try:
        with entry.source.open("rb") as stream:
            before = os.fstat(stream.fileno())
            info.size = before.st_size
            content = _Hashing(stream)
            archive.addfile(info, content)
            after = os.fstat(stream.fileno())
    except OSError as error:
        # tarfile raises one too when a file has become shorter than it was.
        if error.errno is None:
            raise _Changed(entry.source) from error
        raise unreadable(entry.source, error) from error
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise _Changed(entry.source)
    return content.hash.hexdigest()


def _member(name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime, info.mode, info.size = 0, mode, size
    return info


def manifest_within(part: Callable[[int, int], bytes]) -> dict[str, str] | None:
    """The manifest that a bundle begins with; None for one without. `part`: its bytes, by offset and length."""
    content = beginning(part)
    return None if content is None else manifest_from(content)


def beginning(part: Callable[[int, int], bytes]) -> bytes | None:
    """A bundle's first member, as it is written."""
    begin = part(0, FIRST)
    try:
        found = tarfile.TarInfo.frombuf(begin[: tarfile.BLOCKSIZE], "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError):
        return None
    if found.name != MANIFEST or found.size > MAX_BUNDLE:
        return None
    content = begin[tarfile.BLOCKSIZE : tarfile.BLOCKSIZE + found.size]
    if len(content) < found.size:
        content += part(FIRST, found.size - len(content))
    return content


class _Hashing(io.RawIOBase):
    """A file whose bytes are hashed as they pass."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size)
        self.hash.update(block)
        return block

    def write(self, block: bytes, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]  (BinaryIO takes any buffer)
        self.hash.update(block)
        return self._stream.write(block)


@dataclass(frozen=True)
class Changes:
    """What turns one tree into another, by path. `kept`: what others have open or write to, and was left as it is."""

    upload: tuple[str, ...]
    delete: tuple[str, ...]
    kept: tuple[str, ...] = ()


def manifest_of(tree: Tree) -> dict[str, str]:
    """Path → sha256 of every file; links are no files on the share, so a plain tree can't carry them."""
    return {entry.path: digest_of(entry.source) for entry in tree.entries if entry.kind == "file"}


def digest_of(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(file, error) from error


def diff(local: dict[str, str], remote: dict[str, str]) -> Changes:
    """Compares two manifests. Only what an earlier manifest lists is ever deleted: other files are somebody else's."""
    return Changes(
        upload=tuple(sorted(path for path, digest in local.items() if remote.get(path) != digest)),
        delete=tuple(sorted(path for path in remote if path not in local)),
    )
