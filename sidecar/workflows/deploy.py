"""Workflows *Deploy* and *Roll back*: a release is made current, and waited for until it answers; else it goes back."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from sidecar import __version__
from sidecar.core.journal import Journal
from sidecar.core.origin import commit_of
from sidecar.core.releases import Generation
from sidecar.core.scaffold import WORKSPACE, code_of
from sidecar.core.smoke import read_smoke
from sidecar.core.sync import pack, refuse_too_large
from sidecar.core.workspace import Workspace
from sidecar.decisions.serving import is_ours
from sidecar.decisions.share_names import shown
from sidecar.gateway import apps
from sidecar.gateway.files import open_as
from sidecar.gateway.identity import signed_in_as
from sidecar.gateway.large_files import LargeFiles
from sidecar.gateway.session import Session
from sidecar.words.errors import WorkspaceError
from sidecar.words.names import StrategyWish
from sidecar.words.text import Text
from sidecar.workflows.beforehand import checked, checking, difference, models_checked, tell_difference, tell_left_out
from sidecar.workflows.by_restart import put_in_service
from sidecar.workflows.gate import gate_of, gate_told
from sidecar.workflows.mirror import mirror
from sidecar.workflows.outcome import Result, told
from sidecar.workflows.packages import packages_of, wanted
from sidecar.workflows.placing import kind_of_app
from sidecar.workflows.publish import Published, is_intact
from sidecar.workflows.records import Record, now, read_record
from sidecar.workflows.restart import Patience
from sidecar.workflows.stage import Rollout, Stage, known_from, look, remembered
from sidecar.workflows.strategies import rolled_out
from sidecar.workflows.take_up import taken_up

PATIENCE = Patience()


def deploy(
    workspace: Workspace,
    session: Session,
    journal: Journal,
    consents: tuple[str, ...] = (),
    patience: Patience = PATIENCE,
    code: str = WORKSPACE,
    *,
    wish: StrategyWish = "auto",
) -> Result:
    """The whole of *Deploy*. Without a change in the code it still reloads the model. `code`: see `code_of`."""
    tree = code_of(workspace, code)
    refuse_too_large(tree)
    stage = looked(workspace, session, journal, consents, patience)
    journal.step("check", Text("Checking the code in {folder}…", folder=tree.top), increment=5)
    begun = checking(tree, stage.app)
    smoke, gate = read_smoke(workspace), gate_of(workspace, plain=stage.where.plain)
    said = gate_told(workspace, gate)
    if said is not None:
        journal.log(said)
    notes: list[Text] = []
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        journal.step("sync", Text("Syncing the code in {folder}…", folder=tree.top), increment=5)
        by, commit = signed_in_as(session), commit_of(workspace.code)
        origin = Generation(0, "", at=now(), by=by, commit=commit, slipway=__version__)
        with open_as(LargeFiles, stage.place.around, stage.where.share.account, stage.where.share.share) as share:
            if stage.where.plain:
                problems = checked(begun, journal)
                tell_left_out(tree, journal)
                journal.log(PLAIN_OURS if is_ours(stage.app) else plain_theirs(stage.app))
                changes = mirror(tree, share, stage.where.folder, journal, consents)
                notes += left_as_they_are(changes.kept)
                published = Published("", 0, bool(changes.upload or changes.delete))
                served = put_in_service(stage, None, published, origin=origin, journal=journal, patience=patience)
            else:
                try:
                    kind = kind_of_app(stage.place, stage.app)
                    models_checked(tree, stage.app, share, stage.where.folder, kind, journal)
                    record = remembered(stage, share, read_record(share, stage.home, journal, bundles=False), journal)
                finally:  # code that would not start is told before a model that is not there
                    problems = checked(begun, journal)
                tell_left_out(tree, journal)
                needed = wanted(tree, stage.app, session, journal)
                packages = packages_of(needed, session, share, record, journal)
                release = pack(tree, Path(folder, "bundle.tar"), packages)
                tell_difference(difference(release, share, record), release, record, journal)
                rollout = Rollout(
                    known_from(stage, share, record),
                    share,
                    record,
                    release.digest,
                    release,
                    origin=origin,
                    smoke=smoke,
                    gate=gate,
                    consents=consents,
                    journal=journal,
                    patience=patience,
                )
                served = rolled_out(rollout, wish)
    return told(stage.target.endpoint, stage.address, served, problems=problems, notes=notes, journal=journal)


def roll_back(
    workspace: Workspace,
    session: Session,
    journal: Journal,
    generation: int | None,
    consents: tuple[str, ...] = (),
    patience: Patience = PATIENCE,
    *,
    wish: StrategyWish = "auto",
) -> Result:
    """Makes the release of an earlier generation current again; None: the last one that served before the current. No gate is
    in its way: who goes back is in need."""
    stage = looked(workspace, session, journal, consents, patience)
    if stage.where.plain:
        raise WorkspaceError(
            Text("{app} reads a plain tree, of which no releases are kept.", app=stage.app.name),
            Text("Deploy the code of an earlier commit."),
            code="NoReleases",
        )
    with open_as(LargeFiles, stage.place.around, stage.where.share.account, stage.where.share.share) as share:
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
            0,
            "",
            at=now(),
            by=by,
            commit=chosen.commit,
            slipway=__version__,
            cause="rollback",
            packages=chosen.packages,
        )
        rollout = Rollout(
            known_from(stage, share, record),
            share,
            record,
            chosen.release,
            None,
            origin=origin,
            smoke=read_smoke(workspace),
            gate=None,
            consents=consents,
            journal=journal,
            patience=patience,
        )
        served = rolled_out(rollout, wish)
    return told(stage.target.endpoint, stage.address, served, problems=(), notes=(), journal=journal)


def looked(
    workspace: Workspace, session: Session, journal: Journal, consents: tuple[str, ...], patience: Patience
) -> Stage:
    """What is there, once a roll-out that was cut off has been brought to an end."""
    stage = look(workspace, session, journal, consents)
    if taken_up(stage, journal, patience, signed_in_as(session)):
        stage = look(workspace, session, journal, consents)
    return stage


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
