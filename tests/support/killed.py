"""Runs the sidecar, which is killed at a chosen write of a file, exactly.

`python -m tests.support.killed NUMBER WHEN LIST FOLDER… -- ARGUMENTS`; WHEN is `before`, `after`, or `never`, which writes every
write into the file LIST.

Python tells an audit hook of each file that is about to be opened or renamed. No code of ours is changed for it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from sidecar.doors.cli import main as cli

WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT


class Killer:
    """`number`: which write of a file below `folders`, from 0."""

    def __init__(self, number: int, when: str, folders: list[str]) -> None:
        self._number, self._when, self._folders = number, when, tuple(folders)
        self._met_by: int | None = None
        self.seen: list[str] = []

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._met_by == threading.get_ident():
            self._end()  # what was to be done is done: this is the next thing that the thread does
        what = self._write(event, arguments)
        if what is None:
            return
        self.seen.append(what)
        if len(self.seen) - 1 != self._number or self._when == "never":
            return
        if self._when == "before":
            self._end()
        self._met_by = threading.get_ident()

    def _write(self, event: str, arguments: tuple[object, ...]) -> str | None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and self._watched(path):
                return f"write {Path(str(path)).name}"
        if event == "os.rename" and self._watched(arguments[1]):
            return f"rename {Path(str(arguments[1])).name}"
        return None

    def _watched(self, path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self._folders)

    def _end(self) -> None:
        self._met_by = None  # the signal is an event too
        os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str]) -> int:
    mark = arguments.index("--")
    number, when, listed, *folders = arguments[:mark]
    killer = Killer(int(number), when, folders)
    sys.addaudithook(killer.hear)
    code = cli(arguments[mark + 1 :], os.environ, "slipway")
    if when == "never":
        Path(listed).write_text("\n".join(killer.seen), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
