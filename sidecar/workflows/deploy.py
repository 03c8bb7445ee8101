"""Workflow *Deploy*: sync the code, restart or wake the replica, wait until the new one answers."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.sync import Release, pack
from sidecar.core.workspace import Workspace, target_of
from sidecar.decisions.diagnosis import NO_INTACT_RELEASE
from sidecar.decisions.restart import Plan, has_gpu, plan_for
from sidecar.decisions.serving import (
    Address,
    address_of,
    elsewhere_note,
    is_ours,
    revision_to_activate,
    revision_to_deploy,
)
from sidecar.decisions.signs import waiting_reason
from sidecar.decisions.upgrade import has_older_start
from sidecar.gateway import apps, revisions
from sidecar.gateway.endpoint import Endpoint, Refused, Version, status_without_key
from sidecar.gateway.files import open_share
from sidecar.gateway.place import AppPlace, GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import CloudError, EndpointError
from sidecar.words.text import Text
from sidecar.workflows.mirror import mirror
from sidecar.workflows.publish import Destination, Published, destination, publish, repair
from sidecar.workflows.restart import Aim, Patience, answered
from sidecar.workflows.rollout import Arrived, roll_out
from sidecar.workflows.upgrade import needs_upgrade, upgrade
from sidecar.workflows.watch import replicas_of

PATIENCE = Patience()
ASK_SECONDS = 60
"""For one token of a model that is ready."""


@dataclass(frozen=True)
class Result:
    """`verified`: the release answers, and with it every adapter that the server found. `base`, `adapters` and `refused` are
    what it serves and what it does not; None and empty where the server is not ours."""

    endpoint: str
    url: str
    release: str
    generation: int
    code_changed: bool
    verified: bool
    replicas: tuple[str, ...]
    base: str | None
    adapters: tuple[str, ...]
    refused: tuple[Refused, ...]
    notes: tuple[Text, ...]


def deploy(
    workspace: Workspace,
    session: Session,
    journal: Journal,
    consents: tuple[str, ...] = (),
    patience: Patience = PATIENCE,
) -> Result:
    """The whole of *Deploy*. Without a change in the code it still reloads the model."""
    target = target_of(workspace)
    place = GroupPlace(session, target.subscription_id, target.resource_group).app(target.app)

    journal.step("look", Text("Looking at {app}…", app=target.app), increment=5)
    app = apps.app(place)
    older = not splits_traffic(app, journal) and needs_upgrade(app, consents)
    found = revisions.revisions(place)
    revision = awake(place, app, found, journal)
    address = address_of(target.endpoint, session.profile.scheme, app, found, revision.name)
    where = destination(place, app, target, journal)

    journal.step("sync", Text("Syncing the code in {folder}…", folder=workspace.code.name), increment=10)
    release, published = sync(workspace, place, app, where, journal)

    plan = plan_of(place, app, revision)
    plan = make_room(place, app, revision, plan, journal)
    if older:
        app, revision = upgrade(place, app, revision, plan, journal)
        plan = Plan("new")
    own = address.url if revision.fqdn is None else f"{session.profile.scheme}://{revision.fqdn}"
    key = api_key_of(place, app)
    aim = Aim(place, app, revision, own, key, published.release or None, is_ours(app))
    try:
        arrived = roll_out(aim, plan, journal, patience)
    except EndpointError as error:
        if error.code != NO_INTACT_RELEASE:
            raise
        arrived = repaired(aim, release, where, journal, patience)
    if not arrived.release_matches:
        arrived = repaired(aim, release, where, journal, patience)
    version = arrived.version
    if version is not None:
        journal.step("ask", Text("Asking the model…"), increment=5)
        ask_model(address.url, key, journal)
    else:
        journal.log(UNVERIFIED, "warning")
    return told(target.endpoint, address, app, published, arrived, journal)


UNVERIFIED = Text(
    "The replica runs and / answers; this server has no health routes, so the model itself is unverified."
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


def awake(place: AppPlace, app: apps.App, found: list[revisions.Revision], journal: Journal) -> revisions.Revision:
    """The revision to deploy to; one that nobody left active is activated."""
    stopped = revision_to_activate(app, found)
    if stopped is None:
        chosen = revision_to_deploy(app, found)
        if chosen.name != app.latest_revision and app.mode == "Single":
            failed = Text(
                "The newest revision, {newest}, has failed; {revision} serves, and is deployed to.",
                newest=app.latest_revision or "?",
                revision=chosen.name,
            )
            journal.log(failed, "warning")
        return chosen
    text = Text("No revision of {app} is active: activating {revision}…", app=app.name, revision=stopped.name)
    journal.step("activate", text, revision=stopped.name)
    revisions.activate(place, stopped.name)
    return stopped


def sync(
    workspace: Workspace, place: AppPlace, app: apps.App, where: Destination, journal: Journal
) -> tuple[Release | None, Published]:
    """Brings the code to where the app reads it; None for a plain tree, which is no release."""
    with open_share(place.around, where.share.account, where.share.share) as share:
        if where.plain:
            journal.log(PLAIN_OURS if is_ours(app) else plain_theirs(app))
            changes = mirror(workspace.code, share, where.folder, journal)
            return None, Published("", 0, bool(changes.upload or changes.delete))
        release = pack(workspace.code)
        return release, publish(release, share, home_of(app, where), journal)


PLAIN_OURS = Text("The start commands change into the mount: the code is synced there as a plain tree, file by file.")


def plain_theirs(app: apps.App) -> Text:
    return Text("{app} was not made by Slipway: its code is synced as a plain tree, file by file.", app=app.name)


def home_of(app: apps.App, where: Destination) -> str:
    """Where our start looks for releases."""
    below = f"{where.folder}/" if where.folder else ""
    return f"{below}.slipway/{app.env['SLIPWAY_APP']}"


def plan_of(place: AppPlace, app: apps.App, revision: revisions.Revision) -> Plan:
    """Whether there is a GPU for a second replica; what can't be read is not known."""
    running = replicas_of(place, revision.name)
    others = [name for each in revisions.revisions(place) if each.active and (name := each.name) != revision.name]
    ours = [*running, *(replica for name in others for replica in replicas_of(place, name))]
    holding = sum(has_place(replica) for replica in ours)
    if app.profile is None:
        return plan_for(None, None, len(running), holding)
    try:
        environment = apps.environment(place.around, app.environment)
        profiles = () if environment is None else environment.profiles
        kind = next((str(each["workloadProfileType"]) for each in profiles if each["name"] == app.profile), app.profile)
        usage = apps.gpu_usage(place.around, app.location) if has_gpu(kind) else {}
    except CloudError:
        return plan_for(app.profile, None, len(running), holding)
    return plan_for(kind, usage, len(running), holding)


