"""The plain tree on the share, for apps made by hand whose command reads it: what changed, nobody's work destroyed unasked."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from sidecar.core.codefiles import Tree
from sidecar.core.journal import Journal
from sidecar.core.sync import Changes, digest_of
from sidecar.decisions.share_names import bad_names, folded, shown
from sidecar.decisions.share_tree import (
    File,
    Found,
    Manifest,
    Plan,
    folders_of,
    manifest_from,
    planned,
    unsure,
)
from sidecar.gateway.files import Share, is_unfinished
from sidecar.words.errors import CloudError, Conflict, ConsentNeeded, NotFound, SlipwayError, WorkspaceError
from sidecar.words.text import Text

TRIES = 3
"""Of a file that changes while it is read."""

ABANDONED_SECONDS = 600
"""Since an unfinished upload was last written to: until then somebody may be at it, also where clocks differ by minutes."""


def mirror(
    tree: Tree,
    share: Share,
    folder: str,
    journal: Journal,
    consents: tuple[str, ...] = (),
    *,
    abandoned: float = ABANDONED_SECONDS,
) -> Changes:
    """Brings `<folder>/<name of the code folder>/` up to date; `folder` is what the app's mount shows of the share.

    Each file is switched whole; the tree as a whole is not. What is there is written down last, what is about to be there first:
    a run that was cut off is ended by the next. ConsentNeeded before what somebody else has written is replaced or deleted.
    `abandoned`: seconds after which an unfinished upload is nobody's."""
    below = f"{folder}/" if folder else ""
    _refuse_links(tree)
    _refuse_names(tree, f"{below}{tree.top}/")
    sources = {entry.path: entry.source for entry in tree.entries}
    local = {entry.path: File(digest_of(entry.source), entry.size) for entry in tree.entries}
    sync = _Sync(
        share,
        f"{below}{tree.top}",
        f"{below}.slipway/mirror-{tree.top}.json",
        journal,
        mark=uuid.uuid4().hex[:8],
        abandoned=abandoned,
    )
    known = sync.known()
    found = sync.look([*local, *known.files, *known.pending], known)
    contents = {each.path: sync.content_of(each.path) for each in unsure(local, known, found)}
    plan = planned(local, known, found, contents)
    if plan.foreign and plan.consent not in consents:
        raise _asking(plan, tree.top)
    if plan.does_nothing and plan.equal == known.files and not known.pending:
        return Changes((), ())
    journal.step("mirror", Text("Bringing the tree on the share up to date, file by file…"))
    sync.begin(local, known, plan)
    for each in plan.deletions:
        if each.early:
            sync.delete(each.found, plan)
    sync.clear_folders(list(plan.uploads), [each.found.path for each in plan.deletions if each.early])
    for number, (path, former) in enumerate(sorted(plan.uploads.items()), 1):
        journal.check()
        total = len(plan.uploads)
        journal.progress(Text("Uploading {path} ({number} of {total})…", path=path, number=number, total=total))
        sync.put(path, sources[path], local[path], former, plan)
    for each in plan.deletions:
        if not each.early:
            sync.delete(each.found, plan)
    return sync.end(plan)


