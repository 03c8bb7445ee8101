"""Workflow *Update project files*: what a newer Slipway brings, with the person's edits kept, or the conflict named."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sidecar import __version__
from sidecar.core.project_files import (
    CODE,
    Record,
    digest,
    inside,
    keep_record,
    kept_base,
    own_code,
    record_of,
    shipped_files,
    told_of_files,
    write_whole,
)
from sidecar.core.workspace import Workspace
from sidecar.decisions.file_update import Fate, Versions, fates
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

CHANGES = frozenset({"added", "replaced", "merged", "removed", "conflict"})


@dataclass(frozen=True)
class Update:
    """`before`: the version that the files are of; None where nobody wrote it down. `shipped`: where the new ones lie."""

    before: str | None
    files: tuple[Fate, ...]
    shipped: Path

    @property
    def changes(self) -> tuple[Fate, ...]:
        return tuple(each for each in self.files if each.kind in CHANGES)

    @property
    def sentence(self) -> Text:
        count = Counter(each.kind for each in self.files)
        if not self.changes:
            return Text("The project's files are those of Slipway {version}, with your edits.", version=__version__)
        return Text(
            "Project files against Slipway {version}: new {added}, replaced {replaced}, merged with your edits {merged}, "
            "removed {removed}, in conflict {conflict}.",
            version=__version__,
            added=count["added"],
            replaced=count["replaced"],
            merged=count["merged"],
            removed=count["removed"],
            conflict=count["conflict"],
        )


def planned(
    workspace: Workspace, state: Path, top: Path, mine: Collection[str] = (), theirs: Collection[str] = ()
) -> Update:
    """Writes nothing. `top`: the folder that holds what is shipped.

    Raises WorkspaceError where `mine` or `theirs` name what is no file of the project's."""
    new, record = shipped_files(top), record_of(workspace)
    refuse_older(record)
    if own_code(workspace, new):  # a server of somebody's own: ours is put beside it by who asks for that, and not here
        new = {path: content for path, content in new.items() if not path.startswith(CODE)}
    copied = {} if record is None else dict(record.files)
    unknown = sorted({*mine, *theirs} - new.keys())
    if unknown:
        raise WorkspaceError(
            Text("{paths} is no file that Slipway ships.", paths=", ".join(unknown)),
            Text("Name files as the list of the update does, from the project's folder on."),
            code="UnknownFile",
        )
    own = {
        path: (workspace.folder / path).read_bytes() for path in {*new, *copied} if (workspace.folder / path).is_file()
    }
    found = fates(Versions(own, new, copied, lambda sha256: kept_base(state, sha256)), mine, theirs)
    return Update(None if record is None else record.version, found, top)


def refuse_older(record: Record | None) -> None:
    """Who is behind would take a team's project back."""
    if record is not None and numbers_of(record.version) > numbers_of(__version__):
        raise WorkspaceError(
            Text(
                "The project's files are those of Slipway {version}, and this is {own}.",
                version=record.version,
                own=__version__,
            ),
            Text("Install Slipway {version} or a newer one.", version=record.version),
            code="OlderSlipway",
        )


def numbers_of(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version)[:3])


def update_files(
    workspace: Workspace, state: Path, top: Path, mine: Collection[str] = (), theirs: Collection[str] = ()
) -> Update:
    """Each file is written whole or not at all, and the record last: what is cut off is done by the next one."""
    with told_of_files():
        return _updated(workspace, state, top, planned(workspace, state, top, mine, theirs))


def _updated(workspace: Workspace, state: Path, top: Path, update: Update) -> Update:
    new, record = shipped_files(top), record_of(workspace)
    copied = {} if record is None else dict(record.files)
    for each in update.files:
        target = inside(workspace, each.path)
        if each.kind == "removed":
            target.unlink()
        elif each.content is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, each.content)
        if each.kind == "removed" or (each.kind == "kept" and each.path not in new):
            copied.pop(each.path, None)
        elif each.kind != "conflict":
            copied[each.path] = digest(new[each.path])
    settled = {path: new[path] for path in copied if path in new}
    keep_record(workspace, Record(__version__, copied), state, settled)
    return update
