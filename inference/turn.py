"""Which of several replicas does what one alone may do on a share: a file that its owner touches again and again."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)

TOUCH = 10.0  # seconds
STALE = 90.0  # without a touch: a mount shows what others do half a minute late
PAUSE = 1.0


class Turn:
    """`mine`: whether it is to be done here; False once `done` says that somebody else has. A replica that was killed leaves the
    file, and nobody touches it: then another takes it. Clocks are not compared, only whether the file changes."""

    def __init__(self, file: Path, holder: str, done: Callable[[], bool], *, stale: float = STALE) -> None:
        self._file = file
        self._holder = holder
        self._done = done
        self._stale = stale
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._touch, name="turn", daemon=True)
        self.mine = False

    def __enter__(self) -> Self:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        seen, since = 0, time.monotonic()
        while not self._done() and not self._taken():
            now = self._changed()
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > self._stale:
                log.warning("%s is nobody's any more: taken over", self._file.name)
                self._file.unlink(missing_ok=True)
                continue
            time.sleep(min(PAUSE, self._stale / 3))
        if self.mine and self._done():  # it was, between the look and the file
            self._leave()
        if self.mine:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.mine:
            self._leave()

    def _taken(self) -> bool:
        try:
            with os.fdopen(os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_WRONLY), "w") as stream:
                stream.write(self._holder)
        except FileExistsError:
            return False
        self.mine = True
        return True

    def _leave(self) -> None:
        self.mine = False
        self._ended.set()
        self._file.unlink(missing_ok=True)

    def _changed(self) -> int:
        try:
            return self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _touch(self) -> None:
        while not self._ended.wait(min(TOUCH, self._stale / 3)):
            with contextlib.suppress(OSError):  # the share may come back
                os.utime(self._file)
