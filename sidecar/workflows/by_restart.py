"""The strategy `restart`: the revision that is meant starts anew, or wakes, with what is current; else it goes back."""

from __future__ import annotations

from dataclasses import replace

from sidecar.core.journal import Journal
from sidecar.core.releases import Generation
from sidecar.core.sync import Release
from sidecar.decisions.diagnosis import NO_INTACT_RELEASE
from sidecar.decisions.restart import Plan
from sidecar.gateway import revisions
from sidecar.gateway.files import open_share
from sidecar.words.errors import Cancelled, EndpointError
from sidecar.words.text import Text
from sidecar.workflows.gate import MISSED, SERVING, Gate, passed_there
from sidecar.workflows.gate import UNVERIFIED as GATE_UNVERIFIED
from sidecar.workflows.judging import At
from sidecar.workflows.operate import start_stopped
from sidecar.workflows.outcome import UNVERIFIED, Served, ask_model, cancelled_after
from sidecar.workflows.placing import make_room, plan_of
from sidecar.workflows.publish import Destination, Published, home_of, repair
from sidecar.workflows.records import read_record, write_served
from sidecar.workflows.restart import Aim, Patience
from sidecar.workflows.rollout import Arrived, roll_out
from sidecar.workflows.stage import Rollout, Stage, aim_of
from sidecar.workflows.upgrade import upgrade
from sidecar.workflows.wayback import WayBack, go_back


def restarted(rollout: Rollout) -> Served:
    """The release is made current first: whatever starts from then on starts it."""
    published = rollout.make_current(judged=False)
    return put_in_service(
        rollout.stage,
        rollout.bundle,
        published,
        origin=rollout.origin,
        journal=rollout.journal,
        patience=rollout.patience,
        gate=rollout.gate,
    )


def put_in_service(
    stage: Stage,
    release: Release | None,
    published: Published,
    *,
    origin: Generation,
    journal: Journal,
    patience: Patience,
    gate: Gate | None = None,
) -> Served:
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
    serves = False
    try:
        arrived = arrive(
            aim, plan, release, stage.where, generation=published.generation, journal=journal, patience=patience
        )
        if arrived.version is not None:
            journal.step("ask", Text("Asking the model…"), increment=5)
            ask_model(stage.address.url, aim.key, journal)
        serves = True
        if gate is not None:
            judge_after(gate, aim, published.release, journal)
    except EndpointError as failure:
        way = WayBack(aim, stage.where, published, origin, upgraded)
        raise taken_back(way, failure, journal, patience) from failure
    except Cancelled as cancelled:
        raise cancelled_after(published, cancelled, judged=not serves) from cancelled
    if arrived.version is None:
        journal.log(UNVERIFIED, "warning")
    if published.generation:
        write_served(place, stage.where.share, stage.home, published.generation, journal, arrived.took)
    return Served(published, arrived, app)


def judge_after(gate: Gate, aim: Aim, release: str, journal: Journal) -> None:
    """There was nobody to ask before it served."""
    journal.step(SERVING, Text("Evaluating release {digest}, which serves…", digest=release[:12]), increment=5)
    passed_there(gate, aim, At(aim.url, aim.key, aim.app.name, beside_callers=True), release, journal)


def taken_back(
    way: WayBack, failure: EndpointError, journal: Journal, patience: Patience, *, by_itself: bool = False
) -> EndpointError:
    """What to raise. A release that has not passed its gate, and serves on, is said to."""
    raised = go_back(way, failure, journal, patience, by_itself=by_itself)
    if raised is not failure or failure.code not in (MISSED, GATE_UNVERIFIED):
        return raised
    text = Text("{reason} Nothing was taken back: it is the release that serves.", reason=failure.message)
    return failure.in_other_words(text, failure.suggestion)


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
