"""Follows a deployment until it ends: shows what is made, bears lost answers, and cancels it with who cancels."""

from __future__ import annotations

import time

from sidecar.armlang.deployment import DEPLOYMENT_PREFIX, Template
from sidecar.core.journal import Journal
from sidecar.gateway import resources
from sidecar.gateway.place import GroupPlace
from sidecar.words.errors import Cancelled, CloudError, Conflict, NotAuthorized, NotSignedIn, SlipwayError
from sidecar.words.text import Text

DEPLOYMENT_SECONDS = 3600
LOST_SECONDS = 60
"""For so long a deployment is followed without an answer: a lid was closed, a network changed."""


def follow(place: GroupPlace, name: str, journal: Journal) -> resources.Deployment:
    """Shows what is being made until the deployment ends. Cancelling cancels it in the cloud too, and says what came of it."""
    seen: dict[tuple[str, str], str] = {}
    deadline = time.monotonic() + DEPLOYMENT_SECONDS
    try:
        while True:
            outcome, operations = look(place, name, journal)
            show(operations, seen, journal)
            if outcome.finished:
                break
            if time.monotonic() > deadline:
                raise CloudError(
                    Text(
                        "The deployment {name} has not ended after {minutes} minutes.",
                        name=name,
                        minutes=DEPLOYMENT_SECONDS // 60,
                    ),
                    Text("Run Provision again to follow it, or cancel it in the portal."),
                    code="DeploymentTimeout",
                )
            journal.wait(place.session.poll_seconds)
    except Cancelled as cancelled:
        raise cancelled_outcome(place.after_cancel(), name) from cancelled
    if outcome.state != "Succeeded":
        error = resources.failure_of(operations, outcome)
        journal.failed(error.code)
        raise error
    return outcome


def start(place: GroupPlace, name: str, template: Template, parameters: dict[str, dict[str, object]]) -> None:
    """Starts the deployment. A cancel may come while its request is repeated: what had arrived all the same is cancelled too."""
    try:
        resources.start_deployment(place, name, template, parameters)
    except Cancelled as cancelled:
        around = place.after_cancel()
        found = resources.find_deployment(around, name)
        if found is None or found.finished:
            raise
        raise cancelled_outcome(around, name) from cancelled


def look(place: GroupPlace, name: str, journal: Journal) -> tuple[resources.Deployment, list[resources.Operation]]:
    """One look, borne through lost answers (right after its PUT a deployment may also be unknown still)."""
    given_up = time.monotonic() + LOST_SECONDS
    while True:
        try:
            return resources.deployment(place, name), resources.deployment_operations(place, name)
        except (NotSignedIn, NotAuthorized):
            raise
        except CloudError as error:
            if time.monotonic() > given_up:
                raise
            journal.progress(Text("No answer ({problem}); still following {name}…", problem=error.code, name=name))
            journal.wait(place.session.poll_seconds)


def await_others(place: GroupPlace, journal: Journal) -> None:
    """Waits for other runs of *Provision* in the group: what they make is there when it is looked for, and not made twice."""
    deadline = time.monotonic() + DEPLOYMENT_SECONDS
    while others := [each for each in resources.active_deployments(place) if each.startswith(DEPLOYMENT_PREFIX)]:
        if time.monotonic() > deadline:
            raise Conflict(
                Text("The deployment {name} of another run has not ended.", name=others[0]),
                Text("Cancel it in the portal, or run Provision again when it has ended."),
                code="ProvisionedMeanwhile",
            )
        journal.progress(Text("Waiting for the deployment {name} of another run…", name=others[0]))
        journal.wait(place.session.poll_seconds)


def show(operations: list[resources.Operation], seen: dict[tuple[str, str], str], journal: Journal) -> None:
    for each in operations:
        if seen.get((each.resource_type, each.name)) != each.state:
            seen[(each.resource_type, each.name)] = each.state
            text = Text("{type} {name}: {state}", type=each.resource_type, name=each.name, state=each.state)
            journal.progress(text)
            journal.log(text)


def cancelled_outcome(place: GroupPlace, name: str) -> SlipwayError:
    """Asks the cloud to cancel, and tells honestly which outcome it was."""
    try:
        resources.cancel_deployment(place, name)
    except CloudError as error:
        current = resources.deployment(place, name)
        if current.state == "Succeeded":
            return Cancelled(
                Text("The deployment {name} had already succeeded when it was cancelled.", name=name),
                Text("Run Provision again to write the configuration."),
            )
        return Cancelled(
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
    return Cancelled(
        Text("The deployment {name} was cancelled. Already made: {made}.", name=name, made=made),
        Text("Run Provision again to complete it; what exists is kept."),
    )
