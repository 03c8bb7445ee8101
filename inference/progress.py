"""The lines of the start that are meant to be read: how far it has come, and why it failed. Their form is fixed.

Until a replica is ready nobody can ask it anything: the ingress holds every request. Its console log can be followed all the
while, so what a person waits for is written there, one line each, never with a prompt, an answer or the key in it:

    slipway: phase loading-base 42%
    slipway: failed: no base model under /mount/model-cache
"""

import sys
import threading
import time
from collections.abc import Callable

STEP = 5  # percent, and
PAUSE = 2.0  # seconds: what comes sooner and is less is not worth a line
LONGEST = 1000


class Progress:
    """Writes what is new; the same again, or a little more, is left out."""

    def __init__(self, write: Callable[[str], object] | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._write = write or to_console
        self._now = now
        self._lock = threading.Lock()
        self._said: tuple[str, int | None, float] = ("", None, 0.0)

    def phase(self, phase: str, share: float | None) -> None:
        """`share` from 0 to 1, where it is known."""
        percent = None if share is None else round(100 * min(max(share, 0.0), 1.0))
        with self._lock:
            before, shown, at = self._said
            if phase == before and not self._worth_it(shown, percent, self._now() - at):
                return
            self._said = (phase, percent, self._now())
        self._write(f"slipway: phase {phase}" + ("" if percent is None else f" {percent}%"))

    def failed(self, reason: str) -> None:
        with self._lock:
            if self._said[0] == "failed":
                return
            self._said = ("failed", None, self._now())
        self._write(f"slipway: failed: {' '.join(reason.split())[:LONGEST]}")

    @staticmethod
    def _worth_it(shown: int | None, percent: int | None, waited: float) -> bool:
        if percent is None or shown is None:
            return percent != shown
        return percent - shown >= STEP or (percent > shown and waited >= PAUSE)


def to_console(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
