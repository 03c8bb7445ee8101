"""Brings an app that an older Slipway provisioned up to date: its start and its probes, after consent."""

from __future__ import annotations

import time

from sidecar.core.journal import Journal
from sidecar.core.scaffold import shipped_template
from sidecar.decisions.restart import Plan
from sidecar.decisions.upgrade import has_older_start, with_present_start
from sidecar.gateway import apps, revisions
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import ConsentNeeded, EndpointError
from sidecar.words.text import Text

CONSENT = "upgrade-app"
NEW_REVISION_SECONDS = 60


def needs_upgrade(app: apps.App, consents: tuple[str, ...]) -> bool:
    """Whether the app has an older start. ConsentNeeded, with what changes, before anything is done."""
    if not has_older_start(app):
        return False
    if CONSENT not in consents:
        raise ConsentNeeded(
            CONSENT,
            Text(
                "{app} was provisioned by an older Slipway: its start does not tell how far a model has loaded.",
                app=app.name,
            ),
            Text(
                "Its start command and its probes are replaced by the present ones, as a new revision; commands, variables, "
                "image and scale stay as they are."
            ),
        )
    return True


def upgrade(
    place: AppPlace, app: apps.App, old: revisions.Revision, plan: Plan, journal: Journal
) -> tuple[apps.App, revisions.Revision]:
    """PATCHes the app; its new revision starts what is current on the share. Where no GPU is left for it the old one ends."""
    text = Text("Replacing the start and the probes of {app}…", app=app.name)
    journal.step("upgrade", text, increment=5, revision=old.name)
    apps.update_template(place, with_present_start(apps.template_of(place), shipped_template()))
    changed, new = new_revision(place, app, journal)
    if plan.way == "old-first":
        journal.log(
            Text(
                "{old} ends before {new} can start: until that answers, the endpoint does not.",
                old=old.name,
                new=new.name,
            ),
            "warning",
        )
        revisions.deactivate(place, old.name)
    return changed, new


def new_revision(place: AppPlace, app: apps.App, journal: Journal) -> tuple[apps.App, revisions.Revision]:
    """A write that Azure calls done has been seen to make no revision: then nothing would ever start."""
    deadline = time.monotonic() + NEW_REVISION_SECONDS
    while time.monotonic() < deadline:
        changed, found = apps.app(place), revisions.revisions(place)
        new = next((each for each in found if each.name == changed.latest_revision and each.active), None)
        if new is not None and new.name != app.latest_revision:
            return changed, new
        journal.wait(1)
    raise EndpointError(
        Text("Azure took the change of {app}, but made no new revision of it.", app=app.name),
        Text("Look at the app in the portal, then run Deploy again."),
        code="NoNewRevision",
    )
