"""Follows a deployment until it ends: shows what is made, bears lost answers, and cancels it with who cancels."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from sidecar.core.deployment import DEPLOYMENT_PREFIX, Template
from sidecar.core.journal import Journal
from sidecar.gateway import resources
from sidecar.gateway.patience import LOST_SECONDS
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.transport import left_with
from sidecar.words.azure_codes import advice_for
from sidecar.words.errors import Cancelled, CloudError, Conflict, NotAuthorized, NotFound, NotSignedIn, SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.bearing import borne

DEPLOYMENT_SECONDS = 3600
UNKNOWN_SECONDS = 60
"""For so long a deployment that was taken may not be found yet."""

ARRIVAL_SECONDS = 0.8
"""After a cancel: for a request that was under way to be seen in the cloud."""

CANCEL_SECONDS = 15
"""For the cloud to take a cancel, and to tell what exists. Who cancels does not wait for a network that is gone."""

GO_ON = Text("Run Provision again to follow it, or AI Toolkit: Cancel provisioning to cancel it.")

T = TypeVar("T")
E = TypeVar("E", bound=SlipwayError)


def follow(place: GroupPlace, name: str, journal: Journal) -> resources.Deployment:
    """Shows what is being made until the deployment ends. Cancelling cancels it in the cloud too, and says what came of it."""
    seen: dict[tuple[str, str], str] = {}
    deadline = place.session.patience.deadline(DEPLOYMENT_SECONDS)
    try:
        while True:
            outcome, operations = look(place, name, journal)
            show(operations, seen, journal)
            if outcome.finished:
                break
            if time.monotonic() > deadline:
                raise going_on(
                    CloudError(
                        Text(
                            "The deployment {name} has not ended after {minutes} minutes.",
                            name=name,
                            minutes=DEPLOYMENT_SECONDS // 60,
                        ),
                        GO_ON,
                        code="DeploymentTimeout",
                    )
                )
            journal.wait(place.session.poll_seconds)
    except Cancelled as cancelled:
        raise cancelled_outcome(place.after_cancel(), name) from cancelled
    if outcome.state != "Succeeded":
        raise resources.failure_of(operations, outcome)
    return outcome


def start(
    place: GroupPlace,
    name: str,
    template: Template,
    parameters: dict[str, dict[str, object]],
    tags: resources.Tags,
    journal: Journal,
) -> None:
    """Starts the deployment, once: where the answer is lost, or one of this name is under way, a look tells whether it has begun.
    Whoever cancels meanwhile cancels what had arrived all the same."""
    patience, tags = place.session.patience, replace(tags, mark=uuid.uuid4().hex)
    given_up = patience.deadline(LOST_SECONDS)
    while True:
        asked = _asked(place, name, template, parameters, tags)
        if asked == "accepted":
            return
        try:
            found = borne(journal, patience, place.session.poll_seconds, lambda: resources.find_deployment(place, name))
        except Cancelled as cancelled:
            raise _perhaps_begun(place, name, asked, cancelled) from cancelled
        except CloudError as error:
            raise going_on(error)  # noqa: B904  (the same error)
        if found is not None and (found.tags.mark == tags.mark or not found.finished):
            journal.log(Text("The deployment {name} is under way: following it…", name=name))
            return
        if time.monotonic() > given_up:
            raise going_on(
                Conflict(
                    Text(
                        "The deployment {name} could not be started: the cloud did not say whether it took it.",
                        name=name,
                    ),
                    Text("Run Provision again in a few minutes: it follows what has begun."),
                    code="DeploymentNotStarted",
                )
            )
        journal.progress(Text("The deployment {name} has not begun: asking again…", name=name))
        try:
            journal.wait(place.session.poll_seconds)
        except Cancelled as cancelled:
            raise _perhaps_begun(place, name, asked, cancelled) from cancelled


def _perhaps_begun(place: GroupPlace, name: str, asked: resources.Asked, cancelled: Cancelled) -> Cancelled:
    """What was sent without an answer may have arrived: it is cancelled as what is followed is."""
    return cancelled_outcome(place.after_cancel(), name) if asked == "lost" else cancelled


def _asked(
    place: GroupPlace,
    name: str,
    template: Template,
    parameters: dict[str, dict[str, object]],
    tags: resources.Tags,
) -> resources.Asked:
    ended = threading.Event()

    def ask() -> resources.Asked:
        try:
            return resources.start_deployment(place, name, template, parameters, tags)
        finally:
            ended.set()

    try:
        return left_with(place.session.patience.stop, ask)
    except Cancelled as cancelled:
        around, sent = place.after_cancel(), not ended.is_set()
        if _has_begun(around, name, tags.mark, ARRIVAL_SECONDS if sent else 0):
            raise cancelled_outcome(around, name) from cancelled
        if not sent:
            raise
        raise going_on(
            Cancelled(
                Text(
                    "Cancelled while the deployment {name} was being asked for: it may begin all the same.", name=name
                ),
                GO_ON,
            )
        ) from cancelled


def _has_begun(place: GroupPlace, name: str, mark: str, seconds: float) -> bool:
    """Looked at for so long, and at least once."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = within(CANCEL_SECONDS, lambda: resources.find_deployment(place, name))
        except CloudError:
            return False  # nobody knows: that it may begin is told
        if found is not None and (found.tags.mark == mark or not found.finished):
            return True
        if time.monotonic() >= deadline:
            return False
        place.session.patience.wait(0.2)


