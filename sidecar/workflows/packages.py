"""The packages of a release: what its lock names, fetched once for the container's platform, and put on the share once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sidecar.core.codecheck import start_of
from sidecar.core.codefiles import Entry, Tree
from sidecar.core.journal import Journal
from sidecar.core.lock import Covered, covered
from sidecar.core.pieces import content_of, digest_of
from sidecar.core.platforms import Platform
from sidecar.core.releases import DAMAGED, Packages
from sidecar.core.scaffold import shipped_lock
from sidecar.core.wheels import kept, key_of, made
from sidecar.decisions.serving import is_ours, script_of
from sidecar.decisions.upgrade import has_older_start, has_present_start
from sidecar.gateway.apps import App
from sidecar.gateway.files import Share
from sidecar.gateway.large_files import LargeFiles
from sidecar.gateway.package_index import NotFetched, PackageIndex
from sidecar.gateway.session import Session
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.records import Record, archive_on, packages_on
from sidecar.workflows.sending import Outgoing, send

SHOWN = 6


@dataclass(frozen=True)
class Wanted:
    """What an archive is made of. `requirements`: as the start commands name the file."""

    requirements: str
    platform: Platform
    covered: Covered

    @property
    def key(self) -> str:
        return key_of(self.covered.lines, self.platform)

    @property
    def complete(self) -> bool:
        return not self.covered.left


def wanted(tree: Tree, app: App, session: Session, journal: Journal) -> Wanted | None:
    """None where pip installs what is needed at each start, which is told where somebody could change that."""
    asked = start_of(script_of(app)).lock if is_ours(app) else ""
    files = {f"{tree.top}/{entry.path}": entry for entry in tree.entries if entry.kind == "file"}
    if asked not in files or not (has_present_start(app) or has_older_start(app)):
        return None
    platform = session.platform_of(app.image)
    if platform is None:
        journal.log(
            Text("The Python of {image} is not known here: pip installs the packages at each start.", image=app.image)
        )
        return None
    if platform.holds_all:
        return None
    beside = files.get(str(PurePosixPath(asked).with_suffix(".lock")))
    lock = _text(beside) if beside is not None else shipped_lock()
    found = covered(_text(files[asked]), lock, platform, own=beside is not None)
    if not found.torch:
        journal.log(
            Text("{file} asks for another torch than the image has: pip installs it at each start.", file=asked)
        )
        return None
    if found.left:
        told = ", ".join(found.left[:SHOWN]) + (" …" if len(found.left) > SHOWN else "")
        journal.log(
            Text(
                "Left to pip at each start, since no lock beside {file} names it by version and hash: {packages}",
                file=asked,
                packages=told,
            )
        )
    return Wanted(asked, platform, found) if found.lines else None


def at_hand(wanted: Wanted | None, session: Session) -> Packages | None:
    """What this machine has of it already; nothing is fetched."""
    archive = None if wanted is None or session.index is None else kept(session.index.cache, wanted.key)
    if wanted is None or archive is None:
        return None
    return Packages(
        archive.digest,
        archive.size,
        wanted.key,
        wanted.requirements,
        wanted.complete,
        wanted.platform.said,
        file=archive.file,
    )


def packages_of(
    wanted: Wanted | None, session: Session, share: Share, record: Record, journal: Journal
) -> Packages | None:
    """From this machine, else as the current release has them, else from the package index. None where they can't be had, which
    is said: pip installs them at each start then."""
    if wanted is None or session.index is None:
        return None
    found = at_hand(wanted, session) or _as_current(wanted, share, record)
    if found is not None:
        return found
    count = len(wanted.covered.lines)
    journal.progress(Text("Fetching {count} packages for the container…", count=count))
    try:
        return _fetched(wanted, session, session.index)
    except NotFetched as error:
        last = (error.detail or "").strip().splitlines()
        journal.log(
            Text(
                "The packages could not be fetched here, so pip installs them at each start, from the index that the container "
                "reaches. {problem}",
                problem=last[-1] if last else error.message,
            ),
            "warning",
        )
        return None


def _fetched(wanted: Wanted, session: Session, index: PackageIndex) -> Packages | None:
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        wheels = index.fetch(wanted.covered.lines, wanted.platform, Path(folder), session.patience)
        made(index.cache, wanted.key, wheels)
    return at_hand(wanted, session)


def _as_current(wanted: Wanted, share: Share, record: Record) -> Packages | None:
    """Of the same lock for the same platform, made on another machine."""
    current = record.current
    if current is None or not current.packages or current.packages in record.damaged:
        return None
    named = packages_on(share, record.home, current.release)
    if named is None or (named.key, named.requirements, named.complete) != (
        wanted.key,
        wanted.requirements,
        wanted.complete,
    ):
        return None
    there = share.look(archive_on(record.home, named.archive))
    return named if there is not None and there.size == named.size else None


def upload_packages(packages: Packages, share: LargeFiles, record: Record, journal: Journal) -> None:
    """The archive lies on the share then. What the current release has is there, unless a start has said otherwise."""
    bad = packages.archive in record.damaged
    current = record.current
    if packages.file is None or (not bad and current is not None and current.packages == packages.archive):
        return
    path, told = archive_on(record.home, packages.archive), {"digest": packages.archive[:12]}
    folder = path.rpartition("/")[0]
    # Without any generation nothing of an app is there.
    sizes = {f"{folder}/{each.name}": each.size for each in share.list(folder)} if record.names else {}
    if sizes.get(path) == packages.size and not bad:
        journal.log(Text("Packages {digest} are on the share already.", **told))
        return
    size = round(packages.size / 1e6)
    journal.step("packages", Text("Uploading the packages {digest} ({size} MB)…", size=size, **told), increment=5)
    if path in sizes:
        journal.log(Text("Packages {digest} on the share are damaged: they are replaced.", **told), "warning")
    file = _outgoing(packages.file, path, packages.archive, journal)
    arrived = send(share, [file], sizes, journal)
    share.finish(arrived.parts[path], path, packages.archive)
    if bad:
        share.delete(f"{record.home}/generations/{packages.archive}{DAMAGED}")


def _outgoing(archive: Path, path: str, name: str, journal: Journal) -> Outgoing:
    """Of the cache, if it still is what it was."""
    content = content_of(archive)
    digest = digest_of(content, lambda _: journal.check())
    if digest.sha256 != name:
        archive.unlink()
        raise WorkspaceError(
            Text("The packages that this machine had kept are damaged; they have been deleted."),
            Text("Run Deploy again: they are fetched anew."),
            code="DamagedCache",
        )
    return Outgoing(path, content, digest)


def _text(entry: Entry) -> str:
    return entry.source.read_text(encoding="utf-8", errors="replace")
