"""Workflow *Keep warm*: a light request inside each cooldown, for as long as somebody wants it; the app is not changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.decisions.serving import address_of, serving_revision
from sidecar.gateway import apps, revisions
from sidecar.gateway.endpoint import SHORT_SECONDS, Endpoint, Knock
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import Cancelled
from sidecar.words.text import Text
from sidecar.workflows.operate import place_of
from sidecar.workflows.outcome import api_key_of
from sidecar.workflows.records import now
from sidecar.workflows.watch import replicas_of

SHARE = 0.6
"""Of the cooldown, between two requests: one that is lost leaves time for another look."""

STARTING_PAUSE = 5.0


@dataclass(frozen=True)
class Warmed:
    """Why it ended: `left`: the person did not want it any more."""

    app: str
    ended: Literal["left", "asleep", "stopped"]
    sentence: Text


@dataclass(frozen=True)
class _Seen:
    url: str
    running: bool
    ready: bool


def pause_of(cooldown: int) -> float:
    """Seconds between two requests."""
    return max(1.0, SHARE * cooldown)


def keep_warm(
    workspace: Workspace,
    session: Session,
    journal: Journal,
    *,
    wake: bool,
    pause: Callable[[int], float] = pause_of,
) -> Warmed:
    """Until it is cancelled. `wake`: an app that sleeps at the beginning is woken; one that falls asleep later is left asleep."""
    place = place_of(workspace, session)
    endpoint = target_of(workspace).endpoint
    name = place.name
    try:
        while True:
            app = apps.app(place)
            if app.stopped:
                return Warmed(name, "stopped", Text("{app} is stopped: it is not kept warm.", app=name))
            seen = _look(place, app, endpoint)
            if not seen.running and not wake:
                text = Text("{app} is asleep: no GPU is awake, and it is not woken to be kept warm.", app=name)
                return Warmed(name, "asleep", text)
            if not seen.ready:
                _until_ready(place, app, endpoint, journal, seen=seen)
            wake = False
            _ask(place, app, seen.url, pause(app.cooldown), journal)
            journal.wait(pause(app.cooldown))
    except Cancelled:
        text = Text("{app} is no longer kept warm: it falls asleep when nobody asks it.", app=name)
        return Warmed(name, "left", text)


def _look(place: AppPlace, app: apps.App, endpoint: str) -> _Seen:
    found = revisions.revisions(place)
    revision = serving_revision(app, found)
    address = address_of(endpoint, place.around.session.profile.scheme, app, found, revision.name)
    running = replicas_of(place, revision.name)
    return _Seen(address.url, bool(running), any(each.ready for each in running))


def _until_ready(place: AppPlace, app: apps.App, endpoint: str, journal: Journal, *, seen: _Seen) -> None:
    """A replica that starts keeps itself awake only while a request waits for it."""
    knock = Knock(seen.url)
    try:
        knock.begin()
        while not _look(place, app, endpoint).ready:
            journal.progress(Text("Waiting until {app} is awake…", app=app.name))
            journal.wait(STARTING_PAUSE)
    finally:
        knock.end()


def _ask(place: AppPlace, app: apps.App, url: str, seconds: float, journal: Journal) -> None:
    with Endpoint(url, api_key_of(place, app), SHORT_SECONDS) as asked:
        asked.phase()
    text = Text(
        "{app} is kept warm, its GPU is awake and billed: asked at {at}, again in {seconds} s.",
        app=app.name,
        at=now(),
        seconds=round(seconds),
    )
    journal.progress(text)
    journal.log(text)
