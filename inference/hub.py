"""A base model fetched from a hub, once, into the share: each file verified, and a fetch that was cut off goes on.

The hub is spoken to as Hugging Face's is: `/api/models/<id>/revision/<revision>?blobs=true` names the files with their digests,
`/<id>/resolve/<commit>/<file>` leads to each, often by way of another host. The token goes to the hub alone."""

import errno
import hashlib
import json
import logging
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar, cast
from urllib.parse import quote, urljoin, urlsplit

import httpx

from inference.turn import Turn

log = logging.getLogger(__name__)

BLOCK = 1 << 20
FETCHERS = 4
TRIES = 6  # without a byte in between
SECONDS = 30.0  # without a byte
REDIRECTS = 5
LONGEST_PAUSE = 60.0
MOST_LISTING = 16 << 20
LEFT = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".msgpack", ".onnx", ".ot", ".tflite", ".gguf", ".npz", ".py")
CONFIG = "config.json"
TEMPLATES = "additional_chat_templates/"
Result = TypeVar("Result")


class HubError(Exception):
    """A base that can't be fetched; the message says why, and what to do."""


class Interrupted(Exception):
    """A connection that broke off, or a hub that asks for patience: worth another try. `pause`: as it asks."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass(frozen=True)
class Wanted:
    """`model`: organisation/model. `token` is in no message and no log."""

    model: str
    revision: str
    url: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class RemoteFile:
    """`digest`: the sha256 of a large file, else Git's digest of a small one."""

    name: str
    size: int
    digest: str
    large: bool


@dataclass(frozen=True)
class Listing:
    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(each.size for each in self.files)


Note = Callable[[float, str], None]  # how far, from 0 to 1; and a detail


def fetch(mount: Path, wanted: Wanted, note: Note, holder: str, pause: float = 1.0) -> None:
    """Returns once the model lies in `model-cache/` whole; of several replicas one fetches, the others wait for it. `pause`:
    seconds before a second try."""
    folder = mount / "model-cache" / wanted.model
    with Turn(folder.parent / f".{folder.name}.fetch", holder, lambda: (folder / CONFIG).is_file()) as turn:
        if not turn.mine:  # another replica has fetched it meanwhile
            return
        listing = _patiently(lambda: listed(wanted), pause)
        log.info(
            "fetching %s at %s: %d files, %d MB", wanted.model, listing.commit, len(listing.files), listing.size >> 20
        )
        try:
            _Fetch(folder, wanted, listing, note, pause).run()
        except OSError as error:
            raise full(error, wanted.model, listing.size) or error from error


