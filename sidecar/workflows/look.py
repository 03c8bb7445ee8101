"""Looks at what a template names: what of it is there, and settled; what is under way is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol, TypeVar

from sidecar.core.deployment import Planned, Stated
from sidecar.core.journal import Journal
from sidecar.decisions.provisioning import (
    ACCOUNT,
    APP,
    ENVIRONMENT,
    ENVIRONMENT_STORAGE,
    FAILED,
    LOGS,
    SETTLED,
    SHARE,
    Existing,
    app_again,
    environment_again,
    is_switched,
)
from sidecar.gateway import apps, offers, resources
from sidecar.gateway.place import GroupPlace
from sidecar.words.errors import CloudError, NotAuthorized
from sidecar.words.text import Text
from sidecar.workflows.bearing import borne

SETTLE_SECONDS = 1800


class Provisioned(Protocol):
    @property
    def state(self) -> str: ...


R = TypeVar("R", bound=Provisioned)


def look(
    place: GroupPlace, planned: Planned, project: str | None, journal: Journal, absent: Collection[str] = ()
) -> Existing:
    """Asks for each resource that the template names, whether it is there. `absent`: namespaces that the subscription has not
    registered, of which nothing can be."""
    gone = {each.lower() for each in absent}
    apps_there, storage_there = "microsoft.app" not in gone, "microsoft.storage" not in gone
    environment = _environment(place, planned.names.get(ENVIRONMENT, ""), journal) if apps_there else None
    app = _app(place, planned.names.get(APP, ""), project, journal) if apps_there else None
    account = _account(place, planned, journal) if storage_there else None
    mounted = _environment_storage(place, planned, environment)
    known = {
        ACCOUNT: account is not None,
        SHARE: account is not None and account.protocol != "",
        ENVIRONMENT: environment is not None,
        ENVIRONMENT_STORAGE: mounted is not None,
        APP: app is not None,
    }
    keys = {
        each.key
        for each in planned.resources
        if (
            known[each.kind]
            if planned.names.get(each.kind) == each.name and each.kind in known
            else _is_asked_for(each, environment, gone) and _there(place, each.id, each.api_version, journal)
        )
    }
    return Existing(
        frozenset(keys), None if account is None else account.takes_keys, environment, mounted, app, account
    )


def _is_asked_for(each: Stated, environment: apps.Environment | None, gone: Collection[str]) -> bool:
    """Where logs go only a new environment asks."""
    decided = each.kind == LOGS and environment is not None and is_switched(each)
    return not decided and each.kind.partition("/")[0] not in gone


def _account(place: GroupPlace, planned: Planned, journal: Journal) -> offers.Account | None:
    """With the protocol of its share, where that is there."""
    name, (around, _, share) = planned.names.get(ACCOUNT, ""), planned.names.get(SHARE, "").rpartition("/")
    found = offers.account_of(place, name) if name else None
    if found is None or not share or around.partition("/")[0] != name:
        return found
    try:
        return replace(found, protocol=offers.share_protocol(place, name, share))
    except NotAuthorized as error:
        _unverified(error, journal)
        return found


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
        _unverified(error, journal)
        return False


def _unverified(error: NotAuthorized, journal: Journal) -> None:
    journal.log(Text("Unverified, and deployed as the template states it: {problem}", problem=error.message), "warning")


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
