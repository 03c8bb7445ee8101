"""The record of an app's releases on its share: read with what is damaged left out, completed, and cleared of the old."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from sidecar.core.journal import Journal
from sidecar.core.releases import (
    KEPT_GENERATIONS,
    Generation,
    collectable,
    cut_off,
    generation_from,
    generation_numbers,
    is_release,
    manifest_from,
    never_current,
)
from sidecar.gateway.apps import Mounted
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import Cancelled, NotFound, SlipwayError
from sidecar.words.text import Text

FOLDERS = ("releases", "served", "generations")
"""Of the record. Generations are listed last: a release that one of them names lies there before."""


@dataclass(frozen=True)
class Record:
    """`home`: the app's folder on the share. `generations`: the newest KEPT_GENERATIONS that can be read. `names`: every file
    beside them. `bundles`: each release's size there in bytes. `served`: generations that were seen to answer. `written`: when
    each file was written last, by folder and name. `whole`: every generation that was looked at could be read."""

    home: str
    generations: dict[int, Generation]
    names: tuple[str, ...]
    bundles: dict[str, int]
    served: frozenset[int]
    written: Mapping[str, Mapping[str, float]]
    whole: bool

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
    listed = {folder: share.list(f"{home}/{folder}") for folder in FOLDERS}
    names = [each.name for each in listed["generations"] if not each.is_directory]
    found: dict[int, Generation] = {}
    looked_at = generation_numbers(names)[-KEPT_GENERATIONS:]
    for number in looked_at:
        try:
            generation = generation_from(number, share.read(f"{home}/generations/{number}.json"))
        except NotFound:
            continue  # cleared meanwhile, by another deployer
        if generation is None:
            text = Text("Generation {number} on the share can't be read and is skipped.", number=number)
            journal.log(text, "warning")
        else:
            found[number] = generation
    bundles = {each.name: each.size for each in listed["releases"] if is_release(each.name)}
    served = generation_numbers(each.name for each in listed["served"])
    written = {
        folder: {each.name: each.written for each in files if each.written is not None}
        for folder, files in listed.items()
    }
    whole = len(found) == len(looked_at)
    return Record(home, found, tuple(names), bundles, frozenset(served), written, whole)


def current_on(share: Share, home: str) -> Generation | None:
    """The current generation alone, as the container's start sees it."""
    for number in reversed(generation_numbers(each.name for each in share.list(f"{home}/generations"))):
        try:
            found = generation_from(number, share.read(f"{home}/generations/{number}.json"))
        except NotFound:
            continue  # cleared meanwhile
        if found is not None:
            return found
    return None


def manifest_on(share: Share, home: str, release: str) -> dict[str, str] | None:
    """What lies in a release; None where nobody wrote it down, or it is damaged."""
    try:
        return manifest_from(share.read(f"{home}/releases/{release}.json"))
    except NotFound:
        return None


def served_json(took: float | None = None) -> bytes:
    """`took`: seconds from when its replica had a place to run until it answered; None where nobody has seen that."""
    said = {"at": now()} | ({} if took is None else {"took": round(took, 1)})
    return (json.dumps(said) + "\n").encode()


def last_start(share: Share, record: Record) -> float | None:
    """Seconds that the newest generation took which was seen to start; None where none was."""
    for number in sorted(record.served, reverse=True):
        try:
            said = json.loads(share.read(f"{record.home}/served/{number}.json"))
        except (NotFound, ValueError):
            continue  # cleared meanwhile, or damaged: an older one tells nearly as much
        except Cancelled:
            raise
        except SlipwayError:
            return None  # it is a convenience
        took = cast("dict[str, object]", said).get("took") if isinstance(said, dict) else None
        if isinstance(took, int | float):
            return float(took)
    return None


def write_served(
    place: AppPlace, where: Mounted, home: str, generation: int, journal: Journal, took: float | None = None
) -> None:
    """That a generation answered, and what nobody needs any more goes: the release serves, whether or not this is written."""
    try:
        with open_share(place.around, where.account, where.share) as share:
            said = f"{home}/served/{generation}.json"
            share.replace(said, served_json(took))
            record = read_record(share, home, journal)
            _collect(share, record, journal)
            just = share.look(said)
            if just is not None and just.written is not None:
                _collect_leftovers(share, record, just.written, journal)
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


def _collect_leftovers(share: Share, record: Record, now: float, journal: Journal) -> None:
    """`now`: by the share's clock. Each is looked at once more just before, for somebody may have taken it up meanwhile."""
    found = [
        (folder, name, Text("{name} was left by an upload that was cut off, and is taken off the share.", name=name))
        for folder in FOLDERS
        for name in cut_off(record.written[folder], now)
    ]
    if record.whole:  # else a generation that can't be read may name any of them
        named = {each.release for each in record.generations.values()}
        found += [
            ("releases", name, Text("{name} never became current, and is taken off the share.", name=name))
            for name in never_current(record.written["releases"], named, now)
        ]
    for folder, name, text in found:
        seen = share.look(f"{record.home}/{folder}/{name}")
        if seen is not None and seen.written == record.written[folder][name]:
            journal.log(text)
            _delete(share, f"{record.home}/{folder}", (name,))


def _delete(share: Share, folder: str, names: Iterable[str]) -> None:
    for name in names:
        try:
            share.delete(f"{folder}/{name}")
        except NotFound:  # another deployer was faster
            continue


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