def has_place(replica: revisions.Replica) -> bool:
    """Whether a replica runs, or is being brought up, on a node: then it has its GPU, long before its container has started."""
    return any(each.state == "Running" or waiting_reason(each.details) for each in replica.containers)


def make_room(place: AppPlace, app: apps.App, revision: revisions.Revision, plan: Plan, journal: Journal) -> Plan:
    """Where no GPU is free and an older revision of the app itself has one, that revision ends: in its place nothing would ever
    start. Not where the app splits its traffic by names."""
    if plan.way == "rolling" or app.profile is None or any(name is not None for name, _ in app.traffic):
        return plan
    if plan.full:
        for each in revisions.revisions(place):
            if each.active and each.name != revision.name and replicas_of(place, each.name):
                text = Text(
                    "{old} ends, so that {new} gets its GPU: until that answers, the endpoint does not.",
                    old=each.name,
                    new=revision.name,
                )
                journal.step("room", text, revision=each.name)
                revisions.deactivate(place, each.name)
    return plan


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


def ask_model(url: str, key: str | None, journal: Journal) -> None:
    """One token, at the address that callers use."""

    def ask() -> str:
        with Endpoint(url, key) as endpoint:
            return endpoint.ask(endpoint.models()[-1], "Hello", max_tokens=1)

    if answered(journal, ask, ASK_SECONDS) is None:
        raise EndpointError(
            Text("The model at {url} did not answer within {seconds} s.", url=url, seconds=ASK_SECONDS),
            Text("Look at its status, then try again."),
            code="EndpointUnreachable",
        )


def told(
    endpoint: str, address: Address, app: apps.App, published: Published, arrived: Arrived, journal: Journal
) -> Result:
    """What came of it, in the log and as a value."""
    version = arrived.version
    notes = outcome_notes(version)
    refused = () if version is None else version.refused or ()
    for each in refused:
        journal.log(
            Text("The server refuses the adapter {name}: {reason}", name=each.name, reason=each.reason), "warning"
        )
    notes += asked_elsewhere(address, app)
    for note in notes:
        journal.log(note, "warning")
    journal.log(Text("The inference endpoint is available at {url}", url=address.url))
    journal.done(release=published.release, generation=str(published.generation))
    return Result(
        endpoint=endpoint,
        url=address.url,
        release=published.release,
        generation=published.generation,
        code_changed=published.changed,
        verified=version is not None and not refused,
        replicas=arrived.replicas,
        base=None if version is None else version.base,
        adapters=() if version is None else version.adapters,
        refused=refused,
        notes=tuple(notes),
    )


def asked_elsewhere(address: Address, app: apps.App) -> list[Text]:
    """What came of one look, without the key, at another host that the workspace names."""
    if address.elsewhere is None:
        return []
    answered = None if address.another_revision else status_without_key(address.elsewhere)
    note = elsewhere_note(address, app, answered, asked=True)
    return [] if note is None else [note]


def outcome_notes(version: Version | None) -> list[Text]:
    """What a person should know of a release that answers, beside what it refuses."""
    if version is None or version.refused is None or version.adapters or version.refused:
        return []
    return [Text("No adapter was found on the share: the base model {base} alone answers.", base=version.base or "?")]


def api_key_of(place: AppPlace, app: apps.App) -> str | None:
    """The key from the app's own secret; None for an app that has none."""
    secret = app.secret_env.get("SLIPWAY_API_KEY")
    return None if secret is None else apps.secrets(place).get(secret) or None