def look(place: GroupPlace, name: str, journal: Journal) -> tuple[resources.Deployment, list[resources.Operation]]:
    """One look, borne through lost answers (right after its PUT a deployment may also be unknown still). Whatever ends the
    looking, a deployment that has begun goes on."""
    patience = place.session.patience
    given_up, unknown = patience.deadline(LOST_SECONDS), patience.deadline(UNKNOWN_SECONDS)
    while True:
        try:
            return resources.deployment(place, name), resources.deployment_operations(place, name)
        except (NotSignedIn, NotAuthorized) as error:
            raise going_on(error)  # noqa: B904  (the same error)
        except CloudError as error:
            if isinstance(error, NotFound) and time.monotonic() > unknown:
                raise
            if time.monotonic() > given_up:
                raise going_on(error)  # noqa: B904  (the same error)
            journal.progress(Text("No answer ({problem}); still following {name}…", problem=error.code, name=name))
            journal.wait(place.session.poll_seconds)


def await_others(place: GroupPlace, journal: Journal) -> None:
    """Waits for other runs of *Provision* in the group: what they make is there when it is looked for, and not made twice."""
    patience, pause = place.session.patience, place.session.poll_seconds
    deadline = patience.deadline(DEPLOYMENT_SECONDS)
    active = resources.active_deployments(place)
    while others := [each for each in active if each.startswith(DEPLOYMENT_PREFIX)]:
        if time.monotonic() > deadline:
            raise Conflict(
                Text("The deployment {name} of another run has not ended.", name=others[0]),
                Text(
                    "Cancel it (AI Toolkit: Cancel provisioning where this project began it, else in the portal), or run "
                    "Provision again when it has ended."
                ),
                code="ProvisionedMeanwhile",
            )
        journal.progress(Text("Waiting for the deployment {name} of another run…", name=others[0]))
        journal.wait(pause)
        active = borne(journal, patience, pause, lambda: resources.active_deployments(place))


def show(operations: list[resources.Operation], seen: dict[tuple[str, str], str], journal: Journal) -> None:
    for each in operations:
        if seen.get((each.resource_type, each.name)) != each.state:
            seen[(each.resource_type, each.name)] = each.state
            text = Text("{type} {name}: {state}", type=each.resource_type, name=each.name, state=each.state)
            journal.progress(text)
            journal.log(text)


def within(seconds: float, ask: Callable[[], T]) -> T | None:
    """What is answered in so many seconds; None where nothing is."""
    late = threading.Event()
    timer = threading.Timer(seconds, late.set)
    timer.daemon = True
    timer.start()
    try:
        return left_with(late, ask)
    except Cancelled:
        if not late.is_set():
            raise
        return None
    finally:
        timer.cancel()


def cancelled_outcome(place: GroupPlace, name: str) -> Cancelled:
    """Asks the cloud to cancel, and tells honestly which outcome it was."""
    try:
        told = within(CANCEL_SECONDS, lambda: _cancel(place, name))
    except CloudError as error:
        told = _unended(
            Text(
                "Cancelled here; whether the deployment {name} was cancelled in the cloud is not known ({problem}).",
                name=name,
                problem=error,
            ),
            GO_ON,
        )
    return told or _unended(
        Text("Cancelled here; the cloud did not answer: the deployment {name} may go on.", name=name), GO_ON
    )


def going_on(error: E) -> E:
    """The same error, of a run that leaves something under way in the cloud, or perhaps."""
    error.goes_on = True
    return error


def _unended(message: Text, suggestion: Text) -> Cancelled:
    return going_on(Cancelled(message, suggestion))


def _ended_before(found: resources.Deployment) -> Cancelled:
    """There was nothing left to cancel."""
    if found.state == "Succeeded":
        return Cancelled(
            Text("The deployment {name} had already succeeded when it was cancelled.", name=found.name),
            Text("Run Provision again to write the configuration."),
        )
    if found.state == "Failed":
        return Cancelled(
            Text(
                "The deployment {name} had already failed when it was cancelled ({problem}).",
                name=found.name,
                problem=found.message or found.code or "–",
            ),
            advice_for(found.code) or Text("Correct the cause and run Provision again: what exists already is kept."),
        )
    return Cancelled(
        Text("The deployment {name} had already been cancelled.", name=found.name),
        Text("Run Provision again to complete it; what exists is kept."),
    )


def _cancel(place: GroupPlace, name: str) -> Cancelled:
    try:
        resources.cancel_deployment(place, name)
    except CloudError as error:
        current = resources.deployment(place, name)
        if current.finished:
            return _ended_before(current)
        return _unended(
            Text(
                "The deployment {name} could not be cancelled ({problem}); it is still {state}.",
                name=name,
                problem=error,
                state=current.state,
            ),
            Text("Run Provision again to follow it."),
        )
    operations = resources.deployment_operations(place, name)
    made = ", ".join(each.name for each in operations if each.state == "Succeeded") or "–"
    begun = ", ".join(each.name for each in operations if each.state not in ("Succeeded", "Failed"))
    again = Text("Run Provision again to complete it; what exists is kept.")
    if begun:
        return Cancelled(
            Text(
                "The deployment {name} was cancelled. Already made: {made}. Begun, and ended by the cloud itself: {begun}.",
                name=name,
                made=made,
                begun=begun,
            ),
            again,
        )
    return Cancelled(Text("The deployment {name} was cancelled. Already made: {made}.", name=name, made=made), again)
