"""Looks at what a template names: what of it is there, and settled; what is under way is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from sidecar.armlang.deployment import Planned
from sidecar.core.journal import Journal
from sidecar.decisions.provisioning import (
    ACCOUNT,
    APP,
    ENVIRONMENT,
    ENVIRONMENT_STORAGE,
    FAILED,
    SETTLED,
    Existing,
    app_again,
    environment_again,
)
from sidecar.gateway import apps, resources
from sidecar.gateway.place import GroupPlace
from sidecar.words.errors import CloudError, NotAuthorized
from sidecar.words.text import Text
from sidecar.workflows.bearing import borne

SETTLE_SECONDS = 1800


class Provisioned(Protocol):
    @property
    def state(self) -> str: ...


R = TypeVar("R", bound=Provisioned)


def look(place: GroupPlace, planned: Planned, project: str | None, journal: Journal) -> Existing:
    """Asks for each resource that the template names, whether it is there."""
    environment = _environment(place, planned.names.get(ENVIRONMENT, ""), journal)
    app = _app(place, planned.names.get(APP, ""), project, journal)
    account = planned.names.get(ACCOUNT, "")
    takes_keys = resources.takes_keys(place, account) if account else None
    mounted = _environment_storage(place, planned, environment)
    known = {
        ACCOUNT: takes_keys is not None,
        ENVIRONMENT: environment is not None,
        ENVIRONMENT_STORAGE: mounted is not None,
        APP: app is not None,
    }
    keys = {
        each.key
        for each in planned.resources
        if (
            known[each.kind]
            if planned.names[each.kind] == each.name and each.kind in known
            else _there(place, each.id, each.api_version, journal)
        )
    }
    return Existing(frozenset(keys), takes_keys, environment, mounted, app)


def _environment(place: GroupPlace, name: str, journal: Journal) -> apps.Environment | None:
    if not name:
        return None
    found = settled(place, Text("The environment {name}", name=name), lambda: apps.environment(place, name), journal)
    if found is None or found.state not in FAILED:
        return found
    if environment_again(found, name, apps.residents(place, found.id)):
        journal.log(
            Text("The environment {name} is in the state {state}: it is made anew.", name=name, state=found.state),
            "warning",
        )
    return None


def _app(place: GroupPlace, name: str, project: str | None, journal: Journal) -> apps.App | None:
    if not name:
        return None
    found = settled(place, Text("The container app {name}", name=name), lambda: apps.find_app(place.app(name)), journal)
    if found is None or not app_again(found, project):
        return found
    journal.log(
        Text("The container app {name} is in the state {state}: it is made anew.", name=name, state=found.state),
        "warning",
    )
    return None


def _environment_storage(
    place: GroupPlace, planned: Planned, environment: apps.Environment | None
) -> apps.Mounted | None:
    around, _, name = planned.names.get(ENVIRONMENT_STORAGE, "").partition("/")
    return apps.environment_storage(place, around, name) if environment is not None and name else None


def _there(place: GroupPlace, resource_id: str, api_version: str, journal: Journal) -> bool:
    try:
        return resources.exists(place, resource_id, api_version)
    except NotAuthorized as error:
        journal.log(
            Text("Unverified, and deployed as the template states it: {problem}", problem=error.message), "warning"
        )
        return False


def settled(place: GroupPlace, what: Text, read: Callable[[], R | None], journal: Journal) -> R | None:
    """What is read once nothing is under way with it; None where it is not there, or has gone meanwhile."""
    patience, pause = place.session.patience, place.session.poll_seconds
    deadline = patience.deadline(SETTLE_SECONDS)
    found = read()  # what does not answer at all is told at once: nothing was begun
    while True:
        if found is None or found.state in SETTLED:
            return found
        if time.monotonic() > deadline:
            raise CloudError(
                Text(
                    "{what} is still {state} after {minutes} minutes.",
                    what=what,
                    state=found.state,
                    minutes=SETTLE_SECONDS // 60,
                ),
                Text("Look at it in the portal, then run Provision again."),
                code="StillInProgress",
            )
        journal.progress(Text("{what} is {state}: waiting…", what=what, state=found.state))
        journal.wait(pause)
        found = borne(journal, patience, pause, read)
