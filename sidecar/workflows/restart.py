"""Begins a restart in the way that was decided: beside the running replica, after it, or by a request that wakes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import NoReturn, TypeVar

from sidecar.core.journal import Journal
from sidecar.decisions.restart import Plan, downtime
from sidecar.decisions.spending import LEAST
from sidecar.gateway import apps, revisions
from sidecar.gateway.endpoint import SHORT_SECONDS, Endpoint, Version
from sidecar.gateway.place import AppPlace
from sidecar.gateway.revisions import Replica, Revision
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.watch import replicas_of

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """Seconds. `whole`: the template's probe budget (20 minutes) and a margin: nothing is waited for without an end."""

    poll: float = 1.0
    whole: float = 1800
    restart: float = 120
    """After this, a restart that brought no new replica is asked for once more, and after as long again it has failed."""
    release: float = 240
    """For an old replica to end and give its GPU back: its drain and grace, and a margin."""
    assign: float = 600
    """For the GPU that the old replica gave back to come to the new one."""
    wake: float = 5
    """A revision that was activated gets its first replica by itself or, after this, by a request."""
    again: float = 90
    """For a container that has ended to be started again by Azure: its first pauses are 10 and 20 s, and a mount may show what
    was current before for half a minute."""
    lag: float = 30
    """For a mount to show what others have written."""
    lost: float = 600
    """For which answers may be lost: what was begun goes on without us."""
    unanswered: float = LEAST
    """A start is told what it costs after this at the earliest, and after twice what the last one took."""
    stops: bool = False
    """Whether an app whose GPU is awake for that long without an answer is stopped."""
    settle: float = 5
    """A cause that Azure's own next try may mend has to stay, or to come back, after this."""
    drain: float = 300
    """For an old revision to answer what it was asked before; a stream may last as long as the ingress lets it."""
    keep: float = 30
    """For how long an old revision is kept at least once another serves: the way back is then a matter of weights."""
    shares: tuple[int, ...] = (100,)
    """In percent: which part of the requests goes to a new revision, step by step, once it has been checked."""


@dataclass(frozen=True)
class Aim:
    """What is to run where. `url`: the revision's own address. `release`: None where the server names none."""

    place: AppPlace
    app: apps.App
    revision: Revision
    url: str
    key: str | None
    release: str | None
    ours: bool
    usual: float | None = None
    """Seconds that the last start took, as far as anybody has seen one."""


def begin(aim: Aim, plan: Plan, running: list[Replica], journal: Journal, patience: Patience) -> None:
    name = aim.revision.name
    if plan.way == "wake":
        journal.step("wake", Text("No replica is running: waking {app} by a request…", app=aim.app.name), increment=10)
    elif plan.way == "new":
        journal.step("start", Text("Starting {revision}…", revision=name), increment=10, revision=name)
    elif plan.way == "rolling":
        journal.step("restart", Text("Restarting {revision}…", revision=name), increment=10, revision=name)
        revisions.restart(aim.place, name)
    else:
        _old_first(aim, plan, running, journal, patience)


def _old_first(aim: Aim, plan: Plan, running: list[Replica], journal: Journal, patience: Patience) -> None:
    """The replica that runs ends before the new one begins. Whatever happens in between, the revision is active afterwards."""
    name = aim.revision.name
    if plan.reason is not None:
        journal.log(plan.reason)
    journal.log(_announcement(aim, running, journal), "warning")
    journal.step("release", Text("Ending the replica of {revision}…", revision=name), increment=10, revision=name)
    with journal.guard():
        try:
            revisions.deactivate(aim.place, name)
            gone = _until_gone(aim, journal, patience.release)
        finally:
            revisions.activate(aim.place, name)
    if not gone:
        raise EndpointError(
            Text(
                "The old replica of {revision} has not ended within {minutes} minutes: its GPU is not free.",
                revision=name,
                minutes=minutes(patience.release),
            ),
            Text(
                "The revision has been activated again. Run Deploy again in some minutes, or ask for a quota of two GPUs."
            ),
            code="GpuNotReleased",
        )
    journal.log(Text("The old replica has ended; {revision} starts anew.", revision=name))


def _announcement(aim: Aim, running: list[Replica], journal: Journal) -> Text:
    """Said before it happens: for how long nobody gets an answer."""
    if not any(each.ready for each in running):
        return Text("The running replica ends before the new one starts. It answers nothing yet, so nobody is cut off.")
    seconds = expected_downtime(aim, running, journal)
    if seconds is None:
        return Text(
            "The running replica ends before the new one starts: until that answers, usually for several minutes, "
            "the endpoint does not."
        )
    return Text(
        "The running replica ends before the new one starts: the endpoint does not answer for about {seconds} s, "
        "as long as the last start took.",
        seconds=round(seconds),
    )


def expected_downtime(aim: Aim, running: list[Replica], journal: Journal) -> float | None:
    """As long as the replica that answers took to start; None where that can't be told."""
    version = answered(journal, lambda: version_of(aim)) if aim.ours else None
    told = next((each for each in running if version is not None and each.name == version.replica), None)
    if version is None or told is None or told.restarts > 0:
        return None  # a container that was started again in its replica says nothing of how long a replica takes
    return downtime(told.created, version.started, version.ready_after)


def _until_gone(aim: Aim, journal: Journal, seconds: float) -> bool:
    """Asked of ARM alone: a request to the endpoint could wake what is to end."""
    deadline = time.monotonic() + seconds
    bearing = Bearing(journal, seconds)
    while (running := bearing.ask(lambda: replicas_of(aim.place, aim.revision.name))) is None or running:
        if time.monotonic() > deadline:
            return False
        if running is not None:
            journal.progress(Text("Waiting for the old replica to end…"))
        journal.wait(1)
    return True


def answered(journal: Journal, ask: Callable[[], T], seconds: float = 2 * SHORT_SECONDS) -> T | None:
    """What a request brings, made on a thread of its own so that a cancel is heard meanwhile; None when it takes longer."""
    got: SimpleQueue[Callable[[], T]] = SimpleQueue()

    def run() -> None:
        try:
            result = ask()
        except Exception as error:  # noqa: BLE001  (raised again where it is waited for)
            got.put(_raiser(error))
        else:
            got.put(lambda: result)

    threading.Thread(target=run, name="ask", daemon=True).start()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return got.get(timeout=0.1)()
        except Empty:
            journal.check()
    return None


def _raiser(error: Exception) -> Callable[[], NoReturn]:
    def throw() -> NoReturn:
        raise error

    return throw


def version_of(aim: Aim) -> Version | None:
    with Endpoint(aim.url, aim.key, SHORT_SECONDS) as endpoint:
        return endpoint.version()


def minutes(seconds: float) -> str:
    return f"{seconds / 60:g}"
