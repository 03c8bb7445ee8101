"""Waits that bear lost answers: what was begun goes on meanwhile, and is looked at again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sidecar.core.journal import Journal
from sidecar.gateway.patience import LOST_SECONDS, Patience
from sidecar.words.errors import CloudError, NotAuthorized, NotFound, NotSignedIn
from sidecar.words.text import Text

T = TypeVar("T")


class Bearing:
    """Bears answers that are lost while something is waited for: a lid was closed, a network changed. Azure goes on meanwhile."""

    def __init__(self, journal: Journal, seconds: float) -> None:
        self._journal = journal
        self._seconds = seconds
        self._lost_at: float | None = None

    def ask(self, look: Callable[[], T]) -> T | None:
        """What a look brings; None where it is not answered. Raises once that has lasted too long, and what no waiting mends."""
        try:
            found = look()
        except (NotSignedIn, NotAuthorized, NotFound):
            raise
        except CloudError as error:
            now = time.monotonic()
            told = Text("No answer ({problem}); still waiting…", problem=error.code)
            if self._lost_at is None:
                self._lost_at = now
                self._journal.log(told, "warning")  # a log has no line of progress, and must not fall silent
            if now - self._lost_at > self._seconds:
                raise
            self._journal.progress(told)
            return None
        self._lost_at = None
        return found


def borne(journal: Journal, patience: Patience, pause: float, look: Callable[[], T]) -> T:
    """What a look brings, taken again every `pause` seconds while it is not answered, for some minutes."""
    bearing = Bearing(journal, LOST_SECONDS * patience.scale)
    while (found := bearing.ask(lambda: (look(),))) is None:
        journal.wait(pause)
    return found[0]
