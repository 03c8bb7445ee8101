"""Sends files to a share block by block, several at a time, and tells how far it is; what has arrived is not sent again."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.pieces import BLOCK, Content, Digest, md5_of
from sidecar.decisions.pace import pace, size
from sidecar.gateway.large_files import Begun, LargeFiles, part_of
from sidecar.words.errors import Cancelled, WorkspaceError
from sidecar.words.text import Text

SENDERS = 8
"""Requests at a time, each with a block in memory."""

SHOWN_SECONDS = 0.5
"""Between two words on how far it is."""


@dataclass(frozen=True)
class Outgoing:
    """A file for the share. `path`: on the share, where it will be in the end."""

    path: str
    content: Content
    digest: Digest

    @property
    def part(self) -> str:
        return part_of(self.path, self.digest.sha256)


@dataclass(frozen=True)
class Arrived:
    """Every file as its unfinished upload, by its path. `sent`: bytes that travelled in this run."""

    parts: Mapping[str, Begun]
    sent: int


class _Progress:
    """Safe in any thread."""

    def __init__(self, total: int) -> None:
        self._lock = threading.Lock()
        self._total = total
        self._began = time.monotonic()
        self.sent = 0
        self.there = 0

    def had(self, count: int) -> None:
        with self._lock:
            self.there += count

    def came(self, count: int) -> None:
        with self._lock:
            self.sent += count

    @property
    def text(self) -> Text:
        with self._lock:
            told = pace(self.there + self.sent, self._total, self.sent, time.monotonic() - self._began)
        return Text("Uploading: {pace}", pace=told)


def send(share: LargeFiles, files: Sequence[Outgoing], sizes: Mapping[str, int], journal: Journal) -> Arrived:
    """`sizes`: of the files that lie in the folders already, unfinished uploads among them, by path."""
    progress = _Progress(sum(each.content.size for each in files))
    parts: dict[str, Begun] = {}
    stop = threading.Event()
    with ThreadPoolExecutor(SENDERS, "upload") as pool:
        waiting: list[Future[None]] = []
        try:
            for each in files:
                journal.check()
                waiting += _begin(share, each, sizes, progress, parts, stop=stop, pool=pool)
            _follow(waiting, progress, journal)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if progress.there:
        journal.log(Text("{size} were on the share already, from an upload before.", size=size(progress.there)))
    return Arrived(parts, progress.sent)


def _begin(
    share: LargeFiles,
    file: Outgoing,
    sizes: Mapping[str, int],
    progress: _Progress,
    parts: dict[str, Begun],
    *,
    stop: threading.Event,
    pool: ThreadPoolExecutor,
) -> list[Future[None]]:
    """What is to be done for one file, begun."""
    length = file.content.size
    if length <= BLOCK:
        parts[file.path] = Begun(file.part)
        return [pool.submit(_send_whole, share, file, progress, stop)]
    begun = share.begin(file.path, length, file.digest.sha256, begun=sizes.get(file.part) == length)
    parts[file.path] = begun
    waiting: list[Future[None]] = []
    for number, offset in enumerate(range(0, length, BLOCK)):
        count = min(BLOCK, length - offset)
        if begun.has(offset, count):
            progress.had(count)
        else:
            waiting.append(pool.submit(_send_block, share, file, begun, number, progress, stop=stop))
    return waiting


def _send_whole(share: LargeFiles, file: Outgoing, progress: _Progress, stop: threading.Event) -> None:
    if not stop.is_set():
        block = file.content.read(0, BLOCK)
        _unchanged(file, 0, block)
        share.send_whole(file.path, block, file.digest.sha256)
        progress.came(len(block))


def _send_block(
    share: LargeFiles, file: Outgoing, begun: Begun, number: int, progress: _Progress, *, stop: threading.Event
) -> None:
    if not stop.is_set():
        block = file.content.read(number * BLOCK, BLOCK)
        _unchanged(file, number, block)
        share.send(begun, file.path, number * BLOCK, block)
        progress.came(len(block))


def _unchanged(file: Outgoing, number: int, block: bytes) -> None:
    """What was read first is what is sent, or nothing is: its name on the share says so."""
    expected = file.digest.blocks[number] if file.digest.blocks else md5_of(b"")
    if md5_of(block) != expected:
        raise WorkspaceError(
            Text("{file} changes while it is uploaded.", file=file.path.rpartition("/")[2]),
            Text("Stop what writes to it, then run the command again: what has arrived is not sent again."),
            code="ChangesMeanwhile",
        )


def _follow(waiting: Sequence[Future[None]], progress: _Progress, journal: Journal) -> None:
    """Until all has arrived; raises what the first one that failed has raised, a cause before its consequences."""
    left = set(waiting)
    while left:
        done, left = wait(left, SHOWN_SECONDS, FIRST_EXCEPTION)
        failed = [error for each in done if (error := each.exception()) is not None]
        causes = [error for error in failed if not isinstance(error, Cancelled)]
        if failed:
            raise (causes or failed)[0]
        journal.check()
        journal.progress(progress.text)
