"""Puts the code on the share that the app reads: as a release with its generation, or as a plain tree."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.sync import Release, generation_numbers, next_generation
from sidecar.core.workspace import Target
from sidecar.decisions.serving import plain_tree_mount, release_mount
from sidecar.gateway import apps
from sidecar.gateway.files import Share
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import Conflict
from sidecar.words.text import Text


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


def publish(release: Release, share: Share, home: str, journal: Journal) -> Published:
    """Puts the release on the share and makes it current; the generation's name is taken once, by one deployer."""
    _put_bundle(release, share, home, journal)
    names = [each.name for each in share.list(f"{home}/generations")]
    current = _current(share, home, names, journal)
    if current is not None and current == (max(generation_numbers(names)), release.digest):
        journal.log(Text("The code has not changed; the model is reloaded."))
        return Published(release.digest, current[0], changed=False)
    generation = next_generation(names, release.digest)
    try:
        share.create(f"{home}/generations/{generation.number}.json", generation.to_json())
    except Conflict as error:
        if _release_of(share, home, generation.number) == release.digest:
            journal.log(
                Text("Somebody else has just deployed the same code (generation {number}).", number=generation.number)
            )
            return Published(release.digest, generation.number, changed=False)
        raise Conflict(
            Text("Somebody else deployed at the same moment (generation {number}).", number=generation.number),
            Text("Run Deploy again if yours is the code that should run."),
            code="DeployedMeanwhile",
        ) from error
    journal.log(Text("Generation {number} is release {digest}.", number=generation.number, digest=release.digest[:12]))
    return Published(release.digest, generation.number, changed=True)


def repair(release: Release, share: Share, home: str, journal: Journal) -> bool:
    """Replaces the bundle on the share where its bytes are not those that its name says; whether it was so."""
    bundle = f"{home}/releases/{release.digest}"
    if share.exists(bundle) and hashlib.sha256(share.read(bundle)).hexdigest() == release.digest:
        return False
    journal.log(
        Text("Release {digest} on the share is damaged: it is replaced.", digest=release.digest[:12]), "warning"
    )
    share.replace(bundle, release.bundle)
    return True


def _put_bundle(release: Release, share: Share, home: str, journal: Journal) -> None:
    bundle = f"{home}/releases/{release.digest}"
    told = {"digest": release.digest[:12], "files": release.files}
    sizes = {each.name: each.size for each in share.list(f"{home}/releases")}
    size = sizes.get(release.digest)
    if size == len(release.bundle):
        journal.log(Text("Release {digest} ({files} files) is on the share already.", **told))
        return
    if size is not None:
        journal.log(Text("Release {digest} on the share is damaged: it is replaced.", digest=told["digest"]), "warning")
        share.replace(bundle, release.bundle)
        return
    journal.log(Text("Uploading release {digest} ({files} files)…", **told))
    try:
        share.create(bundle, release.bundle)
    except Conflict:
        # Another deployer of the same code was faster: what has this name has these bytes.
        journal.log(Text("Release {digest} ({files} files) is on the share already.", **told))


def _current(share: Share, home: str, names: list[str], journal: Journal) -> tuple[int, str] | None:
    """The newest generation that can be read, as the container's start sees it, and its release."""
    for number in reversed(generation_numbers(names)):
        release = _release_of(share, home, number)
        if release:
            return number, release
        journal.log(Text("Generation {number} on the share can't be read and is skipped.", number=number), "warning")
    return None


def _release_of(share: Share, home: str, number: int) -> str:
    """The release that a generation names; empty when the file is damaged."""
    try:
        said = json.loads(share.read(f"{home}/generations/{number}.json"))
        return str(said["release"])
    except (ValueError, LookupError, TypeError):  # no JSON, or not ours: the next Deploy writes a newer one
        return ""
