"""Workflow *Status*: what runs where, read from ARM; the endpoint itself is asked only when a replica already runs."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.deploy import api_key_of, is_ours, serving_revision
from sidecar.errors import NotFound, WorkspaceError
from sidecar.gateway import apps
from sidecar.gateway.endpoint import Endpoint
from sidecar.gateway.session import Session
from sidecar.text import Text, verbatim
from sidecar.workspace import Target, Workspace, target_of


@dataclass(frozen=True)
class ReplicaStatus:
    name: str
    state: str
    phase: str | None


@dataclass(frozen=True)
class Status:
    """`state`: not-provisioned, missing, asleep, starting, waiting-for-first-deploy, ready, failed or unverified."""

    state: str
    phase: str | None
    revision: str | None
    replicas: tuple[ReplicaStatus, ...]
    endpoint: str | None
    url: str | None
    app: str | None
    reason: Text | None


@dataclass(frozen=True)
class Link:
    url: str
    login_url: str | None


NOT_PROVISIONED = Status("not-provisioned", None, None, (), None, None, None, None)


def place_of(session: Session, target: Target) -> apps.AppPlace:
    return apps.AppPlace(session, target.subscription_id, target.resource_group, target.app)


def status(workspace: Workspace, session: Session) -> Status:
    """One look. With zero replicas nothing is sent to the endpoint: looking never wakes a GPU."""
    target = target_of(workspace)
    place, url = place_of(session, target), session.url(target.endpoint)
    try:
        app = apps.app(place)
    except NotFound as error:
        return Status("missing", None, None, (), target.endpoint, url, target.app, error.message)
    revision = serving_revision(app, apps.revisions(place))
    replicas = apps.replicas(place, revision)
    if not replicas:
        return Status("asleep", None, revision, (), target.endpoint, url, target.app, None)
    with Endpoint(url, api_key_of(place, app)) as endpoint:
        phase = endpoint.phase()
    if not is_ours(app):
        state = "unverified"
    elif phase.ready:
        state = "ready"
    elif phase.phase in ("failed", "waiting-for-first-deploy"):
        state = phase.phase
    else:
        state = "starting"
    problem = next((each.details for each in replicas if each.details), None)
    reason = phase.detail if phase.phase == "failed" else problem
    return Status(
        state,
        phase.phase,
        revision,
        tuple(ReplicaStatus(each.name, each.state, phase.phase if len(replicas) == 1 else None) for each in replicas),
        target.endpoint,
        url,
        target.app,
        None if reason is None else verbatim(reason),
    )


def link(workspace: Workspace, session: Session) -> Link:
    """The endpoint's address, and a single-use link that logs a browser in where a replica runs to make one."""
    target = target_of(workspace)
    place, url = place_of(session, target), session.url(target.endpoint)
    app = apps.app(place)
    revision = serving_revision(app, apps.revisions(place))
    key = api_key_of(place, app)
    if key is None or not apps.replicas(place, revision):
        return Link(url, None)
    with Endpoint(url, key) as endpoint:
        path = endpoint.login_path()
    return Link(url, None if path is None else url + path)


def api_key(workspace: Workspace, session: Session) -> str:
    """The key that callers present, from the app's secret."""
    target = target_of(workspace)
    place = place_of(session, target)
    key = api_key_of(place, apps.app(place))
    if key is None:
        raise WorkspaceError(
            Text("The container app {name} has no API key.", name=target.app),
            Text(
                "It was not made by Slipway; give it a secret and the variable SLIPWAY_API_KEY, or provision a new app."
            ),
            code="NoApiKey",
        )
    return key
