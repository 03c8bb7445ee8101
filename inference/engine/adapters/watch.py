"""Adapters that change on the mount while the server runs: found, loaded, replaced and unloaded without being asked.

Network mounts send no notifications, so it looks. Often, and cheaply: size and time of the few files of each adapter that
is known (one listing of its folder). Seldom, because a walk lists every folder of the share: whether there are
new ones. What differs from what was last dealt with is acted upon when two looks in a row see the same: an upload under
way changes between them, and one that stalls is refused by its header's length until it goes on. What somebody tells of
(`announced`) is whole, and is taken at the first look.
"""

import logging
import threading
import time
from pathlib import Path

from inference.engine.adapters.announced import Announced
from inference.engine.adapters.table import Adapters
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import (
    UNFINISHED,
    Fingerprint,
    FolderError,
    fingerprint,
    is_adapter,
    name_among,
    results,
    walk_adapters,
)

log = logging.getLogger(__name__)

WALK_EVERY = 6  # looks at least
REST = 10  # times as long as a walk took, the share is left alone: each listing of a large one is paid for
STOP_SECONDS = 5.0  # a share that does not answer must not hold up the end


class Watch:
    """Looks every `seconds` on a thread of its own. `sentinel` is a file of the base model: while that cannot be seen
    either, the share is away, and nothing is taken for deleted."""

    def __init__(self, adapters: Adapters, mount: Path, sentinel: Path, seconds: float) -> None:
        self._adapters = adapters
        self._mount = mount
        self._sentinel = sentinel
        self._seconds = seconds
        self._looks = 0  # since the last walk
        self._walked = time.monotonic()  # when that ended
        self._took = 0.0
        self._found: set[Path] = set()
        self._changing: dict[Path, Fingerprint] = {}  # as the last look saw them
        self._silent: set[Path] = set()  # that could not be looked at
        self._announced = Announced(mount)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        if self._seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def look(self, walk: bool) -> None:
        """One look; with `walk`, for new adapters too."""
        self._take_announced()
        if walk:
            began = time.monotonic()
            self._found = self._walk()
            self._walked, self._looks = time.monotonic(), 0
            self._took = self._walked - began
        for path in sorted({*self._adapters.handled, *self._changing, *self._found}):
            if self._stopping.is_set():
                return
            try:
                now = fingerprint(path)
            except OSError as error:
                if path not in self._silent:
                    log.warning("%s cannot be looked at: %s", path, error)
                self._silent.add(path)
                continue
            self._silent.discard(path)
            if now == self._adapters.handled.get(path):
                self._changing.pop(path, None)
            elif now != self._changing.get(path):
                self._changing[path] = now
            else:
                self._act(path, now)

    def _take_announced(self) -> None:
        """What has another digest than it is to have, and other files than when it was dealt with."""
        for path, digest in self._announced.look().items():
            served = {each.digest for each in self._adapters.installed.values() if each.path == path}
            if served == {digest} or self._stopping.is_set():
                continue
            try:
                now = fingerprint(path)
            except OSError:  # the look at each folder says so
                continue
            ended = is_adapter(now) and not any(name == UNFINISHED for name, _, _ in now)
            if ended and now != self._adapters.handled.get(path):
                self._found.add(path)
                self._load(path)

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self._looks += 1
            walk = is_due(self._looks, time.monotonic() - self._walked, self._took)
            try:
                self.look(walk=walk)
            except Exception:
                log.exception("looking for changed adapters failed; it goes on")

    def _walk(self) -> set[Path]:
        found: set[Path] = set()
        for path in walk_adapters(self._mount):
            if self._stopping.is_set():
                break
            found.add(path)
        return results(found)

    def _act(self, path: Path, now: Fingerprint) -> None:
        if is_adapter(now):
            self._load(path)
        elif self._sentinel.is_file():
            self._adapters.forget(path)
            self._changing.pop(path, None)
            self._found.discard(path)

    def _load(self, path: Path) -> None:
        """Loads or replaces; every name that the folder is served under gets the new state."""
        adapters = self._adapters
        others = {*adapters.handled, *self._found} - {path}
        first, *more = adapters.names_of(path) or [name_among(self._mount, path, others, adapters.installed)]
        before = adapters.refused.get(first)
        try:
            adapters.load(first, path)
        except (AdapterError, FolderError, OSError) as error:
            if adapters.refused.get(first) != before:
                log.warning("adapter %s is refused: %s", first, error)
            return
        for name in more:
            adapters.alias(name, first)
        self._changing.pop(path, None)


def is_due(looks: int, rested: float, took: float) -> bool:
    """Whether it is time for a walk: `looks` and seconds `rested` since the last one, which took so long."""
    return looks >= WALK_EVERY and rested >= REST * took
