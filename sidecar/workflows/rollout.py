"""Restarts a revision, or wakes it, and waits until a new replica serves the release: or says what keeps it from that."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from sidecar.core.journal import Journal
from sidecar.decisions.diagnosis import Cause, Seen, diagnose, killed_by_its_probe, log_tail
from sidecar.decisions.restart import Plan
from sidecar.decisions.signs import BEGUN, waiting_reason, warnings
from sidecar.gateway import revisions
from sidecar.gateway.endpoint import SHORT_SECONDS, Endpoint, Knock, Version
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.restart import Aim, Patience, answered, begin, minutes, version_of
from sidecar.workflows.spending import Meter
from sidecar.workflows.watch import Watch, replicas_of


@dataclass(frozen=True)
class Arrived:
    """`version` None: the server is not ours. `release_matches` False: another release than the one that was asked for runs."""

    replicas: tuple[str, ...]
    version: Version | None
    release_matches: bool = True
    took: float | None = None
    """Seconds from when a replica had a place to run; None where that was not seen."""


def roll_out(aim: Aim, plan: Plan, journal: Journal, patience: Patience) -> Arrived:
    # Nothing ran when a wake was planned: what has come since was started by it, or by a caller's request just now.
    running = [] if plan.way in ("new", "wake") else replicas_of(aim.place, aim.revision.name)
    before = frozenset(each.name for each in running)
    knock = Knock(aim.url)
    try:
        with Watch(aim.place, aim.app, aim.revision, before) as watch:
            begin(aim, plan, running, journal, patience)
            if plan.way in ("wake", "new"):
                knock.begin()
            return _Wait(aim, plan, watch, knock, journal, patience).until_it_serves()
    finally:
        knock.end()


class _Wait:
    """One wait, from the restart on."""

    def __init__(self, aim: Aim, plan: Plan, watch: Watch, knock: Knock, journal: Journal, patience: Patience) -> None:
        self._aim = aim
        self._plan = plan
        self._watch = watch
        self._knock = knock
        self._journal = journal
        self._patience = patience
        self._began = time.monotonic()
        self._asked_again = False
        self._shown: str | None = None
        self._warned: str | None = None
        self._logs_told = False
        self._start_told: set[str] = set()
        self._suspect: tuple[Cause, float] | None = None
        self._meter = Meter(aim, journal, patience)

    def until_it_serves(self) -> Arrived:
        bearing = Bearing(self._journal, self._patience.lost)
        while self._waited < self._patience.whole:
            seen = bearing.ask(self._watch.look)
            if seen is None:
                self._journal.wait(self._patience.poll)
                continue
            found = diagnose(seen)
            if isinstance(found, Cause):
                self._weigh(found)
                self._show(found.sentence)
            else:
                self._weigh_again(seen)
                scarce = self._plan.scarce
                self._show(found.text if scarce is None or _begun(seen) else scarce)
                self._warn(found.warning)
            self._tell_refused_logs()
            self._tell_warnings(seen)
            arrived = self._ask(seen)
            if arrived is not None:
                return replace(arrived, took=self._meter.took)
            self._meter.look(awake=_begun(seen))
            self._nudge(seen)
            self._journal.wait(self._patience.poll)
        raise self._not_ready()

    @property
    def _waited(self) -> float:
        return time.monotonic() - self._began

    def _weigh(self, cause: Cause) -> None:
        """Ends the wait for a cause that stays, or comes back; what Azure's next try mends is no failure."""
        first = self._suspect[1] if self._suspect is not None and self._suspect[0].code == cause.code else None
        if cause.at_once or (first is not None and self._waited - first >= self._patience.settle):
            raise EndpointError(cause.sentence, cause.advice, code=cause.code, detail=cause.detail)
        if first is None:
            self._suspect = (cause, self._waited)

    def _weigh_again(self, seen: Seen) -> None:
        """A container that its probe has killed is started again at once, between two looks; that it is killed again takes as
        long as the first time. Who waits for a first answer is told now."""
        if (cause := killed_by_its_probe(seen)) is not None:
            self._weigh(cause)

    def _ask(self, seen: Seen) -> Arrived | None:
        """Once every new replica says that it is ready and no old one is left: one short question, at the revision's own
        address. Before that a request would only be held, or answered by the old one."""
        if not seen.fresh or not all(each.ready for each in seen.fresh):
            return None
        if seen.old and self._waited < self._patience.restart + self._patience.release:
            return None
        if seen.old:
            self._journal.log(Text("The new replica is ready, but the old one has not ended yet."), "warning")
        names = tuple(each.name for each in seen.fresh)
        if not self._aim.ours:
            return Arrived(names, None) if answered(self._journal, lambda: _root(self._aim)) else None
        version = answered(self._journal, lambda: version_of(self._aim))
        if version is None or not version.loaded or version.replica in self._watch.before:
            return None
        return Arrived(names, version, release_matches=version.release == self._aim.release)

    def _nudge(self, seen: Seen) -> None:
        """What helps a start that does not begin: a request, a second restart."""
        if seen.fresh or self._waited > self._patience.wake:
            self._knock.begin()
        if seen.fresh or self._plan.way in ("wake", "new"):
            short = self._plan.way == "old-first" or self._plan.scarce is not None
            if short and self._waited > self._patience.assign and not _begun(seen):
                raise self._no_gpu()
            return
        if self._plan.way == "old-first":
            if self._waited > self._patience.assign:
                raise self._no_gpu()
        elif self._waited > 2 * self._patience.restart:
            raise EndpointError(
                Text(
                    "{revision} was asked twice to restart, and no new replica came.", revision=self._aim.revision.name
                ),
                Text("Look at the revision in the portal, then run Deploy again."),
                code="NothingRestarted",
                detail=log_tail((), list(seen.events)),
            )
        elif self._waited > self._patience.restart and not self._asked_again:
            self._asked_again = True
            name = self._aim.revision.name
            self._journal.step("restart-again", Text("Nothing restarted: asking once more…"), revision=name)
            revisions.restart(self._aim.place, name)

    def _show(self, text: Text) -> None:
        if str(text) != self._shown:
            self._shown = str(text)
            self._journal.progress(text)
            self._journal.log(text)

    def _warn(self, warning: Text | None) -> None:
        if warning is not None and warning.message != self._warned:
            self._warned = warning.message
            self._journal.log(warning, "warning")

    def _tell_refused_logs(self) -> None:
        """Without its log a start is followed less closely: said once."""
        problems = self._watch.log_problems
        if problems and not self._logs_told:
            self._logs_told = True
            self._journal.log(Text("The app's logs can't be read: {problem}", problem="; ".join(problems)), "warning")

    def _tell_warnings(self, seen: Seen) -> None:
        """Each of a new replica's start, once."""
        names = {replica.name for replica in seen.fresh}
        for each in (each for name in names for each in warnings(seen.console.get(name, ()))):
            if each not in self._start_told:
                self._start_told.add(each)
                self._journal.log(Text("The container says: {warning}", warning=each), "warning")

    def _no_gpu(self) -> EndpointError:
        if self._plan.scarce is not None:
            return EndpointError(
                Text("{revision} got no GPU: all of the quota are in use.", revision=self._aim.revision.name),
                Text("Stop what uses them, or ask for a larger quota; the replica starts by itself when one is free."),
                code="NoGpuFree",
                detail=log_tail((), list(self._watch.look().events)),
            )
        return EndpointError(
            Text(
                "{revision} has no GPU {minutes} minutes after its old replica ended: Azure has not given it back yet.",
                revision=self._aim.revision.name,
                minutes=minutes(self._patience.assign),
            ),
            Text("It starts by itself when a GPU is free. Look at its status, or run Deploy again later."),
            code="GpuNotReleased",
            detail=log_tail((), list(self._watch.look().events)),
        )

    def _not_ready(self) -> EndpointError:
        seen = self._watch.look()
        lines = next((each for each in seen.console.values() if each), ())
        return EndpointError(
            Text(
                "{revision} did not become ready within {minutes} minutes. Last seen: {state}",
                revision=self._aim.revision.name,
                minutes=minutes(self._patience.whole),
                state=self._shown or "?",
            ),
            Text("Look at the log, correct the cause and run Deploy again."),
            code="NotReady",
            detail=log_tail(lines, list(seen.events)) or "; ".join(self._watch.log_problems) or None,
        )


def _root(aim: Aim) -> bool:
    with Endpoint(aim.url, aim.key, SHORT_SECONDS) as endpoint:
        return endpoint.root_answers()


def _begun(seen: Seen) -> bool:
    """Whether anything says that a new replica has a place to run: its container, or its own events."""
    names = {replica.name for replica in seen.fresh}
    reasons = {event.reason for event in seen.events if event.replica in names}
    containers = [each for replica in seen.fresh for each in replica.containers]
    placed = any(each.started or each.state == "Running" or waiting_reason(each.details) for each in containers)
    return placed or bool(reasons & BEGUN)
