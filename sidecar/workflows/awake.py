"""Whether an app is awake, and its way there once somebody wants it to be: what starts is waited for, what sleeps is woken."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.decisions.serving import address_of, serving_revision
from sidecar.gateway import apps, revisions
from sidecar.gateway.endpoint import Knock
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.diagnose import Diagnosis
from sidecar.workflows.restart import Patience
from sidecar.workflows.watch import replicas_of

READY_SECONDS = Patience().whole
"""For a replica that starts: its GPU is billed meanwhile, and what has not begun to answer by then does not."""

LOST_SECONDS = Patience().lost
"""For which answers may be lost: a lid is closed, a network changes, and the app goes on."""


@dataclass(frozen=True)
class Seen:
    app: apps.App
    url: str
    running: bool
    ready: bool


def look(place: AppPlace, endpoint: str) -> Seen:
    """`endpoint`: as the workspace names it. Nothing is sent there."""
    app = apps.app(place)
    if app.stopped:
        return Seen(app, "", running=False, ready=False)
    found = revisions.revisions(place)
    revision = serving_revision(app, found)
    address = address_of(endpoint, place.around.session.profile.scheme, app, found, revision.name)
    running = replicas_of(place, revision.name)
    return Seen(app, address.url, bool(running), any(each.ready for each in running))


def until_ready(
    place: AppPlace, endpoint: str, bearing: Bearing, journal: Journal, *, seen: Seen, seconds: float
) -> Seen | None:
    """Once a replica is ready, or the app is stopped; None where that takes too long. A replica that starts keeps itself awake
    only while a request waits for it."""
    deadline = time.monotonic() + seconds
    knock = Knock(seen.url)
    try:
        knock.begin()
        while time.monotonic() < deadline:
            now_seen = bearing.ask(lambda: look(place, endpoint))
            if now_seen is not None and (now_seen.ready or now_seen.app.stopped):
                return now_seen
            if now_seen is not None:
                journal.progress(Text("Waiting until {app} is awake…", app=place.name))
            journal.wait(place.around.session.poll_seconds)
        return None
    finally:
        knock.end()


def not_ready(message: Text, found: Diagnosis) -> EndpointError:
    """`message`, which names the cause, with what helps against that."""
    advice = Text("AI Toolkit: Why is it not ready? tells more; stop the app to pay for nothing meanwhile.")
    return EndpointError(
        message,
        advice if found.cause is None else found.cause.advice,
        code="NotReady" if found.cause is None else found.cause.code,
        detail=None if found.cause is None else found.cause.detail,
    )
