"""Two revisions beside each other: what is written down of it on the share, which gets the requests, and how the old one ends."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import psutil

from sidecar.core.journal import Journal
from sidecar.decisions.beside import Begun, begun_from
from sidecar.decisions.candidate import Candidate, candidate_of
from sidecar.decisions.shifting import given_back, labelled, pinned
from sidecar.gateway import apps, revisions
from sidecar.gateway.endpoint import SHORT_SECONDS, Endpoint
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.place import AppPlace
from sidecar.gateway.traffic import Routing, routing, set_routing
from sidecar.words.errors import Conflict, NotFound
from sidecar.words.text import Text
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.publish import Destination, home_of
from sidecar.workflows.records import now
from sidecar.workflows.restart import Aim, Patience, answered
from sidecar.workflows.watch import replicas_of

FILE = "rollout.json"

GONE_SECONDS = 120
"""For the replicas of a revision that was ended: their grace, and a margin. They end without anybody who waits, too."""

UNTOLD = 2
"""Looks in a row that a server may leave without a number before it counts as one that tells none."""


@dataclass(frozen=True)
class Pair:
    """Where a roll-out happens: the old revision as it is asked, and where it is written down."""

    old: Aim
    share: apps.Mounted
    home: str

    @property
    def place(self) -> AppPlace:
        return self.old.place

    def opened(self) -> Share:
        return open_share(self.place.around, self.share.account, self.share.share)

    def after_cancel(self) -> Pair:
        """The same for what has to be put in order once the person has cancelled."""
        steady = self.place.around.after_cancel().app(self.place.name)
        return replace(self, old=replace(self.old, place=steady))


def this_machine() -> str:
    """Tells machines apart, and names none."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:16]


def begun_now(old: str, candidate: Candidate | None, was: Routing, by: str) -> Begun:
    return Begun(old, candidate, was, at=now(), by=by, machine=this_machine(), pid=os.getpid())


def read_begun(share: Share, home: str) -> Begun | None:
    try:
        return begun_from(share.read(f"{home}/{FILE}"))
    except NotFound:
        return None


def write_begun(pair: Pair, begun: Begun | None) -> None:
    """None: all is as it was, so nothing is written down any more."""
    with pair.opened() as share:
        file = f"{pair.home}/{FILE}"
        if begun is not None:
            share.replace(file, begun.to_json())
        elif share.exists(file):
            share.delete(file)


def begin(pair: Pair, begun: Begun, seconds: float) -> None:
    """Written down before anything is done, and only where nobody else is at it: of two at once one is told. `seconds`: for so
    long one that was begun elsewhere may be under way."""
    file, content = f"{pair.home}/{FILE}", begun.to_json()
    with pair.opened() as share:
        try:
            share.create(file, content)
        except Conflict:
            left = read_begun(share, pair.home)
            if left is not None and left.candidate is not None:
                refuse_while_it_runs(left, seconds)
            share.replace(file, content)


def refuse_while_it_runs(begun: Begun, seconds: float) -> None:
    """Somebody may be at it just now: on this machine a process tells, on another nothing but the time."""
    began = datetime.fromisoformat(begun.at).timestamp() if begun.at else 0.0
    if time.time() - began > seconds:
        return
    if begun.machine == this_machine() and not _lives(begun.pid, began):
        return
    raise Conflict(
        Text("A roll-out is under way (since {at}, by {by}).", at=begun.at, by=begun.by or "?"),
        Text("Run Deploy again when it has ended."),
        code="RolloutUnderWay",
    )


def _lives(pid: int, began: float) -> bool:
    """A process that began later has only its number; this one is at nothing else."""
    if pid in (0, os.getpid()):
        return False
    try:
        return psutil.Process(pid).create_time() <= began + 1
    except psutil.Error:
        return False


def refuse_anothers(pair: Pair, candidate: Candidate) -> None:
    """Before requests are moved: who reads of another roll-out there is not to undo that one's work."""
    if not is_ours(pair, candidate):
        raise Conflict(
            Text("Somebody else rolls out a release at the same moment."),
            Text("Run Deploy again when that has ended, if yours is the code that should run."),
            code="RolloutUnderWay",
        )


def is_ours(pair: Pair, candidate: Candidate) -> bool:
    with pair.opened() as share:
        left = read_begun(share, pair.home)
    return left is not None and left.candidate == candidate


@dataclass(frozen=True)
class Held:
    """A roll-out was taken back: the traffic is held by name at the revision that served, since the newest one does not work."""

    begun: Begun
    where: Destination
    home: str


def held_from(place: AppPlace, app: apps.App, where: Destination) -> Held | None:
    """None where somebody has stated the traffic since: then that is what is meant."""
    home = home_of(app, where)
    with open_share(place.around, where.share.account, where.share.share) as share:
        begun = read_begun(share, home)
    if begun is None or begun.candidate is not None or pinned(begun.was, begun.old) != routing(place):
        return None
    return Held(begun, where, home)


