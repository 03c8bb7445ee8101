"""An adapter that has just come to the share, until every replica answers with it: no restart, nobody's answer is cut short."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.decisions.adapter_names import name_for
from sidecar.decisions.models_on_share import Models
from sidecar.decisions.serving import address_of, is_ours, serving_revision
from sidecar.gateway import apps, revisions
from sidecar.gateway.endpoint import SHORT_SECONDS, Endpoint, Version
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text
from sidecar.workflows.restart import answered
from sidecar.workflows.watch import replicas_of

PUSH_SECONDS = 60
"""For a mount to show what was written (half a minute), and for the adapter to be read."""

FOLLOW_SECONDS = 120
"""For every replica to look, to see it and to read it."""

MOST_AT_ONCE = 8
STALE = re.compile(r"is missing|has no adapter_model|truncated|cut off|is not JSON|broken header|not under")
"""In a server's reason for a refusal: what a mount may say of files that it shows half a minute late."""

PAUSE = 0.2
LONGEST_PAUSE = 2.0
"""Between two questions: each goes to one of the replicas, and nobody can choose which."""


@dataclass(frozen=True)
class Adapter:
    """On the share. `folder`: below the mount. `digest`: the hash that a server has to give it. `models`: all that is there."""

    folder: str
    digest: str
    models: Models


@dataclass(frozen=True)
class Taken:
    """`name`: under which it is served, or will be. `replicas`: that are listed and ready; `by`: of these, that have told the new
    hash. `ours` False: another server, which has to be told in its own way."""

    name: str
    replicas: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    ours: bool = True

    @property
    def whole(self) -> bool:
        return bool(self.replicas) and set(self.by) >= set(self.replicas)


@dataclass(frozen=True)
class _Asked:
    url: str
    key: str | None
    revision: str


def take(place: AppPlace, app: apps.App, endpoint: str, adapter: Adapter, journal: Journal) -> Taken:
    """`endpoint`: as the workspace's file names it. A replica that sleeps is not woken: it finds the adapter when it starts."""
    name = name_for(adapter.folder, adapter.models.adapters, adapter.models.bases)
    if app.stopped:
        return Taken(name)
    found = revisions.revisions(place)
    revision = serving_revision(app, found)
    ready = _ready(place, revision.name)
    if not ready:
        return Taken(name)
    if not is_ours(app):
        return Taken(name, ready, ours=False)
    scheme = place.around.session.profile.scheme
    address = address_of(endpoint, scheme, app, found, revision.name)
    url = address.url if revision.fqdn is None else f"{scheme}://{revision.fqdn}"
    key = apps.secrets(place).get(app.secret_env.get("SLIPWAY_API_KEY", ""))
    asked = _Asked(url, key, revision.name)
    version = answered(journal, lambda: _version(asked))
    if version is None or version.refused is None or not version.loaded:
        return Taken(name, ready, ours=version is None or version.refused is not None)
    name = _served_name(version, adapter) or name
    pushed = len(ready) == 1
    if pushed:
        journal.step("push", Text("Having the server take the adapter {name}…", name=name))
        _pushed(asked, name, adapter, journal)
    else:
        text = Text("Waiting until {count} replicas have taken the adapter {name}…", count=len(ready), name=name)
        journal.step("follow", text)
    return _until_told(place, asked, name, adapter, journal, seconds=PUSH_SECONDS if pushed else FOLLOW_SECONDS)


def _ready(place: AppPlace, revision: str) -> tuple[str, ...]:
    return tuple(each.name for each in replicas_of(place, revision) if each.ready)


def _version(asked: _Asked) -> Version | None:
    """On a new connection, so that not always the same replica is asked."""
    with Endpoint(asked.url, asked.key, SHORT_SECONDS) as endpoint:
        return endpoint.version()


def _versions(asked: _Asked, count: int, journal: Journal) -> list[Version]:
    """As many at the same moment as there are replicas: an ingress that sends each where least is to be done asks them all."""
    with ThreadPoolExecutor(MOST_AT_ONCE, "version") as pool:
        waiting = [
            pool.submit(answered, journal, lambda: _version(asked)) for _ in range(min(count, MOST_AT_ONCE) or 1)
        ]
        return [version for each in waiting if (version := each.result()) is not None]


def _served_name(version: Version, adapter: Adapter) -> str | None:
    """The name that the folder is served under already."""
    return next((name for name, folder in version.folders.items() if folder == adapter.folder), None)


def _pushed(asked: _Asked, name: str, adapter: Adapter, journal: Journal) -> None:
    """Until the server has read what was uploaded: its mount may still show the files before, or none."""
    deadline = time.monotonic() + PUSH_SECONDS
    pause, refusal = PAUSE, None
    while True:
        try:
            with Endpoint(asked.url, asked.key) as endpoint:
                taken = answered(journal, lambda: endpoint.load_adapter(name, adapter.folder), PUSH_SECONDS)
            if taken == adapter.digest:
                return
            refusal = None
        except EndpointError as error:
            if error.code not in ("Endpoint400", "EndpointUnreachable", "Endpoint503"):
                raise
            refusal = error
            if error.code == "Endpoint400" and not STALE.search(error.detail or ""):
                raise _refused(name, error) from error
        if time.monotonic() > deadline:
            if refusal is None:
                return  # what it serves is told below
            raise _refused(name, refusal)
        journal.wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _refused(name: str, error: EndpointError) -> EndpointError:
    return EndpointError(
        Text("{name} is on the share, but the server does not take it.", name=name),
        Text("The detail holds its reason. What it served before goes on answering."),
        code="AdapterRefused",
        detail=error.detail or str(error),
    )


def _until_told(
    place: AppPlace, asked: _Asked, name: str, adapter: Adapter, journal: Journal, *, seconds: float
) -> Taken:
    """Each replica that is listed has to tell the new hash itself: the ingress asks one of them at a time."""
    deadline = time.monotonic() + seconds
    told: dict[str, str] = {}
    ready = _ready(place, asked.revision)
    pause = PAUSE
    while True:
        for version in _versions(asked, len(ready), journal):
            if version.replica is not None:
                told[version.replica] = version.hashes.get(name, "")
        by = _with(told, ready, adapter.digest)
        if set(by) >= set(ready) and ready:
            return Taken(name, ready, by)
        if time.monotonic() > deadline:
            return Taken(name, ready, by)
        journal.progress(
            Text("{count} of {all} replicas answer with the new {name}…", count=len(by), all=len(ready), name=name)
        )
        journal.wait(pause)
        pause = min(1.5 * pause, LONGEST_PAUSE)
        ready = _ready(place, asked.revision)


def _with(told: Mapping[str, str], ready: tuple[str, ...], digest: str) -> tuple[str, ...]:
    return tuple(name for name in ready if told.get(name) == digest)
