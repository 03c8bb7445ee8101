"""What a roll-out beside the revision that serves has done is undone: weights first, then the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sidecar.core.journal import Journal
from sidecar.decisions.candidate import Candidate
from sidecar.gateway import revisions
from sidecar.gateway.traffic import Routing
from sidecar.words.errors import Cancelled, CloudError, Conflict, EndpointError, SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.placing import plan_of
from sidecar.workflows.publish import Published
from sidecar.workflows.records import write_served
from sidecar.workflows.restart import Patience, answered, version_of
from sidecar.workflows.rollout import roll_out
from sidecar.workflows.stage import Rollout
from sidecar.workflows.two_revisions import Pair, begun_now, is_ours, made_for, route, write_begun
from sidecar.workflows.watch import replicas_of
from sidecar.workflows.wayback import WayBack, made_current_again


@dataclass(frozen=True)
class Done:
    """How far it came. `was`: mode and traffic before, `held`: with the old revision called by its name. `shifted`: requests
    may go to the new one; `published`: its release is current."""

    rollout: Rollout
    pair: Pair
    candidate: Candidate
    was: Routing
    held: Routing
    shifted: bool
    published: Published | None

    @property
    def old(self) -> str:
        return self.pair.old.revision.name


def undone(done: Done, failure: SlipwayError, journal: Journal, patience: Patience) -> SlipwayError:
    """What to raise in place of `failure`. Nothing here hears a cancel: two GPUs are not to be left running by one."""
    steady = journal.after_cancel()
    steady.log(failure.message, "info" if isinstance(failure, Cancelled) else "error")
    done = replace(done, pair=done.pair.after_cancel())
    try:
        steady.step("take-back", Text("{old} gets all its requests again…", old=done.old), revision=done.old)
        with steady.guard():
            ours = is_ours(done.pair, done.candidate)
            if done.shifted and ours:
                route(done.pair.place, done.held)
            ended = end_candidate(done.pair, done.candidate)
        made = _former_again(done, failure, steady)
        if not ours:
            return failure  # another roll-out gives back what it has found
        with steady.guard():
            leave_at_rest(done.pair, done.was, done.held, by=done.rollout.origin.by, ended=ended)
        if made is not None:
            _serves_again(done, made, steady, patience)
    except SlipwayError as problem:
        return _not_undone(failure, problem)
    steady.restored()
    return _told(done, failure, made)


def end_candidate(pair: Pair, candidate: Candidate) -> bool:
    """Deactivates the revision that was made for it, wherever a run was cut off; whether there was one."""
    found = made_for(pair.place, candidate, revisions.revisions(pair.place), pair.old.revision.name)
    if found is not None:
        revisions.deactivate(pair.place, found.name)
    return found is not None


def leave_at_rest(pair: Pair, was: Routing, held: Routing, *, by: str, ended: bool) -> None:
    """Mode and traffic as before, where no revision was made. Else the newest is one that does not work, and nothing may follow
    the newest: the old one stays called by its name, and it is written down what a later roll-out has to give back."""
    if ended and was != held:
        write_begun(pair, begun_now(pair.old.revision.name, None, was, by))
        return
    route(pair.place, was)
    write_begun(pair, None)


def _former_again(done: Done, failure: SlipwayError, journal: Journal) -> Published | None:
    published = done.published or done.rollout.left_unjudged(failure)
    if published is None:
        return None
    try:
        return made_current_again(
            WayBack(done.pair.old, done.rollout.stage.where, published, done.rollout.origin), journal
        )
    except Conflict as error:
        journal.log(error.message)  # another deployer's is current now: that is not ours to take back
        return None


def _serves_again(done: Done, made: Published, journal: Journal, patience: Patience) -> None:
    """The old revision has never stopped, unless it was started anew in the meantime: then it took what was current."""
    old = replace(done.pair.old, release=made.release)
    if not replicas_of(old.place, old.revision.name):
        return
    version = answered(journal, lambda: version_of(old))
    if version is None or version.release != made.release:
        plan = plan_of(old.place, old.app, old.revision)
        if not roll_out(old, plan, journal, patience).release_matches:
            text = Text("{revision} serves another release.", revision=old.revision.name)
            raise EndpointError(text, code="OtherReleaseServes")
    where = done.rollout.stage.where.share
    write_served(old.place, where, done.pair.home, made.generation, journal, revision=old.revision.name)


def _told(done: Done, failure: SlipwayError, made: Published | None) -> SlipwayError:
    told = {"reason": failure.message, "old": done.old}
    if made is None:
        text = Text("{reason} {old} has served all the while; what was made beside it has been ended.", **told)
        return _like(failure, text)
    text = Text(
        "{reason} {old} serves again, with the release before, {digest} (generation {number}).",
        digest=made.release[:12],
        number=made.generation,
        **told,
    )
    error = _like(failure, text)
    error.restored = made.generation
    return error


def _not_undone(failure: SlipwayError, problem: SlipwayError) -> SlipwayError:
    text = Text(
        "{reason} It could not be undone: {problem} Until a Deploy goes on from there, two revisions may run.",
        reason=failure.message,
        problem=problem.message,
    )
    suggestion = Text("Run Deploy again: it goes on from there.")
    told = EndpointError(text, suggestion, code=failure.code, detail=failure.detail)
    told.document = failure.document
    return told


def _like(failure: SlipwayError, text: Text) -> SlipwayError:
    kind = type(failure) if isinstance(failure, CloudError | Conflict | Cancelled) else EndpointError
    told = kind(text, failure.suggestion, code=failure.code, detail=failure.detail)
    told.document = failure.document
    return told
