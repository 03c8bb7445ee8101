"""Workflows *Deploy* and *Roll back*: a release is made current, and waited for until it answers; else it goes back."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar import __version__
from sidecar.core.journal import Journal
from sidecar.core.origin import commit_of
from sidecar.core.releases import Generation
from sidecar.core.scaffold import WORKSPACE, code_of
from sidecar.core.sync import Release, pack
from sidecar.core.workspace import Target, Workspace, target_of
from sidecar.decisions.diagnosis import NO_INTACT_RELEASE
from sidecar.decisions.restart import Plan
from sidecar.decisions.serving import Address, address_of, is_ours, revision_to_activate, revision_to_deploy
from sidecar.decisions.upgrade import has_older_start
from sidecar.gateway import apps, revisions
from sidecar.gateway.files import open_share
from sidecar.gateway.identity import signed_in_as
from sidecar.gateway.place import AppPlace, GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import Cancelled, EndpointError, WorkspaceError
from sidecar.words.problems import Problem
from sidecar.words.text import Text
from sidecar.workflows.beforehand import checked, difference, models_checked, tell_difference, tell_left_out
from sidecar.workflows.mirror import mirror
from sidecar.workflows.operate import start_stopped
from sidecar.workflows.outcome import UNVERIFIED, Result, api_key_of, ask_model, told
from sidecar.workflows.placing import make_room, plan_of
from sidecar.workflows.publish import (
    Destination,
    Published,
    destination,
    home_of,
    is_intact,
    make_current,
    publish,
    repair,
)
from sidecar.workflows.records import Record, now, read_record, write_served
from sidecar.workflows.restart import Aim, Patience
from sidecar.workflows.rollout import Arrived, roll_out
from sidecar.workflows.upgrade import needs_upgrade, upgrade
from sidecar.workflows.wayback import go_back

PATIENCE = Patience()


@dataclass(frozen=True)
class Stage:
    """What was read before anything is done. `stopped`: the revision has to be activated first. `older`: so has its start to be
    replaced."""

    place: AppPlace
    target: Target
    app: apps.App
    revision: revisions.Revision
    stopped: bool
    older: bool
    address: Address
    where: Destination

    @property
    def home(self) -> str:
        return home_of(self.app, self.where)


def deploy(
    workspace: Workspace,
    session: Session,
    journal: Journal,
    consents: tuple[str, ...] = (),
    patience: Patience = PATIENCE,
    code: str = WORKSPACE,
) -> Result:
    """The whole of *Deploy*. Without a change in the code it still reloads the model. `code`: see `code_of`."""
    tree = code_of(workspace, code)
    stage = look(workspace, session, journal, consents)
    journal.step("check", Text("Checking the code in {folder}…", folder=tree.top), increment=5)
    problems = checked(tree, stage.app, journal)
    tell_left_out(tree, journal)
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        journal.step("sync", Text("Syncing the code in {folder}…", folder=tree.top), increment=5)
        origin = Generation(
            0, "", at=now(), by=signed_in_as(session), commit=commit_of(workspace.code), slipway=__version__
        )
        with open_share(stage.place.around, stage.where.share.account, stage.where.share.share) as share:
            if stage.where.plain:
                journal.log(PLAIN_OURS if is_ours(stage.app) else plain_theirs(stage.app))
                changes = mirror(tree, share, stage.where.folder, journal)
                release, published = None, Published("", 0, bool(changes.upload or changes.delete))
            else:
                models_checked(tree, stage.app, share, stage.where.folder, journal)
                release = pack(tree, Path(folder, "bundle.tar"))
                record = read_record(share, stage.home, journal)
                tell_difference(difference(release, share, record), release, record, journal)
                published = publish(release, share, stage.home, origin, journal)
        return put_in_service(
            stage, release, published, origin=origin, journal=journal, patience=patience, problems=problems
        )


def roll_back(
    workspace: Workspace, session: Session, journal: Journal, generation: int | None, patience: Patience = PATIENCE
) -> Result:
    """Makes the release of an earlier generation current again; None: the last one that served before the current."""
    stage = look(workspace, session, journal, ())
    if stage.where.plain:
        raise WorkspaceError(
            Text("{app} reads a plain tree, of which no releases are kept.", app=stage.app.name),
            Text("Deploy the code of an earlier commit."),
            code="NoReleases",
        )
    with open_share(stage.place.around, stage.where.share.account, stage.where.share.share) as share:
        record = read_record(share, stage.home, journal)
        chosen = earlier(record, generation)
        if not is_intact(share, stage.home, chosen.release):
            raise WorkspaceError(
                Text("Release {digest} on the share is damaged or gone.", digest=chosen.release[:12]),
                Text("Choose another one, or deploy the code of its commit ({commit}).", commit=chosen.commit or "?"),
                code="NoIntactRelease",
            )
        by = signed_in_as(session)
        origin = Generation(
            0, chosen.release, at=now(), by=by, commit=chosen.commit, slipway=__version__, cause="rollback"
        )
        published = make_current(share, record, origin, journal)
    return put_in_service(stage, None, published, origin=origin, journal=journal, patience=patience)


def earlier(record: Record, generation: int | None) -> Generation:
    """The generation to go back to. Raises WorkspaceError where there is none, or it is the current one."""
    current = record.current
    before = [
        each
        for _, each in sorted(record.generations.items(), reverse=True)
        if current and each.release != current.release
    ]
    if generation is not None:
        found = record.generations.get(generation)
        if found is None:
            raise WorkspaceError(
                Text("There is no generation {number} on the share.", number=generation),
                Text("Look at the list of releases."),
                code="NoSuchGeneration",
            )
        return found
    served = [each for each in before if each.number in record.served and each.release in record.there]
    there = [each for each in before if each.release in record.there]
    if not there:
        raise WorkspaceError(
            Text("There is no earlier release to go back to."), Text("Deploy first."), code="NoEarlierRelease"
        )
    return served[0] if served else there[0]


def look(workspace: Workspace, session: Session, journal: Journal, consents: tuple[str, ...] | None) -> Stage:
    """What is there. Nothing is changed. `consents` None: nothing will be, so nothing is asked."""
    target = target_of(workspace)
    place = GroupPlace(session, target.subscription_id, target.resource_group).app(target.app)
    journal.step("look", Text("Looking at {app}…", app=target.app), increment=5)
    app = apps.app(place)
    older = consents is not None and not splits_traffic(app, journal) and needs_upgrade(app, consents)
    found = revisions.revisions(place)
    stopped = revision_to_activate(app, found)
    revision = stopped or chosen(app, found, journal)
    address = address_of(target.endpoint, session.profile.scheme, app, found, revision.name)
    where = destination(place, app, target, journal)
    return Stage(place, target, app, revision, stopped is not None, older, address, where)


def chosen(app: apps.App, found: list[revisions.Revision], journal: Journal) -> revisions.Revision:
    """The active revision to deploy to."""
    revision = revision_to_deploy(app, found)
    if revision.name != app.latest_revision and app.mode == "Single":
        failed = Text(
            "The newest revision, {newest}, has failed; {revision} serves, and is deployed to.",
            newest=app.latest_revision or "?",
            revision=revision.name,
        )
        journal.log(failed, "warning")
    return revision


def put_in_service(
    stage: Stage,
    release: Release | None,
    published: Published,
    *,
    origin: Generation,
    journal: Journal,
    patience: Patience,
    problems: Sequence[Problem] = (),
) -> Result:
    """From what is current on the share to a model that answers with it. `release`: where its bundle is at hand, to repair."""
    place, app, revision = stage.place, stage.app, stage.revision
    started = start_stopped(place, app, journal)
    if stage.stopped:
        text = Text("No revision of {app} is active: activating {revision}…", app=app.name, revision=revision.name)
        journal.step("activate", text, revision=revision.name)
        revisions.activate(place, revision.name)
    plan = make_room(place, app, revision, plan_of(place, app, revision), journal)
    if stage.older:
        app, revision = upgrade(place, app, revision, plan, journal)
        plan = Plan("new")
    elif started:  # whatever replica it has now began after the release was current
        plan = replace(plan, way="new")
    aim = aim_of(stage, app, revision, published.release or None)
    try:
        arrived = arrive(aim, plan, release, stage.where, journal, patience)
    except EndpointError as failure:
        told_instead = go_back(aim, stage.where, published, failure, origin=origin, journal=journal, patience=patience)
        raise told_instead from failure
    except Cancelled as cancelled:
        raise cancelled_after(published, cancelled) from cancelled
    if arrived.version is not None:
        journal.step("ask", Text("Asking the model…"), increment=5)
        ask_model(stage.address.url, aim.key, journal)
    else:
        journal.log(UNVERIFIED, "warning")
    if published.generation:
        with open_share(place.around, stage.where.share.account, stage.where.share.share) as share:
            write_served(share, stage.home, published.generation, journal)
    return told(stage.target.endpoint, stage.address, app, published, arrived, problems=problems, journal=journal)


def cancelled_after(published: Published, cancelled: Cancelled) -> Cancelled:
    """What goes on without the person who cancelled."""
    if not published.changed or not published.release:
        return cancelled
    return Cancelled(
        Text(
            "Cancelled. Release {digest} is current already (generation {number}), and starts by itself.",
            digest=published.release[:12],
            number=published.generation,
        ),
        Text("Run Deploy again to follow it, or AI Toolkit: Roll back inference deployment to go back."),
    )


def aim_of(stage: Stage, app: apps.App, revision: revisions.Revision, release: str | None) -> Aim:
    """Asked at the revision's own address, where that has one."""
    place = stage.place
    own = stage.address.url if revision.fqdn is None else f"{place.around.session.profile.scheme}://{revision.fqdn}"
    return Aim(place, app, revision, own, api_key_of(place, app), release, is_ours(app))


