"""A process of this machine that makes something the local cloud needs: told as it goes, and ended whole by a cancel."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.gateway.local import PACKAGES
from sidecar.gateway.patience import Patience
from sidecar.words.text import Text

SHOWN_LINES = 60


@dataclass(frozen=True)
class Made:
    """`said`: the last line of its output. `complaints`: the end of what it wrote beside."""

    status: int
    said: str
    complaints: str


def make(
    command: Sequence[str], environ: Mapping[str, str], patience: Patience, tell: Callable[[str], Text] | None
) -> Made:
    """Runs it to its end; each line that it writes beside its output is told. Raises Cancelled when the person cancels.

    It and what it starts are a group of their own, which ends on a cancel. Its input closes when this process is gone."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=dict(environ),
        cwd=PACKAGES,
        start_new_session=True,
    )
    printed, said = list[str](), list[str]()

    def told() -> None:
        for line in process.stderr or ():
            printed.append(line)
            del printed[:-SHOWN_LINES]
            if tell is not None and line.strip():
                patience.say(tell(line.strip()))

    readers = (
        threading.Thread(target=told, daemon=True),
        threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True),
    )
    for each in readers:
        each.start()
    with process:
        try:
            while process.poll() is None:
                patience.wait(0.2)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what is half made is made anew
            raise
        finally:
            for each in readers:
                each.join()
    return Made(process.returncode, said[-1].strip() if said else "", "".join(printed))
