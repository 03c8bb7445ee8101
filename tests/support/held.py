"""A process waits until its test goes on, however long either takes: it wants to lock a file that the test has locked."""

import contextlib
import fcntl
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def held(file: Path) -> Generator[str]:
    """Who locks this file for sharing goes on when the block is left."""
    with file.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield str(file)
