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
from sidecar.core.sync import Release, pack, refuse_too_large
from sidecar.core.workspace import Target, Workspace, target_of
from sidecar.decisions.diagnosis import NO_INTACT_RELEASE
from sidecar.decisions.restart import Plan
from sidecar.decisions.serving import Address, address_of, is_ours, revision_to_activate, revision_to_deploy
from sidecar.decisions.share_names import shown
from sidecar.decisions.upgrade import has_older_start
from sidecar.gateway import apps, revisions
from sidecar.gateway.files import Share, open_share
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
from sidecar.workflows.placing import kind_of_app, make_room, plan_of
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
from sidecar.workflows.records import Record, last_start, now, read_record, served_json, write_served
from sidecar.workflows.restart import Aim, Patience, answered, version_of
from sidecar.workflows.rollout import Arrived, roll_out
from sidecar.workflows.upgrade import Upgraded, cut_off_before, needs_upgrade, upgrade
from sidecar.workflows.watch import replicas_of
from sidecar.workflows.wayback import WayBack, go_back

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
    upgraded: Upgraded | None = None
    """What a run that was cut off had begun: its new revision is the one that is meant."""
    usual: float | None = None
    """Seconds that the last start took, as far as anybody has seen one."""

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
    refuse_too_large(tree)
    stage = look(workspace, session, journal, consents)
    journal.step("check", Text("Checking the code in {folder}…", folder=tree.top), increment=5)
    problems = checked(tree, stage.app, journal)
    tell_left_out(tree, journal)
    notes: list[Text] = []
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        journal.step("sync", Text("Syncing the code in {folder}…", folder=tree.top), increment=5)
        origin = Generation(
            0, "", at=now(), by=signed_in_as(session), commit=commit_of(workspace.code), slipway=__version__
        )
        with open_share(stage.place.around, stage.where.share.account, stage.where.share.share) as share:
            if stage.where.plain:
                journal.log(PLAIN_OURS if is_ours(stage.app) else plain_theirs(stage.app))
                changes = mirror(tree, share, stage.where.folder, journal, consents)
                notes += left_as_they_are(changes.kept)
                release, published = None, Published("", 0, bool(changes.upload or changes.delete))
            else:
                kind = kind_of_app(stage.place, stage.app)
                models_checked(tree, stage.app, share, stage.where.folder, kind, journal)
                release = pack(tree, Path(folder, "bundle.tar"))
                record = remembered(stage, share, read_record(share, stage.home, journal), journal)
                tell_difference(difference(release, share, record), release, record, journal)
                stage = known_from(stage, share, record)
                published = publish(release, share, stage.home, origin, journal)
        return put_in_service(
            stage,
            release,
            published,
            origin=origin,
            journal=journal,
            patience=patience,
            problems=problems,
            notes=notes,
        )


def roll_back(
    workspace: Workspace,
    session: Session,
    journal: Journal,
    generation: int | None,
    consents: tuple[str, ...] = (),
    patience: Patience = PATIENCE,
) -> Result:
    """Makes the release of an earlier generation current again; None: the last one that served before the current."""
    stage = look(workspace, session, journal, consents)
    if stage.where.plain:
        raise WorkspaceError(
            Text("{app} reads a plain tree, of which no releases are kept.", app=stage.app.name),
            Text("Deploy the code of an earlier commit."),
            code="NoReleases",
        )
    with open_share(stage.place.around, stage.where.share.account, stage.where.share.share) as share:
        record = remembered(stage, share, read_record(share, stage.home, journal), journal)
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
        stage = known_from(stage, share, record)
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
    upgraded = cut_off_before(place, app, found, journal)
    stopped = revision_to_activate(app, found) if upgraded is None else upgraded.revision
    revision = stopped or chosen(app, found, journal)
    address = address_of(target.endpoint, session.profile.scheme, app, found, revision.name)
    where = destination(place, app, target, journal)
    ended = stopped is not None and not revision.active
    return Stage(place, target, app, revision, ended, older, address, where, upgraded)


def known_from(stage: Stage, share: Share, record: Record) -> Stage:
    """What the record tells of starts: how long the last one took, and whether a new start that nobody waited for has served."""
    served = max(record.written.get("served", {}).values(), default=0.0)
    open_still = stage.upgraded is not None and served <= stage.upgraded.since
    return replace(stage, usual=last_start(share, record), upgraded=stage.upgraded if open_still else None)


