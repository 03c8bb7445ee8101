"""Archives of packages: wheels in one tar file, the same bytes on every machine, named by its sha256; and where they are kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.core.platforms import Platform

FORM = 1
"""Of archives: another number, and those that are kept are made anew."""

KEPT = 3
"""Archives that stay in the cache, the latest used."""

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Archive:
    """`file`: where it lies on this machine; its sha256 is its name."""

    digest: str
    size: int
    file: Path


def key_of(lines: Sequence[str], platform: Platform) -> str:
    """What makes an archive: the same on every machine."""
    what = [FORM, platform.python, platform.machine, platform.glibc, sorted(lines)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def kept(cache: Path, key: str) -> Archive | None:
    """The archive that was made of this before, where it is still there whole."""
    try:
        said = json.loads((cache / f"{key}.json").read_text(encoding="utf-8"))
        digest, size = str(said["archive"]), int(said["size"])
        file = cache / digest
        if _DIGEST.fullmatch(digest) is None or file.stat().st_size != size:
            return None
        os.utime(file)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return Archive(digest, size, file)


def made(cache: Path, key: str, wheels: Path) -> Archive:
    """Of the wheels in a folder. Appears whole or not at all, in place of what is there."""
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = cache / f".{key}.{os.getpid()}.part"
    try:
        with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as archive:
            for wheel in sorted(wheels.iterdir(), key=lambda each: each.name):
                member = tarfile.TarInfo(wheel.name)
                member.size, member.mode, member.mtime = wheel.stat().st_size, 0o644, 0
                with wheel.open("rb") as stream:
                    archive.addfile(member, stream)
        with unfinished.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = unfinished.stat().st_size
        os.replace(unfinished, cache / digest)
    finally:
        unfinished.unlink(missing_ok=True)
    said = cache / f".{key}.json.{os.getpid()}.part"
    said.write_text(json.dumps({"archive": digest, "size": size}), encoding="utf-8")
    os.replace(said, cache / f"{key}.json")
    _forget_old(cache, digest)
    return Archive(digest, size, cache / digest)


def _forget_old(cache: Path, present: str) -> None:
    archives = [each for each in cache.iterdir() if _DIGEST.fullmatch(each.name) and each.name != present]
    for old in sorted(archives, key=lambda each: each.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        old.unlink(missing_ok=True)
