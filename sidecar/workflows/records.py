"""The record of an app's releases on its share: read with what is damaged left out, completed, and cleared of the old."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from sidecar.core.journal import Journal
from sidecar.core.releases import (
    DAMAGED,
    KEPT_GENERATIONS,
    Generation,
    Packages,
    collectable,
    cut_off,
    generation_from,
    generation_numbers,
    is_release,
    never_current,
    packages_from,
    unused_archives,
)
from sidecar.core.sync import beginning, manifest_within
from sidecar.gateway.apps import Mounted
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import Cancelled, NotFound, SlipwayError
from sidecar.words.text import Text

READERS = 8
"""Small files that are read at the same time: each costs a way there and back."""

FOLDERS = ("releases", "generations")
"""Of the record. Generations are listed last: a release that one of them names lies there before."""

SERVED = ".served"
"""End of the name of what stands beside a generation's file once that has been seen to answer."""


@dataclass(frozen=True)
class Record:
    """`home`: the app's folder on the share. `generations`: the newest KEPT_GENERATIONS that can be read. `names`: every file
    beside them. `bundles`: each release's size there in bytes; None: nobody looked. `served`: generations that were seen to
    answer. `written`: when each file was written last, by folder and name. `whole`: every generation that was looked at could be
    read. `stamps`: of the files beside the generations, by name."""

    home: str
    generations: dict[int, Generation]
    names: tuple[str, ...]
    bundles: dict[str, int] | None
    served: frozenset[int]
    written: Mapping[str, Mapping[str, float]]
    whole: bool
    stamps: Mapping[str, str]

    @property
    def highest(self) -> int:
        return max(generation_numbers(self.names), default=0)

    @property
    def current(self) -> Generation | None:
        """As the container's start sees it: the newest that can be read."""
        return self.generations[max(self.generations)] if self.generations else None

    @property
    def damaged(self) -> frozenset[str]:
        """Archives of packages that a start did not find intact."""
        return frozenset(each.removesuffix(DAMAGED) for each in self.names if each.endswith(DAMAGED))

    @property
    def there(self) -> frozenset[str]:
        return frozenset(self.bundles or ())

    def lacks(self, release: str, size: int) -> bool:
        """Whether its bundle has to be put there. Where nobody has looked, what is current is there: the container's start tells
        where it is not."""
        if self.bundles is not None:
            return self.bundles.get(release) != size
        return self.current is None or self.current.release != release


def read_record(share: Share, home: str, journal: Journal, *, bundles: bool = True) -> Record:
    """What can be read; a damaged generation is told, for the container's start skips it too. `bundles`: whether the releases
    themselves are looked at; without, none is said to be there."""
    listed = {folder: share.list(f"{home}/{folder}") for folder in FOLDERS if bundles or folder != "releases"}
    stamps = {each.name: each.stamp for each in listed["generations"] if not each.is_directory}
    names = tuple(stamps)
    found: dict[int, Generation] = {}
    looked_at = generation_numbers(names)[-KEPT_GENERATIONS:]

    def read(number: int) -> bytes | None:
        name = f"{number}.json"
        try:
            return share.read_as(f"{home}/generations/{name}", stamps[name])
        except NotFound:
            return None  # cleared meanwhile, by another deployer

    with ThreadPoolExecutor(READERS, "record") as pool:
        contents = list(pool.map(read, looked_at))
    for number, content in zip(looked_at, contents, strict=True):
        if content is None:
            continue
        generation = generation_from(number, content)
        if generation is None:
            text = Text("Generation {number} on the share can't be read and is skipped.", number=number)
            journal.log(text, "warning")
        else:
            found[number] = generation
    there = {each.name: each.size for each in listed.get("releases", ()) if is_release(each.name)}
    written = {
        folder: {each.name: each.written for each in files if each.written is not None}
        for folder, files in listed.items()
    }
    whole = len(found) == len(looked_at)
    return Record(home, found, names, there if bundles else None, served_among(names), written, whole, stamps)


def served_among(names: Iterable[str]) -> frozenset[int]:
    """Of the files beside the generations, those that say that one has answered."""
    stems = [name.removesuffix(SERVED) for name in names if name.endswith(SERVED)]
    return frozenset(int(stem) for stem in stems if stem.isascii() and stem.isdigit())


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


