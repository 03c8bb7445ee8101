"""What has to be done so that a share holds a tree, and what of it would destroy another person's work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeVar, cast

from sidecar.decisions.share_names import folded

VERSION = 2
V = TypeVar("V")


@dataclass(frozen=True)
class File:
    """A file's content. `stamp`: what the share said of it when it was put there; it differs once somebody has written to it."""

    sha256: str
    size: int
    stamp: str = ""


@dataclass(frozen=True)
class Found:
    """A file on the share, as a listing shows it."""

    path: str
    size: int
    stamp: str


@dataclass(frozen=True)
class Manifest:
    """What earlier syncs put there. `pending`: what one was putting there that may have been cut off; `marks`: of its unfinished
    uploads."""

    files: Mapping[str, File] = field(default_factory=dict[str, File])
    pending: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    marks: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        said = {
            "version": VERSION,
            "files": {path: [each.sha256, each.size, each.stamp] for path, each in sorted(self.files.items())},
            "pending": dict(sorted(self.pending.items())),
            "marks": self.marks,
        }
        return (json.dumps(said) + "\n").encode()


def manifest_from(said: bytes) -> Manifest | None:
    """None where it is damaged. The first form named each file's sha256 alone."""
    try:
        found = json.loads(said)
        if "version" not in found:
            return Manifest({str(path): File(str(digest), -1) for path, digest in found.items()})
        files = {str(path): File(str(one), int(two), str(three)) for path, (one, two, three) in found["files"].items()}
        pending = {str(path): tuple(map(str, each)) for path, each in found["pending"].items()}
        return Manifest(files, pending, tuple(map(str, cast("list[object]", found["marks"]))))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


@dataclass(frozen=True)
class Deletion:
    """A file to delete; `early` where it stands in the way of what is uploaded."""

    found: Found
    early: bool


@dataclass(frozen=True)
class Plan:
    """`equal`: what is there already. `uploads`: path → what it replaces, None where nothing is. `foreign`: those of the replaced
    and deleted that hold another person's work. `ours`: contents that were found to be an earlier sync's, by folded path."""

    equal: Mapping[str, File]
    uploads: Mapping[str, Found | None]
    deletions: tuple[Deletion, ...]
    foreign: tuple[Found, ...]
    ours: Mapping[str, File]

    @property
    def does_nothing(self) -> bool:
        return not self.uploads and not self.deletions

    @property
    def consent(self) -> str:
        """Names exactly these files as they are now: what somebody edits after the question is asked about anew."""
        said = "\n".join(f"{each.path} {each.size} {each.stamp}" for each in self.foreign)
        return f"overwrite-share:{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def folders_of(paths: Iterable[str]) -> list[str]:
    """The folders that paths lie in, the outermost ("") first."""
    found = {str(above) for path in paths for above in PurePosixPath(path).parents}
    return sorted({"" if each == "." else each for each in found} | {""}, key=lambda each: (each.count("/"), each))


def unsure(local: Mapping[str, File], known: Manifest, found: Iterable[Found]) -> list[Found]:
    """Files on the share whose content only their bytes tell, where it matters and their size leaves it open."""
    wanted, put, begun = _by_fold(local), _by_fold(known.files), _by_fold(known.pending)
    asked: list[Found] = []
    for each in found:
        key = folded(each.path)
        mine, earlier = wanted.get(key), put.get(key)
        if earlier is not None and earlier.stamp == each.stamp and earlier.size == each.size:
            continue
        sizes = {file.size for file in (mine, earlier) if file is not None}
        if key in begun or each.size in sizes or -1 in sizes:
            asked.append(each)
    return asked


def planned(local: Mapping[str, File], known: Manifest, found: Iterable[Found], contents: Mapping[str, str]) -> Plan:
    """`contents`: sha256 of those that were unsure, by their path on the share."""
    there = {folded(each.path): each for each in found}
    ours = _ours(known, there, contents)
    wanted = _by_fold(local)
    equal: dict[str, File] = {}
    uploads: dict[str, Found | None] = {}
    gone: dict[str, Found] = {}
    foreign: dict[str, Found] = {}
    for path, file in local.items():
        key = folded(path)
        each = there.get(key)
        sha256 = "" if each is None else contents.get(each.path) or _digest(ours, key)
        same_name = each is not None and PurePosixPath(each.path).name == PurePosixPath(path).name
        if each is not None and same_name and sha256 == file.sha256:
            equal[path] = File(sha256, each.size, each.stamp)
            continue
        uploads[path] = each if same_name else None
        if each is not None and not same_name:
            gone[key] = each  # the share would keep the old spelling
        if each is not None and key not in ours and sha256 != file.sha256:
            foreign[key] = each
    earlier = _by_fold(known.files)
    above = {folded(str(each)) for path in local for each in PurePosixPath(path).parents}
    for key, each in there.items():
        if key in wanted:
            continue
        if key in ours:
            gone[key] = each
        elif key in earlier or key in above:  # edited since we put it there; a file where a folder has to be
            gone[key] = foreign[key] = each
    deletions = tuple(Deletion(each, _in_the_way(key, wanted, above)) for key, each in sorted(gone.items()))
    return Plan(equal, uploads, deletions, tuple(foreign[key] for key in sorted(foreign)), ours)


def _in_the_way(key: str, wanted: Mapping[str, File], above: set[str]) -> bool:
    parents = {str(each) for each in PurePosixPath(key).parents}
    return key in wanted or key in above or any(each in wanted for each in parents)


def _ours(known: Manifest, there: Mapping[str, Found], contents: Mapping[str, str]) -> dict[str, File]:
    """The files that still hold what a sync put there, by folded path."""
    put, begun = _by_fold(known.files), _by_fold(known.pending)
    ours: dict[str, File] = {}
    for key, each in there.items():
        earlier = put.get(key)
        if earlier is not None and (earlier.size, earlier.stamp) == (each.size, each.stamp):
            ours[key] = earlier
            continue
        sha256 = contents.get(each.path, "")
        if sha256 and (sha256 in begun.get(key, ()) or (earlier is not None and earlier.sha256 == sha256)):
            ours[key] = File(sha256, each.size, each.stamp)
    return ours


def _digest(ours: Mapping[str, File], key: str) -> str:
    return ours[key].sha256 if key in ours else ""


def _by_fold(named: Mapping[str, V]) -> dict[str, V]:
    return {folded(path): each for path, each in named.items()}
