"""Lets a process that has this folder on PYTHONPATH hang where it reads a file under HANGING_FOLDER: a share that is gone."""

import os
import threading
from typing import Any

FOLDER = os.environ.get("HANGING_FOLDER")

if FOLDER:
    plain = os.preadv  # what our loader reads tensors with

    def hanging(fd: Any, buffers: Any, offset: Any, flags: int = 0):  # pyright: ignore[reportMissingParameterType]
        file = os.readlink(f"/proc/self/fd/{fd}")
        if file.startswith(f"{FOLDER}/"):
            print(f"hanging in {file}", flush=True)
            threading.Event().wait()
        return plain(fd, buffers, offset, flags)

    os.preadv = hanging
