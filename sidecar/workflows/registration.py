"""Resource providers of a subscription: registered where they are not; what can't be read is said, not stopped at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from sidecar.core.journal import Journal
from sidecar.decisions.checks import Unread
from sidecar.gateway import resources
from sidecar.gateway.session import Session
from sidecar.words.errors import CloudError, NotAuthorized
from sidecar.words.text import Text
from sidecar.workflows.bearing import borne

PROVIDERS = ("Microsoft.App", "Microsoft.Storage", "Microsoft.OperationalInsights")
REGISTRATION_SECONDS = 300
MISSING = "MissingSubscriptionRegistration"


def registrations(session: Session, subscription_id: str) -> dict[str, str | Unread]:
    """By namespace. Whoever has a role in the resource group alone may not read it: that is unread, no failure."""

    def read(namespace: str) -> str | Unread:
        try:
            return resources.provider_state(session, subscription_id, namespace)
        except NotAuthorized as error:
            return Unread(
                Text(
                    "Whether {namespace} is registered in the subscription can't be read ({problem})",
                    namespace=namespace,
                    problem=error.message,
                )
            )

    return {namespace: read(namespace) for namespace in PROVIDERS}


def unregistered(states: Mapping[str, str | Unread]) -> tuple[str, ...]:
    """Those that were read, and are not."""
    return tuple(name for name, state in states.items() if isinstance(state, str) and state != "Registered")


def register_providers(
    session: Session, subscription_id: str, journal: Journal, namespaces: Sequence[str] = PROVIDERS
) -> None:
    """All of them, after a deployment was refused for want of one."""
    for namespace in namespaces:
        register(session, subscription_id, namespace, journal)


def register(session: Session, subscription_id: str, namespace: str, journal: Journal) -> None:
    journal.progress(Text("Registering {namespace} in the subscription…", namespace=namespace))
    try:
        resources.register_provider(session, subscription_id, namespace)
        _await_registered(session, subscription_id, namespace, journal)
    except NotAuthorized as error:
        raise NotAuthorized(
            error.message,
            Text(
                "Ask an owner of the subscription to run: az provider register --namespace {namespace}",
                namespace=namespace,
            ),
            code=error.code,
        ) from error


def _await_registered(session: Session, subscription_id: str, namespace: str, journal: Journal) -> None:
    deadline = session.patience.deadline(REGISTRATION_SECONDS)

    def state() -> str:
        return resources.provider_state(session, subscription_id, namespace)

    while borne(journal, session.patience, session.poll_seconds, state) != "Registered":
        if time.monotonic() > deadline:
            raise CloudError(
                Text(
                    "{namespace} is still not registered after {seconds} s.",
                    namespace=namespace,
                    seconds=REGISTRATION_SECONDS,
                ),
                Text("Run Provision again in a few minutes, or register it in the portal."),
                code=MISSING,
            )
        journal.wait(session.poll_seconds)
