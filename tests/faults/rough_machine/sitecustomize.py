"""A process that has this folder on PYTHONPATH finds a rough machine: a share whose reads fail at times, or a GPU of no use.

`READ_ERRORS`: how many reads of weights fail with EIO before the share answers again. `USELESS_GPU`: the system shows a GPU, and
PyTorch is one that was built for it. Each time that it played something, it writes a line to the file `PLAYED`.
"""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLAYED = os.environ.get("PLAYED", os.devnull)
left = int(os.environ.get("READ_ERRORS") or 0)

if left:
    plain = os.preadv  # what our loader reads tensors with
    turn = threading.Lock()

    def rough(fd: Any, buffers: Any, offset: Any, flags: int = 0) -> int:
        global left
        with turn:
            fails, left = left > 0, left - 1
        if fails:
            played("read")
            raise OSError(errno.EIO, os.strerror(errno.EIO), os.readlink(f"/proc/self/fd/{fd}"))
        return plain(fd, buffers, offset, flags)

    os.preadv = rough

if os.environ.get("USELESS_GPU"):
    import torch

    version: Any = torch.version
    version.cuda = "13.0"
    found = Path.glob

    def with_gpu(self: Path, pattern: str, **more: Any) -> Iterator[Path]:
        if str(self) == "/dev" and pattern.startswith("nvidia"):
            played("gpu")
            return iter([Path("/dev/nvidia0")])
        return iter(found(self, pattern, **more))

    Path.glob = with_gpu  # pyright: ignore[reportAttributeAccessIssue]


def played(what: str) -> None:
    with Path(PLAYED).open("a") as file:
        file.write(f"{what}\n")
