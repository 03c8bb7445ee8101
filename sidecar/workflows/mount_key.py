"""The account key that an environment's storage mounts with: renewed where an app of ours can't mount with the one it has."""

from __future__ import annotations

from sidecar.core.journal import Journal
from sidecar.decisions.signs import terminations
from sidecar.gateway import apps, resources
from sidecar.gateway.log_lines import system_event
from sidecar.gateway.logs import last_lines
from sidecar.gateway.place import AppPlace
from sidecar.words.text import Text

EVENTS = 300
READ_SECONDS = 5.0


def renew_failed_key(place: AppPlace, app: apps.App, journal: Journal) -> None:
    """A storage that exists is never rewritten, but for its key, and that only when a mount with it has just failed: the share
    and its access stay as they are. Where the events can't be read, nothing is done, and that is said."""
    if app.event_stream is None or not app.mounts:
        return
    events = [
        event for line in last_lines(place, app.event_stream, EVENTS, READ_SECONDS) if (event := system_event(line))
    ]
    if not any(each.reason == "VolumeMountFailure" for each in terminations(events)):
        return
    storage = app.mounts[0].storage
    mounted = apps.environment_storage(place.around, app.environment, storage)
    if mounted is None:
        return
    text = Text(
        "A mount of {storage} has failed: it gets the present key of {account}.",
        storage=storage,
        account=mounted.account,
    )
    journal.step("mount-key", text, environment=app.environment)
    key, _ = resources.storage_key(place.around, mounted.account)
    apps.renew_storage_key(place.around, app.environment, storage, key)
