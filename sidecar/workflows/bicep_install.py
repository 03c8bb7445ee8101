"""Workflow *Install the Bicep CLI*: asks, fetches, verifies, tries, and puts it into our own cache, whole or not at all."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.core.bicep_cli import BicepCli, Limits
from sidecar.core.bicep_places import cache, program
from sidecar.core.held_file import held
from sidecar.core.journal import Journal
from sidecar.gateway.bicep_release import OTHER_WAY, Release, fetch, find_release
from sidecar.words.errors import CloudError, ConsentNeeded
from sidecar.words.text import Text

CONSENT = "bicep-cli"
_WAITS = Text("Another process is installing the Bicep CLI: waiting for it.")


@dataclass(frozen=True)
class Installed:
    """`before`: it was there already."""

    version: str
    path: Path
    before: bool


def install(environ: Mapping[str, str], version: str | None, consents: Collection[str], journal: Journal) -> Installed:
    """Raises CloudError, ConsentNeeded, TemplateError for one that does not run here."""
    release = find_release(environ, version)
    name = program(sys.platform)
    place = cache(environ) / release.version
    if (place / name).is_file():
        return Installed(release.version, place / name, before=True)
    if release.sha256 is None:
        raise CloudError(
            Text("Nothing states the sha256 of {file}: it is not installed.", file=release.url),
            OTHER_WAY,
            code="BicepDigest",
        )
    if CONSENT not in consents:
        raise ConsentNeeded(CONSENT, _asked(release), Text("It is put into {folder}, for Slipway alone.", folder=place))
    partial = cache(environ) / f".{release.version}-{release.name}.partial"
    shown: set[int] = set()

    def tell(done: int, whole: int | None) -> None:
        percent = 100 * done // (whole or release.size or max(done, 1))
        if percent not in shown:
            shown.add(percent)
            journal.progress(
                Text("Fetching the Bicep CLI {version}: {percent} %", version=release.version, percent=percent)
            )

    try:
        cache(environ).mkdir(parents=True, exist_ok=True)
        with held(cache(environ).with_name("bicep.lock"), journal.check, lambda: journal.progress(_WAITS)):
            if (place / name).is_file():
                return Installed(release.version, place / name, before=True)
            fetch(release, partial, journal.check, tell)
            _put(partial, place, name, environ, journal)
    except OSError as error:  # no room, a folder that can't be written
        raise CloudError(
            Text(
                "The Bicep CLI could not be put into {folder}: {problem}", folder=place, problem=error.strerror or error
            ),
            Text("Make room there, or see who may write there, then run it again."),
            code="BicepNotInstalled",
        ) from error
    return Installed(release.version, place / name, before=False)


def _asked(release: Release) -> Text:
    size = "?" if release.size is None else f"{release.size / 1_000_000:.0f}"
    return Text(
        "The Bicep CLI {version} of Microsoft ({size} MB) is fetched from {host}.",
        version=release.version,
        size=size,
        host=urlsplit(release.url).hostname or release.url,
    )


def _put(partial: Path, place: Path, name: str, environ: Mapping[str, str], journal: Journal) -> None:
    """Tried where nobody finds it, then renamed into place."""
    folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=".new-"))
    try:
        own = folder / name
        partial.replace(own)
        own.chmod(0o755)
        tried = BicepCli(own, Limits(), environ)
        try:
            tried.version(journal.check)
        finally:
            tried.close()
        folder.rename(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
