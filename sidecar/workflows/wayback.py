"""The way back: when a release does not work, the one before is made current again and seen to serve; then that is told."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from sidecar.core.journal import Journal
from sidecar.core.releases import Generation, way_back
from sidecar.decisions.diagnosis import ENDING, by_another_release
from sidecar.decisions.restart import Plan
from sidecar.gateway.files import open_share
from sidecar.words.errors import Cancelled, Conflict, EndpointError, SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.placing import make_room, plan_of
from sidecar.workflows.publish import Destination, Published, home_of, make_current
from sidecar.workflows.records import read_record, write_served
from sidecar.workflows.restart import Aim, Patience, answered, version_of
from sidecar.workflows.rollout import roll_out
from sidecar.workflows.upgrade import Upgraded, take_back
from sidecar.workflows.watch import replicas_of


@dataclass(frozen=True)
class WayBack:
    """What failed, and what was before it. `origin`: who goes back. `upgraded`: the app's start was replaced too."""

    aim: Aim
    where: Destination
    published: Published
    origin: Generation
    upgraded: Upgraded | None = None

    @property
    def home(self) -> str:
        return home_of(self.aim.app, self.where)


def restored(failure: EndpointError, app: str, made: Published | None, *, former_start: bool) -> EndpointError:
    """The failure, with the word that what was before serves again."""
    told = {"reason": failure.message, "app": app}
    if made is not None:
        told |= {"digest": made.release[:12], "number": made.generation}
    if made is None:
        text = Text("{reason} {app} has its former start back, and serves again.", **told)
    elif former_start:
        text = Text(
            "{reason} {app} has its former start back, and the release before, {digest}, serves again "
            "(generation {number}).",
            **told,
        )
    else:
        text = Text("{reason} The release before, {digest}, serves again (generation {number}).", **told)
    error = failure.in_other_words(text, failure.suggestion)
    error.restored = None if made is None else made.generation
    return error


def go_back(
    way: WayBack, failure: EndpointError, journal: Journal, patience: Patience, *, by_itself: bool = False
) -> EndpointError:
    """What to raise in place of `failure`: the same where nothing that was before could help, or there is none. `by_itself`: the
    server before goes on, or is started again by its container, whatever the cause."""
    if not by_itself and not by_another_release(failure.code):
        return failure
    journal.log(failure.message, "error")
    made: Published | None = None
    try:
        made = made_current_again(way, journal) if way.published.release else None
    except Conflict as error:
        journal.log(error.message)  # another deployer's is current now: that is not ours to take back
        return failure
    except SlipwayError as error:
        journal.log(Text("The release before could not be made current: {problem}", problem=error.message), "error")
    if made is None and way.upgraded is None:
        return failure
    try:
        again = by_itself or failure.code in ENDING
        _until_it_serves(way, made, journal, patience, again=again)
    except Cancelled as cancelled:
        raise _cancelled(way, made, cancelled) from cancelled
    except SlipwayError as error:
        return _neither(way, made, failure, error)
    if made is not None:
        write_served(way.aim.place, way.where.share, way.home, made.generation, journal)
    journal.restored()
    return restored(failure, way.aim.app.name, made, former_start=way.upgraded is not None)


def _until_it_serves(
    way: WayBack, made: Published | None, journal: Journal, patience: Patience, *, again: bool
) -> None:
    back = way.aim if made is None else replace(way.aim, release=made.release)
    if way.upgraded is not None:
        _with_former_start(back, way.upgraded, journal, patience)
    elif made is not None and (not again or not _started_again(back, journal, patience)):
        _restarted(back, way.where, made.generation, journal, patience)


def _with_former_start(aim: Aim, upgraded: Upgraded, journal: Journal, patience: Patience) -> None:
    app, revision = take_back(aim.place, upgraded, journal)
    own = aim.url if revision.fqdn is None else f"{aim.place.around.session.profile.scheme}://{revision.fqdn}"
    _rolled_out(replace(aim, app=app, revision=revision, url=own), Plan("new"), journal, patience)


