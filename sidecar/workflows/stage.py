"""What is read before a release is put into service: the app, the revision that is meant, its address, its mount."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sidecar.core.journal import Journal
from sidecar.core.releases import Generation, next_number
from sidecar.core.smoke import Smoke
from sidecar.core.sync import Release
from sidecar.core.workspace import Target, Workspace, target_of
from sidecar.decisions.serving import Address, address_of, is_ours, revision_to_activate, revision_to_deploy
from sidecar.decisions.upgrade import has_older_start
from sidecar.gateway import apps, revisions
from sidecar.gateway.files import Share
from sidecar.gateway.large_files import LargeFiles
from sidecar.gateway.place import AppPlace, GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.gate import MISSED, UNVERIFIED, Gate
from sidecar.workflows.outcome import api_key_of
from sidecar.workflows.packages import upload_packages
from sidecar.workflows.publish import Destination, Published, destination, home_of, is_current, make_current, upload
from sidecar.workflows.records import SERVED, Record, last_start, served_file, served_json
from sidecar.workflows.restart import Aim, Patience, answered, version_of
from sidecar.workflows.upgrade import Upgraded, cut_off_before, needs_upgrade
from sidecar.workflows.watch import replicas_of


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


@dataclass(frozen=True)
class Rollout:
    """A release on its way into service, by whichever strategy. `record` is what the share held before. `bundle`: where it is at
    hand, else it lies on the share. `origin`: who deploys; number and release are put in here."""

    stage: Stage
    share: LargeFiles
    record: Record
    release: str
    bundle: Release | None
    origin: Generation
    smoke: Smoke
    gate: Gate | None
    consents: tuple[str, ...]
    journal: Journal
    patience: Patience

    @property
    def unchanged(self) -> bool:
        return is_current(self.record, self.release)

    @property
    def number(self) -> int:
        """The generation that it has, or will have unless somebody else is faster."""
        return self.record.highest if self.unchanged else next_number(self.record.names)

    def left_unjudged(self, failure: SlipwayError) -> Published | None:
        """What a run that was cut off left current, and its gate has not let pass now: no release to stay with. None else."""
        current = self.record.current
        left = self.unchanged and current is not None and current.gated and current.number not in self.record.served
        if not left or failure.code not in (MISSED, UNVERIFIED):
            return None
        return Published(self.release, self.number, changed=False)

    def upload_packages(self) -> None:
        """They lie on the share before anything there names them."""
        if self.bundle is not None and self.bundle.packages is not None:
            upload_packages(self.bundle.packages, self.share, self.record, self.journal)

    def upload(self) -> None:
        """The release lies on the share then, and is not current by that."""
        if self.bundle is not None:
            upload(self.bundle, self.share, self.record, self.journal)

    def make_current(self, *, judged: bool) -> Published:
        """It lies on the share. `judged`: its gate has let it pass, so that it counts as a good one once it
        answers. Conflict where another deployer has taken the number with another release."""
        if self.unchanged:
            self.journal.log(Text("The code has not changed; the model is reloaded."))
            return Published(self.release, self.number, changed=False)
        wanted = replace(self.origin, release=self.release, gated=self.gate is not None and not judged)
        if self.bundle is not None and self.bundle.packages is not None:
            wanted = replace(wanted, packages=self.bundle.packages.archive)
        return make_current(self.share, self.record, wanted, self.journal)


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
    times = record.written["generations"]
    served = max((times[name] for each in record.served if (name := f"{each}{SERVED}") in times), default=0.0)
    open_still = stage.upgraded is not None and served <= stage.upgraded.since
    return replace(stage, usual=last_start(share, record), upgraded=stage.upgraded if open_still else None)


def remembered(stage: Stage, share: Share, record: Record, journal: Journal) -> Record:
    """The current generation has served when a replica of it answers now, whoever waited for it or did not: written down before
    another one takes its place, so that the way back finds it."""
    current = record.current
    if current is None or current.number in record.served or current.gated or not is_ours(stage.app):
        return record
    if not any(each.ready for each in replicas_of(stage.place, stage.revision.name)):
        return record
    aim = aim_of(stage, stage.app, stage.revision, None)
    version = answered(journal, lambda: version_of(aim))
    if version is None or not version.loaded or version.release != current.release:
        return record
    share.replace(served_file(record.home, current.number), served_json())
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


def aim_of(
    stage: Stage,
    app: apps.App,
    revision: revisions.Revision,
    release: str | None,
    secrets: Mapping[str, str] | None = None,
) -> Aim:
    """Asked at the revision's own address, where that has one. `secrets`: the app's, where they were read already."""
    place = stage.place
    own = stage.address.url if revision.fqdn is None else f"{place.around.session.profile.scheme}://{revision.fqdn}"
    return Aim(place, app, revision, own, api_key_of(place, app, secrets), release, is_ours(app), stage.usual)


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
