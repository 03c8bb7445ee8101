// The inference endpoint: one container app with a GPU, on the environment, storage and share that fine-tuning left.
// Every name may be null: the default then equals fine-tuning's, so that both find the same resources.

metadata name = 'Slipway inference'

@description('Shell commands that start the web API, run in order under /bin/bash from the unpacked release. A failing command stops the start.')
param defaultCommands array = [
  'python3 -m pip install --quiet --disable-pip-version-check -r inference/requirements.txt'
  'python3 -m inference'
]

@description('Ceiling of GPU instances: maxReplicas, and maximumCount of a dedicated profile that this template creates.')
@minValue(1)
@maxValue(100)
param maximumInstanceCount int = 1

@description('Region; null means the resource group\'s.')
param location string?

@description('Storage account that holds the share; null means fine-tuning\'s name.')
param storageAccountName string?

@description('File share with the base model and the adapters; null means fine-tuning\'s name.')
param fileShareName string?

@description('Container Apps environment; null means fine-tuning\'s name.')
param acaEnvironmentName string?

@description('The share\'s name inside the environment; null means fine-tuning\'s name.')
param acaEnvironmentStorageName string?

@description('Container app for inference; null means the default name.')
param acaAppName string?

@description('Log Analytics workspace; null means fine-tuning\'s name.')
param acaLogAnalyticsName string?

@description('Create these, or refer to what exists. An existing resource is never rewritten: a PUT would drop its settings.')
param createStorageAccount bool = true
param createFileShare bool = true
param createLogAnalytics bool = true
param createEnvironment bool = true
param createEnvironmentStorage bool = true
param createApp bool = true

@description('GPU profile. The T4 is the default: the cheapest serverless GPU, and 16 GB hold the models of up to 4 billion parameters that this flow fine-tunes by default. Choose Consumption-GPU-NC24-A100 for larger ones, or NC24-A100 (dedicated, billed while nodes run) in an environment that has it.')
@allowed([
  'Consumption-GPU-NC8as-T4'
  'Consumption-GPU-NC24-A100'
  'NC24-A100'
  'NC48-A100'
  'NC96-A100'
])
param gpuProfileType string = 'Consumption-GPU-NC8as-T4'

@description('Name of the workload profile inside the environment.')
param gpuProfileName string = 'gpu-inference'

@description('CPU cores and memory of a replica; they must fit the profile (T4: 8 and 56Gi; A100: 24 and 220Gi).')
param cpu string = '8'
param memory string = '56Gi'

@description('Image with Python, bash and PyTorch. The other packages come from inference/requirements.txt.')
param image string = 'docker.io/pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime'

@description('Registry that wants a login before it hands out the image, as acme.azurecr.io; empty means that it wants none.')
param registryServer string = ''

@description('User and password for that registry, where no identity pulls.')
param registryUser string = ''
@secure()
param registryPassword string = ''

@description('Managed identity that pulls the image, with the role AcrPull on the registry: the resource id of a user-assigned one, or system for the app\'s own.')
param registryIdentity string = ''

@description('Base model under model-cache, as organisation/model; empty means the only one.')
param baseModel string = ''

@description('Base model of a hub, as organisation/model: where it is not on the share, the container fetches it once. Revision: a branch, tag or commit.')
param hubModel string = ''
param hubRevision string = 'main'

@description('Token that may read it, where the hub gives it to few: it becomes a secret of the app.')
@secure()
param hubToken string = ''

@description('Size limit of the file share, in GiB.')
@minValue(1)
@maxValue(102400)
param shareQuota int = 1024

@description('Seconds without a request after which the last replica is released.')
@minValue(30)
@maxValue(3600)
param cooldownSeconds int = 300

@description('Identifies the project that owns the app; a second project does not overwrite it unnoticed.')
param projectId string = ''

@description('Key that callers present. A new one is made when none is given.')
@secure()
param apiKey string = newGuid()

@description('Key that a Deploy presents to exchange the release in its container; no caller of the model needs it. A new one is made when none is given.')
@secure()
param deployKey string = newGuid()

var suffix = take(uniqueString(resourceGroup().id), 5)
var place = location ?? resourceGroup().location
var storageName = storageAccountName ?? 'aistorage${suffix}'
var shareName = fileShareName ?? 'aifileshare${suffix}'
var environmentName = acaEnvironmentName ?? 'aienv${suffix}'
var environmentStorageName = acaEnvironmentStorageName ?? 'aienvstorage${suffix}'
var appName = acaAppName ?? 'aiacaapp${suffix}'
var logsName = acaLogAnalyticsName ?? 'ailog${suffix}'
var serverless = contains(gpuProfileType, 'Consumption')
var profile = {
  name: gpuProfileName
  workloadProfileType: gpuProfileType
}
var login = empty(registryIdentity) ? {
  server: registryServer
  username: registryUser
  passwordSecretRef: 'registry-password'
} : {
  server: registryServer
  identity: registryIdentity
}
var logins = empty(registryServer) ? [] : [
  login
]
var assigned = {
  type: 'UserAssigned'
  userAssignedIdentities: json('{"${registryIdentity}":{}}')
}
var ownIdentity = {
  type: empty(registryIdentity) ? 'None' : 'SystemAssigned'
}
var dedicatedCounts = {
  minimumCount: 0
  maximumCount: maximumInstanceCount
}

