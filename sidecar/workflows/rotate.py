"""Workflow *Rotate API key*: a new key beside the old one, then, once callers have changed, without it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.decisions.restart import Plan
from sidecar.decisions.rotation import KEY, PREVIOUS, PREVIOUS_SECRET, Standing, to_begin, to_finish
from sidecar.decisions.serving import address_of, is_ours, revision_to_activate, revision_to_deploy
from sidecar.gateway import apps, revisions
from sidecar.gateway.endpoint import SHORT_SECONDS, Endpoint, Version
from sidecar.gateway.keys import with_variable, write_secrets
from sidecar.gateway.place import AppPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import ConsentNeeded, EndpointError, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.context import place_of
from sidecar.workflows.placing import make_room, plan_of
from sidecar.workflows.publish import destination
from sidecar.workflows.restart import Aim, Patience, expected_downtime
from sidecar.workflows.rollout import roll_out
from sidecar.workflows.two_revisions import Held, Pair, hand_over, held_from
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
class Ground:
    """What was read before anything is done. `version`: the running server's; None where none answers."""

    place: AppPlace
    app: apps.App
    revision: revisions.Revision
    url: str
    standing: Standing
    version: Version | None
    running: tuple[revisions.Replica, ...]
    plan: Plan
    held: Held | None = None


def rotate(
    workspace: Workspace,
    session: Session,
    journal: Journal,
    consents: tuple[str, ...] = (),
    patience: Patience = PATIENCE,
    *,
    finishing: bool,
) -> Rotated:
    """First a second key: who has the old one is answered as before. `finishing`: who still has the old one is refused then."""
    decide = to_finish if finishing else to_begin
    ground = _look(workspace, session, journal)
    waited = decide(ground.standing) == "wait"
    if waited:
        _bring_up(ground, journal, patience)
        ground = _look(workspace, session, journal, step="look-again")
    step, standing, restarted = decide(ground.standing), ground.standing, False
    if step == "write":
        refuse_traffic_by_name(ground.app, ground.held)
    if step in ("write", "restart"):
        if step == "write" and not finishing:
            agree_to_one_key(ground, consents)
        agree_to_downtime(ground, consents, journal)
        new = secrets.token_urlsafe(32) if step == "write" and not finishing else None
        values = {_previous(ground.app): standing.current} if step == "write" else {}
        values |= {} if new is None else {_secret(ground.app): new}
        restarted = _apply(ground, values, new or standing.current, journal, patience)
    journal.done()
    changed = step != "nothing" or waited
    sentence = _finished(ground, changed=changed) if finishing else _begun(ground, served=restarted or waited)
    return Rotated(ground.app.name, not finishing, restarted or waited, sentence)


def _begun(ground: Ground, *, served: bool) -> Text:
    app = ground.app.name
    if served or ground.standing.accepted is not None:
        return Text(
            "Both keys of {app} are accepted: let callers change to the new one, then finish the rotation.", app=app
        )
    return Text(
        "{app} has a new key, which counts from its next start on; the old one is accepted beside it then.", app=app
    )


def _finished(ground: Ground, *, changed: bool) -> Text:
    app = ground.app.name
    if changed:
        return Text("The old key of {app} is refused; the new one alone is accepted.", app=app)
    return Text("{app} has one key: there is nothing to finish.", app=app)


def _look(workspace: Workspace, session: Session, journal: Journal, *, step: str = "look") -> Ground:
    target = target_of(workspace)
    place = place_of(session, target)
    journal.step(step, Text("Looking at {app}…", app=target.app), increment=5)
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
    held = held_from(place, app, destination(place, app, target, journal)) if _splits(app) and is_ours(app) else None
    by_name = _splits(app) and held is None
    between = Standing(current, previous, None).between
    revision = _meant(app, found, between=between and not by_name, held=held is not None)
    address = address_of(target.endpoint, session.profile.scheme, app, found, revision.name)
    running = tuple([] if app.stopped else replicas_of(place, revision.name))
    version = None
    if any(each.ready for each in running):
        # A server that was not restarted since the write knows the key before alone.
        version = _version(address.url, current) or _version(address.url, previous)
    settled = app.stopped or (revision.active and _settled(place, found, revision, running, by_name=by_name))
    standing = Standing(current, previous, None if version is None else version.keys, settled)
    return Ground(place, app, revision, address.url, standing, version, running, plan_of(place, app, revision), held)


def _meant(app: apps.App, found: list[revisions.Revision], *, between: bool, held: bool) -> revisions.Revision:
    """Between two keys it is the newest, also where that does not work: an older one may have no second key in its template, and
    would refuse callers when it starts anew. `held`: a newest one that has ended was made for a release that did not work."""
    newest = next((each for each in found if each.name == app.latest_revision), None)
    if between and newest is not None and (newest.active or not held):
        return newest
    return revision_to_activate(app, found) or revision_to_deploy(app, found)