def hand_over(pair: Pair, was: Routing, new: str, journal: Journal) -> None:
    """A newer revision of the same release gets what the old one is held for, as it was before; then the old one ends."""
    text = Text("Giving {app} its revision mode and traffic back…", app=pair.old.app.name)
    journal.step("settle", text, revision=new)
    route(pair.place, given_back(was, _name(pair), new, apps.app(pair.place).latest_revision))
    if pair.old.revision.active:
        ended(pair, was, journal)
    write_begun(pair, None)


def route(place: AppPlace, wanted: Routing) -> None:
    """Writes nothing where it is so already."""
    if routing(place) != wanted:
        set_routing(place, wanted)


def made_for(
    place: AppPlace, candidate: Candidate, found: Sequence[revisions.Revision], old: str
) -> revisions.Revision | None:
    """The revision that was made for a candidate: its template says so. Active ones alone; what has ended needs no end."""
    others = sorted((each for each in found if each.active and each.name != old), key=lambda each: each.created)
    return next(
        (each for each in reversed(others) if candidate_of(revisions.template_of(place, each.name)) == candidate), None
    )


def drained(pair: Pair, journal: Journal, patience: Patience) -> bool:
    """Until the old revision has answered what it was asked; whether it has. One without a replica has nothing left, and is not
    asked: that would wake it."""
    deadline = time.monotonic() + patience.drain
    bearing = Bearing(journal, patience.drain)
    quiet, untold = 0, 0
    while time.monotonic() < deadline:
        running = bearing.ask(lambda: replicas_of(pair.place, pair.old.revision.name))
        if running is not None and not running:
            return True
        left = answered(journal, lambda: _in_flight(pair.old))
        # Each look reaches one replica, and nobody can choose which: several in a row have to say that nothing is left.
        quiet = quiet + 1 if left == 0 else 0
        untold = untold + 1 if left is None else 0
        if running is not None and quiet >= 2 * len(running):
            return True
        if untold > UNTOLD:
            text = Text(
                "{old} does not tell how much it has left to answer: it has its grace for that.", old=_name(pair)
            )
            journal.log(text, "warning")
            return False
        shown = "?" if left is None else left
        journal.progress(
            Text("{old} answers what it was asked before: {count} requests are left…", old=_name(pair), count=shown)
        )
        journal.wait(min(patience.poll, 1))
    journal.log(
        Text("{old} has not answered everything within {seconds} s.", old=_name(pair), seconds=round(patience.drain)),
        "warning",
    )
    return False


def ended(pair: Pair, was: Routing, journal: Journal) -> None:
    """The old revision is deactivated, unless a label leads to it: then somebody asks it there."""
    name = _name(pair)
    label = labelled(was, name)
    if label is not None:
        journal.log(
            Text(
                "{old} stays active, since the label {label} leads to it: it may hold a GPU as long as somebody asks it there.",
                old=name,
                label=label,
            ),
            "warning",
        )
        return
    journal.step("retire", Text("Ending {old}…", old=name), revision=name)
    revisions.deactivate(pair.place, name)
    _until_gone(pair.place, name, journal)


def end_at_once(pair: Pair, was: Routing, new: str) -> None:
    """The same without a wait and without a word, for who has cancelled. What the old one was asked it has its grace for."""
    if labelled(was, _name(pair)) is None:
        revisions.deactivate(pair.place, _name(pair))
    route(pair.place, given_back(was, _name(pair), new, apps.app(pair.place).latest_revision))
    write_begun(pair, None)


def settled(pair: Pair, was: Routing, new: str, journal: Journal) -> apps.App:
    """Mode and traffic are given back, and nothing is written down any more."""
    text = Text("Giving {app} its revision mode and traffic back…", app=pair.old.app.name)
    wanted = given_back(was, _name(pair), new, apps.app(pair.place).latest_revision)
    if routing(pair.place) != wanted:
        journal.step("settle", text, revision=new)
        set_routing(pair.place, wanted)
    write_begun(pair, None)
    return apps.app(pair.place)


def _until_gone(place: AppPlace, name: str, journal: Journal) -> None:
    deadline = time.monotonic() + GONE_SECONDS
    bearing = Bearing(journal, GONE_SECONDS)
    while (running := bearing.ask(lambda: replicas_of(place, name))) is None or running:
        if time.monotonic() > deadline:
            text = Text("The replicas of {old} are still ending: until then their GPUs are paid for too.", old=name)
            journal.log(text, "warning")
            return
        journal.progress(Text("Waiting for the replicas of {old} to end…", old=name))
        journal.wait(1)


def _in_flight(aim: Aim) -> int | None:
    with Endpoint(aim.url, aim.key, SHORT_SECONDS) as endpoint:
        return endpoint.in_flight()


def _name(pair: Pair) -> str:
    return pair.old.revision.name
