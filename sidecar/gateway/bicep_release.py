"""Microsoft's releases of the Bicep CLI: which file is for this machine, what its sha256 is, and the file itself.

The digest is what GitHub's REST API says of the file; the file comes from another host, or from a mirror. See DECISIONS.md."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx

from sidecar.gateway.endpoint import may_be_proxied
from sidecar.gateway.trust import way_out
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

RELEASES = "https://api.github.com/repos/Azure/bicep/releases"
FILES = "https://github.com/Azure/bicep/releases/download"
API, MIRROR, DIGEST = "SLIPWAY_BICEP_RELEASES", "SLIPWAY_BICEP_MIRROR", "SLIPWAY_BICEP_SHA256"
"""Variables that name another list of releases, another place of their files (VS Code: slipway.bicep.mirror), and a digest
(slipway.bicep.sha256)."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TAG = re.compile(r"v?(\d+\.\d+\.\d+)")
_MACHINES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}
_SYSTEMS = {"linux": "linux", "darwin": "osx", "win32": "win"}
LARGEST = 4 * 1_048_576
GOES_ON, NOTHING_LEFT = 206, 416
TIMEOUT = httpx.Timeout(15, read=60)
Check = Callable[[], None]


@dataclass(frozen=True)
class Release:
    """`sha256` None: nothing states one. `size`: bytes, None where it is not known."""

    version: str
    name: str
    url: str
    sha256: str | None
    size: int | None


def asset_name(system: str, machine: str, *, musl: bool) -> str:
    """Raises CloudError for a machine that Microsoft has none for."""
    kind, chip = _SYSTEMS.get(system), _MACHINES.get(machine.lower())
    if kind is None or chip is None:
        raise CloudError(
            Text("There is no Bicep CLI for this machine ({system}, {machine}).", system=system, machine=machine),
            OTHER_WAY,
            code="BicepCliNone",
        )
    middle = "musl-" if kind == "linux" and musl else ""
    return f"bicep-{kind}-{middle}{chip}{'.exe' if kind == 'win' else ''}"


def this_asset() -> str:
    musl = sys.platform == "linux" and any(Path("/lib").glob("ld-musl-*")) and platform.libc_ver()[0] != "glibc"
    return asset_name(sys.platform, platform.machine(), musl=musl)


OTHER_WAY = Text("`az bicep install` is another way; then Slipway finds it.")


def find_release(environ: Mapping[str, str], version: str | None) -> Release:
    """The newest, or that version. Raises CloudError where the list can't be read and nothing else states the digest."""
    name, stated = this_asset(), environ.get(DIGEST, "").strip().lower().removeprefix("sha256:") or None
    if stated is not None and not _SHA256.fullmatch(stated):
        raise CloudError(Text("{name} holds no sha256.", name=DIGEST), code="BicepDigest")
    mirror = environ.get(MIRROR, "").strip().rstrip("/")
    if version is not None and stated is not None:
        return Release(version, name, f"{mirror or FILES}/v{version}/{name}", stated, None)
    told = _listed(environ.get(API, "").strip().rstrip("/") or RELEASES, version)
    tag = _TAG.fullmatch(str(told.get("tag_name")))
    assets = cast("list[Mapping[str, object]]", told.get("assets") or [])
    asset = next((each for each in assets if each.get("name") == name), None)
    if tag is None or asset is None:
        raise CloudError(
            Text("The release {version} holds no {name}.", version=str(told.get("tag_name")), name=name),
            OTHER_WAY,
            code="BicepCliNone",
        )
    digest = str(asset.get("digest") or "").removeprefix("sha256:").lower()
    size = asset.get("size")
    return Release(
        version=tag[1],
        name=name,
        url=f"{mirror}/v{tag[1]}/{name}" if mirror else str(asset.get("browser_download_url")),
        sha256=stated or (digest if _SHA256.fullmatch(digest) else None),
        size=size if isinstance(size, int) else None,
    )


def _listed(api: str, version: str | None) -> Mapping[str, object]:
    url = f"{api}/latest" if version is None else f"{api}/tags/v{version}"
    try:
        with httpx.Client(timeout=TIMEOUT, follow_redirects=True, trust_env=may_be_proxied(url)) as client:
            answer = client.get(url, headers={"Accept": "application/vnd.github+json"})
            answer.raise_for_status()
            told: object = json.loads(answer.content[:LARGEST])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _unread(url, error) from error
    if not isinstance(told, dict):
        raise _unread(url, ValueError("no object"))
    return cast("Mapping[str, object]", told)


def _unread(url: str, error: Exception) -> CloudError:
    said = str(error) or type(error).__name__
    return CloudError(
        Text("The list of Bicep's releases ({url}) can't be read: {problem}", url=url, problem=said),
        Text("{way} {other}", way=way_out(said), other=OTHER_WAY),
        code="BicepReleasesUnread",
    )


def fetch(release: Release, partial: Path, check: Check, tell: Callable[[int, int | None], None]) -> None:
    """Into `partial`, going on where that one ends; whole and of the stated digest, or an error, after which a wrong one is gone.

    `check` raises where somebody cancels; `tell` hears how many bytes there are, and of how many."""
    begin = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={begin}-"} if begin else {}
    url = release.url
    try:
        with (
            httpx.Client(timeout=TIMEOUT, follow_redirects=True, trust_env=may_be_proxied(url)) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            if answer.status_code != NOTHING_LEFT:
                answer.raise_for_status()
                goes_on = answer.status_code == GOES_ON
                _write(answer, partial, begin if goes_on else 0, release, check, tell)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = str(error) or type(error).__name__
        raise CloudError(
            Text("The Bicep CLI could not be fetched from {url}: {problem}", url=url, problem=said),
            Text("Run it again: it goes on from there. {way}", way=way_out(said)),
            code="BicepNotFetched",
        ) from error
    found = _digest(partial)
    if found != release.sha256:
        partial.unlink()
        raise CloudError(
            Text(
                "What came from {url} is not what was released: its sha256 is {found}, not {wanted}.",
                url=url,
                found=found,
                wanted=release.sha256,
            ),
            Text(
                "Nothing was installed. Run it again; if it is the same, look at the mirror and the digest that is set."
            ),
            code="BicepDigest",
        )


def _write(
    answer: httpx.Response,
    partial: Path,
    begin: int,
    release: Release,
    check: Check,
    tell: Callable[[int, int | None], None],
) -> None:
    done = begin
    with partial.open("ab" if begin else "wb") as stream:
        for chunk in answer.iter_bytes():
            check()
            stream.write(chunk)
            done += len(chunk)
            tell(done, release.size)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