def remembered(stage: Stage, share: Share, record: Record, journal: Journal) -> Record:
    """The current generation has served when a replica of it answers now, whoever waited for it or did not: written down before
    another one takes its place, so that the way back finds it."""
    current = record.current
    if current is None or current.number in record.served or not is_ours(stage.app):
        return record
    if not any(each.ready for each in replicas_of(stage.place, stage.revision.name)):
        return record
    aim = aim_of(stage, stage.app, stage.revision, None)
    version = answered(journal, lambda: version_of(aim))
    if version is None or not version.loaded or version.release != current.release:
        return record
    share.replace(f"{record.home}/served/{current.number}.json", served_json())
    return replace(record, served=record.served | {current.number})


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
    notes: Sequence[Text] = (),
) -> Result:
    """From what is current on the share to a model that answers with it. `release`: where its bundle is at hand, to repair."""
    place, app, revision = stage.place, stage.app, stage.revision
    started = start_stopped(place, app, journal)
    if stage.stopped:
        text = Text("No revision of {app} is active: activating {revision}…", app=app.name, revision=revision.name)
        journal.step("activate", text, revision=revision.name)
        revisions.activate(place, revision.name)
    plan = make_room(place, app, revision, plan_of(place, app, revision), journal)
    upgraded = stage.upgraded
    if stage.older:
        upgraded = upgrade(place, app, revision, plan, journal)
        app, revision, plan = upgraded.app, upgraded.revision, Plan("new")
    elif started or upgraded is not None:  # whatever replica it has now began after the release was current
        plan = replace(plan, way="new")
    aim = aim_of(stage, app, revision, published.release or None)
    try:
        arrived = arrive(
            aim, plan, release, stage.where, generation=published.generation, journal=journal, patience=patience
        )
        if arrived.version is not None:
            journal.step("ask", Text("Asking the model…"), increment=5)
            ask_model(stage.address.url, aim.key, journal)
    except EndpointError as failure:
        way = WayBack(aim, stage.where, published, origin, upgraded)
        raise go_back(way, failure, journal, patience) from failure
    except Cancelled as cancelled:
        raise cancelled_after(published, cancelled) from cancelled
    if arrived.version is None:
        journal.log(UNVERIFIED, "warning")
    if published.generation:
        write_served(place, stage.where.share, stage.home, published.generation, journal, arrived.took)
    endpoint = stage.target.endpoint
    return told(endpoint, stage.address, app, published, arrived, problems=problems, notes=notes, journal=journal)


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
    return Aim(place, app, revision, own, api_key_of(place, app), release, is_ours(app), stage.usual)


def arrive(
    aim: Aim,
    plan: Plan,
    release: Release | None,
    where: Destination,
    *,
    generation: int,
    journal: Journal,
    patience: Patience,
) -> Arrived:
    """Rolls out, and once more where what stands in the way can be mended: a damaged bundle, a share that showed what was current
    before. `release`: where its bundle is at hand."""  # fmt: skip
    intact: EndpointError | None = None
    try:
        arrived = roll_out(aim, plan, journal, patience)
        if arrived.release_matches:
            return arrived
    except EndpointError as error:
        if error.code != NO_INTACT_RELEASE:
            raise
        intact = error
    mended = False
    if generation:
        with open_share(aim.place.around, where.share.account, where.share.share) as share:
            home = home_of(aim.app, where)
            highest = read_record(share, home, journal).highest
            mended = release is not None and repair(release, share, home, journal)
        if highest != generation:
            raise EndpointError(
                Text(
                    "Somebody else has deployed meanwhile (generation {number}): that is what serves.", number=highest
                ),
                Text("Run Deploy again if yours is the code that should run."),
                code="DeployedMeanwhile",
            )
    if intact is not None and not mended:
        raise intact
    pinned = aim.app.env.get("SLIPWAY_RELEASE", "current") != "current"
    if mended or (generation and not pinned):
        if not mended:
            journal.log(Text("The share still showed what was current before: once more…"), "warning")
            journal.wait(patience.lag)
        arrived = roll_out(aim, plan_of(aim.place, aim.app, aim.revision), journal, patience)
        if arrived.release_matches:
            return arrived
    raise EndpointError(
        Text("{revision} serves another release than the one that was deployed.", revision=aim.revision.name),
        Text("The app's SLIPWAY_RELEASE names a release: set it to current, so that it takes what is deployed.")
        if pinned
        else Text("The end of its log says which one it started, and why."),
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


def left_as_they_are(paths: Sequence[str]) -> list[Text]:
    """Of a plain tree: it is not the one that was deployed."""
    if not paths:
        return []
    named = ", ".join(map(shown, paths))
    return [
        Text(
            "Left as they are on the share, since others have them open or write to them: {files}. Run Deploy again.",
            files=named,
        )
    ]


def plain_theirs(app: apps.App) -> Text:
    return Text("{app} was not made by Slipway: its code is synced as a plain tree, file by file.", app=app.name)