def has_served(share: Share, home: str, generation: int) -> bool:
    """Whether anybody has seen it answer."""
    return share.exists(served_file(home, generation))


def served_file(home: str, generation: int) -> str:
    return f"{home}/generations/{generation}{SERVED}"


def manifest_on(share: Share, home: str, release: str) -> dict[str, str] | None:
    """What lies in a release; None where it is not there, or does not say."""
    try:
        return manifest_within(lambda offset, length: share.part(f"{home}/releases/{release}", offset, length))
    except NotFound:
        return None


def packages_on(share: Share, home: str, release: str) -> Packages | None:
    """The archive of packages that a release names; None where it is not there, or names none."""
    try:
        content = beginning(lambda offset, length: share.part(f"{home}/releases/{release}", offset, length))
    except NotFound:
        return None
    return None if content is None else packages_from(content)


def archive_on(home: str, archive: str) -> str:
    return f"{home}/packages/{archive}"


def served_json(took: float | None = None, revision: str | None = None) -> bytes:
    """`took`: seconds from when its replica had a place to run until it answered; None where nobody has seen that. `revision`:
    where it answered; Azure's own words tell of none whether it ever worked."""
    said = {"at": now()} | ({} if took is None else {"took": round(took, 1)})
    said |= {} if revision is None else {"revision": revision}
    return (json.dumps(said) + "\n").encode()


def last_start(share: Share, record: Record) -> float | None:
    """Seconds that the newest generation took which was seen to start; None where none was."""
    for number in sorted(record.served, reverse=True):
        try:
            said = json.loads(
                share.read_as(served_file(record.home, number), record.stamps.get(f"{number}{SERVED}", ""))
            )
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
    place: AppPlace,
    where: Mounted,
    home: str,
    generation: int,
    journal: Journal,
    took: float | None = None,
    *,
    revision: str | None = None,
) -> None:
    """That a generation answered, and what nobody needs any more goes: the release serves, whether or not this is written."""
    try:
        with open_share(place.around, where.account, where.share) as share:
            said = served_file(home, generation)
            share.replace(said, served_json(took, revision))
            record = read_record(share, home, journal)
            old = _collect(share, record, journal)
            just = share.look(said)
            if just is not None and just.written is not None:
                _collect_leftovers(share, record, just.written, journal)
                _collect_archives(share, record, record.there - set(old), just.written, journal)
    except SlipwayError as error:
        journal.log(
            Text("The release serves; its record could not be completed: {problem}", problem=error.message), "warning"
        )


def _collect(share: Share, record: Record, journal: Journal) -> tuple[str, ...]:
    """Old releases, which it returns, first, then the generations that named them: one that was cut short is finished by the
    next."""
    releases = collectable(record.generations, record.served, record.there)
    for release in releases:
        journal.log(Text("Release {digest} is old and is taken off the share.", digest=release[:12]))
        beside = f"{release}.json"  # where an older Slipway wrote down what lies in it
        names = (release, beside) if beside in record.written["releases"] else (release,)
        _delete(share, f"{record.home}/releases", names)
    old = generation_numbers(record.names)[:-KEPT_GENERATIONS]
    _delete(share, f"{record.home}/generations", (f"{number}.json" for number in old))
    _delete(share, f"{record.home}/generations", (f"{number}{SERVED}" for number in record.served if number in old))
    return releases


def _collect_archives(share: Share, record: Record, kept: frozenset[str], now: float, journal: Journal) -> None:
    """Of packages; `kept`: the releases that stay. Without a look at their folder where no release ever had any."""
    if not record.whole or not any(each.packages for each in record.generations.values()):
        return
    written = {each.name: each.written for each in share.list(f"{record.home}/packages") if each.written is not None}
    for name in unused_archives(record.generations, kept, written, now):
        journal.log(Text("Packages {name} are of no release any more and are taken off the share.", name=name[:12]))
        _delete(share, f"{record.home}/packages", (name,))
        if name in record.damaged:
            _delete(share, f"{record.home}/generations", (f"{name}{DAMAGED}",))


def _collect_leftovers(share: Share, record: Record, now: float, journal: Journal) -> None:
    """`now`: by the share's clock. Each is looked at once more just before, for somebody may have taken it up meanwhile."""
    found = [
        (folder, name, Text("{name} was left by an upload that was cut off, and is taken off the share.", name=name))
        for folder in record.written
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
