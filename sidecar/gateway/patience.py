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

LONGEST_RETRY_AFTER = 30
"""Seconds. Azure's Retry-After is obeyed up to this; the SDK knows no cap of its own."""

BUSY_SECONDS = 300
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0

LOST_SECONDS = 300
"""For so long what is under way is followed without an answer: a lid was closed, a network changed."""

LOOK_SECONDS = 2
"""Between two looks at a resource whose operation can't be followed."""

ENDED_BADLY = frozenset({"Failed", "Canceled", "UpgradeFailed"})
ENDED_WELL = frozenset({"Succeeded", ""})
"""What a resource's provisioning ends in; every other word means that it is under way, whichever Azure adds."""


@dataclass(frozen=True)
class Patience:
    """How long waits are heard of: `stop` ends them, `say` tells what they are for. `scale` multiplies their limits: tests have
    no hour."""

    stop: threading.Event = field(default_factory=threading.Event)
    say: Callable[[Text], None] = field(default=lambda _: None)
    scale: float = 1.0

    def deadline(self, seconds: float) -> float:
        """When a wait that begins now has lasted too long, by time.monotonic()."""
        return time.monotonic() + seconds * self.scale

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
    deadline = patience.deadline(BUSY_SECONDS)
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


@dataclass(frozen=True)
class Followed:
    """A long-running operation of the SDK, and what else tells how it ends. `state`: the word of the resource that it changes,
    None where it changes none.
    `lost`: whether an exception means that no answer came; `broken`: that the operation can't be followed any more, whatever
    becomes of it."""

    doing: Text
    poller: Any
    seconds: float
    state: Callable[[], str] | None
    lost: Callable[[Exception], bool]
    broken: Callable[[Exception], bool]


def await_operation(patience: Patience, followed: Followed) -> Any:
    """The result of a long-running operation. The SDK's own wait hears no cancel, and its end without a result looks like
    success. Where the operation can't be followed (its address is unknown, or answers nonsense), its resource is, and there is no
    result."""
    deadline = patience.deadline(followed.seconds)
    while not followed.poller.done():
        _in_time(followed, deadline)
        _pause(patience, followed.doing, 0.2)
    try:
        return followed.poller.result()
    except Exception as error:
        if followed.state is None or not followed.broken(error):
            raise
        patience.say(
            Text("{doing}: its operation can't be followed; looking at what it changes…", doing=followed.doing)
        )
        _await_resource(patience, followed, followed.state, deadline)
        return None


def _await_resource(patience: Patience, followed: Followed, read: Callable[[], str], deadline: float) -> None:
    while True:
        state = through_losses(patience, followed.doing, read, followed.lost)
        if state in ENDED_WELL:
            return
        if state in ENDED_BADLY:
            raise CloudError(
                Text("{doing} ended as {state}.", doing=followed.doing, state=state),
                Text("The portal's activity log says why. Correct the cause, then run the command again."),
                code=f"Operation{state}",
            )
        _in_time(followed, deadline)
        _pause(patience, followed.doing, LOOK_SECONDS)


def through_losses(patience: Patience, doing: Text, read: Callable[[], T], lost: Callable[[Exception], bool]) -> T:
    """What is read, asked for again while no answer comes: what was begun goes on meanwhile."""
    given_up = patience.deadline(LOST_SECONDS)
    while True:
        try:
            return read()
        except Exception as error:
            if not lost(error) or time.monotonic() > given_up:
                raise
        patience.say(Text("{doing}: no answer, asking again…", doing=doing))
        _pause(patience, doing, LOOK_SECONDS)


def _in_time(followed: Followed, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise CloudError(
            Text(
                "{doing} has not ended after {minutes} minutes.",
                doing=followed.doing,
                minutes=round(followed.seconds / 60),
            ),
            Text("It may still end: look in the portal, then run the command again."),
            code="OperationTimeout",
        )


def _pause(patience: Patience, doing: Text, seconds: float) -> None:
    try:
        patience.wait(seconds)
    except Cancelled as cancelled:
        raise Cancelled(
            Text("Cancelled. The cloud goes on with it: {doing}.", doing=doing), cancelled.suggestion
        ) from cancelled
