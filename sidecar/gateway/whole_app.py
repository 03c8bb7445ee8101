"""A container app as a whole: started, stopped, and shown as it is."""

from __future__ import annotations

from typing import Any, cast

from sidecar.gateway.apps import WRITE_SECONDS, app_state, client_of
from sidecar.gateway.place import AppPlace
from sidecar.gateway.translation import translated
from sidecar.words.text import Text


def start(place: AppPlace) -> None:
    """Returns when Azure says that the app is started; a replica may come later, or with the first request."""
    doing = Text("Starting the container app {name}", name=place.name)
    with translated(doing), client_of(place) as client:
        place.around.session.completed(
            doing,
            lambda: client.container_apps.begin_start(place.group, place.name),
            WRITE_SECONDS,
            lambda: app_state(client, place),
        )


def stop(place: AppPlace) -> None:
    """Returns when Azure says that the app is stopped; its replicas have their grace to end in."""
    doing = Text("Stopping the container app {name}", name=place.name)
    with translated(doing), client_of(place) as client:
        place.around.session.completed(
            doing,
            lambda: client.container_apps.begin_stop(place.group, place.name),
            WRITE_SECONDS,
            lambda: app_state(client, place),
        )


def document(place: AppPlace) -> dict[str, Any]:
    """The app as ARM tells it, for people to look at; secrets have names there and no values."""
    with translated(Text("Reading the container app {name}", name=place.name)), client_of(place) as client:
        return cast("dict[str, Any]", client.container_apps.get(place.group, place.name).as_dict())
