"""Brings an app that an older Slipway provisioned up to date: its start and its probes, after consent; and takes that back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.core.journal import Journal
from sidecar.core.scaffold import shipped_template
from sidecar.decisions.restart import Plan
from sidecar.decisions.upgrade import deploy_secret, differ_in_start_alone, has_older_start, with_present_start
from sidecar.gateway import apps, revisions
from sidecar.gateway.keys import write_secrets
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import ConsentNeeded, EndpointError, NotFound
from sidecar.words.text import Text

CONSENT = "upgrade-app"
STEP = "upgrade"
NEW_REVISION_SECONDS = 60


@dataclass(frozen=True)
class Upgraded:
    """The app as it is now, with its new revision, and the template that it had before."""

    app: apps.App
    revision: revisions.Revision
    former: dict[str, Any]
    since: float = 0.0
    """When it was begun, where an earlier run did: seconds since 1970."""


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
                "Its start command and its probes are replaced by the present ones, and it gets a deploy key, as a new revision; "
                "commands, other variables, image and scale stay as they are."
            ),
        )
    return True


def upgrade(place: AppPlace, app: apps.App, old: revisions.Revision, plan: Plan, journal: Journal) -> Upgraded:
    """PATCHes the app; its new revision starts what is current on the share. Where no GPU is left for it the old one ends."""
    text = Text("Replacing the start and the probes of {app}…", app=app.name)
    journal.step(STEP, text, increment=5, revision=old.name)
    former = apps.template_of(place)
    changed_template = with_present_start(former, shipped_template())
    secret = deploy_secret(changed_template)
    if secret is None:
        apps.update_template(place, changed_template)
    else:
        write_secrets(place, {secret: secrets.token_urlsafe(32)}, changed_template)
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
    return Upgraded(changed, new, former)


def cut_off_before(
    place: AppPlace, app: apps.App, found: Sequence[revisions.Revision], journal: Journal
) -> Upgraded | None:
    """The upgrade of a run that did not come to its end: its revision is the one to go on with, though the one before may answer
    still and hold the only GPU; and a release that fails finds the way back. None where there was none, it has served since, or
    something else has changed the app since."""
    step = journal.cut_off(STEP)
    newest = next((each for each in found if each.name == app.latest_revision), None)
    if step is None or newest is None or newest.healthy or has_older_start(app):
        return None
    try:
        former, present = (revisions.template_of(place, name) for name in (str(step.get("revision")), newest.name))
    except NotFound:
        return None  # Azure keeps a hundred inactive ones
    at = step.get("time")
    since = float(at) if isinstance(at, int | float) else 0.0
    return Upgraded(app, newest, former, since) if differ_in_start_alone(former, present) else None


def take_back(place: AppPlace, upgraded: Upgraded, journal: Journal) -> tuple[apps.App, revisions.Revision]:
    """The former template once more, as a revision of its own: in mode Multiple the traffic follows the newest. The one that
    failed ends, for the GPU that it may have."""
    failed = upgraded.revision.name
    text = Text("Giving {app} its former start and probes back…", app=upgraded.app.name)
    journal.step("former-start", text, increment=5, revision=failed)
    apps.update_template(place, upgraded.former)
    app, revision = new_revision(place, upgraded.app, journal)
    revisions.deactivate(place, failed)
    return app, revision


def new_revision(place: AppPlace, app: apps.App, journal: Journal) -> tuple[apps.App, revisions.Revision]:
    """A write that Azure calls done has been seen to make no revision: then nothing would ever start."""
    deadline = place.around.session.patience.deadline(NEW_REVISION_SECONDS)
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