def _settled(
    place: AppPlace,
    found: list[revisions.Revision],
    revision: revisions.Revision,
    running: tuple[revisions.Replica, ...],
    *,
    by_name: bool,
) -> bool:
    """Whether a replica is ready, or nothing runs: in its place neither."""
    if running or by_name:
        return not running or any(each.ready for each in running)
    return not any(replicas_of(place, each.name) for each in found if each.active and each.name != revision.name)


def _splits(app: apps.App) -> bool:
    """Whether traffic goes to revisions by name: each of them is meant then."""
    return any(name is not None for name, _ in app.traffic)


def _bring_up(ground: Ground, journal: Journal, patience: Patience) -> None:
    """What a run that was cut off has begun: it was agreed to then."""
    place, revision = ground.place, ground.revision
    if not ground.revision.active:
        _activate(ground, journal)
    plan = make_room(place, ground.app, revision, ground.plan, journal)
    aim = _aim(ground, ground.app, revision, ground.standing.current)
    roll_out(aim, Plan("new", scarce=plan.scarce), journal, patience)
    _hand_over(ground, aim, journal)


def _hand_over(ground: Ground, new: Aim, journal: Journal) -> None:
    """Where the traffic is held by name, a revision that answers gets it as it was before."""
    held = ground.held
    if held is None or new.revision.name == held.begun.old:
        return
    old = _aim(ground, new.app, revisions.revision(ground.place, held.begun.old), ground.standing.current)
    hand_over(Pair(old, held.where.share, held.home), held.begun.was, new.revision.name, journal)


def _activate(ground: Ground, journal: Journal) -> None:
    name = ground.revision.name
    text = Text("{revision} was ended and not begun again: activating it…", revision=name)
    journal.step("activate", text, revision=name)
    revisions.activate(ground.place, name)


def _version(url: str, key: str) -> Version | None:
    with Endpoint(url, key or None, SHORT_SECONDS) as endpoint:
        return endpoint.version()


def refuse_traffic_by_name(app: apps.App, held: Held | None) -> None:
    """Where a second key would need a new revision, which no request would reach. Before anything is asked or written. `held`: it
    was us who called the revision by its name; then the new one gets the requests once it answers."""
    if PREVIOUS in app.secret_env or not _splits(app) or held is not None:
        return
    raise WorkspaceError(
        Text(
            "{app} sends its traffic to revisions by name: the one that would know both keys gets none.", app=app.name
        ),
        Text("Send the traffic to the latest revision, then rotate."),
        code="TrafficByName",
    )


def agree_to_one_key(ground: Ground, consents: tuple[str, ...]) -> None:
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


def agree_to_downtime(ground: Ground, consents: tuple[str, ...], journal: Journal) -> None:
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


def _apply(ground: Ground, values: Mapping[str, str], key: str, journal: Journal, patience: Patience) -> bool:
    """Writes the secrets, and has a replica start with them where one runs. Whether one did."""
    place, app, revision = ground.place, ground.app, ground.revision
    if values and PREVIOUS not in app.secret_env:
        text = Text("Giving {app} a second key: a new revision, which starts a replica…", app=app.name)
        journal.step("key", text, increment=10)
        former = apps.template_of(place) if ground.held is None else revisions.template_of(place, revision.name)
        template = with_variable(former, PREVIOUS, _previous(app))
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
        if app.stopped or (revision.active and not ground.running):
            return False
        if not revision.active:
            _activate(ground, journal)
        plan = make_room(place, app, revision, ground.plan, journal) if revision.active else Plan("new")
    aim = _aim(ground, app, revision, key)
    roll_out(aim, plan, journal, patience)
    _hand_over(ground, aim, journal)
    if is_ours(app) and _version(ground.url, key) is None:
        raise EndpointError(
            Text("{app} has started anew, but does not answer to the new key at {url}.", app=app.name, url=ground.url),
            Text("Look at its status, then run the command again: it goes on from here."),
            code="NewKeyRefused",
        )
    return True


def _aim(ground: Ground, app: apps.App, revision: revisions.Revision, key: str) -> Aim:
    scheme = ground.place.around.session.profile.scheme
    own = ground.url if revision.fqdn is None else f"{scheme}://{revision.fqdn}"
    return Aim(ground.place, app, revision, own, key, None, is_ours(app))


def _secret(app: apps.App) -> str:
    return app.secret_env[KEY]


def _previous(app: apps.App) -> str:
    return app.secret_env.get(PREVIOUS, PREVIOUS_SECRET)
