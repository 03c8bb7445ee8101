"""Workflow *Why is it not ready?*: what ARM, the logs, the quota and the server say, joined into one named cause and what helps.

Nothing is sent to an endpoint that has no replica ready: an app that sleeps goes on sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from sidecar.core.workspace import Target, Workspace, target_of
from sidecar.decisions.diagnosis import Cause, Seen, Working, diagnose
from sidecar.decisions.refused_write import update_failed
from sidecar.decisions.restart import has_gpu
from sidecar.decisions.serving import address_of, is_ours, serving_revision
from sidecar.decisions.suspicion import Around, port_changed, remedies, suspected
from sidecar.gateway import apps, revisions
from sidecar.gateway.failed_writes import words_of_last
from sidecar.gateway.log_lines import ConsoleLine, SystemEvent, console_line, moment, system_event
from sidecar.gateway.logs import TAIL, last_lines
from sidecar.gateway.place import AppPlace
from sidecar.gateway.revisions import Replica, Revision
from sidecar.gateway.session import Session
from sidecar.words.errors import EndpointError, NotFound, SlipwayError
from sidecar.words.names import Remedy, State
from sidecar.words.said import PHASES
from sidecar.words.text import Text
from sidecar.workflows.context import place_of
from sidecar.workflows.observe import FAILURES, STOPPED, Status, asked, last_write, state_inside
from sidecar.workflows.outcome import api_key_of
from sidecar.workflows.placing import plan_of
from sidecar.workflows.recorded import recorded
from sidecar.workflows.watch import replicas_of

LOG_SECONDS = 5
MEANT = ("WaitingForFirstDeploy", "AppStopped")
"""Causes of not being ready that somebody wanted, or that the next step ends: no failures."""

T = TypeVar("T")


@dataclass(frozen=True)
class Diagnosis:
    """`cause` None: nothing is wrong, as far as could be read. `unread`: what could not be, and why."""

    state: State
    sentence: Text
    cause: Cause | None = None
    seen: tuple[Text, ...] = ()
    unread: tuple[Text, ...] = ()

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        return () if self.cause is None else remedies(self.cause.code)

    @property
    def is_failure(self) -> bool:
        return self.state in FAILURES or (self.cause is not None and self.cause.code not in MEANT)


def why_not_ready(workspace: Workspace, session: Session) -> Diagnosis:
    target = target_of(workspace)
    place = place_of(session, target)
    try:
        app = apps.app(place)
    except NotFound:
        gone = Text("The container app {name} does not exist any more.", name=target.app)
        return _told("missing", Cause("AppMissing", gone, Text("Provision again: what exists is kept.")))
    if app.stopped:
        return _told("stopped", Cause("AppStopped", Text("The app {name} is stopped.", name=app.name), STOPPED))
    found = revisions.revisions(place)
    if not found:
        return _without_revision(place, app)
    try:
        serving = serving_revision(app, found)
    except EndpointError as error:
        advice = Text("Run Deploy: it activates the newest revision. Or send the traffic to one that is active.")
        return _told("failed", Cause(error.code, error.message, advice))
    look = _Look(place, app, found, target)
    newest = _newest(app, found, serving)
    told = look.at(newest)
    if newest.name == serving.name:
        return told
    if told.cause is None and told.state in ("ready", "asleep"):
        return look.at(serving)
    serves = Text("{revision} serves meanwhile.", revision=serving.name)
    return replace(told, seen=(*told.seen, serves)) if serving.healthy else told


def _told(state: State, cause: Cause) -> Diagnosis:
    return Diagnosis(state, cause.sentence, cause)


def _without_revision(place: AppPlace, app: apps.App) -> Diagnosis:
    """Why Azure took no version of the app; the words stand in the deployment that brought it."""
    unread: tuple[Text, ...] = ()
    words: str | None = None
    try:
        words = words_of_last(place)
    except SlipwayError as error:
        unread = (Text("{what} can't be read: {problem}", what=Text("The deployments"), problem=error.message),)
    return replace(_told("failed", update_failed(app.name, app.state, words)), unread=unread)


def _newest(app: apps.App, found: list[Revision], serving: Revision) -> Revision:
    """The revision that is meant to serve, where another one does in its place."""
    return next((each for each in found if each.active and each.name == app.latest_revision), serving)


class _Look:
    """One look at one revision. What can't be read is kept with its reason, and everything else is still told."""

    def __init__(self, place: AppPlace, app: apps.App, found: list[Revision], target: Target) -> None:
        self._place = place
        self._app = app
        self._found = found
        self._target = target
        self._unread: list[Text] = []
        self._seen: list[Text] = []

    def at(self, revision: Revision) -> Diagnosis:
        self._seen, self._unread = [_revision_words(revision), *last_write(self._app)], []
        running = replicas_of(self._place, revision.name)
        self._seen += [_replica_words(each) for each in running]
        if not running and revision.state == "ScaledToZero":
            sentence = Text(
                "It sleeps, and nothing is wrong: the first request wakes it, and waits until the model is loaded."
            )
            doubt = recorded(self._place, self._app, self._target).doubt
            if doubt is not None:
                sentence = Text("It sleeps. {doubt}", doubt=doubt)
            return self._concluded("asleep", sentence, port_changed(self._around(revision, usage=False)))
        unready = tuple(each for each in running if not each.ready)
        inside = self._inside(revision, unready) if unready or not running else None
        if isinstance(inside, Cause):
            others = len(unready) < len(running)
            return self._concluded(self._state(inside, revision, running if others else []), inside.sentence, inside)
        if inside is not None and len(unready) == len(running):
            return self._under_way(inside)
        return self._answering(revision, running)

    def _state(self, cause: Cause, revision: Revision, running: list[Replica]) -> State:
        """Of an endpoint with such a cause. `running`: where some are ready: those may serve all the same."""
        if not running:
            return "starting" if not cause.certain or cause.code == "NoGpuFree" else "failed"
        state = self._asked(revision, running).state
        return "failed" if state == "starting" else state

    def _inside(self, revision: Revision, unready: tuple[Replica, ...]) -> Cause | Working:
        """What keeps these from being ready, or how far they are."""
        console = {each.name: self._console(each) for each in unready}
        events = [each for each in self._events() if each.revision in ("", revision.name)]
        waited = _age(unready, revision)
        seen = Seen(unready, revision, events=events, console=console, waited=waited)
        self._seen += [_event_words(each) for each in events[-1:]]
        found = diagnose(seen)
        if isinstance(found, Cause):
            return found
        cause = suspected(seen, found, self._around(revision, usage=True))
        if cause is None and not unready and revision.health == "Unhealthy":
            return _unhealthy(revision)
        return found if cause is None else cause

    def _under_way(self, found: Working) -> Diagnosis:
        state = state_inside(found)
        if state == "waiting-for-first-deploy":
            advice = Text("Run Deploy: it sends the code, and the container starts it.")
            return self._concluded(state, found.text, Cause("WaitingForFirstDeploy", found.text, advice))
        self._seen += [] if found.warning is None else [found.warning]
        return self._concluded(state, found.text, None)

    def _answering(self, revision: Revision, running: list[Replica]) -> Diagnosis:
        """Every replica says that it is ready: what the server itself says."""
        status = self._asked(revision, running)
        if status.refused:
            first = status.refused[0]
            sentence = Text("The server refuses the adapter {name}: {reason}", name=first.name, reason=first.reason)
            advice = Text("Put a whole adapter on the share: the server notices it by itself. The others are served.")
            return self._concluded(status.state, sentence, Cause("AdapterRefused", sentence, advice))
        if status.state == "ready":
            return self._concluded(
                "ready", Text("Nothing is wrong: the model is loaded and the endpoint answers."), None
            )
        if status.state == "failed" and status.reason is not None:
            advice = Text("Correct the cause and run Deploy again.")
            return self._concluded("failed", status.reason, Cause("ServerFailed", status.reason, advice))
        if status.state == "unverified":
            reason = status.reason or Text(
                "It runs, but this server has no health routes of ours: the model is unverified."
            )
            return self._concluded("unverified", reason, None)
        if status.phase is not None:
            return self._concluded(
                status.state, Text("It is not ready yet: {phase}.", phase=PHASES[status.phase]), None
            )
        cause = port_changed(self._around(revision, usage=False)) or Cause(
            "NoAnswer",
            Text("A replica counts as ready, but its server does not answer."),
            Text("Look at its log; where the app's port was changed, change it back."),
            certain=False,
        )
        return self._concluded("failed", cause.sentence, cause)

    def _asked(self, revision: Revision, running: list[Replica]) -> Status:
        where = Status("unverified", revision=revision.name)
        try:
            scheme = self._place.around.session.profile.scheme
            address = address_of(self._target.endpoint, scheme, self._app, self._found, revision.name)
            key = api_key_of(self._place, self._app)
            return asked(where, address, key, running, ours=is_ours(self._app))
        except SlipwayError as error:
            return replace(where, reason=error.message)

    def _around(self, revision: Revision, *, usage: bool) -> Around:
        plan = self._read(Text("The quota"), lambda: plan_of(self._place, self._app, revision), None) if usage else None
        # Where all of the quota is in use, the app's own replicas may be what uses it.
        scarce = None if plan is None else plan.scarce or (plan.reason if plan.full else None)
        return Around(
            gpu=has_gpu(self._app.profile) or scarce is not None or (plan is not None and plan.way == "old-first"),
            scarce=scarce,
            target_port=self._app.target_port,
            probe_ports=self._app.probe_ports,
        )

    def _console(self, replica: Replica) -> list[ConsoleLine]:
        url = replica.containers[0].log_stream if replica.containers else None
        what = Text("The log of {name}", name=replica.name)
        said = [] if url is None else self._read(what, lambda: last_lines(self._place, url, TAIL, LOG_SECONDS), [])
        return [line for each in said if (line := console_line(each))]

    def _events(self) -> list[SystemEvent]:
        url = self._app.event_stream
        if url is None:
            self._unread.append(Text("The system log: the app names no address for it, its last update failed."))
            return []
        said = self._read(Text("The system log"), lambda: last_lines(self._place, url, TAIL, LOG_SECONDS), [])
        return [event for each in said if (event := system_event(each))]

    def _read(self, what: Text, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except SlipwayError as error:
            self._unread.append(Text("{what} can't be read: {problem}", what=what, problem=error.message))
            return otherwise

    def _concluded(self, state: State, sentence: Text, cause: Cause | None) -> Diagnosis:
        """Nothing is called well, or under way, that could not be looked at."""
        if cause is not None:
            return Diagnosis(state, cause.sentence, cause, tuple(self._seen), tuple(self._unread))
        if self._unread and state in ("starting", "ready"):
            state = "unverified"
        return Diagnosis(state, sentence, None, tuple(self._seen), tuple(self._unread))


def _unhealthy(revision: Revision) -> Cause:
    reason = revision.details or revision.provisioning_error or revision.state
    return Cause(
        "RevisionFailed",
        Text("The revision {name} has failed: {reason}", name=revision.name, reason=reason),
        Text("Its system log says more; run Deploy again once the cause is gone."),
    )


def _age(unready: tuple[Replica, ...], revision: Revision) -> float:
    created = max((moment(each.created) for each in unready), default=0.0) or moment(revision.created)
    return max(time.time() - created, 0.0) if created else 0.0


def _revision_words(revision: Revision) -> Text:
    more = f" ({revision.details})" if revision.details else ""
    facts = {"name": revision.name, "state": revision.state, "health": revision.health, "more": more}
    return Text("Revision {name}: {state}, health {health}{more}", **facts)


def _replica_words(replica: Replica) -> Text:
    first = replica.containers[0] if replica.containers else None
    said = "" if first is None else first.details or first.state
    facts = {"name": replica.name, "state": replica.state, "container": said or "?", "restarts": replica.restarts}
    return Text("Replica {name}: {state}, container: {container}, restarts: {restarts}", **facts)


def _event_words(event: SystemEvent) -> Text:
    return Text("Last event: {reason}: {message}", reason=event.reason, message=" ".join(event.message.split())[:300])
