"""Where a change of the API key stands, from the app's secrets and what its server says, and what is to be done next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KEY = "SLIPWAY_API_KEY"
PREVIOUS = "SLIPWAY_API_KEY_PREVIOUS"
PREVIOUS_SECRET = "api-key-previous"  # noqa: S105  (a name)

Step = Literal["write", "restart", "wait", "nothing"]
"""`wait`: what a run that was cut off has begun is brought to its end first; then it is looked at again."""


@dataclass(frozen=True)
class Standing:
    """`current`, `previous`: the app's secrets; equal, or no previous: nobody is between two keys. `accepted`: how many keys
    the server that runs takes; None: nothing runs, or it does not tell. `settled`: False while what is to run does not, though
    it should: it was ended and not begun again, it still starts, or an older revision has its place."""

    current: str
    previous: str
    accepted: int | None
    settled: bool = True

    @property
    def between(self) -> bool:
        return bool(self.previous) and self.previous != self.current


def to_begin(standing: Standing) -> Step:
    """A new key is made only by who is not between two: another one would drop the key that callers still have."""
    if not standing.between:
        return "write"
    if not standing.settled:
        return "wait"
    return "restart" if standing.accepted == 1 else "nothing"


def to_finish(standing: Standing) -> Step:
    if standing.between:
        return "write"
    if standing.previous and not standing.settled:
        return "wait"
    return "restart" if standing.accepted is not None and standing.accepted > 1 else "nothing"
