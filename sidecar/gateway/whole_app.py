"""A container app as a whole: started and stopped."""

from __future__ import annotations

from sidecar.gateway.apps import WRITE_SECONDS, client_of
from sidecar.gateway.place import AppPlace
from sidecar.gateway.translation import translated
from sidecar.words.text import Text


def start(place: AppPlace) -> None:
    """Returns when Azure says that the app is started; a replica may come later, or with the first request."""
    doing = Text("Starting the container app {name}", name=place.name)
    with translated(doing), client_of(place) as client:
        place.around.session.completed(
            doing, lambda: client.container_apps.begin_start(place.group, place.name), WRITE_SECONDS
        )


def stop(place: AppPlace) -> None:
    """Returns when Azure says that the app is stopped; its replicas have their grace to end in."""
    doing = Text("Stopping the container app {name}", name=place.name)
    with translated(doing), client_of(place) as client:
        place.around.session.completed(
            doing, lambda: client.container_apps.begin_stop(place.group, place.name), WRITE_SECONDS
        )
