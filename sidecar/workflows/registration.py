"""Resource providers of a subscription: registered where they are not; what can't be read is said, not stopped at."""

from __future__ import annotations

import time

from sidecar.core.journal import Journal
from sidecar.gateway import resources
from sidecar.gateway.session import Session
from sidecar.words.errors import CloudError, NotAuthorized
from sidecar.words.text import Text

PROVIDERS = ("Microsoft.App", "Microsoft.Storage", "Microsoft.OperationalInsights")
REGISTRATION_SECONDS = 300
MISSING = "MissingSubscriptionRegistration"


def check_providers(session: Session, subscription_id: str, journal: Journal) -> None:
    """Registers what was read to be unregistered. Whoever has a role in the resource group alone may not read it: a warning."""
    for namespace in PROVIDERS:
        try:
            state = resources.provider_state(session, subscription_id, namespace)
        except NotAuthorized as error:
            journal.log(
                Text(
                    "Unverified: whether {namespace} is registered in the subscription ({problem})",
                    namespace=namespace,
                    problem=error.message,
                ),
                "warning",
            )
            continue
        if state != "Registered":
            register(session, subscription_id, namespace, journal)


def register_providers(session: Session, subscription_id: str, journal: Journal) -> None:
    """All of them, after a deployment was refused for want of one."""
    for namespace in PROVIDERS:
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
    deadline = time.monotonic() + REGISTRATION_SECONDS
    while resources.provider_state(session, subscription_id, namespace) != "Registered":
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
