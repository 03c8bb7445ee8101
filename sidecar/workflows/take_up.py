"""A roll-out that was cut off, on whichever machine: finished where its revision gets requests already, else taken back."""

from __future__ import annotations

from sidecar.core.journal import Journal
from sidecar.core.releases import Generation
from sidecar.decisions.beside import Begun, left_of
from sidecar.decisions.candidate import Candidate
from sidecar.decisions.serving import is_ours
from sidecar.decisions.shifting import handed_over, pinned
from sidecar.gateway import revisions
from sidecar.gateway.traffic import routing
from sidecar.words.text import Text
from sidecar.workflows.publish import make_current
from sidecar.workflows.records import packages_on, read_record, write_served
from sidecar.workflows.restart import Patience
from sidecar.workflows.stage import Stage, aim_of
from sidecar.workflows.two_revisions import (
    Pair,
    drained,
    ended,
    made_for,
    read_begun,
    refuse_while_it_runs,
    route,
    settled,
)
from sidecar.workflows.undoing import end_candidate, leave_at_rest


def taken_up(stage: Stage, journal: Journal, patience: Patience, by: str) -> bool:
    """Whether there was one: then everything has to be looked at again. Only in mode Multiple can there be any."""
    if stage.app.mode == "Single" or not is_ours(stage.app) or stage.where.plain:
        return False
    old = aim_of(stage, stage.app, stage.revision, None)
    pair = Pair(old, stage.where.share, stage.home)
    with pair.opened() as share:
        begun = read_begun(share, pair.home)
    if begun is None or begun.candidate is None:
        return False
    refuse_while_it_runs(begun, patience.whole)
    _end(stage, begun, begun.candidate, journal, patience, by=by)
    return True


def _end(stage: Stage, begun: Begun, candidate: Candidate, journal: Journal, patience: Patience, *, by: str) -> None:
    place = stage.place
    found = revisions.revisions(place)
    old = next((each for each in found if each.name == begun.old), revisions.Revision(begun.old, active=False))
    pair = Pair(aim_of(stage, stage.app, old, None), stage.where.share, stage.home)
    new = made_for(place, candidate, found, begun.old)
    left = left_of(begun, None if new is None else new.name, routing(place), stage.app.latest_revision)
    held = pinned(begun.was, begun.old)
    if new is None or left != "serving":
        text = Text("A roll-out that was cut off at {at} is taken back: {old} serves.", at=begun.at, old=begun.old)
        journal.log(text, "warning")
        journal.step("take-back", Text("Taking back what was begun…"), revision=begun.old)
        made = end_candidate(pair, candidate)
        leave_at_rest(pair, begun.was, held, by=by, ended=made)
        return
    text = Text("A roll-out that was cut off at {at} is finished: {new} serves.", at=begun.at, new=new.name)
    journal.log(text, "warning")
    journal.step("shift", Text("Sending all requests to {new}…", new=new.name), revision=new.name)
    route(place, handed_over(begun.was, begun.old, new.name))
    _made_current(pair, candidate, journal, by=by, revision=new.name)
    if old.active:
        journal.step("drain", Text("{old} answers what it was asked before…", old=begun.old), revision=begun.old)
        drained(pair, journal, patience)
        ended(pair, begun.was, journal)
    settled(pair, begun.was, new.name, journal)


def _made_current(pair: Pair, candidate: Candidate, journal: Journal, *, by: str, revision: str) -> None:
    """Unless it is, or another deployer's has been since."""
    with pair.opened() as share:
        record = read_record(share, pair.home, journal)
        if record.highest < candidate.number:
            named = packages_on(share, pair.home, candidate.release)
            archive = "" if named is None else named.archive
            make_current(share, record, Generation(0, candidate.release, by=by, packages=archive), journal)
        unsaid = record.highest <= candidate.number and candidate.number not in record.served
    if unsaid:
        write_served(pair.place, pair.share, pair.home, candidate.number, journal, revision=revision)
