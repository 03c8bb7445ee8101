"""What an app of ours mounts its share by: the account key, renewed where a mount fails with it, or another storage."""

from __future__ import annotations

from typing import Any, cast

from sidecar.core.journal import Journal
from sidecar.decisions.serving import is_ours, release_mount
from sidecar.decisions.signs import mount_fails
from sidecar.gateway import apps, resources
from sidecar.gateway.log_lines import system_event
from sidecar.gateway.logs import last_lines
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

EVENTS = 300
READ_SECONDS = 5.0


def failed_mount(place: AppPlace, app: apps.App, journal: Journal) -> str | None:
    """The storage that the app's share is mounted by, while mounts with its key fail. Where the events can't be read, that is
    said, and nothing follows from it."""
    mount = release_mount(app) if is_ours(app) else None
    if app.event_stream is None or mount is None:
        return None
    try:
        lines = last_lines(place, app.event_stream, EVENTS, READ_SECONDS)
    except CloudError as error:
        journal.log(Text("Whether the app can mount its share is unverified: {problem}", problem=error), "warning")
        return None
    return mount.storage if mount_fails([event for line in lines if (event := system_event(line))]) else None


def renew_key(place: AppPlace, app: apps.App, storage: str, journal: Journal) -> None:
    """A storage that exists is never rewritten, but for its key, and that only while a mount with it fails: the share and its
    access stay as they are."""
    mounted = apps.environment_storage(place.around, app.environment, storage)
    if mounted is None or not mounted.account:
        return
    text = Text(
        "A mount of {storage} has failed: it gets the present key of {account}.",
        storage=storage,
        account=mounted.account,
    )
    journal.step("mount-key", text, environment=app.environment)
    key, _ = resources.storage_key(place.around, mounted.account)
    apps.renew_storage_key(place.around, app.environment, storage, key)
    journal.log(
        Text(
            "Where the mount still fails then, Azure may keep that key from working: state another acaEnvironmentStorageName."
        )
    )


def storage_to_move_from(app: apps.App, storage: object) -> str | None:
    """The storage by which an app of ours mounts its share, where another one is stated."""
    mount = release_mount(app) if is_ours(app) else None
    return None if mount is None or not storage or mount.storage == storage else mount.storage


def mount_by(place: AppPlace, storage: str, journal: Journal) -> None:
    """Lets an app of ours mount its share by the storage that is stated, which stands for the same share. It makes a revision.

    The way out where Azure keeps a renewed key from working: a storage of another name has the key from its start."""
    app = apps.app(place)
    mount = release_mount(app) if is_ours(app) else None
    if mount is None or mount.storage == storage:
        return
    before, after = (apps.environment_storage(place.around, app.environment, each) for each in (mount.storage, storage))
    if after is None or after != before:
        journal.log(
            Text(
                "The app goes on mounting by {old}: {new} does not stand for the same share.",
                old=mount.storage,
                new=storage,
            ),
            "warning",
        )
        return
    text = Text("The app mounts its share by {new} from now on, in place of {old}.", new=storage, old=mount.storage)
    journal.step("mount", text, app=place.name)
    template = apps.template_of(place)
    volumes = cast("list[dict[str, Any]]", template.get("volumes") or [])
    moved = [{**each, "storageName": storage} if each.get("storageName") == mount.storage else each for each in volumes]
    apps.update_template(place, {**template, "volumes": moved})
