"""A release's own packages: one archive of wheels on the share, unpacked to a folder of its own on the local disk."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, NamedTuple, cast

from infra.provision.releases import is_digest, say

MANIFEST = ".slipway-manifest.json"
READ_BYTES = 64 << 20  # in one read of the share: each is a way there and back
MOST_READS = 4
WAIT_SECONDS = 35.0  # a mount shows what others have written up to half a minute late
UNPACKERS = 4
HERE = f"{sys.version_info[0]}.{sys.version_info[1]} {os.uname().machine}"
PIP_LINE = re.compile(r"(?:python3?\s+-m\s+)?pip3?\s+install((?:\s+--?[\w-]+)*)\s+-r\s+(\S+)")


class Packages(NamedTuple):
    """`requirements`: the file of which nothing is left to install; empty where pip has to look."""

    digest: str = ""
    folder: str = ""
    requirements: str = ""


class Damaged(Exception):
    """The archive is not there as it should be; the message says how."""


class Depot:
    """Each archive is unpacked once, whichever release asks for it: releases run beside each other on packages of their own."""

    def __init__(self, home: pathlib.Path) -> None:
        self.stop = threading.Event()
        self._one = threading.Lock()
        self._home = home
        self._place = pathlib.Path(tempfile.gettempdir(), "slipway-packages")

    def packages(self, release: str) -> Packages:
        """Of an unpacked release, by its folder; takes seconds. Empty where it names none, or where they can't be had: then pip
        installs them, and the next Deploy is told to send them again. EOFError when it is stopped."""
        named = named_packages(release)
        digest = str(named.get("archive", ""))
        if not is_digest(digest):
            return Packages()
        meant, here = named.get("platform") or HERE, HERE
        if meant != here:
            say(f"warning: packages {digest[:12]} are for Python {meant}, and this is {here}: pip installs them")
            return Packages()
        folder = self._place / digest
        try:
            with self._one:
                if not folder.is_dir():
                    self._fetch(digest, folder)
        except EOFError:
            raise
        except Exception as problem:  # noqa: BLE001  (whatever is wrong with them, pip can install them)
            say(f"warning: packages {digest[:12]} {problem}: pip installs them from the package index")
            if not isinstance(problem, OSError):
                self._tell(digest)
            return Packages()
        return Packages(
            digest, str(folder), str(named.get("requirements", "")) if named.get("complete") is True else ""
        )

    def keep_only(self, digests: set[str]) -> None:
        with self._one:
            for each in self._place.glob("*"):
                if each.name not in digests:
                    shutil.rmtree(each, ignore_errors=True)

    def _fetch(self, digest: str, folder: pathlib.Path) -> None:
        began = time.monotonic()
        self._place.mkdir(parents=True, exist_ok=True)
        unfinished = pathlib.Path(tempfile.mkdtemp(prefix=".", dir=self._place))
        try:
            copy = unfinished / "archive"
            self._copied(self._home / "packages" / digest, digest, copy)
            read = time.monotonic()
            count = unpacked_wheels(copy, unfinished / "tree", self.stop)
            os.replace(unfinished / "tree", folder)
            told = f"read in {read - began:.1f} s, unpacked in {time.monotonic() - read:.1f} s"
            say(f"packages {digest[:12]}: {count} from the share, {told}")
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _copied(self, archive: pathlib.Path, digest: str, copy: pathlib.Path) -> None:
        """From the share to the local disk, by few large reads."""
        deadline = time.monotonic() + float(os.environ.get("SLIPWAY_PACKAGES_SECONDS") or WAIT_SECONDS)
        while not archive.is_file():
            if time.monotonic() > deadline:
                raise Damaged("are not on the share")
            if self.stop.wait(0.5):
                raise EOFError
        seen, done = hashlib.sha256(), 0
        with archive.open("rb", buffering=0) as source, copy.open("wb", buffering=0) as target:
            size = os.fstat(source.fileno()).st_size
            block = memoryview(bytearray(min(size, max(READ_BYTES, -(-size // MOST_READS)))))
            while done < size and (count := source.readinto(block)):
                seen.update(block[:count])
                target.write(block[:count])
                done += count
                if self.stop.is_set():
                    raise EOFError
        if seen.hexdigest() != digest:
            raise Damaged("on the share do not match their digest")

    def _tell(self, digest: str) -> None:
        """Beside the generations, which every Deploy looks at."""
        try:
            (self._home / "generations" / f"{digest}.damaged").touch()
        except OSError as error:
            say(f"that could not be written to the share: {error.strerror}")


def named_packages(release: str) -> dict[str, Any]:
    """What a release's manifest says of packages; empty where it says nothing."""
    try:
        told: Any = json.loads(pathlib.Path(release, MANIFEST).read_text())
        return dict(told["packages"])
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def unpacked_wheels(archive: pathlib.Path, tree: pathlib.Path, stop: threading.Event) -> int:
    """As pip lays them out in a folder; how many there were."""
    with tarfile.open(archive) as outer:
        wheels = sorted((each for each in outer.getmembers() if each.isfile()), key=lambda each: -each.size)
    tree.mkdir(parents=True)

    def unpack(wheel: tarfile.TarInfo) -> None:
        with tarfile.open(archive) as own, zipfile.ZipFile(cast("IO[bytes]", own.extractfile(wheel))) as files:
            for each in files.infolist():
                if stop.is_set():
                    raise EOFError
                place = place_of(each.filename)
                if place and not each.is_dir():
                    written(files, each, tree / place)

    with ThreadPoolExecutor(UNPACKERS) as pool:
        list(pool.map(unpack, wheels))
    for each in tree.glob("*.dist-info/entry_points.txt"):
        write_scripts(each.read_text(encoding="utf-8"), tree / "bin")
    return len(wheels)