def arrive(
    aim: Aim, plan: Plan, release: Release | None, where: Destination, journal: Journal, patience: Patience
) -> Arrived:
    """Rolls out; where a damaged bundle on the share is what stands in the way, it is replaced and rolled out again."""
    try:
        arrived = roll_out(aim, plan, journal, patience)
    except EndpointError as error:
        if error.code != NO_INTACT_RELEASE:
            raise
        return repaired(aim, release, where, journal, patience)
    return arrived if arrived.release_matches else repaired(aim, release, where, journal, patience)


def repaired(aim: Aim, release: Release | None, where: Destination, journal: Journal, patience: Patience) -> Arrived:
    """Another release runs than the current one: its bundle on the share is damaged, or the app starts something else."""
    if release is not None:
        with open_share(aim.place.around, where.share.account, where.share.share) as share:
            mended = repair(release, share, home_of(aim.app, where), journal)
        if mended:
            arrived = roll_out(aim, plan_of(aim.place, aim.app, aim.revision), journal, patience)
            if arrived.release_matches:
                return arrived
    raise EndpointError(
        Text("{revision} serves another release than the one that was deployed.", revision=aim.revision.name),
        Text("Look whether the app's SLIPWAY_RELEASE names a release; the end of its log says which one it started."),
        code="OtherReleaseServes",
    )


def splits_traffic(app: apps.App, journal: Journal) -> bool:
    """Whether traffic goes to revisions by name: a new revision would get none of it, so an older start stays as it is."""
    named = app.mode != "Single" and any(name is not None for name, _ in app.traffic)
    if named and has_older_start(app):
        text = Text(
            "{app} was provisioned by an older Slipway and stays as it is: its traffic goes to revisions by name.",
            app=app.name,
        )
        journal.log(text, "warning")
    return named


PLAIN_OURS = Text("The start commands change into the mount: the code is synced there as a plain tree, file by file.")


def plain_theirs(app: apps.App) -> Text:
    return Text("{app} was not made by Slipway: its code is synced as a plain tree, file by file.", app=app.name)
