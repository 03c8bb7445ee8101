"""Workflow *Rotate API key*: a new key beside the old one, then, once callers have changed, without it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.decisions.restart import Plan
from sidecar.decisions.rotation import KEY, PREVIOUS, PREVIOUS_SECRET, Standing, to_begin, to_finish
from sidecar.decisions.serving import address_of, is_ours, revision_to_deploy
from sidecar.gateway import apps, revisions
from sidecar.gateway.endpoint import SHORT_SECONDS, Endpoint, Version
from sidecar.gateway.keys import with_variable, write_secrets
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import ConsentNeeded, EndpointError, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.operate import place_of
from sidecar.workflows.placing import make_room, plan_of
from sidecar.workflows.restart import Aim, Patience, expected_downtime
from sidecar.workflows.rollout import roll_out
from sidecar.workflows.upgrade import new_revision
from sidecar.workflows.watch import replicas_of

DOWNTIME = "rotation-downtime"
ONE_KEY = "old-key-refused"

PATIENCE = Patience()


@dataclass(frozen=True)
class Rotated:
    """`between`: both keys are accepted, and the rotation is to be finished. `restarted`: a replica was started with it."""

    app: str
    between: bool
    restarted: bool
    sentence: Text


@dataclass(frozen=True)
class _Ground:
    """What was read before anything is done. `version`: the running server's; None where none answers."""

    place: AppPlace
    app: apps.App
    revision: revisions.Revision
    url: str
    standing: Standing
    version: Version | None
    running: tuple[revisions.Replica, ...]
    plan: Plan


def rotate(
    workspace: Workspace,
    session: Session,
    journal: Journal,
    consents: tuple[str, ...] = (),
    patience: Patience = PATIENCE,
) -> Rotated:
    """Who has the old key is answered as before, until finish()."""
    ground = _look(workspace, session, journal)
    name, standing = ground.app.name, ground.standing
    step = to_begin(standing)
    between = Text(
        "Both keys of {app} are accepted: let callers change to the new one, then finish the rotation.", app=name
    )
    if step == "nothing":
        return Rotated(name, True, False, between)
    if step == "write":
        _agree_to_one_key(ground, consents)
    _agree_to_downtime(ground, consents, journal)
    key = secrets.token_urlsafe(32) if step == "write" else standing.current
    values = {_secret(ground.app): key, _previous(ground.app): standing.current} if step == "write" else {}
    restarted = _apply(ground, values, key, journal, patience)
    asleep = Text(
        "{app} has a new key, which counts from its next start on; the old one is accepted beside it then.", app=name
    )
    return Rotated(name, True, restarted, between if restarted else asleep)


def finish(
    workspace: Workspace,
    session: Session,
    journal: Journal,
    consents: tuple[str, ...] = (),
    patience: Patience = PATIENCE,
) -> Rotated:
    """Who still has the old key is refused from then on."""
    ground = _look(workspace, session, journal)
    name, standing = ground.app.name, ground.standing
    step = to_finish(standing)
    if step == "nothing":
        return Rotated(name, False, False, Text("{app} has one key: there is nothing to finish.", app=name))
    _agree_to_downtime(ground, consents, journal)
    values = {_previous(ground.app): standing.current} if step == "write" else {}
    restarted = _apply(ground, values, standing.current, journal, patience)
    return Rotated(
        name, False, restarted, Text("The old key of {app} is refused; the new one alone is accepted.", app=name)
    )


