"""Lets a process that has this folder on PYTHONPATH hang where it reads a file under HANGING_FOLDER: a share that is gone.

With HANGING_UNTIL, the path of a file, it hangs as long as somebody has that file locked: a share that is slow.
"""

import fcntl
import os
import threading
from pathlib import Path
from typing import Any

FOLDER, UNTIL = os.environ.get("HANGING_FOLDER"), os.environ.get("HANGING_UNTIL")

if FOLDER:
    plain = os.preadv  # what our loader reads tensors with

    def hanging(fd: Any, buffers: Any, offset: Any, flags: int = 0):  # pyright: ignore[reportMissingParameterType]
        file = os.readlink(f"/proc/self/fd/{fd}")
        if file.startswith(f"{FOLDER}/"):
            print(f"hanging in {file}", flush=True)
            if not UNTIL:
                threading.Event().wait()
            with Path(str(UNTIL)).open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_SH)
        return plain(fd, buffers, offset, flags)

    os.preadv = hanging
