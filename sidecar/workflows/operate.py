"""Workflows *Start* and *Stop*: an app is stopped as a whole, so that nothing wakes it, and started again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.gateway import apps, whole_app
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import CloudError
from sidecar.words.text import Text
from sidecar.workflows.bearing import borne
from sidecar.workflows.context import place_of
from sidecar.workflows.watch import running_replicas

GONE_SECONDS = 300
"""For the replicas of a stopped app to end: their drain and grace, and a margin."""

STATE_SECONDS = 120
"""For the app's own word to follow a start or a stop that Azure called done."""


@dataclass(frozen=True)
class Switched:
    """`changed`: False where it was so already. `awake`: replicas that run now, each of which is billed."""

    app: str
    running: Literal["started", "stopped"]
    changed: bool
    awake: int
    sentence: Text


def stop(workspace: Workspace, session: Session, journal: Journal) -> Switched:
    """No replica is left, and no request brings one."""
    place = place_of(session, target_of(workspace))
    app = apps.app(place)
    if not app.stopped:
        text = Text("Stopping {app}: requests are answered with 404 from now on…", app=app.name)
        journal.step("stop", text, increment=30)
        whole_app.stop(place)
    _until_told(place, "Stopped", journal)
    _until_gone(place, journal)
    journal.done()
    return Switched(
        app.name,
        "stopped",
        not app.stopped,
        0,
        Text("{app} is stopped: no GPU is awake, none is billed, and a request does not wake it.", app=app.name),
    )


def start(workspace: Workspace, session: Session, journal: Journal) -> Switched:
    """The app can be woken again. Nothing is asked of it: a model takes minutes to load, and the first request wakes it."""
    place = place_of(session, target_of(workspace))
    app = apps.app(place)
    changed = start_stopped(place, app, journal)
    awake = len(running_replicas(place))
    journal.done()
    sentence = (
        Text("{app} is started. Replicas awake or starting, and billed: {awake}.", app=app.name, awake=awake)
        if awake
        else Text("{app} is started and asleep: no GPU is awake; the first request wakes it.", app=app.name)
    )
    return Switched(app.name, "started", changed, awake, sentence)


def start_stopped(place: AppPlace, app: apps.App, journal: Journal) -> bool:
    """Starts an app that was stopped; whether it was."""
    if not app.stopped:
        return False
    journal.step("start-app", Text("{app} is stopped: starting it…", app=app.name), increment=10)
    whole_app.start(place)
    _until_told(place, "Running", journal)
    return True


def _until_told(place: AppPlace, wanted: Literal["Running", "Stopped"], journal: Journal) -> None:
    """Azure has more words than these two (Progressing, Suspended, Ready): only whether the app is stopped is compared."""
    session = place.around.session
    deadline = session.patience.deadline(STATE_SECONDS)
    while borne(journal, session.patience, session.poll_seconds, lambda: apps.app(place)).stopped != (
        wanted == "Stopped"
    ):
        if time.monotonic() > deadline:
            raise CloudError(
                Text("Azure took the change, but {app} is still not {state}.", app=place.name, state=wanted),
                Text("Look at the app in the portal, then run the command again."),
                code="StillInProgress",
            )
        journal.wait(session.poll_seconds)


def _until_gone(place: AppPlace, journal: Journal) -> None:
    session = place.around.session
    deadline = session.patience.deadline(GONE_SECONDS)
    while running := borne(journal, session.patience, session.poll_seconds, lambda: running_replicas(place)):
        if time.monotonic() > deadline:
            raise CloudError(
                Text(
                    "{app} is stopped, but {count} of its replicas have not ended within {minutes} minutes.",
                    app=place.name,
                    count=len(running),
                    minutes=GONE_SECONDS // 60,
                ),
                Text("They may be billed still. Look at the app in the portal."),
                code="ReplicasNotGone",
            )
        journal.progress(Text("Waiting for replicas to end: {count}…", count=len(running)))
        journal.wait(session.poll_seconds)
