"""Workflow *Status*: what runs where, read from ARM and the logs; the endpoint itself is asked only when a replica is ready."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sidecar.core.workspace import Workspace, target_of
from sidecar.decisions.beside import idle_beside
from sidecar.decisions.diagnosis import Cause, Seen, Working, diagnose
from sidecar.decisions.serving import Address, address_of, elsewhere_note, is_ours, serving_revision
from sidecar.gateway import apps, revisions
from sidecar.gateway.endpoint import SHORT_SECONDS, Endpoint, Readiness, Refused, RunsOn, Version
from sidecar.gateway.log_lines import console_line, system_event
from sidecar.gateway.logs import last_lines
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import EndpointError, NotFound, SlipwayError, WorkspaceError
from sidecar.words.names import Phase, State
from sidecar.words.text import Text
from sidecar.workflows.context import place_of
from sidecar.workflows.cost_now import cost_of
from sidecar.workflows.outcome import api_key_of, outcome_notes
from sidecar.workflows.recorded import Recorded, recorded
from sidecar.workflows.spending import spent_note, unused_note

LOG_SECONDS = 4
"""For a look at the end of a log: a look is short, and tells what it could read."""

CONSOLE_LINES = 100
EVENT_LINES = 100

FAILURES: frozenset[State] = frozenset({"missing", "failed"})
"""The states that are failures: `status` in a terminal then exits with 1, and so it does when an adapter is refused."""


@dataclass(frozen=True)
class ReplicaStatus:
    name: str
    state: str
    phase: Phase | None


@dataclass(frozen=True)
class RevisionStatus:
    """An active revision in Azure's words. `serves`: it is the one that answers."""

    name: str
    state: str
    health: str
    replicas: int
    serves: bool


@dataclass(frozen=True)
class Status:
    """From `base` to `refused`, and `hashes` and `runs_on`, it is known while it is ready; release and generation also where
    there is no replica: of the one that would start. `notes` are what a person should know beside the state. `cooldown`: seconds
    after which a replica that nobody asks ends."""

    state: State
    phase: Phase | None = None
    revision: str | None = None
    replicas: tuple[ReplicaStatus, ...] = ()
    endpoint: str | None = None
    url: str | None = None
    app: str | None = None
    reason: Text | None = None
    release: str | None = None
    generation: int | None = None
    base: str | None = None
    adapters: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    notes: tuple[Text, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict[str, str])
    runs_on: RunsOn | None = None
    revisions: tuple[RevisionStatus, ...] = ()
    cooldown: int = apps.DEFAULT_COOLDOWN
    cost: tuple[Text, ...] = ()
    """What it costs now, and has cost, as far as that is known."""

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

STOPPED = Text("No request wakes it. AI Toolkit: Start inference app and AI Toolkit: Deploy for inference start it.")


def status(workspace: Workspace, session: Session) -> Status:
    """One look. The endpoint is asked only where a replica is ready: a request to one that sleeps would wake it, and to one
    that starts would be held, and keep its GPU."""
    target = target_of(workspace)
    place = place_of(session, target)
    try:
        app = apps.app(place)
    except NotFound as error:
        return Status("missing", endpoint=target.endpoint, app=target.app, reason=error.message)
    found = revisions.revisions(place)
    if app.stopped:
        notes = tuple(unused_note(place, app, time.time()))
        stopped = Status(
            "stopped",
            endpoint=target.endpoint,
            app=target.app,
            reason=STOPPED,
            notes=notes,
            cost=cost_of(place, app, ()),
        )
        return would_start(stopped, recorded(place, app, target))
    try:
        revision = serving_revision(app, found)
    except EndpointError as error:
        return Status("failed", endpoint=target.endpoint, app=target.app, reason=error.message)
    running = revisions.replicas(place, revision.name)
    where = Status(
        "asleep",
        revision=revision.name,
        endpoint=target.endpoint,
        app=target.app,
        revisions=revision_lines(found, revision.name),
        cooldown=app.cooldown,
        cost=cost_of(place, app, running),
    )
    try:
        address = address_of(target.endpoint, session.profile.scheme, app, found, revision.name)
    except EndpointError as error:
        return replace(where, state="unverified", reason=error.message)
    notes = (
        *newest_failed(app, found, revision),
        *beside(app, found, revision),
        *last_write(app),
        *noted(address, app),
    )
    where = replace(where, url=address.url, notes=notes)
    if not running:
        where = replace(where, notes=(*where.notes, *unused_note(place, app, time.time())))
        return would_start(where, recorded(place, app, target))
    if not any(each.ready for each in running):
        return seen_inside(where, place, app, revision, running)
    found = asked(where, address, api_key_of(place, app), running, ours=is_ours(app))
    if found.state == "starting" and found.phase is None:
        # A replica counts as ready, and our server does not answer: the app's port may have been changed under it.
        return seen_inside(where, place, app, revision, running)
    return found


def would_start(where: Status, known: Recorded) -> Status:
    notes = (*where.notes, *(each for each in (known.doubt, known.problem) if each is not None))
    return replace(where, release=known.release, generation=known.generation, notes=notes)


