"""Workflow *Keep warm*: a light request inside each cooldown, for as long as somebody wants it; the app is not changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.gateway.endpoint import SHORT_SECONDS, Endpoint
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import Cancelled, EndpointError
from sidecar.words.text import Text
from sidecar.workflows.awake import LOST_SECONDS, READY_SECONDS, Seen, look, not_ready, until_ready
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.context import place_of
from sidecar.workflows.diagnose import why_not_ready
from sidecar.workflows.outcome import api_key_of
from sidecar.workflows.records import now
from sidecar.workflows.restart import minutes

SHARE = 0.6
"""Of the cooldown, between two requests: one that is lost leaves time for another look."""


@dataclass(frozen=True)
class Warmed:
    """Why it ended: `left`: the person did not want it any more."""

    app: str
    ended: Literal["left", "asleep", "stopped"]
    sentence: Text


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
    ready_seconds: float = READY_SECONDS,
) -> Warmed:
    """Until it is cancelled. `wake`: an app that sleeps at the beginning is woken; one that falls asleep later is left asleep.
    `ready_seconds`: for a replica that starts. Raises EndpointError with the cause where it never gets ready."""
    place = place_of(session, target_of(workspace))
    endpoint = target_of(workspace).endpoint
    name = place.name
    bearing = Bearing(journal, LOST_SECONDS)
    try:
        while True:
            seen = bearing.ask(lambda: look(place, endpoint))
            if seen is not None and not seen.app.stopped and not seen.ready and (seen.running or wake):
                seen = until_ready(place, endpoint, bearing, journal, seen=seen, seconds=ready_seconds)
                if seen is None:
                    raise _never_ready(workspace, session, name, ready_seconds)
            if seen is None:
                journal.wait(session.poll_seconds)
                continue
            if seen.app.stopped:
                return Warmed(name, "stopped", Text("{app} is stopped: it is not kept warm.", app=name))
            if not seen.running:
                text = Text("{app} is asleep: no GPU is awake, and it is not woken to be kept warm.", app=name)
                return Warmed(name, "asleep", text)
            wake = False
            seconds = pause(seen.app.cooldown)
            told = bearing.ask(lambda seen=seen, seconds=seconds: _ask(place, seen, seconds, journal))
            journal.wait(session.poll_seconds if told is None else seconds)
    except Cancelled:
        text = Text("{app} is no longer kept warm: it falls asleep when nobody asks it.", app=name)
        return Warmed(name, "left", text)


def _never_ready(workspace: Workspace, session: Session, name: str, seconds: float) -> EndpointError:
    """With the cause, where one can be read."""
    found = why_not_ready(workspace, session)
    told = {"app": name, "minutes": minutes(seconds), "cause": found.sentence}
    return not_ready(
        Text("{app} is not kept warm: it did not get ready within {minutes} minutes. {cause}", **told), found
    )


def _ask(place: AppPlace, seen: Seen, seconds: float, journal: Journal) -> Text:
    with Endpoint(seen.url, api_key_of(place, seen.app), SHORT_SECONDS) as asked:
        asked.phase()
    text = Text(
        "{app} is kept warm, its GPU is awake and billed: asked at {at}, again in {seconds} s.",
        app=place.name,
        at=now(),
        seconds=round(seconds),
    )
    journal.progress(text)
    journal.log(text)
    return text
