"""Workflow *Status*: what runs where, read from ARM; the endpoint itself is asked only when a replica already runs."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.core.workspace import Target, Workspace, target_of
from sidecar.decisions.serving import (
    Address,
    address_of,
    crash_text,
    crashed,
    elsewhere_note,
    is_ours,
    serving_revision,
)
from sidecar.gateway import apps
from sidecar.gateway.endpoint import Endpoint, Readiness, Refused, Version
from sidecar.gateway.place import AppPlace, GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import EndpointError, NotFound, WorkspaceError
from sidecar.words.names import Phase, State
from sidecar.words.text import Text, verbatim
from sidecar.workflows.deploy import api_key_of, outcome_notes

FAILURES: frozenset[State] = frozenset({"missing", "failed"})
"""The states that are failures: `status` in a terminal then exits with 1, and so it does when an adapter is refused."""


@dataclass(frozen=True)
class ReplicaStatus:
    name: str
    state: str
    phase: Phase | None


@dataclass(frozen=True)
class Status:
    """`base`, `adapters` and `refused` are known while it is ready; `notes` are what a person should know beside the state."""

    state: State
    phase: Phase | None = None
    revision: str | None = None
    replicas: tuple[ReplicaStatus, ...] = ()
    endpoint: str | None = None
    url: str | None = None
    app: str | None = None
    reason: Text | None = None
    base: str | None = None
    adapters: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    notes: tuple[Text, ...] = ()

    @property
    def is_failure(self) -> bool:
        return self.state in FAILURES or bool(self.refused)


@dataclass(frozen=True)
class Link:
    """`note`: why the address is not the one that the workspace names."""

    url: str
    login_url: str | None
    note: Text | None


NOT_PROVISIONED = Status("not-provisioned")


def place_of(session: Session, target: Target) -> AppPlace:
    return GroupPlace(session, target.subscription_id, target.resource_group).app(target.app)


def status(workspace: Workspace, session: Session) -> Status:
    """One look. With zero replicas nothing is sent to the endpoint: looking never wakes a GPU."""
    target = target_of(workspace)
    place = place_of(session, target)
    try:
        app = apps.app(place)
    except NotFound as error:
        return Status("missing", endpoint=target.endpoint, app=target.app, reason=error.message)
    revisions = apps.revisions(place)
    revision = serving_revision(app, revisions)
    replicas = apps.replicas(place, revision)
    try:
        address = address_of(target.endpoint, session.profile.scheme, app, revisions, revision)
    except EndpointError as error:
        return Status("unverified", None, revision, endpoint=target.endpoint, app=target.app, reason=error.message)
    notes = noted(address, app)
    if not replicas:
        return Status(
            "asleep", revision=revision, endpoint=target.endpoint, url=address.url, app=target.app, notes=tuple(notes)
        )
    version: Version | None = None
    with Endpoint(address.url, api_key_of(place, app)) as endpoint:
        phase = endpoint.phase()
        if phase.ready and is_ours(app):
            version = endpoint.version()
    dead = crashed(replicas)
    state = state_of(is_ours(app), phase, crashing=dead is not None)
    problem = next((each.details for each in replicas if each.details), None)
    reason = phase.detail if phase.phase == "failed" else problem
    return Status(
        state=state,
        phase=phase.phase,
        revision=revision,
        replicas=tuple(
            ReplicaStatus(each.name, each.state, phase.phase if len(replicas) == 1 else None) for each in replicas
        ),
        endpoint=target.endpoint,
        url=address.url,
        app=target.app,
        reason=crash_text(dead)
        if dead is not None and state == "failed"
        else None
        if reason is None
        else verbatim(reason),
        base=None if version is None else version.base,
        adapters=() if version is None else version.adapters,
        refused=() if version is None else version.refused or (),
        notes=(*outcome_notes(version), *notes),
    )


def state_of(ours: bool, found: Readiness, *, crashing: bool) -> State:
    """What an endpoint with a replica is."""
    if found.ready and ours:
        return "ready"
    if found.phase == "failed" or crashing:
        return "failed"
    if not ours:
        return "unverified"
    return "waiting-for-first-deploy" if found.phase == "waiting-for-first-deploy" else "starting"


def noted(address: Address, app: apps.App) -> list[Text]:
    """What is to be said of the address that the workspace's file names, if it is not where the app is asked. Nothing is sent
    there: it may lead to an app that sleeps, and looking never wakes a GPU."""
    note = elsewhere_note(address, app, None, asked=False)
    return [] if note is None else [note]


def link(workspace: Workspace, session: Session) -> Link:
    """The app's own address, and a single-use link that logs a browser in where a replica runs to make one."""
    target = target_of(workspace)
    place = place_of(session, target)
    app = apps.app(place)
    revisions = apps.revisions(place)
    revision = serving_revision(app, revisions)
    address = address_of(target.endpoint, session.profile.scheme, app, revisions, revision)
    replicas = apps.replicas(place, revision)
    note = next(iter(noted(address, app)), None)
    key = api_key_of(place, app)
    if key is None or not replicas:
        return Link(address.url, None, note)
    with Endpoint(address.url, key) as endpoint:
        path = endpoint.login_path()
    return Link(address.url, None if path is None else address.url + path, note)


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
