"""What is written down of releases on the share: which one is current, who put it there, and which ones have served."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from sidecar.words.names import ReleaseCause

Cause = ReleaseCause
"""Why a generation was made: a Deploy, a person's roll back, or the way back from a release that failed."""

_DIGEST = re.compile("[0-9a-f]{64}")

KEPT_RELEASES = 5
"""Releases that have served and stay on the share, beside the current one."""

KEPT_GENERATIONS = 50

LEFTOVER_SECONDS = 3600
"""An upload takes minutes at most: what nobody has written to for so long is nobody's any more."""

_ARCHIVE_PART = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{16}\.part")

DAMAGED = ".damaged"
"""End of the name of what the container's start leaves beside the generations where an archive of packages was not intact."""

_PART = re.compile(r"\.([0-9a-f]{64}(\.json)?|[0-9]+\.(json|served))\.[0-9a-f]{8}\.part")


@dataclass(frozen=True)
class Packages:
    """What a release names beside its code: an archive of wheels on the share, by its sha256. `key`: what it was made of.
    `requirements`: the file whose packages these are. `complete`: pip has nothing left to install. `platform`: version of the
    Python and machine that they are for; the container looks. `file`: where it lies on this machine, if it does."""

    archive: str
    size: int
    key: str
    requirements: str
    complete: bool
    platform: str = ""
    file: Path | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Generation:
    """`generations/<number>.json`: which release is current from then on. `at`: UTC in ISO 8601. `commit`: Git's, with `+`
    where files of the code differed from it. `packages`: the archive that the release names. The container's start reads
    `release` alone."""

    number: int
    release: str
    at: str = ""
    by: str = ""
    commit: str = ""
    slipway: str = ""
    cause: Cause = "deploy"
    packages: str = ""
    gated: bool = False
    """Made current before its gate has judged it: that it answers is not enough to go back to it."""

    def to_json(self) -> bytes:
        said = {
            "generation": self.number,
            "release": self.release,
            "at": self.at,
            "by": self.by,
            "commit": self.commit,
            "slipway": self.slipway,
            "cause": self.cause,
        } | ({"packages": self.packages} if self.packages else {})
        said |= {"gated": True} if self.gated else {}
        return (json.dumps(said, ensure_ascii=False) + "\n").encode()


def generation_from(number: int, content: bytes) -> Generation | None:
    """What a generation's file says; None for one that is damaged, or names no release. What it lacks is empty."""
    said = _object(content)
    release = _text(said, "release")
    if _DIGEST.fullmatch(release) is None:
        return None
    cause = _text(said, "cause")
    return Generation(
        number,
        release,
        at=_text(said, "at"),
        by=_text(said, "by"),
        commit=_text(said, "commit"),
        slipway=_text(said, "slipway"),
        cause="rollback" if cause == "rollback" else "failed" if cause == "failed" else "deploy",
        packages=_text(said, "packages"),
        gated=said.get("gated") is True,
    )


def generation_numbers(names: Iterable[str]) -> list[int]:
    """Of file names (`3.json`), rising; other names are somebody else's, and ignored."""
    return sorted(
        int(stem)
        for name in names
        if name.endswith(".json") and (stem := name.removesuffix(".json")).isascii() and stem.isdigit()
    )


def next_number(names: Iterable[str]) -> int:
    return max(generation_numbers(names), default=0) + 1


def manifest_json(manifest: Mapping[str, str], packages: Packages | None = None) -> bytes:
    """What lies in a release: path → sha256, so that two can be compared without reading either; and the packages it needs."""
    said: dict[str, object] = {"files": dict(manifest)}
    if packages is not None:
        said["packages"] = {
            "archive": packages.archive,
            "size": packages.size,
            "key": packages.key,
            "requirements": packages.requirements,
            "complete": packages.complete,
            "platform": packages.platform,
        }
    return (json.dumps(said, sort_keys=True, ensure_ascii=False) + "\n").encode()


