"""Slows the large reads of a process that has this folder on PYTHONPATH: a share's bandwidth on a local disk.

All threads together read at most BENCH_READ_RATE bytes a second, and of each file at most BENCH_FILE_RATE, as a share has it.
Only `os.preadv`, which our loader reads with, is slowed. What passed is written to the file BENCH_READ_LOG, a line a read.
"""

import os
import threading
import time
from collections import defaultdict
from typing import Any

RATE = float(os.environ.get("BENCH_READ_RATE") or 0)
FILE_RATE = float(os.environ.get("BENCH_FILE_RATE") or 0) or RATE
LOG = os.environ.get("BENCH_READ_LOG")

if RATE:
    plain = os.preadv
    turn = threading.Lock()
    free_at = time.monotonic()
    free: defaultdict[str, float] = defaultdict(time.monotonic)
    told = open(LOG, "a", buffering=1) if LOG else None  # noqa: SIM115  (open as long as the process reads)

    def slowed(fd: Any, buffers: Any, offset: Any, flags: int = 0):  # pyright: ignore[reportMissingParameterType]
        global free_at
        read = plain(fd, buffers, offset, flags)
        file = os.readlink(f"/proc/self/fd/{fd}")
        with turn:
            now = time.monotonic()
            free_at = max(free_at, now) + read / RATE
            free[file] = max(free[file], now) + read / FILE_RATE
            until = max(free_at, free[file])
            if told is not None:
                told.write(f"{read} {file}\n")
        time.sleep(max(until - time.monotonic(), 0))  # sleeps: it plays a slow disk
        return read

    os.preadv = slowed