def place_of(name: str) -> str:
    """Where a wheel's file goes; empty where nobody needs it."""
    top, _, rest = name.partition("/")
    if top.endswith(".data"):
        kind, _, rest = rest.partition("/")
        if kind == "headers":
            return ""
        name = f"bin/{rest}" if kind == "scripts" else rest
    plain = os.path.normpath(name)
    if os.path.isabs(plain) or plain.startswith(".."):
        raise Damaged(f"hold a file that leads out of their folder ({name})")
    return plain


def written(files: zipfile.ZipFile, each: zipfile.ZipInfo, place: pathlib.Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with files.open(each) as source, place.open("wb") as target:
        begin = source.read(8)
        if begin == b"#!python" and place.parent.name == "bin":
            begin = b"#!/usr/bin/env python3"
        target.write(begin)
        shutil.copyfileobj(source, target, 1 << 20)
    if place.parent.name == "bin" or each.external_attr >> 16 & 0o111:
        place.chmod(0o755)


def write_scripts(entry_points: str, folder: pathlib.Path) -> None:
    """What a package is called by in a shell."""
    read = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    read.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]  (names keep their case)
    read.read_string(entry_points)
    for name, target in read["console_scripts"].items() if read.has_section("console_scripts") else ():
        module, _, function = target.partition("[")[0].strip().partition(":")
        folder.mkdir(exist_ok=True)
        begun = f"import sys\nfrom {module} import {function.partition('.')[0]}\nsys.exit({function}())\n"
        (folder / name).write_text(f"#!/usr/bin/env python3\n{begun}", encoding="utf-8")
        (folder / name).chmod(0o755)


def equipped(known: dict[str, str], packages: Packages) -> dict[str, str]:
    """The variables of a server, with its release's packages before the image's."""
    if not packages.folder:
        return known
    first = known.get("PYTHONPATH", "")
    path = f"{packages.folder}/bin{os.pathsep}{known.get('PATH', os.defpath)}"
    return {**known, "PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, (first, packages.folder)))}


def without_pip(script: str, requirements: str) -> str:
    """The commands without the line that has pip install these, and nothing else."""
    lines = script.split("\n")
    found = [each for each in lines if (line := PIP_LINE.fullmatch(each.strip())) and line[2] == requirements]
    return "\n".join(each for each in lines if not requirements or each not in found)


def same_packages(one: str, other: str) -> bool:
    """Whether two unpacked releases ask for the same packages: they are installed into the same place."""
    return wanted_packages(one) == wanted_packages(other)


def wanted_packages(place: str) -> dict[str, bytes]:
    found = pathlib.Path(place).glob("**/requirements*.txt")
    return {str(each.relative_to(place)): each.read_bytes() for each in found}
