"""Releases: the code of a workspace as one deterministic bundle, named by its content, and the generations that point to it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sidecar.core.textfile import read_bytes
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

IGNORED = frozenset(
    {"__pycache__", ".git", ".venv", "venv", "node_modules", ".pytest_cache", ".ruff_cache", ".mypy_cache", ".DS_Store"}
)
"""Names that never travel: what tools leave beside code."""

MAX_BUNDLE = 256 * 2**20
"""Bytes. Code is small; models belong on the share, not into a release."""


@dataclass(frozen=True)
class Entry:
    """One path of a release. `content` is a file's bytes or a link's target."""

    path: str
    kind: str
    content: bytes
    executable: bool


@dataclass(frozen=True)
class Release:
    """The bundle: a tar file whose sha256 is its name."""

    digest: str
    bundle: bytes
    files: int


@dataclass(frozen=True)
class Generation:
    """What `.slipway/<app>/generations/<number>.json` says: which release is current from then on."""

    number: int
    release: str

    def to_json(self) -> bytes:
        return (json.dumps({"generation": self.number, "release": self.release}) + "\n").encode()


def pack(folder: Path) -> Release:
    """Makes the release of a code folder, which keeps its name inside the bundle.

    The same content gives the same bytes on every machine: sorted paths, fixed times and owners, modes 755 or 644.
    Raises WorkspaceError for an empty folder, a link that leads out, or more than MAX_BUNDLE bytes."""
    size = sum(path.stat().st_size for path in _paths(folder) if path.is_file() and not path.is_symlink())
    if size > MAX_BUNDLE:  # weights beside the code: told before they are read into memory
        raise WorkspaceError(
            Text(
                "The code in {folder} holds {size} MiB, more than a release may have.",
                folder=folder,
                size=size // 2**20,
            ),
            Text("Keep models and data on the share, outside the code folder."),
        )
    entries = scan(folder)
    if not any(entry.kind == "file" for entry in entries):
        raise WorkspaceError(
            Text("There is no code in {folder}.", folder=folder),
            Text("Create the project files first (AI Toolkit: Create project files)."),
        )
    bundle = bundle_of(entries, folder.name)
    return Release(hashlib.sha256(bundle).hexdigest(), bundle, sum(entry.kind == "file" for entry in entries))


def scan(folder: Path) -> list[Entry]:
    """Reads every file once, sorted by path; what is read is what is bundled, whatever changes meanwhile."""
    entries = (_entry(folder, path) for path in _paths(folder))
    return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.path)


def _paths(folder: Path) -> Iterator[Path]:
    """Files and links that are code; links to folders are not followed."""
    for place, folders, files in os.walk(folder):
        kept = [name for name in folders if name not in IGNORED]
        links = [name for name in kept if Path(place, name).is_symlink()]
        folders[:] = [name for name in kept if name not in links]
        for name in [*files, *links]:
            if name not in IGNORED and not name.endswith(".pyc"):
                yield Path(place, name)


def bundle_of(entries: list[Entry], top: str) -> bytes:
    """The tar file (ustar with pax names) of these entries, below a folder named `top`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(f"{top}/{entry.path}")
            info.mtime = 0
            info.mode = 0o755 if entry.executable else 0o644
            if entry.kind == "link":
                info.type = tarfile.SYMTYPE
                info.linkname = entry.content.decode()
                archive.addfile(info)
            else:
                info.size = len(entry.content)
                archive.addfile(info, io.BytesIO(entry.content))
    return stream.getvalue()


def next_generation(existing: list[str], release: str) -> Generation:
    """The generation after those whose file names are given (`3.json`); other names are somebody else's and ignored."""
    return Generation(max(generation_numbers(existing), default=0) + 1, release)


def generation_numbers(names: list[str]) -> list[int]:
    return sorted(
        int(stem)
        for name in names
        if name.endswith(".json") and (stem := name.removesuffix(".json")).isascii() and stem.isdigit()
    )


@dataclass(frozen=True)
class Changes:
    """What turns the tree on the share into the local one, by path."""

    upload: tuple[str, ...]
    delete: tuple[str, ...]


def manifest_of(entries: list[Entry]) -> dict[str, str]:
    """Path → sha256 of every file; links are no files on the share, so a plain tree can't carry them."""
    return {entry.path: hashlib.sha256(entry.content).hexdigest() for entry in entries if entry.kind == "file"}


def diff(local: dict[str, str], remote: dict[str, str]) -> Changes:
    """Compares two manifests. Only what an earlier manifest lists is ever deleted: other files are somebody else's."""
    return Changes(
        upload=tuple(sorted(path for path, digest in local.items() if remote.get(path) != digest)),
        delete=tuple(sorted(path for path in remote if path not in local)),
    )


def _entry(folder: Path, path: Path) -> Entry | None:
    name = path.relative_to(folder).as_posix()
    if path.is_symlink():
        target = os.readlink(path)
        inside = os.path.normpath(PurePosixPath(name).parent / target)
        if Path(target).is_absolute() or inside.startswith(".."):
            raise WorkspaceError(
                Text("{file} is a link that leads out of the code folder (to {target}).", file=path, target=target),
                Text("Copy the file in, or take the link away."),
            )
        return Entry(name, "link", target.encode(), executable=False)
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        return None  # sockets and pipes are no code
    return Entry(name, "file", read_bytes(path, str(path)), bool(mode & stat.S_IXUSR))