def _look(workspace: Workspace, session: Session, journal: Journal) -> _Ground:
    target, place = target_of(workspace), place_of(workspace, session)
    journal.step("look", Text("Looking at {app}…", app=target.app), increment=5)
    app = apps.app(place)
    if KEY not in app.secret_env:
        raise WorkspaceError(
            Text("The container app {name} has no API key.", name=app.name),
            Text("It was not made by Slipway: change its key where it was made."),
            code="NoApiKey",
        )
    known = apps.secrets(place)
    current, previous = known.get(_secret(app), ""), known.get(_previous(app), "")
    found = revisions.revisions(place)
    revision = revision_to_deploy(app, found)
    address = address_of(target.endpoint, session.profile.scheme, app, found, revision.name)
    running = tuple([] if app.stopped else replicas_of(place, revision.name))
    version = None
    if any(each.ready for each in running):
        # A server that was not restarted since the write knows the key before alone.
        version = _version(address.url, current) or _version(address.url, previous)
    standing = Standing(current, previous, None if version is None else version.keys)
    return _Ground(place, app, revision, address.url, standing, version, running, plan_of(place, app, revision))


def _version(url: str, key: str) -> Version | None:
    with Endpoint(url, key or None, SHORT_SECONDS) as endpoint:
        return endpoint.version()


def _agree_to_one_key(ground: _Ground, consents: tuple[str, ...]) -> None:
    if ONE_KEY in consents or (ground.version is not None and ground.version.keys is not None):
        return
    raise ConsentNeeded(
        ONE_KEY,
        Text(
            "It can't be told that the server of {app} accepts two keys: it sleeps, or its release is older. If it does not, "
            "callers with the present key are refused as soon as it starts with the new one.",
            app=ground.app.name,
        ),
        Text("Agree, or deploy the present server first and rotate while a replica is awake."),
    )


def _agree_to_downtime(ground: _Ground, consents: tuple[str, ...], journal: Journal) -> None:
    """A restart without a second GPU; asked before anything is written."""
    if ground.plan.way != "old-first" or DOWNTIME in consents or not any(each.ready for each in ground.running):
        return
    aim = _aim(ground, ground.app, ground.revision, ground.standing.current)
    seconds = expected_downtime(aim, list(ground.running), journal)
    raise ConsentNeeded(
        DOWNTIME,
        Text(
            "The replica of {app} has to start anew, and there is no second GPU known to be free: the endpoint does not answer "
            "for about {seconds} s.",
            app=ground.app.name,
            seconds="?" if seconds is None else round(seconds),
        ),
        Text("Agree, or do it when nobody needs an answer. No key is refused meanwhile."),
    )


def _apply(ground: _Ground, values: Mapping[str, str], key: str, journal: Journal, patience: Patience) -> bool:
    """Writes the secrets, and has a replica start with them where one runs. Whether one did."""
    place, app, revision = ground.place, ground.app, ground.revision
    if values and PREVIOUS not in app.secret_env:
        journal.step("key", Text("Giving {app} a second key, as a new revision…", app=app.name), increment=10)
        template = with_variable(apps.template_of(place), PREVIOUS, _previous(app))
        write_secrets(place, values, template)
        app, revision = new_revision(place, app, journal)
        if app.stopped:
            return False
        if ground.plan.way == "old-first":
            revisions.deactivate(place, ground.revision.name)
        plan = Plan("new", scarce=ground.plan.scarce)
    else:
        if values:
            journal.step("key", Text("Changing the keys of {app}…", app=app.name), increment=10)
            write_secrets(place, values)
        if not ground.running:
            return False
        plan = make_room(place, app, revision, ground.plan, journal)
    roll_out(_aim(ground, app, revision, key), plan, journal, patience)
    if is_ours(app) and _version(ground.url, key) is None:
        raise EndpointError(
            Text("{app} has started anew, but does not answer to the new key at {url}.", app=app.name, url=ground.url),
            Text("Look at its status, then run the command again: it goes on from here."),
            code="NewKeyRefused",
        )
    return True


def _aim(ground: _Ground, app: apps.App, revision: revisions.Revision, key: str) -> Aim:
    scheme = ground.place.around.session.profile.scheme
    own = ground.url if revision.fqdn is None else f"{scheme}://{revision.fqdn}"
    return Aim(ground.place, app, revision, own, key, None, is_ours(app))


def _secret(app: apps.App) -> str:
    return app.secret_env[KEY]


def _previous(app: apps.App) -> str:
    return app.secret_env.get(PREVIOUS, PREVIOUS_SECRET)