@dataclass
class _Sync:
    """One run: what it has done so far. `there`: what the share holds of ours, by path. `others`: marks of uploads that somebody
    may be at."""

    share: Share
    root: str
    manifest: str
    journal: Journal
    mark: str
    abandoned: float
    there: dict[str, File] = field(default_factory=dict[str, File])
    uploaded: list[str] = field(default_factory=list[str])
    deleted: list[str] = field(default_factory=list[str])
    kept: list[str] = field(default_factory=list[str])
    others: set[str] = field(default_factory=set[str])

    def known(self) -> Manifest:
        if not self.share.exists(self.manifest):
            return Manifest()
        found = manifest_from(self.share.read(self.manifest))
        if found is None:
            self.journal.log(
                Text(
                    "{file} on the share is damaged: which files were synced earlier is not known.", file=self.manifest
                ),
                "warning",
            )
        return found or Manifest()

    def look(self, paths: list[str], known: Manifest) -> list[Found]:
        """What lies in the folders of these paths. Uploads that an earlier run left unfinished are deleted, those that may be
        under way still are not."""
        found: list[Found] = []
        for folder in folders_of(paths):
            for each in self.share.list(f"{self.root}/{folder}".rstrip("/")):
                path = f"{folder}/{each.name}".lstrip("/")
                if each.is_directory:
                    continue
                mark = next((mark for mark in known.marks if is_unfinished(each.name, mark)), None)
                if mark is not None and (each.written is None or time.time() - each.written < self.abandoned):
                    self.others.add(mark)
                elif mark is not None:
                    self._unless_open(path, lambda path=path: self._gone(path))
                else:
                    found.append(Found(path, each.size, each.stamp))
        return self._looked_closer(found, {folded(each) for each in paths}, known)

    def _looked_closer(self, found: list[Found], keys: set[str], known: Manifest) -> list[Found]:
        """With the properties of each file that matters and has changed: a listing may lag behind what it lists."""
        put = {folded(path): (file.size, file.stamp) for path, file in known.files.items()}
        closer: list[Found] = []
        for each in found:
            key = folded(each.path)
            if key not in keys or put.get(key) == (each.size, each.stamp):
                closer.append(each)
            elif (now := self.share.look(f"{self.root}/{each.path}")) is not None:
                closer.append(Found(each.path, now.size, now.stamp))
        return closer

    def content_of(self, path: str) -> str:
        seen = hashlib.sha256()
        for block in self.share.blocks(f"{self.root}/{path}"):
            seen.update(block)
        return seen.hexdigest()

    def begin(self, local: Mapping[str, File], known: Manifest, plan: Plan) -> None:
        """Writes down what is about to be there: the next run knows it as ours, should this one be cut off."""
        self.there = {**plan.equal}
        if not plan.uploads:
            return
        pending = {
            path: tuple(dict.fromkeys((*known.pending.get(path, ()), local[path].sha256))) for path in plan.uploads
        }
        marks = (*known.marks, self.mark)
        self._write(replace(known, pending={**known.pending, **pending}, marks=marks))

    def put(self, path: str, source: Path, wanted: File, former: Found | None, plan: Plan) -> None:
        if not self._is_as_seen(path, former):
            return
        if self._unless_open(path, lambda: self._send(path, source, wanted)):
            self.uploaded.append(path)
            return
        self.kept.append(path)
        if former is not None and folded(path) in plan.ours:
            self.there[path] = plan.ours[folded(path)]

    def delete(self, found: Found, plan: Plan) -> None:
        if not self._is_as_seen(found.path, found):
            return
        if self._unless_open(found.path, lambda: self._gone(found.path)):
            self.deleted.append(found.path)
            return
        self.kept.append(found.path)
        if folded(found.path) in plan.ours:
            self.there[found.path] = plan.ours[folded(found.path)]

    def _gone(self, path: str) -> None:
        try:
            self.share.delete(f"{self.root}/{path}")
        except NotFound:  # somebody was faster, or an answer was lost
            return

    def clear_folders(self, uploads: list[str], deleted: list[str]) -> None:
        """Takes away the emptied folders that stand where a file has to be."""
        wanted = set(uploads)
        for path in deleted:
            for above in PurePosixPath(path).parents:
                if wanted & {str(above), *map(str, above.parents)} - {"."}:
                    self.share.remove_folder(f"{self.root}/{above}")

    def end(self, plan: Plan) -> Changes:
        self._write(Manifest(self.there, marks=tuple(sorted(self.others))))
        again = {folded(each) for each in plan.uploads}
        deleted = [path for path in self.deleted if folded(path) not in again]
        return Changes(tuple(sorted(self.uploaded)), tuple(sorted(deleted)), tuple(sorted(self.kept)))

    def _send(self, path: str, source: Path, wanted: File) -> None:
        for _ in range(TRIES):
            if self.share.replace_if(f"{self.root}/{path}", source, wanted.sha256, self.mark):
                after = self.share.look(f"{self.root}/{path}")
                if after is not None and after.size == wanted.size:
                    wanted = replace(wanted, stamp=after.stamp)  # else somebody was faster, and the next run sees it
                self.there[path] = wanted
                return
            wanted = File(digest_of(source), source.stat().st_size)
        raise WorkspaceError(
            Text("{file} changes while it is uploaded.", file=source),
            Text("Stop what writes to it, or name it in .slipwayignore; then try again."),
            code="ChangesMeanwhile",
        )

    def _is_as_seen(self, path: str, seen: Found | None) -> bool:
        """Whether nobody has written to it since it was looked at; else it is left alone, and told."""
        now = self.share.look(f"{self.root}/{path}")
        if now is None or (seen is not None and (now.size, now.stamp) == (seen.size, seen.stamp)):
            return True
        self.journal.log(
            Text("Somebody has just written to {path} on the share: it is left as it is. Run Deploy again.", path=path),
            "warning",
        )
        self.kept.append(path)
        return False

    def _unless_open(self, path: str, act: Callable[[], None]) -> bool:
        """Whether it was done; what somebody has open, or is at as well, is kept, and told."""
        try:
            act()
        except (Conflict, NotFound) as error:  # the upload was taken away, or the folder
            self.journal.log(error.message, "warning")
            return False
        except CloudError as error:
            if error.code != "SharingViolation":
                raise
            self.journal.log(
                Text("{path} is open elsewhere and stays as it is on the share. Run Deploy again later.", path=path),
                "warning",
            )
            return False
        return True

    def _write(self, manifest: Manifest) -> None:
        self.share.replace(self.manifest, manifest.to_json())


def _refuse_links(tree: Tree) -> None:
    links = [entry.path for entry in tree.entries if entry.kind == "link"]
    if links:
        raise WorkspaceError(
            Text("A plain tree on the share can't carry links: {links}.", links=", ".join(map(shown, links))),
            Text("Replace them by copies, or let Provision make the app: releases carry links."),
        )


def _refuse_names(tree: Tree, below: str) -> None:
    wrong = bad_names((entry.path for entry in tree.entries), below)
    if wrong:
        raise WorkspaceError(
            Text(
                "A share can't hold these names of {folder}: {names}. Nothing was uploaded.",
                folder=tree.top,
                names=Text.listed(wrong, "; "),
            ),
            Text("Rename them or name them in .slipwayignore, or let Provision make the app: releases carry any name."),
            code="NamesNotForShare",
        )


def _asking(plan: Plan, top: str) -> SlipwayError:
    theirs = ", ".join(shown(each.path) for each in plan.foreign)
    return ConsentNeeded(
        plan.consent,
        Text(
            "Deploy replaces or deletes files in {folder} on the share that somebody else wrote: {files}.",
            folder=top,
            files=theirs,
        ),
        Text("What they hold now is lost. To keep it, copy it into the project first."),
    )
