"""A container's supervisor: runs one command in a process group that can't outlive the local cloud.

Standard library only: it runs with `python -I -S supervisor.py COMMAND…`. Its stdin is a pipe that the cloud holds: `T` asks
the group to end, `K` and the end of the pipe (the cloud is gone, however it went) kill it. Exits as the command did.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> int:
    try:
        # Should this supervisor itself be killed, the kernel kills the command (Linux only).
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_parent)
    except OSError as problem:
        sys.stderr.write(f"exec {command[0]}: {problem.strerror}\n")
        return 126 if isinstance(problem, PermissionError) else 127
    threading.Thread(target=_obey, args=(child.pid,), daemon=True).start()
    code = child.wait()
    _signal(child.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _obey(group: int) -> None:
    while order := os.read(0, 1):
        _signal(group, signal.SIGTERM if order == b"T" else signal.SIGKILL)
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