def asked(where: Status, address: Address, key: str | None, running: list[revisions.Replica], *, ours: bool) -> Status:
    """What the endpoint itself says; a replica of it is ready."""
    version: Version | None = None
    with Endpoint(address.url, key, SHORT_SECONDS) as endpoint:
        phase = endpoint.phase()
        if phase.ready and ours:
            version = endpoint.version()
    return replace(
        where,
        state=state_of(ours, phase),
        phase=phase.phase,
        replicas=replica_lines(running, phase.phase),
        reason=Text("The server has failed: {detail}", detail=phase.detail or "?") if phase.phase == "failed" else None,
        release=None if version is None else version.release,
        generation=None if version is None else version.generation,
        base=None if version is None else version.base,
        adapters=() if version is None else version.adapters,
        refused=() if version is None else version.refused or (),
        hashes={} if version is None else version.hashes,
        runs_on=None if version is None else version.runs_on,
        notes=(*outcome_notes(version), *where.notes),
    )


def seen_inside(
    where: Status, place: AppPlace, app: apps.App, revision: revisions.Revision, running: list[revisions.Replica]
) -> Status:
    """What ARM and the ends of the logs say of replicas that are not ready. Nothing is sent to the endpoint."""
    notes = list(where.notes)

    def lines_of(url: str | None, most: int) -> list[str]:
        try:
            return [] if url is None else last_lines(place, url, most, LOG_SECONDS)
        except SlipwayError as error:
            notes.append(Text("The log can't be read: {problem}", problem=error.message))
            return []

    console = {
        each.name: [
            line for said in lines_of(each.containers[0].log_stream, CONSOLE_LINES) if (line := console_line(said))
        ]
        for each in running
        if each.containers
    }
    events = [event for said in lines_of(app.event_stream, EVENT_LINES) if (event := system_event(said))]
    found = diagnose(Seen(tuple(running), revision, events=events, console=console))
    state = state_inside(found)
    phase = found.phase
    return replace(
        where,
        state=state,
        phase=phase,
        replicas=replica_lines(running, phase),
        reason=found.sentence if isinstance(found, Cause) else found.warning,
        notes=(*notes, *spent_note(place, app, running, events)),
    )


def state_inside(found: Cause | Working) -> State:
    if isinstance(found, Cause):
        return "failed"
    return "waiting-for-first-deploy" if found.phase == "waiting-for-first-deploy" else "starting"


def replica_lines(running: list[revisions.Replica], phase: Phase | None) -> tuple[ReplicaStatus, ...]:
    return tuple(ReplicaStatus(each.name, each.state, phase if len(running) == 1 else None) for each in running)


def revision_lines(found: list[revisions.Revision], serving: str) -> tuple[RevisionStatus, ...]:
    """Newest first. Inactive ones are left out: their words say nothing on whether they ever worked."""
    active = sorted((each for each in found if each.active), key=lambda each: (each.created, each.name), reverse=True)
    return tuple(
        RevisionStatus(each.name, each.state, each.health, each.replicas, each.name == serving) for each in active
    )


def last_write(app: apps.App) -> list[Text]:
    """A change of the app that failed leaves what was before serving, and nothing else tells of it."""
    if app.state not in ("Failed", "Canceled"):
        return []
    return [
        Text("The last change of {app} ended as {state}; what was there before serves.", app=app.name, state=app.state)
    ]


def newest_failed(app: apps.App, found: list[revisions.Revision], serving: revisions.Revision) -> list[Text]:
    """A newest revision that does not work while the one before serves: nothing else tells of it."""
    newest = next((each for each in found if each.name == app.latest_revision and each.active), None)
    if newest is None or newest.name == serving.name or newest.health != "Unhealthy":
        return []
    return [
        Text(
            "The newest revision, {newest}, does not work ({details}); {revision} serves.",
            newest=newest.name,
            details=newest.details or newest.provisioning_error or newest.state,
            revision=serving.name,
        )
    ]


def beside(app: apps.App, found: list[revisions.Revision], serving: revisions.Revision) -> list[Text]:
    """A second revision whose GPU is paid for: of a roll-out under way, or of one that was cut off on whichever machine."""
    active = [(each.name, each.replicas, each.weight) for each in found if each.active]
    idle = idle_beside(active, app.mode, serving.name)
    if idle is None:
        return []
    return [
        Text(
            "{idle} runs beside {serving} and gets no requests; its GPU is paid for. A roll-out is under way, or was cut off: "
            "then the next Deploy ends it.",
            idle=idle,
            serving=serving.name,
        )
    ]


def state_of(ours: bool, found: Readiness) -> State:
    """What an endpoint with a replica that is ready is."""
    if found.ready and ours:
        return "ready"
    if found.phase == "failed":
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
    found = revisions.revisions(place)
    revision = serving_revision(app, found)
    address = address_of(target.endpoint, session.profile.scheme, app, found, revision.name)
    note = next(iter(noted(address, app)), None)
    key = api_key_of(place, app)
    if key is None or not any(each.ready for each in revisions.replicas(place, revision.name)):
        return Link(address.url, None, note)
    with Endpoint(address.url, key, SHORT_SECONDS) as endpoint:
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
