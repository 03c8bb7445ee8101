"""Releases of the share and those that are sent here: which may run, whether they are intact, and where they are unpacked."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pathlib
import re
import shutil
import tarfile
import tempfile

from infra.provision.streams import Answer, Asked, discard

MOST_BYTES = 512 << 20
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def say(text: str) -> None:
    print("slipway:", text, flush=True)


def candidates(home: pathlib.Path) -> list[tuple[str, str]]:
    """Digest and generation of each release that may run, the current one first."""
    wanted = os.environ.get("SLIPWAY_RELEASE", "current")
    if wanted != "current":
        return [(wanted, "")]
    numbered = [each for each in home.glob("generations/*.json") if each.stem.isascii() and each.stem.isdigit()]
    found = [(release_of(each), each.stem) for each in sorted(numbered, key=lambda each: int(each.stem), reverse=True)]
    known = max((int(each.stem) for each in numbered), default=0)
    return [*candidate(known), *((release, generation) for release, generation in found if release)]


def candidate(known: int) -> list[tuple[str, str]]:
    """The release that this revision was made for, until the share knows its generation: an older revision, which serves
    meanwhile, goes on starting what is current."""
    made_for = re.fullmatch("([0-9]+):([0-9a-f]{64}):[0-9a-z]+", os.environ.get("SLIPWAY_CANDIDATE", ""))
    return [(made_for[2], made_for[1])] if made_for and int(made_for[1]) > known else []


def release_of(generation: pathlib.Path) -> str:
    """The release that a generation names; empty, and said, when the file is damaged: an older one may still run."""
    try:
        release = json.loads(generation.read_text())["release"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        say(f"generation {generation.stem} can't be read and is skipped ({type(error).__name__})")
        return ""
    if isinstance(release, str) and is_digest(release):
        return release
    say(f"generation {generation.stem} names no release and is skipped")
    return ""


def is_digest(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def verified(home: pathlib.Path, digest: str) -> pathlib.Path | None:
    """A copy of the bundle on the local disk, if it is the one that its name says."""
    bundle = home / "releases" / digest
    if not bundle.is_file():
        say(f"release {digest[:12]} is not on the share")
        return None
    copy = pathlib.Path(tempfile.mkdtemp(), "bundle.tar")
    seen = hashlib.sha256()
    with bundle.open("rb") as source, copy.open("wb") as target:
        while block := source.read(1 << 20):
            seen.update(block)
            target.write(block)
    if seen.hexdigest() == digest:
        return copy
    say(f"release {digest[:12]} on the share does not match its digest and is refused")
    return None


def unpacked(bundle: pathlib.Path) -> str:
    place = tempfile.mkdtemp(prefix="release-")
    try:
        with tarfile.open(bundle) as archive:
            # Pythons before 3.11.4 (Debian 12's) know no filter; the bundle is ours, to the byte.
            if hasattr(tarfile, "data_filter"):
                archive.extractall(place, filter="data")
            else:
                archive.extractall(place)  # noqa: S202  (see above)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    bundle.unlink()
    bundle.parent.rmdir()
    return place


class Shelf:
    """Releases on the local disk by their digest."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    async def take(self, asked: Asked, digest: str) -> Answer:
        """What is sent as the bundle of this digest: taken whole and intact, or not at all."""
        length = asked.length
        if length is None:
            return refusal(411, "LengthRequired", "the length of the bundle has to be stated")
        if length > MOST_BYTES:
            await discard(asked)
            return refusal(413, "TooLarge", f"a bundle may have {MOST_BYTES} bytes")
        if digest in self.places:
            await discard(asked)
            return Answer(200, {"release": digest})
        folder = tempfile.mkdtemp()
        bundle, done = pathlib.Path(folder, "bundle.tar"), 0
        try:
            seen = hashlib.sha256()
            with bundle.open("wb") as target:
                while done < length:
                    block = await asked.body.read(min(length - done, 1 << 20))
                    if not block:
                        raise EOFError("the sender has gone")
                    done += len(block)
                    seen.update(block)
                    target.write(block)
            if seen.hexdigest() != digest:
                return refusal(400, "DigestMismatch", f"what came has the digest {seen.hexdigest()}")
            self.places[digest] = unpacked(bundle)
        except OSError as error:
            await discard(asked, done)
            if error.errno in NO_ROOM:
                return refusal(507, "DiskFull", f"the container has no room for it: {error.strerror}")
            say(f"release {digest[:12]} can't be written: {error}")
            return refusal(500, "NotWritten", f"it can't be written: {error}")
        except (tarfile.TarError, ValueError) as error:
            return refusal(400, "NoBundle", f"it can't be unpacked: {error}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Answer(201, {"release": digest})

    def keep_only(self, digests: set[str]) -> None:
        """The disk is the container's: others go."""
        for digest in [each for each in self.places if each not in digests]:
            shutil.rmtree(self.places.pop(digest), ignore_errors=True)


def refusal(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"code": code, "message": message})
