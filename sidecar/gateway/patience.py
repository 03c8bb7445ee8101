"""Waiting for a cloud: heard by who cancels, told to who looks on, never without an end; what is busy is asked again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sidecar.words.errors import Cancelled, CloudError
from sidecar.words.text import Text

T = TypeVar("T")

BUSY_CODES = frozenset(
    {
        "ContainerAppOperationInProgress",
        "ContainerAppLockConflict",
        "ManagedEnvironmentOperationInProgress",
        "DeploymentActive",
    }
)
"""Another change is under way: the same request is taken when that one has ended."""

BUSY_STATUSES = frozenset({408, 429, 502})
"""Where the SDK repeats a GET or a PUT, but no POST and no PATCH."""

BUSY_SECONDS = 300
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0


@dataclass(frozen=True)
class Patience:
    """How long waits are heard of: `stop` ends them, `say` tells what they are for."""

    stop: threading.Event = field(default_factory=threading.Event)
    say: Callable[[Text], None] = field(default=lambda _: None)

    def wait(self, seconds: float) -> None:
        """Waits; raises Cancelled at once when the person cancels."""
        if self.stop.wait(seconds):
            raise Cancelled(
                Text("Cancelled. Nothing more is started."), Text("Run the command again to go on from here.")
            )


def again_while_busy(
    patience: Patience, doing: Text, call: Callable[[], T], busy_for: Callable[[Exception], str | None]
) -> T:
    """Calls until it is taken. `busy_for`: why an exception means "later", or None where it means "no".

    Pauses double, with jitter, so that two who wait for one another do not meet again; the last refusal is raised at the end."""
    deadline = time.monotonic() + BUSY_SECONDS
    pause = FIRST_PAUSE
    while True:
        try:
            return call()
        except Exception as error:
            reason = busy_for(error)
            if reason is None or time.monotonic() + pause > deadline:
                raise
            patience.say(Text("{doing}: busy ({reason}), asking again…", doing=doing, reason=reason))
        patience.wait(pause * random.uniform(0.7, 1.3))  # noqa: S311  (jitter, not a secret)
        pause = min(pause * 2, LONGEST_PAUSE)


def await_operation(patience: Patience, doing: Text, poller: Any, seconds: float) -> Any:
    """The result of a long-running operation of the SDK. The SDK's own wait hears no cancel, and its end without a result
    looks like success."""
    deadline = time.monotonic() + seconds
    while not poller.done():
        if time.monotonic() > deadline:
            raise CloudError(
                Text("{doing} has not ended after {minutes} minutes.", doing=doing, minutes=round(seconds / 60)),
                Text("It may still end: look in the portal, then run the command again."),
                code="OperationTimeout",
            )
        try:
            patience.wait(0.2)
        except Cancelled as cancelled:
            raise Cancelled(
                Text("Cancelled. The cloud goes on with it: {doing}.", doing=doing), cancelled.suggestion
            ) from cancelled
    return poller.result()
