"""Brings a model's folder to a share: what is there is not sent again, what arrives is switched at once, whatever cuts it off."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sidecar.core.journal import Journal
from sidecar.core.pieces import Content, digest_of
from sidecar.decisions.models_on_share import UNFINISHED
from sidecar.decisions.pace import pace
from sidecar.decisions.upload import (
    TEMPLATES,
    Compared,
    Sent,
    Upload,
    adapter_digest,
    compared,
    in_order,
    record_from,
    record_path,
)
from sidecar.gateway.large_files import MARK, LargeFiles
from sidecar.gateway.listed import Listed
from sidecar.words.errors import ConsentNeeded, NotFound, SlipwayError, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.local_model import LocalModel, contents
from sidecar.workflows.sending import Outgoing, send

ABANDONED_SECONDS = 3600
"""Since an unfinished upload of something else was last written to: until then somebody may be at it."""


@dataclass(frozen=True)
class Brought:
    """`sent` and `there`: bytes. `digest`: of an adapter, as the server makes it."""

    files: int
    sent: int
    there: int
    digest: str


@dataclass(frozen=True)
class Bringing:
    """One folder, from this machine to the share. `below`: the folder that the app's mount shows, with a slash, or empty.
    `folder`: below that."""

    share: LargeFiles
    below: str
    model: LocalModel
    folder: str
    shards: int
    journal: Journal
    consents: tuple[str, ...]

    @property
    def root(self) -> str:
        return f"{self.below}{self.folder}"

    def run(self) -> Brought:
        files = contents(self.model, self.shards)
        outgoing = self._read(files)
        wanted = {name: Sent(each.content.size, each.digest.sha256) for name, each in outgoing.items()}
        found = self._found()
        record = self._record()
        plan = compared(self.model.kind, wanted, found, record)
        plan = plan.resolved([name for name in plan.unsure if self._content(name) == wanted[name].sha256])
        self._ask(plan)
        digest = adapter_digest({name: each.sha256 for name, each in wanted.items()})
        there = sum(wanted[name].size for name in plan.there)
        sent = 0
        stamps = {name: found[name].stamp for name in plan.there}
        if plan.missing or plan.gone or UNFINISHED in found:
            sent = self._bring(plan, outgoing, found, stamps)
        self._sweep(found, outgoing)
        if stamps != {name: each.stamp for name, each in record.items()}:
            files_now = {name: replace(each, stamp=stamps.get(name, "")) for name, each in wanted.items()}
            done = Upload(self.folder, self.model.kind, digest if self.model.kind == "adapter" else "", files_now)
            self.share.replace(f"{self.below}{record_path(self.folder)}", done.to_json())
        return Brought(len(wanted), sent, there, digest)

    def _found(self) -> dict[str, Listed]:
        """What lies in the folder, and in the one in it that the server reads too."""
        listed = self.share.list(self.root)
        found = {each.name: each for each in listed if not each.is_directory}
        if any(each.is_directory and each.name == TEMPLATES for each in listed):
            more = self.share.list(f"{self.root}/{TEMPLATES}")
            found |= {f"{TEMPLATES}/{each.name}": each for each in more if not each.is_directory}
        return found

    def _read(self, files: Mapping[str, Content]) -> dict[str, Outgoing]:
        total, seen, began = sum(each.size for each in files.values()), 0, time.monotonic()

        def heard(count: int) -> None:
            nonlocal seen
            seen += count
            self.journal.check()
            self.journal.progress(Text("Reading: {pace}", pace=pace(seen, total, seen, time.monotonic() - began)))

        self.journal.step("read", Text("Reading the files in {folder}…", folder=self.model.folder))
        try:
            return {name: Outgoing(f"{self.root}/{name}", each, digest_of(each, heard)) for name, each in files.items()}
        except OSError as error:
            raise WorkspaceError(
                Text("{folder} can't be read: {problem}", folder=self.model.folder, problem=error),
                code="NoModelFolder",
            ) from error

    def _record(self) -> Mapping[str, Sent]:
        try:
            return record_from(self.share.read(f"{self.below}{record_path(self.folder)}"))
        except NotFound:
            return {}

    def _content(self, name: str) -> str:
        """Of a file on the share that nothing is known of but its size."""
        self.journal.progress(Text("Comparing {name} with what is on the share…", name=name))
        seen = hashlib.sha256()
        for block in self.share.blocks(f"{self.root}/{name}"):
            self.journal.check()
            seen.update(block)
        return seen.hexdigest()

    def _ask(self, plan: Compared) -> None:
        if not plan.foreign:
            return
        names = "\n".join((self.folder, *plan.foreign))
        consent = f"replace-model-{hashlib.sha256(names.encode()).hexdigest()[:12]}"
        if consent not in self.consents:
            raise ConsentNeeded(
                consent,
                Text(
                    "{folder} on the share holds other files, which nobody has put there with this command: {files}.",
                    folder=self.folder,
                    files=", ".join(plan.foreign),
                ),
                Text("They would be replaced or taken away, and what they hold now is lost."),
            )

    def _bring(
        self, plan: Compared, outgoing: Mapping[str, Outgoing], found: Mapping[str, Listed], stamps: dict[str, str]
    ) -> int:
        """Everything travels first, under names that nobody reads; then the files are switched behind a sign that says so."""
        missing = in_order(self.model.kind, plan.missing)
        files = [outgoing[name] for name in missing]
        text = Text("Uploading {count} files to {folder}…", count=len(files), folder=self.folder)
        self.journal.step("upload", text)
        sizes = {f"{self.root}/{name}": each.size for name, each in found.items()}
        arrived = send(self.share, files, sizes, self.journal)
        self.journal.step("switch", Text("Putting the files in place…"))
        sign = f"{self.root}/{UNFINISHED}"
        self.share.replace(sign, b"{}")
        switched = 0
        try:
            for name, each in zip(missing, files, strict=True):
                stamps[name] = self.share.finish(arrived.parts[each.path], each.path, each.digest.sha256)
                switched += 1
            for name in plan.gone:
                self.share.delete(f"{self.root}/{name}")
        except SlipwayError:
            if not switched and UNFINISHED not in found:  # somebody has the first one open: nothing has changed
                self.share.delete(sign)
            raise
        self.share.delete(sign)
        return arrived.sent

    def _sweep(self, found: Mapping[str, Listed], outgoing: Mapping[str, Outgoing]) -> None:
        """What uploads of other contents have left here, that nobody has gone on with."""
        ours = {each.part.removeprefix(f"{self.root}/") for each in outgoing.values()}
        for name, each in found.items():
            old = each.written is not None and time.time() - each.written > ABANDONED_SECONDS
            if old and name not in ours and _is_part(name.rpartition("/")[2]):
                self.share.delete(f"{self.root}/{name}")


def _is_part(name: str) -> bool:
    mark = name.removesuffix(".part").rpartition(".")[2]
    return (
        name.startswith(".")
        and name.endswith(".part")
        and len(mark) == MARK
        and not set(mark) - set("0123456789abcdef")
    )