def packages_from(content: bytes) -> Packages | None:
    """None where a manifest names none."""
    said = _object(content).get("packages")
    if not isinstance(said, dict):
        return None
    told = cast("dict[str, object]", said)
    archive, size = _text(told, "archive"), told.get("size")
    if _DIGEST.fullmatch(archive) is None or not isinstance(size, int):
        return None
    complete = told.get("complete") is True
    key, requirements, platform = (_text(told, name) for name in ("key", "requirements", "platform"))
    return Packages(archive, size, key, requirements, complete, platform)


def manifest_from(content: bytes) -> dict[str, str] | None:
    """None for a file that is damaged or somebody else's."""
    files = _object(content).get("files")
    if not isinstance(files, dict):
        return None
    return {str(path): str(digest) for path, digest in cast("dict[object, object]", files).items()}


def is_release(name: str) -> bool:
    """Whether a name in `releases/` is a bundle's."""
    return _DIGEST.fullmatch(name) is not None


def way_back(
    current: int, found: Mapping[int, Generation], served: frozenset[int], there: frozenset[str]
) -> Generation | None:
    """The generation to go back to when `current` does not work: the newest before it with another release that has served;
    without such a record the newest with another release. `there`: the releases that lie on the share."""
    failing = found[current].release if current in found else ""
    before = [
        each
        for number, each in sorted(found.items(), reverse=True)
        if number < current and each.release != failing and each.release in there
    ]
    return next((each for each in before if each.number in served), before[0] if before else None)


def collectable(found: Mapping[int, Generation], served: frozenset[int], there: Iterable[str]) -> tuple[str, ...]:
    """Releases that may go, once the newest generation has served: those that a generation names and that are neither among the
    last KEPT_RELEASES that served nor among the newest. One that no generation names may be another deployer's, on its way."""
    ordered = [found[number] for number in sorted(found, reverse=True)]
    recent = list(dict.fromkeys(each.release for each in ordered))[: KEPT_RELEASES + 1]
    good = list(dict.fromkeys(each.release for each in ordered if each.number in served))[: KEPT_RELEASES + 1]
    kept = {*recent, *good}
    named = {each.release for each in ordered}
    return tuple(sorted(each for each in there if each in named and each not in kept))


def unused_archives(
    found: Mapping[int, Generation], kept: Collection[str], written: Mapping[str, float], now: float
) -> tuple[str, ...]:
    """What may go of the folder of archives, by name and time: those that generations name, but none whose release stays
    (`kept`); and what nobody has named for long, uploads that were cut off included. `now`: by the same clock."""
    named = {each.packages for each in found.values()}
    needed = {each.packages for each in found.values() if each.release in kept}
    gone = {each for each in written if each in named and each not in needed}
    gone |= {each for each, at in written.items() if is_release(each) and each not in named and _is_old(at, now)}
    gone |= {each for each, at in written.items() if _ARCHIVE_PART.fullmatch(each) and _is_old(at, now)}
    return tuple(sorted(gone))


def cut_off(written: Mapping[str, float], now: float) -> tuple[str, ...]:
    """Of a folder of the record, by name and time: what uploads of ours that were killed have left."""
    return tuple(sorted(name for name, at in written.items() if _PART.fullmatch(name) and _is_old(at, now)))


def never_current(written: Mapping[str, float], named: Collection[str], now: float) -> tuple[str, ...]:
    """Of the files in `releases/`, by name and time: those of releases that no generation names. `now`: by the same clock. A
    newer file of a release says that somebody is just uploading it."""
    newest: dict[str, float] = {}
    for name, at in written.items():
        release = name.removesuffix(".json")
        newest[release] = max(at, newest.get(release, at))
    abandoned = {each for each, at in newest.items() if is_release(each) and each not in named and _is_old(at, now)}
    return tuple(sorted(name for name in written if name.removesuffix(".json") in abandoned))


def _is_old(at: float, now: float) -> bool:
    return at < now - LEFTOVER_SECONDS


def _object(content: bytes) -> dict[str, object]:
    try:
        said = json.loads(content)
    except ValueError:  # no JSON, or no text
        return {}
    return cast("dict[str, object]", said) if isinstance(said, dict) else {}


def _text(said: Mapping[str, object], key: str) -> str:
    value = said.get(key)
    return value if isinstance(value, str) else ""
