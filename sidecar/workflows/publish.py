"""Puts a release on the share that the app reads and makes it current: each step whole or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from sidecar.core.journal import Journal
from sidecar.core.releases import Generation, generation_from, next_number
from sidecar.core.sync import Release
from sidecar.core.workspace import Target
from sidecar.decisions.serving import plain_tree_mount, release_mount
from sidecar.gateway import apps
from sidecar.gateway.files import Share
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import Conflict, NotFound
from sidecar.words.text import Text
from sidecar.workflows.records import Record, now


@dataclass(frozen=True)
class Published:
    """What the share holds now. `release` and `generation` are empty and 0 for a plain tree."""

    release: str
    generation: int
    changed: bool


@dataclass(frozen=True)
class Destination:
    """The share that the app itself mounts, and the folder in it that its mount shows. `plain`: commands read a tree there."""

    share: apps.Mounted
    folder: str
    plain: bool


def destination(place: AppPlace, app: apps.App, target: Target, journal: Journal) -> Destination:
    """Where the app looks, whatever the configuration says; a difference is told."""
    entered = plain_tree_mount(app)
    mount = entered or release_mount(app)
    stated = apps.Mounted(target.storage_account, target.file_share)
    known = (
        None
        if mount is None or not mount.storage
        else apps.environment_storage(place.around, app.environment, mount.storage)
    )
    found = known if known is not None and known.share else stated
    if (found.account.lower(), found.share.lower()) != (stated.account.lower(), stated.share.lower()):
        journal.log(
            Text(
                "infra/inference.config.json names the share {stated}, but {app} mounts {found}: the code goes there.",
                stated=f"{stated.account}/{stated.share}",
                app=target.app,
                found=f"{found.account}/{found.share}",
            ),
            "warning",
        )
    return Destination(found, "" if mount is None else mount.sub_path.strip("/"), plain=entered is not None)


def home_of(app: apps.App, where: Destination) -> str:
    """Where our start looks for releases."""
    below = f"{where.folder}/" if where.folder else ""
    return f"{below}.slipway/{app.env['SLIPWAY_APP']}"


def upload(release: Release, share: Share, record: Record, journal: Journal) -> None:
    """The release lies on the share then, and is not current by that. One that is known not to be there, or of which the record
    does not tell, is put there at once: of two of this name the first stays."""
    bundle = f"{record.home}/releases/{release.digest}"
    told = {"digest": release.digest[:12], "files": len(release.manifest)}
    if not record.lacks(release.digest, release.size):
        journal.log(Text("Release {digest} ({files} files) is on the share already.", **told))
        return
    journal.step("upload", Text("Uploading release {digest} ({files} files)…", **told), increment=5)
    try:
        share.create(bundle, release.file)
    except Conflict:  # it was there before, or another deployer of the same code was faster
        there = share.look(bundle)
        if there is not None and there.size == release.size:
            journal.log(Text("Release {digest} ({files} files) is on the share already.", **told))
            return
        journal.log(Text("Release {digest} on the share is damaged: it is replaced.", digest=told["digest"]), "warning")
        share.replace(bundle, release.file)


def is_current(record: Record, release: str) -> bool:
    """Whether what the container's start would take is this release: by an earlier Deploy, or by one that was cut off since."""
    current = record.current
    return current is not None and (current.number, current.release) == (record.highest, release)


def make_current(share: Share, record: Record, wanted: Generation, journal: Journal) -> Published:
    """Takes the next generation's number, once, for a release that lies on the share. Of two at the same moment one wins."""
    generation = replace(wanted, number=next_number(record.names), at=wanted.at or now())
    file = f"{record.home}/generations/{generation.number}.json"
    told = {"number": generation.number, "digest": generation.release[:12]}
    journal.step(
        "switch", Text("Making release {digest} current…", digest=told["digest"]), generation=str(told["number"])
    )
    try:
        share.create(file, generation.to_json())
    except Conflict as error:
        if _release_of(share, file, generation.number) == generation.release:
            journal.log(
                Text("Somebody else has just deployed the same code (generation {number}).", number=told["number"])
            )
            return Published(generation.release, generation.number, changed=False)
        raise deployed_meanwhile(generation.number) from error
    journal.log(Text("Generation {number} is release {digest}.", **told))
    return Published(generation.release, generation.number, changed=True)


def deployed_meanwhile(number: int) -> Conflict:
    return Conflict(
        Text("Somebody else deployed at the same moment (generation {number}).", number=number),
        Text("Run Deploy again if yours is the code that should run."),
        code="DeployedMeanwhile",
    )


def repair(release: Release, share: Share, home: str, journal: Journal) -> bool:
    """Replaces the bundle on the share where its bytes are not those that its name says; whether it was so."""
    bundle = f"{home}/releases/{release.digest}"
    if is_intact(share, home, release.digest):
        return False
    journal.log(
        Text("Release {digest} on the share is damaged: it is replaced.", digest=release.digest[:12]), "warning"
    )
    share.replace(bundle, release.file)
    return True


def is_intact(share: Share, home: str, release: str) -> bool:
    """Whether a release's bundle is there, with the bytes that its name says."""
    seen = hashlib.sha256()
    try:
        for block in share.blocks(f"{home}/releases/{release}"):
            seen.update(block)
    except NotFound:
        return False
    return seen.hexdigest() == release


def _release_of(share: Share, file: str, number: int) -> str:
    """The release that a generation names; empty when the file is damaged."""
    found = generation_from(number, share.read(file))
    return "" if found is None else found.release
