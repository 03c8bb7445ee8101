"""A program on a terminal, and a person who reads and types: a pseudo-terminal, without a window around it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Dialogue:
    """Everything that was shown so far is in `shown`. Leaving it ends the program, and what it started in this terminal."""

    def __init__(self, command: list[str], folder: Path, environ: Mapping[str, str]) -> None:
        self.shown = ""
        self._read = 0
        self._terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))

        def own_terminal() -> None:
            os.setsid()
            fcntl.ioctl(
                0, termios.TIOCSCTTY, 0
            )  # so that Ctrl-C reaches the whole foreground group, as it does for people

        self.process = subprocess.Popen(
            command, cwd=folder, env=dict(environ), stdin=end, stdout=end, stderr=end, preexec_fn=own_terminal
        )
        os.close(end)

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self._terminal >= 0:
            os.close(self._terminal)

    def expect(self, text: str, seconds: float = 240) -> str:
        """Waits until `text` is shown after what was read last; returns what was shown up to there."""
        deadline = time.monotonic() + seconds
        while (place := self.shown.find(text, self._read)) < 0:
            assert self._more(deadline), f"{text!r} was not shown; shown:\n{self.shown}"
        before, self._read = self.shown[self._read : place], place + len(text)
        return before

    def type(self, line: str) -> None:
        os.write(self._terminal, f"{line}\n".encode())

    def press_ctrl_c(self) -> None:
        os.write(self._terminal, b"\x03")

    def close_terminal(self) -> None:
        """As closing the window does: whoever is in the terminal is hung up on."""
        os.close(self._terminal)
        self._terminal = -1

    def ended(self, seconds: float = 240) -> int:
        """The exit code, after everything has been read."""
        deadline = time.monotonic() + seconds
        while self._more(deadline):
            pass
        return self.process.wait(max(deadline - time.monotonic(), 1))

    def _more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"nothing more was shown; shown:\n{self.shown}"
        try:
            part = os.read(self._terminal, 65536)
        except OSError:  # the last process has closed the terminal
            return False
        self.shown += COLOURS.sub("", part.decode(errors="replace")).replace("\r\n", "\n")
        return bool(part)
