"""Adapters that change on the mount while the server runs: found, loaded, replaced and unloaded without being asked.

Network mounts send no notifications, so it looks. Often, and cheaply: size and time of the few files of each adapter that
is known (one listing of its folder). Seldom, because a walk lists every folder of the share: whether there are
new ones. What differs from what was last dealt with is acted upon when two looks in a row see the same: an upload under
way changes between them, and one that stalls is refused by its header's length until it goes on.
"""

import logging
import threading
from pathlib import Path

from inference.engine.adapters.table import Adapters
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import Fingerprint, FolderError, fingerprint, is_adapter, name_among, walk_adapters

log = logging.getLogger(__name__)

WALK_EVERY = 6  # looks
STOP_SECONDS = 5.0  # a share that does not answer must not hold up the end


class Watch:
    """Looks every `seconds` on a thread of its own. `sentinel` is a file of the base model: while that cannot be seen
    either, the share is away, and nothing is taken for deleted."""

    def __init__(self, adapters: Adapters, mount: Path, sentinel: Path, seconds: float) -> None:
        self._adapters = adapters
        self._mount = mount
        self._sentinel = sentinel
        self._seconds = seconds
        self._looks = 0
        self._found: set[Path] = set()
        self._changing: dict[Path, Fingerprint] = {}  # as the last look saw them
        self._silent: set[Path] = set()  # that could not be looked at
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
        if walk:
            self._found = self._walk()
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

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self._looks += 1
            try:
                self.look(walk=self._looks % WALK_EVERY == 0)
            except Exception:
                log.exception("looking for changed adapters failed; it goes on")

    def _walk(self) -> set[Path]:
        found: set[Path] = set()
        for path in walk_adapters(self._mount):
            if self._stopping.is_set():
                break
            found.add(path)
        return found

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
