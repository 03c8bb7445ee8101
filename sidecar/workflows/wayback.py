"""The way back: when a release does not work, the one before is made current again and seen to serve; then that is told."""

from __future__ import annotations

import time
from dataclasses import replace

from sidecar.core.journal import Journal
from sidecar.core.releases import Generation, way_back
from sidecar.decisions.diagnosis import ENDING, by_another_release
from sidecar.gateway.files import open_share
from sidecar.words.errors import Cancelled, EndpointError, SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.placing import make_room, plan_of
from sidecar.workflows.publish import Destination, Published, home_of, make_current
from sidecar.workflows.records import read_record, write_served
from sidecar.workflows.restart import Aim, Patience, answered, version_of
from sidecar.workflows.rollout import roll_out
from sidecar.workflows.watch import Bearing, replicas_of


def restored(failure: EndpointError, release: str, generation: int) -> EndpointError:
    """The failure, with the word that the release before serves again."""
    error = EndpointError(
        Text(
            "{reason} The release before, {digest}, serves again (generation {number}).",
            reason=failure.message,
            digest=release[:12],
            number=generation,
        ),
        failure.suggestion,
        code=failure.code,
        detail=failure.detail,
    )
    error.restored = generation
    return error


def go_back(
    aim: Aim,
    where: Destination,
    published: Published,
    failure: EndpointError,
    *,
    origin: Generation,
    journal: Journal,
    patience: Patience,
) -> EndpointError:
    """What to raise in place of `failure`: the same where another release could not help, or there is none."""
    if not by_another_release(failure.code) or not published.release:
        return failure
    journal.log(failure.message, "error")
    try:
        made = _made_current(aim, where, published, origin, journal)
    except SlipwayError as error:
        journal.log(Text("The release before could not be made current: {problem}", problem=error.message), "error")
        return failure
    if made is None:
        return failure
    back = replace(aim, release=made.release)
    try:
        if failure.code not in ENDING or not _started_again(back, journal, patience):
            _restarted(back, where, made.generation, journal, patience)
    except Cancelled as cancelled:
        raise Cancelled(
            Text(
                "Cancelled on the way back: release {digest} (generation {number}) is current, and starts by itself.",
                digest=made.release[:12],
                number=made.generation,
            ),
            cancelled.suggestion,
        ) from cancelled
    except SlipwayError as error:
        return EndpointError(
            Text(
                "{reason} The release before, {digest}, is current again (generation {number}), "
                "and does not serve either: {problem}",
                reason=failure.message,
                digest=made.release[:12],
                number=made.generation,
                problem=error.message,
            ),
            error.suggestion,
            code=failure.code,
            detail=failure.detail,
        )
    write_served(aim.place, where.share, home_of(aim.app, where), made.generation, journal)
    return restored(failure, made.release, made.generation)


def _made_current(
    aim: Aim, where: Destination, published: Published, origin: Generation, journal: Journal
) -> Published | None:
    """The switch back; None where no earlier release is on the share, or somebody else has deployed meanwhile."""
    with open_share(aim.place.around, where.share.account, where.share.share) as share:
        record = read_record(share, home_of(aim.app, where), journal)
        if record.highest != published.generation:
            journal.log(Text("Somebody else has deployed meanwhile (generation {number}).", number=record.highest))
            return None
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
        wanted = Generation(
            0, former.release, by=origin.by, commit=former.commit, slipway=origin.slipway, cause="failed"
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
    if not roll_out(aim, plan, journal, patience).release_matches:
        raise EndpointError(
            Text("{revision} serves another release.", revision=aim.revision.name), code="OtherReleaseServes"
        )
