"""The record of an app's releases on its share: read with what is damaged left out, completed, and cleared of the old."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar.core.journal import Journal
from sidecar.core.releases import (
    KEPT_GENERATIONS,
    Generation,
    collectable,
    generation_from,
    generation_numbers,
    is_release,
    manifest_from,
)
from sidecar.gateway.apps import Mounted
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import NotFound, SlipwayError
from sidecar.words.text import Text


@dataclass(frozen=True)
class Record:
    """`home`: the app's folder on the share. `generations`: the newest KEPT_GENERATIONS that can be read. `names`: every file
    beside them. `bundles`: each release's size there in bytes. `served`: generations that were seen to answer."""

    home: str
    generations: dict[int, Generation]
    names: tuple[str, ...]
    bundles: dict[str, int]
    served: frozenset[int]

    @property
    def highest(self) -> int:
        return max(generation_numbers(self.names), default=0)

    @property
    def current(self) -> Generation | None:
        """As the container's start sees it: the newest that can be read."""
        return self.generations[max(self.generations)] if self.generations else None

    @property
    def there(self) -> frozenset[str]:
        return frozenset(self.bundles)


def read_record(share: Share, home: str, journal: Journal) -> Record:
    """What can be read; a damaged generation is told, for the container's start skips it too."""
    names = [each.name for each in share.list(f"{home}/generations") if not each.is_directory]
    found: dict[int, Generation] = {}
    for number in generation_numbers(names)[-KEPT_GENERATIONS:]:
        try:
            generation = generation_from(number, share.read(f"{home}/generations/{number}.json"))
        except NotFound:
            continue  # cleared meanwhile, by another deployer
        if generation is None:
            text = Text("Generation {number} on the share can't be read and is skipped.", number=number)
            journal.log(text, "warning")
        else:
            found[number] = generation
    bundles = {each.name: each.size for each in share.list(f"{home}/releases") if is_release(each.name)}
    served = generation_numbers(each.name for each in share.list(f"{home}/served"))
    return Record(home, found, tuple(names), bundles, frozenset(served))


def manifest_on(share: Share, home: str, release: str) -> dict[str, str] | None:
    """What lies in a release; None where nobody wrote it down, or it is damaged."""
    try:
        return manifest_from(share.read(f"{home}/releases/{release}.json"))
    except NotFound:
        return None


def served_json() -> bytes:
    return (json.dumps({"at": now()}) + "\n").encode()


def write_served(place: AppPlace, where: Mounted, home: str, generation: int, journal: Journal) -> None:
    """That a generation answered, and what nobody needs any more goes: the release serves, whether or not this is written."""
    try:
        with open_share(place.around, where.account, where.share) as share:
            share.replace(f"{home}/served/{generation}.json", served_json())
            _collect(share, read_record(share, home, journal), journal)
    except SlipwayError as error:
        journal.log(
            Text("The release serves; its record could not be completed: {problem}", problem=error.message), "warning"
        )


def _collect(share: Share, record: Record, journal: Journal) -> None:
    """Old releases first, then the generations that named them: one that was cut short is finished by the next."""
    for release in collectable(record.generations, record.served, record.bundles):
        journal.log(Text("Release {digest} is old and is taken off the share.", digest=release[:12]))
        _delete(share, f"{record.home}/releases", (release, f"{release}.json"))
    old = generation_numbers(record.names)[:-KEPT_GENERATIONS]
    _delete(share, f"{record.home}/generations", (f"{number}.json" for number in old))
    _delete(share, f"{record.home}/served", (f"{number}.json" for number in record.served if number in old))


def _delete(share: Share, folder: str, names: Iterable[str]) -> None:
    for name in names:
        try:
            share.delete(f"{folder}/{name}")
        except NotFound:  # another deployer was faster
            continue


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