def _cancelled(way: WayBack, made: Published | None, cancelled: Cancelled) -> Cancelled:
    if made is None:
        text = Text("Cancelled on the way back: {app} is being given its former start.", app=way.aim.app.name)
        return Cancelled(text, cancelled.suggestion)
    return Cancelled(
        Text(
            "Cancelled on the way back: release {digest} (generation {number}) is current, and starts by itself.",
            digest=made.release[:12],
            number=made.generation,
        ),
        cancelled.suggestion,
    )


def _neither(way: WayBack, made: Published | None, failure: EndpointError, error: SlipwayError) -> EndpointError:
    told = {"reason": failure.message, "problem": error.message}
    if made is None:
        text = Text(
            "{reason} {app} was given its former start back, and does not serve either: {problem}",
            app=way.aim.app.name,
            **told,
        )
    else:
        text = Text(
            "{reason} The release before, {digest}, is current again (generation {number}), "
            "and does not serve either: {problem}",
            digest=made.release[:12],
            number=made.generation,
            **told,
        )
    return failure.in_other_words(text, error.suggestion)


def made_current_again(way: WayBack, journal: Journal) -> Published | None:
    """The switch back; None where no earlier release is on the share. Conflict where somebody else has deployed meanwhile."""
    published, place = way.published, way.aim.place
    with open_share(place.around, way.where.share.account, way.where.share.share) as share:
        record = read_record(share, way.home, journal)
        if record.highest != published.generation:
            raise Conflict(
                Text("Somebody else has deployed meanwhile (generation {number}).", number=record.highest),
                code="DeployedMeanwhile",
            )
        if not published.changed and published.generation in record.served:
            return None  # it has served: what does not work now is the model, or the place
        former = way_back(published.generation, record.generations, record.served, record.there)
        if former is None:
            journal.log(Text("There is no earlier release to go back to."))
            return None
        text = Text(
            "Going back to release {digest} of generation {number}…", digest=former.release[:12], number=former.number
        )
        journal.step("back", text, generation=str(former.number))
        by, slipway = way.origin.by, way.origin.slipway
        wanted = Generation(
            0, former.release, by=by, commit=former.commit, slipway=slipway, cause="failed", packages=former.packages
        )
        return make_current(share, record, wanted, journal)


def _started_again(aim: Aim, journal: Journal, patience: Patience) -> bool:
    """Whether the release serves without our doing: a container that ends is started again by Azure, and then takes what is
    current. No GPU has to be asked for."""
    deadline = time.monotonic() + patience.again
    answering = False
    bearing = Bearing(journal, patience.lost)
    while time.monotonic() < deadline:
        running = bearing.ask(lambda: replicas_of(aim.place, aim.revision.name))
        if running is None:
            deadline += patience.poll  # nobody has looked
            journal.wait(patience.poll)
            continue
        if any(each.ready for each in running):
            version = answered(journal, lambda: version_of(aim))
            answering = version is not None and version.loaded and version.release == aim.release
            if answering and all(each.ready for each in running):
                return True
        journal.progress(Text("Waiting for the container to start again, with the release before…"))
        journal.wait(patience.poll)
    if answering:
        journal.log(Text("The release before serves; a replica that failed is still on its way."), "warning")
    return answering


def _restarted(aim: Aim, where: Destination, generation: int, journal: Journal, patience: Patience) -> None:
    with open_share(aim.place.around, where.share.account, where.share.share) as share:
        highest = read_record(share, home_of(aim.app, where), journal).highest
    if highest != generation:
        raise EndpointError(
            Text("Somebody else has deployed meanwhile (generation {number}).", number=highest),
            code="DeployedMeanwhile",
        )
    plan = make_room(aim.place, aim.app, aim.revision, plan_of(aim.place, aim.app, aim.revision), journal)
    _rolled_out(aim, plan, journal, patience)


def _rolled_out(aim: Aim, plan: Plan, journal: Journal, patience: Patience) -> None:
    if not roll_out(aim, plan, journal, patience).release_matches:
        raise EndpointError(
            Text("{revision} serves another release.", revision=aim.revision.name), code="OtherReleaseServes"
        )
