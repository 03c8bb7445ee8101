"""Slows the large reads of a process that has this folder on PYTHONPATH: a share's bandwidth on a local disk.

All threads together read at most BENCH_READ_RATE bytes a second. Only `os.preadv`, which our loader reads with, is slowed.
"""

import os
import threading
import time
from typing import Any

RATE = float(os.environ.get("BENCH_READ_RATE") or 0)

if RATE:
    plain = os.preadv
    turn = threading.Lock()
    free_at = time.monotonic()

    def slowed(fd: Any, buffers: Any, offset: Any, flags: int = 0):  # pyright: ignore[reportMissingParameterType]
        global free_at
        read = plain(fd, buffers, offset, flags)
        with turn:
            free_at = max(free_at, time.monotonic()) + read / RATE
            until = free_at
        time.sleep(max(until - time.monotonic(), 0))  # sleeps: it plays a slow disk
        return read

    os.preadv = slowed