// bootstrap.py: chooses the release that is current on the share, verifies it, unpacks it to local disk, makes it the working
// directory and runs the commands, in which pip may install; later it exchanges that release for another one in the same
// container. It answers the liveness probe, on a port of its own, since nobody accepts requests during an exchange in turn.
var bootstrap = '''
"""The container's start and its first process: runs the commands of the current release on the share, and exchanges it.

`npm run fix` puts this file, and those of this folder that it imports, into inference.bicep; the container runs them as
`python3 -c <this> <script>`, on whatever Python the image has, before any package is installed. It chooses the release,
verifies it, and unpacks it to the local disk. Until the first deploy it answers the probes and the deploy key alone.
"""

from __future__ import annotations

import asyncio
import collections
import configparser
import contextlib
import errno
import hashlib
import hmac
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from typing import IO, Any, NamedTuple, cast
from typing import NamedTuple, TypeVar
from typing import NamedTuple, cast
from typing import cast


# streams.py: HTTP/1.1 over asyncio's streams, one request a connection: what the container's supervisor is asked, and what it asks.

LONGEST_PATH = 80  # of a folder for sockets: a socket's whole path may have about a hundred characters
HEAD_SECONDS = 15.0
MOST_DISCARDED = 1 << 30
T = TypeVar("T")

Address = str | tuple[str, int]
"""A socket's path, or host and port."""


class Asked(NamedTuple):
    """A request; its body is still to be read."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: asyncio.StreamReader

    @property
    def length(self) -> int | None:
        """None where none is stated that can be believed."""
        stated = self.headers.get("content-length", "")
        return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 16 else None


class Answer(NamedTuple):
    status: int
    body: object = None
    """As JSON; None: nothing."""


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes

    def json(self) -> dict[str, object]:
        """Empty where it is no JSON object."""
        try:
            read: object = json.loads(self.body)
        except ValueError:
            return {}
        return dict(read) if isinstance(read, dict) else {}  # pyright: ignore[reportUnknownArgumentType]


Handler = Callable[[Asked], Awaitable[Answer | None]]
"""None: the connection is closed without a word."""


async def within(seconds: float, doing: Awaitable[T]) -> T:
    """TimeoutError after that time. Older Pythons' own way (`wait_for`) forgets a cancel that meets the result."""
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            raise TimeoutError(f"no answer within {seconds:g} s")
        return task.result()
    finally:
        task.cancel()


def answering(handler: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await within(HEAD_SECONDS, head_of(reader))
            answer = await handler(asked)
            if answer is not None:
                writer.write(encoded(answer))
                await writer.drain()
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            pass  # who asks has gone, or speaks no HTTP: there is nobody to be told
        finally:
            writer.close()

    return serve


async def head_of(reader: asyncio.StreamReader) -> Asked:
    """ValueError where it is no request."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    path, _, query = target.partition("?")
    return Asked(method, path, query, fields(lines[1:]), reader)


def fields(lines: list[str]) -> dict[str, str]:
    split = [line.partition(":") for line in lines if ":" in line]
    return {name.strip().lower(): value.strip() for name, _, value in split}


async def discard(asked: Asked, done: int = 0) -> None:
    """Reads what is left of a body: closed before, the answer might not be heard."""
    left = (asked.length or 0) - done
    while 0 < left <= MOST_DISCARDED:
        block = await asked.body.read(min(left, 1 << 20))
        if not block:
            return
        left -= len(block)


def encoded(answer: Answer) -> bytes:
    body = b"" if answer.body is None else json.dumps(answer.body).encode()
    head = f"HTTP/1.1 {answer.status} .\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    later = "Retry-After: 5\r\n" if answer.status == 503 else ""
    return f"{head}{later}Connection: close\r\n\r\n".encode() + body


async def ask(
    address: Address, method: str, path: str, *, key: str = "", body: object = None, seconds: float = 10.0
) -> Reply:
    """OSError, ValueError or EOFError where nobody answers."""
    return await within(seconds, asked_of(address, method, path, key, body))


async def asked_of(address: Address, method: str, path: str, key: str, body: object) -> Reply:
    if isinstance(address, str):
        reader, writer = await asyncio.open_unix_connection(address)
    else:
        reader, writer = await asyncio.open_connection(*address)
    try:
        content = b"" if body is None else json.dumps(body).encode()
        admits = f"Authorization: Bearer {key}\r\n" if key else ""
        stated = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{admits}{stated}Connection: close\r\n\r\n".encode()
        )
        writer.write(content)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        told = fields(lines[1:])
        length = told.get("content-length", "")
        if told.get("transfer-encoding", "").lower() == "chunked":
            came = b"".join([each async for each in chunks(reader)])
        else:
            came = await reader.readexactly(int(length)) if length.isdigit() else await reader.read()
        return Reply(int(lines[0].split(" ")[1]), came)
    finally:
        writer.close()


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Of an answer of no stated length: a server writes blanks while a long one is computed. EOFError: it has no end."""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


def folder_for_sockets() -> str:
    """One that only this user can enter."""
    folder = tempfile.mkdtemp(prefix="slipway-")
    return folder if len(folder) <= LONGEST_PATH else tempfile.mkdtemp(prefix="slipway-", dir="/tmp")


def listening(host: str, port: int) -> socket.socket:
    """A socket that clients may connect to from now on, whoever accepts them."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(2048)
    made.setblocking(False)
    return made


# releases.py: Releases of the share and those that are sent here: which may run, whether they are intact, and where they are unpacked.

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


# packages.py: A release's own packages: one archive of wheels on the share, unpacked to a folder of its own on the local disk.

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


# server_process.py: One start of a release's commands: its process, its words, and the channel over which descriptors travel both ways.

MOST_LINES = 20
LONGEST_LINE = 1 << 16  # bytes that are kept back for the rest of their line
MOST_DESCRIPTORS = 100  # in one message; Linux takes 253
NOT_FOR_SERVERS = "SLIPWAY_DEPLOY_KEY"


class Release(NamedTuple):
    """A release on the local disk; an empty digest for what runs from the mount."""

    digest: str
    generation: str
    place: str
    packages: Packages = Packages()


Heard = Callable[["ServerProcess", str, list[int]], None]
"""Which word a server has said, with the descriptors that came along."""


class ServerProcess:
    """A server that is ours says so on its channel; one that says nothing listens by itself, as it likes."""

    def __init__(self, release: Release, port: Address, heard: Heard) -> None:
        self.release = release
        self.announced = False
        self.pid = 0
        self.wants = ("", 0)
        """Where it would listen by itself, and for how long it finishes what it has: its commands may have set both."""
        self.drain = 25.0
        self.ends: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Its exit code as a shell would tell it, once it has ended."""
        self.lines: collections.deque[str] = collections.deque(maxlen=MOST_LINES)
        self.says_as = ""
        """How its own lines begin on the console, while another release serves."""
        self._folder = folder_for_sockets()
        self._port = port
        self._heard = heard
        self.own_pid = 0
        """Of the server itself, once it has announced itself; `pid` is the shell's before it."""
        self._channel: socket.socket | None = None
        self._unread = b""
        self._descriptors: list[int] = []
        self._output = b""
        self._started: subprocess.Popen[bytes] | None = None
        self._words: dict[str, dict[str, object]] = {}
        self._news = asyncio.Event()

    @property
    def address(self) -> Address:
        """Where it can be asked, whether or not it accepts requests yet."""
        return f"{self._folder}/http" if self.announced else self._port

    @property
    def ended(self) -> bool:
        return self.ends.done()

    def start(self, script: str, control: str, *, remembered: bool, held: bool = False) -> None:
        """`remembered`: its last lines are wanted, so they pass through here. `held`: it loads no model before it is told to."""
        ours, theirs = socket.socketpair()
        known = {name: value for name, value in os.environ.items() if name != NOT_FOR_SERVERS}
        known["SLIPWAY_SUPERVISOR_FD"] = str(theirs.fileno())
        known["SLIPWAY_PRIVATE_SOCKET"] = f"{self._folder}/http"
        known["SLIPWAY_CONTROL"] = control
        known["SLIPWAY_HOLD"] = "1" if held else ""
        if self.release.digest:
            known["SLIPWAY_RELEASE_DIGEST"], known["SLIPWAY_GENERATION"] = self.release[:2]
        known = equipped(known, self.release.packages)
        commands = without_pip(script, self.release.packages.requirements)
        output = subprocess.PIPE if remembered else None
        started = subprocess.Popen(  # not waited for by this object: the container reaps all
            ["/bin/bash", "-c", commands],
            cwd=self.release.place or None,
            env=known,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            stdout=output,
            stderr=output and subprocess.STDOUT,
        )
        theirs.close()
        self.pid, self._channel, self._started = started.pid, ours, started
        ours.settimeout(5)
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, self._receive, ours)
        if started.stdout is not None:
            os.set_blocking(started.stdout.fileno(), False)
            loop.add_reader(started.stdout, self._read_output, started.stdout.fileno())

    def has_ended(self, code: int) -> None:
        """Its process is no more."""
        if not self.ends.done():
            self.ends.set_result(code)
        self._close()
        self._news.set()
        if self._started is not None:
            self._started.returncode = code
            if self._started.stdout is not None:
                self._read_output(self._started.stdout.fileno())
        shutil.rmtree(self._folder, ignore_errors=True)

    async def word(self, word: str, seconds: float) -> dict[str, object]:
        """What it says under this word, from now on or before. EOFError where it ends, TimeoutError where it says nothing."""
        deadline = asyncio.get_running_loop().time() + seconds
        while word not in self._words:
            if self.ended:
                raise EOFError("the server has ended")
            self._news.clear()
            await within(max(deadline - asyncio.get_running_loop().time(), 0.0), self._news.wait())
        return self._words.pop(word)

    def tell(self, order: str, descriptors: Sequence[int] = (), **more: object) -> None:
        """OSError where it does not listen any more."""
        channel = self._channel
        if channel is None:
            raise BrokenPipeError("the server has ended")
        for first in range(0, max(len(descriptors), 1), MOST_DESCRIPTORS):
            some = descriptors[first : first + MOST_DESCRIPTORS]
            message = {"do": order, "descriptors": len(some), **more}
            socket.send_fds(channel, [json.dumps(message).encode() + b"\n"], list(some))

    def terminate(self) -> None:
        """Asks it to end. The server itself where it is known: a shell before it would not wait for it."""
        if self.own_pid and not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.own_pid, signal.SIGTERM)
        else:
            self.signal_group(signal.SIGTERM)

    def signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def has_group(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except OSError:
            return False
        return True

    async def ask(
        self, method: str, path: str, *, body: object = None, seconds: float = 10.0, keyed: bool = True
    ) -> Reply:
        key = os.environ.get("SLIPWAY_API_KEY", "") if keyed else ""
        return await ask(self.address, method, path, key=key, body=body, seconds=seconds)

    def _receive(self, channel: socket.socket) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 253)
        except OSError:
            data, descriptors = b"", []
        self._descriptors += descriptors
        if not data:
            self._close()
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            message = cast("dict[str, object]", json.loads(line))
            number = int(str(message.get("descriptors", 0)))
            carried, self._descriptors = self._descriptors[:number], self._descriptors[number:]
            word = str(message.get("say"))
            if word == "hello":
                self.announced, self.own_pid = True, int(str(message["pid"]))
                self.wants = (str(message["host"]), int(str(message["port"])))
                self.drain = float(str(message["drain"]))
            self._words[word] = message
            self._news.set()
            self._heard(self, word, carried)

    def _close(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
            self._channel = None

    def _read_output(self, descriptor: int) -> None:
        """Line by line, so that two servers' lines do not mix."""
        block = b""
        with contextlib.suppress(BlockingIOError):
            while block := os.read(descriptor, 1 << 16):
                self._output += block
            asyncio.get_running_loop().remove_reader(descriptor)  # its end
        *lines, self._output = self._output.split(b"\n")
        if self._output and (self.ended or len(self._output) > LONGEST_LINE):
            lines, self._output = [*lines, self._output], b""
        for line in lines:
            text = line.decode(errors="replace")
            self.lines.append(text)
            if self.says_as and text.startswith("slipway: "):
                text = f"slipway: {self.says_as}: {text[9:]}"
            sys.stdout.write(text + "\n")
        sys.stdout.flush()


# course.py: How an exchange of the running release goes: its state, which can be waited for, and how the new one is checked.

START_SECONDS = 1200.0  # for a release that is tried: as the platform's startup probe allows
SMOKE_SECONDS = 120.0
LOOK = 0.05  # seconds between two looks at how far a server is


class NotFit(Exception):
    """The new server can't take over; the message is the reason."""


class Order(NamedTuple):
    release: Release
    form: str
    smoke: list[dict[str, object]]


class Course:
    """What is told of the exchange under way, or of the last one. Each change has a number."""

    def __init__(self) -> None:
        self.seq = 0
        self.told: dict[str, object] = {
            "state": "idle",
            "release": None,
            "generation": None,
            "form": None,
            "phase": None,
            "progress": None,
            "detail": "",
            "reason": None,
            "log": [],
            "pause": None,
        }
        self._changed = asyncio.Event()

    @property
    def state(self) -> str:
        return str(self.told["state"])

    def say(self, **changes: object) -> None:
        if {**self.told, **changes} == self.told:
            return
        self.told.update(changes)
        self.seq += 1
        self.wake()

    def wake(self) -> None:
        """Who waits is answered, news or not."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, seq: int, seconds: float) -> None:
        """Returns once there is more news than that."""
        if self.seq <= seq:
            await asyncio.wait([asyncio.ensure_future(self._changed.wait())], timeout=seconds)


async def checked(server: ServerProcess, smoke: list[dict[str, object]], course: Course) -> None:
    """NotFit unless it becomes ready, names its release, and answers."""
    await ready(server, course, seconds_of("SLIPWAY_START_SECONDS", START_SECONDS))
    course.say(phase="checking-answers", progress=None, detail="")
    try:
        version = (await server.ask("GET", "/version")).json()
        if version.get("release") != server.release.digest:
            raise NotFit(f"it says that it is release {str(version.get('release'))[:12]}")
        base = str(version.get("base"))
        if not smoke:  # any model completes; one without a chat template refuses chats
            body: dict[str, object] = {"model": base, "prompt": "Hello", "max_tokens": 1}
            await text_of(server, "/v1/completions", body, "the first question")
        for number, question in enumerate(smoke, 1):
            await answered(server, question, f"question {number}", base)
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        raise NotFit(ending_of(server) or f"it does not answer: {error}") from error


async def prepared(server: ServerProcess, course: Course) -> None:
    """NotFit unless all that it needs but its model is there."""
    allowed = seconds_of("SLIPWAY_START_SECONDS", START_SECONDS)
    try:
        await server.word("prepared", allowed)
    except EOFError as error:
        raise NotFit(ending_of(server)) from error
    except TimeoutError as error:
        raise NotFit(f"it did not come to its model within {allowed:.0f} s") from error
    course.say(phase="prepared", progress=None, detail="")


async def ready(server: ServerProcess, course: Course, allowed: float = START_SECONDS) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + allowed
    while True:
        if server.ended:
            raise NotFit(ending_of(server))
        if await is_ready(server, course):
            return
        if loop.time() > deadline:
            said = "" if server.announced else ": its server does not know this container's start"
            raise NotFit(f"it was not ready within {allowed:.0f} s{said}")
        await asyncio.sleep(LOOK)


async def is_ready(server: ServerProcess, course: Course) -> bool:
    if not server.announced:
        course.say(phase="dependencies", progress=None, detail="")
        return False
    try:
        reply = await server.ask("GET", "/health/ready")
    except (OSError, EOFError, ValueError, TimeoutError):
        return False
    told = reply.json()
    if told.get("status") == "failed":
        raise NotFit(str(told.get("detail") or "it failed without a reason"))
    if reply.status != 200:
        course.say(**{name: told.get(name) for name in ("phase", "progress", "detail") if name in told})
    return reply.status == 200


async def answered(server: ServerProcess, question: dict[str, object], name: str, base: str) -> None:
    prompt = {"role": "user", "content": str(question.get("prompt", ""))}
    body: dict[str, object] = {
        "model": question.get("model") or base,
        "messages": question.get("messages") or [prompt],
        "max_tokens": question.get("max_tokens") or 16,
        "temperature": 0,
    }
    text = await text_of(server, "/v1/chat/completions", body, name)
    equal, part = question.get("equals"), question.get("contains") or question.get("expect")
    if (equal is not None and text.strip() != str(equal).strip()) or (part and str(part) not in text):
        raise NotFit(f"{name} was answered otherwise than expected: {json.dumps(text[:80], ensure_ascii=False)}")


async def text_of(server: ServerProcess, path: str, body: dict[str, object], name: str) -> str:
    reply = await server.ask("POST", path, body=body, seconds=SMOKE_SECONDS)
    told: Any = reply.json()
    if reply.status != 200:
        error = told.get("error")
        said = error.get("message") if isinstance(error, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        raise NotFit(f"{name} was answered with {reply.status}" + (f": {said}" if said else ""))
    try:
        choice = told["choices"][0]
        return str(choice["text"] if "text" in choice else choice["message"]["content"])
    except (LookupError, TypeError) as error:
        raise NotFit(f"{name} was answered without a text") from error


def ending_of(server: ServerProcess) -> str:
    """In the server's own words where it had some; empty while it runs."""
    if not server.ended:
        return ""
    own = [line[17:] for line in server.lines if line.startswith("slipway: failed: ")]
    return own[-1] if own else f"it ended with exit code {server.ends.result()}"


def seconds_of(variable: str, default: float) -> float:
    """What the container's variable states, where it is a number."""
    stated = os.environ.get(variable, "")
    return float(stated) if stated.replace(".", "", 1).isdigit() else default


# container.py: What runs in the container: the server that serves, the one that is tried, the socket that outlives both, and every end.

MOST_SECONDS = 240.0  # for which a request may run: the ingress's own limit
ANSWER_SECONDS = 5.0  # for a server's word on the channel
LISTENER = "127.0.0.1"


class Container:
    def __init__(self, script: str, control: str) -> None:
        self.running: ServerProcess | None = None
        self.tried: ServerProcess | None = None
        self.pausing = False
        """Whether an exchange in turn is under way: nobody accepts, and requests wait."""
        self.ending = False
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """What this container ends with."""
        self.port = (os.environ.get("SLIPWAY_BIND_HOST", ""), int(os.environ.get("CONTAINER_APP_PORT", "7860")))
        self.doorkeeper: asyncio.AbstractServer | None = None
        """Who answers on the port until the first server accepts."""
        self.own = (self.port[0] if self.port[0] not in ("", "0.0.0.0") else LISTENER, self.port[1])  # noqa: S104
        """Where the port is from in here."""
        self.replica = os.environ.get("CONTAINER_APP_REPLICA_NAME", "")
        self._script = script
        self._control = control
        self._servers: list[ServerProcess] = []
        self._socket: socket.socket | None = None
        self._held: list[int] = []
        """Connections that no server has at the moment; what clients send on them waits."""

    def watch(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)

    # Servers

    async def is_open(self) -> bool:
        """Whether somebody listens where requests come."""
        if self._socket is None:
            try:
                _, writer = await asyncio.open_connection(*self.own)
            except OSError:
                return False
            writer.close()
        return True

    def launch(self, release: Release, *, remembered: bool, held: bool = False) -> ServerProcess:
        server = ServerProcess(release, self.own, self.heard)
        self._servers.append(server)
        server.start(self._script, self._control, remembered=remembered, held=held)
        return server

    def serve(self, release: Release) -> None:
        """The first server: it accepts as soon as it says that it can, and tells by itself that it is not ready."""
        self.running = self.launch(release, remembered=False)

    def heard(self, server: ServerProcess, word: str, descriptors: list[int]) -> None:
        if word == "hello" and server is self.running and not self.ending:
            self.let_accept(server)
        if descriptors:
            self.hand_on(server, descriptors)

    def let_accept(self, server: ServerProcess) -> None:
        try:
            port = self.socket(server.wants)
        except OSError as error:
            say(f"failed: nobody can listen on port {server.wants[1]}: {error}")
            self.give_up()
            return
        with contextlib.suppress(OSError):  # it has ended: that is seen
            server.tell("accept", [port.fileno()])

    async def accepting(self, server: ServerProcess) -> None:
        """The server accepts from now on, also what waited. OSError, EOFError or TimeoutError where it does not."""
        server.tell("accept", [self.socket(server.wants).fileno()])
        await server.word("accepting", ANSWER_SECONDS)
        self.running, self.tried = server, None
        server.says_as = ""
        if self.doorkeeper is not None:
            self.doorkeeper.close()
            self.doorkeeper = None
        held, self._held = self._held, []
        self.hand_on(None, held)

    def hand_on(self, giver: ServerProcess | None, connections: list[int]) -> None:
        """Idle connections go to who accepts; where nobody does, they wait here."""
        taker = self.running
        if not connections:
            return
        if taker is None or taker is giver:
            self._held += connections
            return
        try:
            taker.tell("connections", connections)
        except OSError:
            say(f"{len(connections)} idle connections are closed: the server that was to take them has ended")
        for each in connections:
            os.close(each)

    async def leave(self, server: ServerProcess, seconds: float) -> None:
        """It accepts no more once this returns, finishes what it has, and gives its idle connections away."""
        with contextlib.suppress(OSError, EOFError):  # it has ended: it accepts no more
            server.tell("leave", within=seconds)
            try:
                await server.word("left", ANSWER_SECONDS)
            except TimeoutError:
                say("the former server does not answer: it is ended")
                server.signal_group(signal.SIGKILL)

    async def ended(self, server: ServerProcess, seconds: float) -> None:
        """Returns when its process is no more; killed after that time."""
        await asyncio.wait([server.ends], timeout=seconds)
        if not server.ended:
            say(f"the former server has not ended within {seconds:.0f} s: it is killed")
            server.signal_group(signal.SIGKILL)
        await asyncio.wait([server.ends])

    async def all_former_ended(self) -> None:
        for server in [each for each in self._servers if each not in (self.running, self.tried)]:
            await self.ended(server, MOST_SECONDS)

    async def drop(self, server: ServerProcess) -> None:
        server.signal_group(signal.SIGKILL)
        await asyncio.wait([server.ends])
        self.tried = None if self.tried is server else self.tried

    # The port

    def socket(self, wanted: tuple[str, int]) -> socket.socket:
        """Bound only when a server asks for it: one that is not ours binds it itself."""
        if self._socket is None:
            self._socket = listening(*wanted)
        return self._socket

    # Ends

    def reap(self) -> None:
        """Whatever has ended, orphans too: this is the container's first process."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self.buried(found[0], os.waitstatus_to_exitcode(found[1]))

    def buried(self, pid: int, code: int) -> None:
        for server in [each for each in self._servers if each.pid == pid]:
            self._servers.remove(server)
            server.has_ended(code if code >= 0 else 128 - code)
            if not self.ending:
                server.signal_group(signal.SIGKILL)  # what it began ends with it
            if server is self.running:
                self.finish(server)

    def finish(self, server: ServerProcess) -> None:
        """The server that serves has ended by itself, or was told to: so does the container, as it did."""
        if self.tried is not None:
            self.tried.signal_group(signal.SIGKILL)
        if not self.code.done():
            self.code.set_result(server.ends.result())

    def give_up(self) -> None:
        """Nothing serves and nothing will: the platform starts the container anew."""
        if not self.code.done():
            self.code.set_result(1)

    def end(self) -> None:
        """SIGTERM: handed on once; the servers finish what they have."""
        if self.ending:
            return
        self.ending = True
        if self._socket is not None:
            self._socket.close()  # the server's own descriptor is the last
        if self.tried is not None:
            self.tried.signal_group(signal.SIGKILL)
        for server in self._servers:
            server.terminate()
        if self.running is None and not self.code.done():
            self.code.set_result(0)

    async def quiet(self) -> None:
        """Until nothing is left of the servers that were told to end: a shell may go before what it runs."""
        left = [*self._servers, *(server for server in (self.running,) if server is not None)]
        while self.ending and any(server.has_group() for server in left):
            await asyncio.sleep(0.05)


# exchange.py: The exchange of the running release for another one, beside it or in turn, and what this container answers about it.

PATIENCE = 120.0  # seconds for which a checked release waits to be told to take over, or asked again
POLL_SECONDS = 20.0
MEASURE_SECONDS = 2.0
MOST_ORDER = 1 << 20  # bytes
MOST_QUESTION = 4 << 20  # as the server itself takes
LIVE = ("starting", "checked", "exchanging")
NEXT = "next release"
CANDIDATE = "/slipway/candidate"
HANDED_SECONDS = 220.0  # of a question that is handed on: the ingress waits no longer than 240 s
HANDED_ON = (
    ("GET", "/version"),
    ("GET", "/v1/models"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/chat/completions"),
)


class Exchange:
    def __init__(self, container: Container, shelf: Shelf, depot: Depot) -> None:
        self.course = Course()
        self._container = container
        self._shelf = shelf
        self._depot = depot
        self._task: asyncio.Task[None] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._final = False
        """Whether it has come so far that it can't be discarded."""
        self._asked = 0
        """Questions that are handed on to the checked release just now."""
        self._heard = 0.0
        """When the last one of them was answered."""

    # Its two forms

    async def run(self, order: Order) -> None:
        serves = self._container.running
        try:
            await self._container.all_former_ended()
            self._shelf.keep_only({order.release.digest, "" if serves is None else serves.release.digest})
            order = await self._equipped(order, serves)
            await (self._beside(order, serves) if order.form == "beside" else self._in_turn(order, serves))
        except NotFit as refused:
            self._failed(str(refused))
        except asyncio.CancelledError:
            self._failed("it was discarded")
        except Exception as error:  # noqa: BLE001  (the boundary of a background task: told to who asks)
            self._failed(f"it could not take over: {type(error).__name__}: {error}")
        finally:
            self._final = False
            self._container.pausing = False

    async def _equipped(self, order: Order, former: ServerProcess | None) -> Order:
        """With the release's own packages, which are unpacked while the former one serves."""
        packages = await asyncio.to_thread(self._depot.packages, order.release.place)
        before = Packages() if former is None else former.release.packages
        self._depot.keep_only({packages.digest, before.digest})
        order = order._replace(release=order.release._replace(packages=packages))
        if order.form == "beside" and former is not None and not undisturbed(order.release, former.release):
            raise NotFit("its own packages can't be had, and others would change under the running server")
        return order

    async def _beside(self, order: Order, former: ServerProcess | None) -> None:
        server = self._start(order)
        try:
            await checked(server, order.smoke, self.course)
            await self._told_to_take_over(server)
            self.course.say(state="exchanging", phase=None, progress=None, detail="")
            self._final = True
            await self._container.accepting(server)
        except BaseException:
            self.course.say(log=list(server.lines))
            await self._container.drop(server)
            raise
        if former is not None:
            self.course.wake()  # who waits for news through the former server is answered: it can end
            await self._container.leave(former, MOST_SECONDS)
        self._done(order, pause=0.0)

    async def _told_to_take_over(self, server: ServerProcess) -> None:
        """As long as somebody asks it, it waits: who judges it by many questions takes longer than who asks none."""
        loop = asyncio.get_running_loop()
        self._taken, self._heard = loop.create_future(), loop.time()
        self.course.say(state="checked", phase="ready", progress=1.0, detail="")
        allowed = seconds_of("SLIPWAY_TAKE_OVER_SECONDS", PATIENCE)
        while not (self._taken.done() or server.ended):
            left = allowed if self._asked else self._heard + allowed - loop.time()
            if left <= 0:
                raise NotFit(f"nobody told it to take over within {allowed:.0f} s")
            await asyncio.wait([self._taken, server.ends], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if server.ended:
            raise NotFit(ending_of(server))

    async def _in_turn(self, order: Order, former: ServerProcess | None) -> None:
        loop, container = asyncio.get_running_loop(), self._container
        waits = await self._prepared(order, former)
        container.pausing = True
        self.course.say(state="exchanging", phase="draining")
        began = loop.time()
        try:
            if former is not None:
                container.running = None
                self.course.wake()  # as above
                await container.leave(former, former.drain)
                began = loop.time()
                await container.ended(former, former.drain + 15)
            if waits is not None:
                with contextlib.suppress(OSError):  # it has ended: that is said below
                    waits.tell("load")
            server = waits or self._start(order)
            await checked(server, order.smoke, self.course)
            self._final = True
            await container.accepting(server)
        except BaseException as error:
            self._final = True
            await self._back(former, error)
            self.course.say(pause=round(loop.time() - began, 2))
            raise
        self._done(order, pause=round(loop.time() - began, 2))

    async def _prepared(self, order: Order, former: ServerProcess | None) -> ServerProcess | None:
        """The new server with all but its model, while the former one still answers; None where it would change the packages
        under that one, or where none answers."""
        if former is None or not undisturbed(order.release, former.release):
            return None
        server = self._start(order, held=True)
        try:
            await prepared(server, self.course)
        except BaseException:
            self.course.say(log=list(server.lines))
            await self._container.drop(server)
            raise
        return server

    async def _back(self, former: ServerProcess | None, error: BaseException) -> None:
        """The former release starts again; where it can't, nothing serves, and the container ends."""
        container = self._container
        if container.tried is not None:
            self.course.say(log=list(container.tried.lines))
            await container.drop(container.tried)
        if former is None or container.ending:
            return
        say(f"exchange: {former.release.digest[:12]} starts again: {str(error) or 'it was discarded'}")
        self.course.say(phase="starting-again", progress=None, detail=str(error))
        if not former.ended:
            await container.ended(former, former.drain + 15)
        server = container.launch(former.release, remembered=True)
        try:
            await ready(server, Course())
            await container.accepting(server)
        except (NotFit, OSError, EOFError, TimeoutError) as problem:
            say(f"failed: the former release does not start again either: {problem}")
            container.give_up()

    def _start(self, order: Order, *, held: bool = False) -> ServerProcess:
        say(f"exchange: starting {order.release.digest[:12]} {order.form}")
        server = self._container.launch(order.release, remembered=True, held=held)
        server.says_as = NEXT
        self._container.tried = server
        return server

    def _done(self, order: Order, pause: float) -> None:
        say(f"exchange: {order.release.digest[:12]} serves (generation {order.release.generation})")
        say("phase ready")
        self.course.say(state="done", phase="ready", progress=1.0, detail="", pause=pause)

    def _failed(self, reason: str) -> None:
        say(f"exchange: {str(self.course.told['release'])[:12]} does not take over: {reason}")
        self.course.say(state="failed", reason=reason)

    # What is asked

    async def answer(self, asked: Asked) -> Answer:
        """Requests below /slipway, whoever they came through."""
        key = os.environ.get("SLIPWAY_DEPLOY_KEY", "")
        given = asked.headers.get("authorization", "")
        if not key:
            answer = refusal(404, "NotFound", "there is no deploy key here")
        elif not hmac.compare_digest(f"Bearer {key}".encode(), given.encode()):
            answer = refusal(401, "Unauthorized", "the deploy key is needed: Authorization: Bearer …")
        else:
            try:
                return await self._admitted(asked)
            except ValueError as error:  # of what was read whole
                return refusal(400, "Malformed", str(error))
        await discard(asked)
        return answer

    async def _admitted(self, asked: Asked) -> Answer:
        if asked.path.startswith("/slipway/releases/") and asked.method == "PUT":
            digest = asked.path.rpartition("/")[2]
            if is_digest(digest):
                return await self._shelf.take(asked, digest)
        elif asked.path == "/slipway/exchange" and asked.method in ("GET", "POST", "DELETE"):
            if asked.method == "GET":
                return await self._tell(asked)
            return self._discard() if asked.method == "DELETE" else await self._begin(asked)
        elif asked.path == "/slipway/exchange/take-over" and asked.method == "POST":
            return self._take_over(await order_of(asked))
        elif asked.path.startswith(CANDIDATE) and (asked.method, asked.path.removeprefix(CANDIDATE)) in HANDED_ON:
            return await self._hand_on(asked, asked.path.removeprefix(CANDIDATE))
        await discard(asked)
        return refusal(404, "NotFound", f"there is no {asked.method} {asked.path}")

    async def _tell(self, asked: Asked) -> Answer:
        after = urllib.parse.parse_qs(asked.query).get("after", [""])[0]
        if after.isascii() and after.isdigit() and self._may_wait(asked):
            await self.course.after(int(after), POLL_SECONDS)
        serves = self._container.running
        running = (
            None if serves is None else {"release": serves.release.digest, "generation": serves.release.generation}
        )
        beside = await self._room(serves)
        own = {
            "supervisor": 1,
            "archives": True,
            "candidate": True,
            "replica": self._container.replica,
            "seq": self.course.seq,
        }
        return Answer(200, {**own, **self.course.told, "running": running, "beside": beside})

    def _may_wait(self, asked: Asked) -> bool:
        """Not through a server that is to end."""
        through, serves = asked.headers.get("slipway-server", ""), self._container.running
        return not through or (serves is not None and through == str(serves.own_pid))

    async def _room(self, serves: ServerProcess | None) -> dict[str, object]:
        """Whether a second server fits beside the one that serves, as that one says."""
        if self._container.pausing:
            return {"fits": None, "why": "an exchange in turn is under way"}
        if serves is None:
            return {"fits": True, "why": "nothing serves yet"}
        if not serves.announced:
            return {"fits": False, "why": NOT_OURS}
        try:
            serves.tell("measure")
            said = await serves.word("memory", MEASURE_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            return {"fits": None, "why": f"the server does not say how much memory it has: {error}"}
        return {"fits": said.get("fits"), "why": said.get("why")}

    async def _begin(self, asked: Asked) -> Answer:
        said = await order_of(asked)
        digest, form = str(said.get("release")), str(said.get("form"))
        smoke: object = said.get("smoke") or []
        if form not in ("beside", "in turn") or not isinstance(cast("object", smoke), list):
            return refusal(400, "Malformed", 'release, generation, form ("beside" or "in turn") and smoke are needed')
        if self._is_meant_elsewhere(said):
            return refusal(409, "OtherReplica", ELSEWHERE)
        if self.course.state in LIVE or self._container.ending:
            return refusal(409, "Busy", "another exchange is under way")
        place = self._shelf.places.get(digest)
        if place is None:
            return refusal(404, "NoSuchRelease", "send the release first")
        serves = self._container.running
        if serves is not None and not (serves.announced and serves.release.place):
            return refusal(409, "NotOurs", NOT_OURS)
        own = named_packages(place).get("complete") is True
        if form == "beside" and serves is not None and not own and not same_packages(place, serves.release.place):
            return refusal(
                409, "OtherPackages", "it asks for other packages, which would change under the running server"
            )
        release = Release(digest, str(said.get("generation") or ""), place)
        order = Order(release, form, cast("list[dict[str, object]]", smoke))
        self.course.say(
            state="starting", release=digest, generation=release.generation, form=form,
            phase="dependencies", progress=None, detail="", reason=None, log=[], pause=None,
        )  # fmt: skip
        self._taken, self._task = None, asyncio.create_task(self.run(order))
        return Answer(202, {"release": digest})

    def _is_meant_elsewhere(self, said: dict[str, object]) -> bool:
        """Of several replicas the ingress asks any."""
        return str(said.get("replica") or self._container.replica) != self._container.replica

    def _take_over(self, said: dict[str, object]) -> Answer:
        if self._is_meant_elsewhere(said):
            return refusal(409, "OtherReplica", ELSEWHERE)
        if self.course.state != "checked" or self._taken is None or said.get("release") != self.course.told["release"]:
            return refusal(409, "NotChecked", "no such release waits to take over")
        if not self._taken.done():
            self._taken.set_result(None)
        return Answer(202, {"release": said["release"]})

    async def _hand_on(self, asked: Asked, path: str) -> Answer:
        """To the release that is checked and waits: its own answer, before anybody else is answered by it."""
        body = await order_of(asked, MOST_QUESTION) if asked.method == "POST" else None
        server = self._container.tried
        if self.course.state != "checked" or server is None:
            return refusal(409, "NotChecked", "no release waits to take over")
        allowed = seconds_of("SLIPWAY_HANDED_SECONDS", HANDED_SECONDS)
        self._asked += 1
        try:
            reply = await server.ask(asked.method, path, body=body, seconds=allowed)
        except TimeoutError:
            return refusal(
                504, "TooSlow", f"the release that waits to take over has not answered within {allowed:.0f} s"
            )
        except (OSError, EOFError, ValueError) as error:
            return refusal(503, "NoAnswer", f"the release that waits to take over does not answer: {error}")
        finally:
            self._asked -= 1
            self._heard = asyncio.get_running_loop().time()
        return Answer(reply.status, reply.json())

    def _discard(self) -> Answer:
        if self.course.state not in LIVE or self._task is None:
            return refusal(409, "NothingToDiscard", "no exchange is under way")
        if self._final:
            return refusal(409, "TooLate", "it has taken over, or the former release starts again already")
        self._task.cancel()
        return Answer(202)

    async def stop(self) -> None:
        if self._task is not None:
            if self._container.tried is not None:
                self._container.tried.signal_group(signal.SIGKILL)
            self._task.cancel()
            await asyncio.wait([self._task])


ELSEWHERE = "this is another replica than the one that was meant"
NOT_OURS = "the server that runs is not Slipway's own, or not from a release: it can't be exchanged in its container"


def undisturbed(new: Release, former: Release) -> bool:
    """Whether the new one can start while the former serves: it brings its packages along, or asks for the same."""
    return bool(new.packages.requirements) or same_packages(new.place, former.place)


async def order_of(asked: Asked, most: int = MOST_ORDER) -> dict[str, object]:
    """The JSON object of a request; ValueError where it is none."""
    length = asked.length or 0
    if length > most:
        await discard(asked)
        raise ValueError("an order is short")
    read: object = json.loads(await asked.body.readexactly(length) or b"{}")
    if not isinstance(read, dict):
        raise ValueError("an order is an object")
    return cast("dict[str, object]", read)


PHASE = {
    "status": "loading",
    "phase": "waiting-for-first-deploy",
    "progress": None,
    "detail": "run Deploy for inference",
}


def main(script: str) -> None:
    mount = os.environ["SLIPWAY_MOUNT"]
    home = pathlib.Path(mount, ".slipway", os.environ["SLIPWAY_APP"])
    # The default image's Python is its system's own, and marked so that pip refuses to install into it (PEP 668). The image's
    # PyTorch is in there and the container is thrown away, so pip may. What a person has set for pip stays as it is.
    os.environ.setdefault("PIP_BREAK_SYSTEM_PACKAGES", "1")
    os.environ.setdefault("PIP_ROOT_USER_ACTION", "ignore")
    sys.exit(asyncio.run(supervise(script, first_release(script, mount, home), Depot(home))))


def first_release(script: str, mount: str, home: pathlib.Path) -> Release | None:
    """None before the first deploy."""
    if "cd " + mount in script:
        say("the commands change into the mount: they run from the plain tree there, not from a release")
        return Release("", "", "")
    offered = candidates(home)
    for digest, generation in offered:
        bundle = verified(home, digest)
        if bundle is not None:
            release = Release(digest, generation, unpacked(bundle))
            say(f"starting release {digest[:12]}" + (f" (generation {generation})" if generation else ""))
            say("phase dependencies")
            return release
    if offered:
        sys.exit("slipway: failed: no release on the share is intact: run Deploy for inference again")
    say("waiting for the first deploy: only the probes are answered")
    say("phase waiting-for-first-deploy")
    return None


async def supervise(script: str, first: Release | None, depot: Depot) -> int:
    """The exit code of the server that served last."""
    control = f"{folder_for_sockets()}/control"
    container, shelf = Container(script, control), Shelf()
    exchange = Exchange(container, shelf, depot)
    container.watch()
    served: list[asyncio.AbstractServer] = [await asyncio.start_unix_server(answering(exchange.answer), control)]
    os.chmod(control, 0o600)
    probes = Probes(container)
    if first is None:
        container.doorkeeper = await waiting(container, probes, exchange)
    begun = [asyncio.create_task(probes.open(served))]
    if first is not None:
        begun.append(asyncio.create_task(serve(container, first, depot)))
    code = await container.code
    depot.stop.set()
    for each in begun:
        each.cancel()
    await exchange.stop()
    await container.quiet()
    for each in served:
        each.close()
    shutil.rmtree(os.path.dirname(control), ignore_errors=True)
    return code


async def serve(container: Container, first: Release, depot: Depot) -> None:
    """Once its packages are there."""
    try:
        packages = await asyncio.to_thread(depot.packages, first.place)
    except EOFError:
        return  # told to end
    if not container.ending:
        container.serve(first._replace(packages=packages))


class Probes:
    """Answers for the server on a port of its own, and while none serves."""

    def __init__(self, container: Container) -> None:
        self._container = container

    async def open(self, served: list[asyncio.AbstractServer]) -> None:
        """Not before requests have a port: the platform takes the only port that is listened on for the one that was meant."""
        port = os.environ.get("SLIPWAY_PROBE_PORT", "")
        if not port:
            return
        while not await self._container.is_open():
            await asyncio.sleep(0.2)
        served.append(await asyncio.start_server(answering(self.answer), self._container.port[0], int(port)))

    async def answer(self, asked: Asked) -> Answer | None:
        await discard(asked)
        if asked.path not in ("/health/live", "/health/ready"):
            return Answer(404)
        if self._container.pausing:
            return Answer(200)  # requests wait for the release that comes: the container is well
        serves = self._container.running
        if serves is None:
            return self.waiting(asked)
        try:
            return Answer((await serves.ask("GET", asked.path, keyed=False, seconds=60)).status)
        except (OSError, EOFError, ValueError, TimeoutError):
            return None  # as where nobody listens

    def waiting(self, asked: Asked) -> Answer:
        """Alive, not ready; why is told to those who have the key."""
        key = os.environ.get("SLIPWAY_API_KEY", "")
        given = asked.headers.get("authorization", "").removeprefix("Bearer ").strip()
        known = bool(key) and hmac.compare_digest(key.encode(), given.encode())
        return Answer(200 if asked.path == "/health/live" else 503, PHASE if known else None)


async def waiting(container: Container, probes: Probes, exchange: Exchange) -> asyncio.AbstractServer:
    """On the port itself, by a descriptor of its own: the socket outlives it."""

    async def answer(asked: Asked) -> Answer | None:
        if asked.path.startswith("/slipway/"):
            return await exchange.answer(asked)
        await discard(asked)
        return probes.waiting(asked)

    return await asyncio.start_server(answering(answer), sock=container.socket(container.port).dup(), backlog=2048)


if __name__ == "__main__":
    main(sys.argv[1])
'''

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = if (createStorageAccount) {
  name: storageName
  location: place
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: true // mounting over SMB needs the account key
    largeFileSharesState: 'Enabled'
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource existingStorage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = if (createEnvironmentStorage && !createStorageAccount) {
  name: storageName
}

resource share 'Microsoft.Storage/storageAccounts/fileServices/shares@2023-05-01' = if (createFileShare) {
  name: '${storageName}/default/${shareName}'
  properties: {
    shareQuota: shareQuota
  }
  dependsOn: [
    storage
  ]
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = if (createLogAnalytics) {
  name: logsName
  location: place
  properties: {
    retentionInDays: 30
    sku: {
      name: 'PerGB2018'
    }
  }
}

resource existingLogs 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = if (createEnvironment && !createLogAnalytics) {
  name: logsName
}

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = if (createEnvironment) {
  name: environmentName
  location: place
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: createLogAnalytics ? logs!.properties.customerId : existingLogs!.properties.customerId
        sharedKey: createLogAnalytics ? logs!.listKeys().primarySharedKey : existingLogs!.listKeys().primarySharedKey
      }
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
      union(profile, serverless ? {} : dedicatedCounts)
    ]
  }
}

