"""The endpoint as code to copy: its address, and a call of the model that answers there."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.core.workspace import Workspace
from sidecar.decisions.snippets import Language, snippet
from sidecar.gateway.session import Session
from sidecar.words.errors import EndpointError
from sidecar.words.said import STATES
from sidecar.words.text import Text
from sidecar.workflows.observe import STOPPED, status


@dataclass(frozen=True)
class Snippet:
    """`model` None: no replica is awake to name one, and none is woken for it."""

    url: str
    model: str | None
    code: str


def copied(workspace: Workspace, session: Session, language: Language) -> Snippet:
    found = status(workspace, session)
    if found.url is None:
        raise EndpointError(
            Text("{app} has no address now: its state is {state}.", app=found.app or "?", state=STATES[found.state]),
            STOPPED if found.state == "stopped" else Text("Look at its status: what is missing has to be there first."),
            code="NoAddress",
        )
    model = found.adapters[0] if found.adapters else found.base
    return Snippet(found.url, model, snippet(language, found.url, model))
