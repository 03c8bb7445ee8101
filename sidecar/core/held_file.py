"""A file that one process of this machine holds at a time. Whoever ends, however it ends, lets go of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LOOK = 0.1
"""Seconds between two looks at whether it is free."""


@contextmanager
def held(file: Path, check: Callable[[], None], wait: Callable[[], None]) -> Generator[None]:
    """Waits until nobody else holds it. `wait` is called once where somebody does; `check` raises where somebody cancels."""
    with file.open("ab") as stream:
        told = False
        while not taken(stream):
            if not told:
                wait()
                told = True
            check()
            time.sleep(LOOK)  # a lock that is waited for by the system hears no cancel
        yield


if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 40
    """A byte far behind the file's end: other programs may read what is in it."""

    def taken(stream: BinaryIO) -> bool:
        """Whether it is ours now, until it is closed."""
        stream.seek(_FAR)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:

    def taken(stream: BinaryIO) -> bool:
        """Whether it is ours now, until it is closed."""
        import fcntl  # noqa: PLC0415  (not every system has it: only who takes a file needs it)

        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