resource environmentStorage 'Microsoft.App/managedEnvironments/storages@2025-07-01' = if (createEnvironmentStorage) {
  parent: environment
  name: environmentStorageName
  properties: {
    azureFile: {
      accountName: storageName
      accountKey: createStorageAccount ? storage!.listKeys().keys[0].value : existingStorage!.listKeys().keys[0].value
      shareName: shareName
      accessMode: 'ReadWrite'
    }
  }
  dependsOn: [
    share
  ]
}

resource app 'Microsoft.App/containerApps@2025-07-01' = if (createApp) {
  name: appName
  location: place
  tags: {
    'slipway-project': projectId
  }
  identity: contains(registryIdentity, '/') ? assigned : ownIdentity
  properties: {
    environmentId: resourceId('Microsoft.App/managedEnvironments', environmentName)
    workloadProfileName: gpuProfileName
    configuration: {
      activeRevisionsMode: 'Multiple'
      maxInactiveRevisions: 10
      ingress: {
        external: true
        allowInsecure: false
        targetPort: 7860
        transport: 'auto'
        traffic: [
          {
            latestRevision: true
            weight: 100
          }
        ]
      }
      registries: logins
      secrets: [
        {
          name: 'api-key'
          value: apiKey
        }
        {
          name: 'slipway-deploy-key'
          value: deployKey
        }
        {
          name: 'registry-password' // always there: a what-if can't tell a list that depends on a secure parameter
          value: empty(registryPassword) ? 'none' : registryPassword
        }
        {
          name: 'slipway-hub-token' // the same
          value: empty(hubToken) ? 'none' : hubToken
        }
      ]
    }
    template: {
      terminationGracePeriodSeconds: 60
      containers: [
        {
          name: 'inference'
          image: image
          command: [
            'python3'
            '-c'
            bootstrap
          ]
          args: [
            join(concat(['set -e'], defaultCommands), '\n')
          ]
          env: [
            {
              name: 'SLIPWAY_APP'
              value: appName
            }
            {
              name: 'SLIPWAY_RELEASE'
              value: 'current'
            }
            {
              name: 'SLIPWAY_MOUNT'
              value: '/mount'
            }
            {
              name: 'SLIPWAY_BASE_MODEL'
              value: baseModel
            }
            {
              name: 'SLIPWAY_API_KEY'
              secretRef: 'api-key'
            }
            {
              name: 'SLIPWAY_DEPLOY_KEY'
              secretRef: 'slipway-deploy-key'
            }
            {
              name: 'SLIPWAY_PROBE_PORT'
              value: '7861'
            }
            {
              name: 'SLIPWAY_HUB_MODEL'
              value: hubModel
            }
            {
              name: 'SLIPWAY_HUB_REVISION'
              value: hubRevision
            }
            {
              name: 'SLIPWAY_HUB_TOKEN'
              secretRef: 'slipway-hub-token'
            }
          ]
          resources: {
            cpu: json(cpu)
            memory: memory
          }
          volumeMounts: [
            {
              volumeName: 'share'
              mountPath: '/mount'
            }
          ]
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/health/live'
                port: 7860
              }
              periodSeconds: 5
              timeoutSeconds: 5
              failureThreshold: 240
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/health/live'
                port: 7861
              }
              periodSeconds: 30
              timeoutSeconds: 10
              failureThreshold: 5
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/health/ready'
                port: 7860
              }
              periodSeconds: 5
              timeoutSeconds: 5
              failureThreshold: 48
            }
          ]
        }
      ]
      volumes: [
        {
          name: 'share'
          storageType: 'AzureFile'
          storageName: environmentStorageName
        }
      ]
      scale: {
        minReplicas: 0
        maxReplicas: maximumInstanceCount
        cooldownPeriod: cooldownSeconds
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '32'
              }
            }
          }
        ]
      }
    }
  }
  dependsOn: [
    environment
    environmentStorage
  ]
}

resource existingApp 'Microsoft.App/containerApps@2025-07-01' existing = if (!createApp) {
  name: appName
}

output SUBSCRIPTION_ID string = subscription().subscriptionId
output RESOURCE_GROUP_NAME string = resourceGroup().name
output STORAGE_ACCOUNT_NAME string = storageName
output FILE_SHARE_NAME string = shareName
output ACA_APP_NAME string = appName
output ACA_APP_ENDPOINT string = createApp ? app!.properties.configuration.ingress.fqdn : existingApp!.properties.configuration.ingress.fqdn
