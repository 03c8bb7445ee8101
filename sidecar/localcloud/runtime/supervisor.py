"""A container's bounds: runs one command, its first process, so that nothing of it can outlive it or the local cloud.

Standard library only: it runs with `python -I -S supervisor.py COMMAND…`. Its stdin is a pipe that the cloud holds: `T` asks
the first process to end, as a platform does; `K` and the end of the pipe (the cloud is gone, however it went) kill all of
them. Exits as the command did, when nothing is left of what that began: as in a container, also what has left its group.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans become children of this process
        # Should this supervisor itself be killed, the kernel kills the command (Linux only).
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_parent)
    except OSError as problem:
        sys.stderr.write(f"exec {command[0]}: {problem.strerror}\n")
        return 126 if isinstance(problem, PermissionError) else 127
    threading.Thread(target=_obey, args=(child.pid,), daemon=True).start()
    code = child.wait()
    _kill_all(child.pid)
    return code if code >= 0 else 128 - code


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _obey(first: int) -> None:
    while os.read(0, 1) == b"T":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(first, signal.SIGTERM)
    _kill_all(first)


def _kill_all(first: int) -> None:
    """The first process's group, and whatever it began that has a group of its own; again, for what began meanwhile."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(first, signal.SIGKILL)
    while alive := _descendants(os.getpid()):
        for each in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)


def _descendants(root: int) -> list[int]:
    """Running processes below this one, where the system lists them (Linux)."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(stat.parent.name)] = int(parent)
    found: list[int] = []
    fresh = [root]
    while fresh:
        fresh = [each for each, parent in parents.items() if parent in fresh]
        found += fresh
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
