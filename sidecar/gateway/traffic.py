"""Which revisions an app's requests go to: read as it is stated, and changed by PATCH, which makes no revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from sidecar.gateway.apps import WRITE_SECONDS, app_state, client_of
from sidecar.gateway.place import AppPlace
from sidecar.gateway.translation import translated, word
from sidecar.words.errors import CloudError
from sidecar.words.text import Text


@dataclass(frozen=True)
class Entry:
    """A part of the traffic. `revision` None: whichever is the latest. `label`: with an address of its own."""

    revision: str | None
    weight: int
    label: str | None = None


@dataclass(frozen=True)
class Routing:
    """`mode`: Single, Multiple or Labels. In Single the platform sends everything to the latest that is ready."""

    mode: str
    entries: tuple[Entry, ...] = ()


def routing(place: AppPlace) -> Routing:
    with translated(Text("Reading the traffic of {name}", name=place.name)), client_of(place) as client:
        found = client.container_apps.get(place.group, place.name)
    configuration = None if found.properties is None else found.properties.configuration
    if configuration is None:
        raise CloudError(Text("The container app {name} has no configuration.", name=place.name), code="AppUnreadable")
    stated = [] if configuration.ingress is None else configuration.ingress.traffic or []
    return Routing(word(configuration.active_revisions_mode or "Single"), tuple(_entry(each) for each in stated))


def set_routing(place: AppPlace, wanted: Routing) -> None:
    """Mode and traffic in one write; the ingress is stated again as it was read, whichever way a PATCH of it is taken."""
    doing = Text("Changing the traffic of {name}", name=place.name)
    with translated(doing), client_of(place) as client:
        found = client.container_apps.get(place.group, place.name)
        ingress = cast("dict[str, Any]", found.properties.configuration.ingress.as_dict())
        stated = {key: value for key, value in ingress.items() if key != "fqdn"}
        changed = {**stated, "traffic": [_stated(each) for each in wanted.entries]}
        configuration: dict[str, Any] = {"activeRevisionsMode": wanted.mode, "ingress": changed}
        body: Any = {"location": str(found.location), "properties": {"configuration": configuration}}
        place.around.session.completed(
            doing,
            lambda: client.container_apps.begin_update(place.group, place.name, body),
            WRITE_SECONDS,
            lambda: app_state(client, place),
        )


def _entry(found: Any) -> Entry:
    revision = None if found.latest_revision or not found.revision_name else str(found.revision_name)
    return Entry(revision, int(found.weight or 0), str(found.label) if found.label else None)


def _stated(entry: Entry) -> dict[str, Any]:
    where = {"latestRevision": True} if entry.revision is None else {"revisionName": entry.revision}
    label = {} if entry.label is None else {"label": entry.label}
    return {**where, "weight": entry.weight, **label}
