"""Workflow *Chat*: which models answer at the endpoint, and one answer of one of them. What sleeps is woken with a yes only."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.gateway import apps
from sidecar.gateway.answering import Ended, Hear, Question, answer
from sidecar.gateway.endpoint import SECONDS, Endpoint, ModelEntry
from sidecar.gateway.session import Session
from sidecar.words.errors import ConsentNeeded, EndpointError
from sidecar.words.names import State
from sidecar.words.text import Text
from sidecar.workflows.awake import LOST_SECONDS, READY_SECONDS, Seen, look, not_ready, until_ready
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.context import place_of
from sidecar.workflows.diagnose import why_not_ready
from sidecar.workflows.observe import STOPPED, status
from sidecar.workflows.outcome import api_key_of
from sidecar.workflows.restart import minutes

WAKE = "wake"
"""The consent to an app's being woken."""

ANSWERING: frozenset[State] = frozenset({"ready", "unverified"})


@dataclass(frozen=True)
class Models:
    """`models`: empty where nothing is awake to name one. `sentence`: why, where more is known than the state says."""

    state: State
    app: str | None
    url: str | None
    release: str | None
    models: tuple[ModelEntry, ...]
    sentence: Text | None
    cooldown: int


def models(workspace: Workspace, session: Session, journal: Journal, *, wake: bool) -> Models:
    """What the server itself lists. `wake`: an app that sleeps is woken, one that starts is waited for."""
    found = status(workspace, session)
    if wake and found.state in ("asleep", "starting"):
        _awake(workspace, session, journal, wake=True)
        found = status(workspace, session)
    listed: tuple[ModelEntry, ...] = ()
    if found.state in ANSWERING and found.url is not None:
        place = place_of(session, target_of(workspace))
        with Endpoint(found.url, api_key_of(place, apps.app(place)), SECONDS) as endpoint:
            listed = endpoint.described_models()
    return Models(found.state, found.app, found.url, found.release, listed, found.reason, found.cooldown)


def chat(
    workspace: Workspace,
    session: Session,
    question: Question,
    hear: Hear,
    journal: Journal,
    stop: threading.Event,
    *,
    wake: bool,
) -> Ended:
    """One answer. Raises ConsentNeeded where it would wake the app and nobody has agreed to that."""
    place = place_of(session, target_of(workspace))
    seen = _awake(workspace, session, journal, wake=wake)
    return answer(seen.url, api_key_of(place, seen.app), question, hear, stop)


def _awake(workspace: Workspace, session: Session, journal: Journal, *, wake: bool) -> Seen:
    """The app once a replica is ready."""
    target = target_of(workspace)
    place = place_of(session, target)
    seen = look(place, target.endpoint)
    if not seen.app.stopped and not seen.running and not wake:
        raise ConsentNeeded(
            WAKE,
            Text("{app} is asleep: no GPU is awake. An answer wakes it, which takes minutes.", app=place.name),
            Text(
                "Its GPU is billed from then on, until {seconds} s after the last request.", seconds=seen.app.cooldown
            ),
        )
    if not seen.app.stopped and not seen.ready:
        bearing = Bearing(journal, LOST_SECONDS)
        waited = until_ready(place, target.endpoint, bearing, journal, seen=seen, seconds=READY_SECONDS)
        if waited is None:
            found = why_not_ready(workspace, session)
            told = {"app": place.name, "minutes": minutes(READY_SECONDS), "cause": found.sentence}
            raise not_ready(Text("{app} did not get ready within {minutes} minutes. {cause}", **told), found)
        seen = waited
    if seen.app.stopped:
        raise EndpointError(Text("{app} is stopped.", app=place.name), STOPPED, code="Stopped")
    return seen