def full(error: OSError, model: str, size: int) -> HubError | None:
    """Of a share that has no room for it."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return HubError(f"the share is full (No space left on device): {model} needs {size >> 20} MB on it")


def listed(wanted: Wanted) -> Listing:
    """The files that our server reads, and their digests."""
    revision = quote(wanted.revision or "main", safe="")
    with _opened(wanted, f"{wanted.url}/api/models/{wanted.model}/revision/{revision}?blobs=true", 0) as answer:
        raw = b"".join(islice(answer.iter_raw(BLOCK), MOST_LISTING // BLOCK))
    try:
        said: Any = json.loads(raw)
        siblings = cast("list[dict[str, Any]]", said["siblings"])
        files = [_file(each) for each in siblings if _is_read(str(each["rfilename"]))]
        commit = str(said["sha"])
    except (ValueError, KeyError, TypeError) as error:
        raise HubError(
            f"{wanted.url} does not answer as a hub does: its list of {wanted.model} can't be read"
        ) from error
    names = {each.name for each in files}
    if CONFIG not in names or not any(name.endswith(".safetensors") for name in names):
        raise HubError(f"{wanted.model} has no config.json, or no safetensors weights: it can't be served")
    return Listing(commit, tuple(sorted(files, key=lambda each: (each.name == CONFIG, each.name))))


def _is_read(name: str) -> bool:
    plain = name.removeprefix(TEMPLATES) if name.endswith(".jinja") else name
    return "/" not in plain and "\\" not in plain and not plain.startswith(".") and not plain.endswith(LEFT)


def _file(said: Mapping[str, Any]) -> RemoteFile:
    lfs = said.get("lfs")
    if lfs:
        return RemoteFile(str(said["rfilename"]), int(lfs["size"]), str(lfs["sha256"]), large=True)
    return RemoteFile(str(said["rfilename"]), int(said["size"]), str(said["blobId"]), large=False)


@dataclass
class _Fetch:
    folder: Path
    wanted: Wanted
    listing: Listing
    note: Note
    pause: float
    _there: dict[str, int] = field(default_factory=dict[str, int])

    def run(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        *files, last = self.listing.files
        with ThreadPoolExecutor(FETCHERS, "fetch") as pool:
            for done in [pool.submit(self._whole, each) for each in files]:
                done.result()
        self._whole(last)  # a folder with a config.json is a model
        for left in self.folder.rglob(".*.part"):
            left.unlink(missing_ok=True)

    def _whole(self, file: RemoteFile) -> None:
        """The file is in place then, with the bytes that its digest names."""
        place = self.folder / file.name
        if place.is_file() and place.stat().st_size == file.size and _digest(file, place) == file.digest:
            self._tell(file, file.size)
            return
        place.parent.mkdir(exist_ok=True)
        part = place.with_name(f".{place.name}.{file.digest[:16]}.part")
        for last in (False, True):
            _patiently(lambda: self._rest(file, part), self.pause, lambda: self._there.get(file.name, 0))
            if _digest(file, part) == file.digest:
                part.replace(place)
                return
            part.unlink()  # what came is not what the hub speaks of
            log.warning("%s arrived damaged%s", file.name, "" if last else ": it is fetched again")
        raise HubError(f"{file.name} of {self.wanted.model} arrived damaged twice: its digest is not the hub's")

    def _rest(self, file: RemoteFile, part: Path) -> None:
        """From where it was cut off to the end."""
        have = part.stat().st_size if part.is_file() else 0
        if have > file.size:
            part.unlink()
            have = 0
        self._tell(file, have)
        if have == file.size and part.is_file():
            return
        url = f"{self.wanted.url}/{self.wanted.model}/resolve/{self.listing.commit}/{quote(file.name)}"
        with _opened(self.wanted, url, have) as answer, part.open(_mode(part), BLOCK) as stream:
            goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            reached = have if goes_on else 0
            stream.seek(reached)
            stream.truncate()
            for block in answer.iter_raw():
                reached += len(block)
                if reached > file.size:
                    break  # its digest tells that it is another file
                stream.write(block)
                self._tell(file, reached)
        if reached < file.size:
            raise Interrupted(f"{file.name} broke off at {reached} of {file.size} bytes")

    def _tell(self, file: RemoteFile, count: int) -> None:
        self._there[file.name] = count
        self.note(min(sum(list(self._there.values())) / max(self.listing.size, 1), 1.0), self.wanted.model)


def _mode(part: Path) -> Literal["r+b", "wb"]:
    return "r+b" if part.is_file() else "wb"


def _digest(file: RemoteFile, place: Path) -> str:
    seen = hashlib.sha256() if file.large else hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with place.open("rb") as stream:
        while block := stream.read(BLOCK):
            seen.update(block)
    return seen.hexdigest()


def _patiently(ask: Callable[[], Result], pause: float, gained: Callable[[], int] = lambda: 0) -> Result:
    """Again while it breaks off: without an end while some of it comes each time, else for a few tries."""
    left, before = TRIES, gained()
    while True:
        try:
            return ask()
        except Interrupted as error:
            now = gained()
            left, before = (TRIES if now > before else left - 1), now
            if left == 0:
                raise HubError(f"the hub does not answer: {error}") from error
            wait = min(max(error.pause, pause * 2 ** (TRIES - left)), LONGEST_PAUSE)
            log.warning("%s; again in %.0f s", error, wait)
            time.sleep(wait)


@contextmanager
def _opened(wanted: Wanted, url: str, offset: int) -> Generator[httpx.Response]:
    """The answer that holds the bytes, wherever it lies; what breaks off is Interrupted."""
    try:
        with httpx.Client(timeout=SECONDS) as client:
            for _ in range(REDIRECTS):
                with client.stream("GET", url, headers=_headers(wanted, url, offset)) as answer:
                    if not answer.is_redirect:
                        _refuse(wanted, answer)
                        yield answer
                        return
                    further = urljoin(url, answer.headers.get("Location", ""))
                if urlsplit(url).scheme == "https" and urlsplit(further).scheme != "https":
                    raise HubError(f"{urlsplit(url).hostname} leads away from https: it is not followed")
                url = further
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Interrupted(f"{urlsplit(url).hostname}: {type(error).__name__}") from error
    raise HubError(f"{urlsplit(url).hostname} leads on and on: it is not followed")


def _headers(wanted: Wanted, url: str, offset: int) -> dict[str, str]:
    headers = {"User-Agent": "slipway", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    ours, theirs = urlsplit(wanted.url), urlsplit(url)
    if wanted.token and (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc):
        headers["Authorization"] = f"Bearer {wanted.token}"
    return headers


def _refuse(wanted: Wanted, answer: httpx.Response) -> None:
    status = answer.status_code
    if status in (200, 206):
        return
    if status in (401, 403):
        given = "with the token that it was given" if wanted.token else "without a token"
        raise HubError(
            f"the hub does not give {wanted.model} {given} (HTTP {status}): accept its licence there, and give the app a token "
            "that may read it"
        )
    if status == 404:
        where = wanted.revision or "main"
        raise HubError(f"the hub has no {wanted.model} at {where}, or shows it to others only (HTTP 404)")
    if status in (408, 416, 429) or status >= 500:
        asked = answer.headers.get("Retry-After", "")
        raise Interrupted(f"the hub answers HTTP {status}", float(asked) if asked.isdecimal() else 0.0)
    raise HubError(f"the hub answers HTTP {status} to what is asked of {wanted.model}")
