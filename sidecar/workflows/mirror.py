"""The plain tree on the share, for apps made by hand whose command reads it: only what changed, manifest last."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from sidecar.core.casing import renamed, twins
from sidecar.core.codefiles import Tree
from sidecar.core.journal import Journal
from sidecar.core.sync import Changes, diff, manifest_of
from sidecar.gateway.files import Share
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text


def mirror(tree: Tree, share: Share, folder: str, journal: Journal) -> Changes:
    """Brings `<folder>/<name of the code folder>/` up to date; `folder` is what the app's mount shows of the share.

    Each file is switched whole; the tree as a whole is not."""
    links = [entry.path for entry in tree.entries if entry.kind == "link"]
    if links:
        raise WorkspaceError(
            Text("A plain tree on the share can't carry links: {links}.", links=", ".join(links)),
            Text("Replace them by copies, or let Provision make the app: releases carry links."),
        )
    local = manifest_of(tree)
    _refuse_twins(local)
    below = f"{folder}/" if folder else ""
    manifest = f"{below}.slipway/mirror-{tree.top}.json"
    changes = diff(local, _known(share, manifest))
    sources = {entry.path: entry.source for entry in tree.entries}
    first = renamed(changes.delete, changes.upload)
    for path in first:
        share.delete(f"{below}{tree.top}/{path}")
    for number, path in enumerate(changes.upload, 1):
        journal.check()
        journal.progress(
            Text("Uploading {path} ({number} of {total})…", path=path, number=number, total=len(changes.upload))
        )
        share.replace(f"{below}{tree.top}/{path}", sources[path])
    for path in (each for each in changes.delete if each not in first):
        if share.exists(f"{below}{tree.top}/{path}"):
            share.delete(f"{below}{tree.top}/{path}")
    if changes.upload or changes.delete:
        share.replace(manifest, (json.dumps(local, sort_keys=True) + "\n").encode())
    return changes


def _refuse_twins(paths: Iterable[str]) -> None:
    """Before anything is uploaded: of two such files the share would keep one, and say nothing."""
    found = twins(paths)
    if found:
        one, other = found[0]
        raise WorkspaceError(
            Text("The share can't tell {one} from {other}: it knows no difference of case.", one=one, other=other),
            Text("Rename one of them, or let Provision make the app: releases carry both."),
            code="NamesDifferInCase",
        )


def _known(share: Share, manifest: str) -> dict[str, str]:
    if not share.exists(manifest):
        return {}
    try:
        return cast("dict[str, str]", json.loads(share.read(manifest)))
    except ValueError:  # damaged: everything is uploaded anew, and nothing deleted
        return {}
