"""The strategy `in place`: the container stays, the server inside is exchanged once the new one has been checked."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sidecar.core.smoke import to_wire
from sidecar.decisions.exchange import failed, of_ours, told
from sidecar.gateway.endpoint import Version
from sidecar.gateway.exchange import (
    CANDIDATE,
    UPLOAD_SECONDS,
    Busy,
    Exchange,
    NotChecked,
    NotReached,
    NotThere,
    OtherReplica,
    Supervisor,
    other_replica,
)
from sidecar.words.errors import Cancelled, EndpointError, SlipwayError
from sidecar.words.names import ExchangeForm, ExchangeState
from sidecar.words.text import Text
from sidecar.workflows.by_restart import judge_after, put_in_service, taken_back
from sidecar.workflows.gate import BEFORE, passed
from sidecar.workflows.judging import At
from sidecar.workflows.outcome import Served, ask_model, cancelled_after
from sidecar.workflows.publish import Published, deployed_meanwhile
from sidecar.workflows.records import read_record, write_served
from sidecar.workflows.restart import Aim, answered, version_of
from sidecar.workflows.rollout import Arrived
from sidecar.workflows.stage import Rollout
from sidecar.workflows.talking import Talk
from sidecar.workflows.watch import replicas_of
from sidecar.workflows.wayback import WayBack, made_current_again

BESIDE, IN_TURN = "exchange", "exchange-in-turn"
"""Steps. Beside, nothing has changed until then; in turn the release is current already."""


@dataclass(frozen=True)
class Running:
    """The container whose server is exchanged: its replica, and the release that it answers with."""

    aim: Aim
    key: str
    replica: str
    release: str


def exchanged(rollout: Rollout, running: Running, form: ExchangeForm) -> Served:
    with Supervisor(running.aim.url, running.key, running.replica) as supervisor:
        return _Exchanging(rollout, running, supervisor, form).run()


class _Exchanging:
    """One exchange. `_published`: what was made current, once it was. `_taken`: the new server has been told to take over.
    `_done`: it has. `_judged`: its gate, if it has one, has let it pass."""

    def __init__(self, rollout: Rollout, running: Running, supervisor: Supervisor, form: ExchangeForm) -> None:
        self._rollout = rollout
        self._running = running
        self._supervisor = supervisor
        self._talk = Talk(supervisor, rollout.journal, running.aim.app.name, running.aim.url)
        self._form: ExchangeForm = form
        self._journal = rollout.journal
        self._published: Published | None = None
        self._taken = False
        self._done = False
        self._judged = rollout.gate is None
        self._shown = ""
        self._former_start: str | None = None
        """When the server that runs began, where only that tells it from the new one: the release is the same."""

    def run(self) -> Served:
        try:
            if self._running.release == self._rollout.release:
                version = answered(self._journal, lambda: version_of(self._running.aim))
                self._former_start = None if version is None else version.started
            self._push()
            ended = self._in_turn() if self._form == "in turn" else self._beside()
            self._done = True
            version = self._answers()
            self._journal.step("ask", Text("Asking the model…"), increment=5)
            ask_model(self._rollout.stage.address.url, self._running.aim.key, self._journal)
            if self._rollout.gate is not None and not self._judged:
                judge_after(self._rollout.gate, self._running.aim, self._rollout.release, self._journal)
            self._journal.step("record", Text("Release {digest} answers.", digest=self._rollout.release[:12]))
        except Cancelled as cancelled:
            raise self._cancelled(cancelled) from cancelled
        except OtherReplica:
            self._talk.dropped(self._rollout.release)
            return self._by_restart()
        except SlipwayError as failure:
            raise self._failed(failure) from failure
        return self._served(version, ended)

    def _push(self) -> None:
        """The container verifies what it gets. What it runs already it has."""
        if self._running.release == self._rollout.release:
            return
        digest = self._rollout.release
        text = Text("Sending release {digest} to the container…", digest=digest[:12])
        self._journal.step("push", text, increment=10, release=digest)
        bundle = self._rollout.bundle
        size = (self._rollout.record.bundles or {}).get(digest, 0) if bundle is None else bundle.size

        def send() -> None:
            with self._blocks() as blocks:
                self._supervisor.push(digest, size, blocks)

        self._talk.asked(send, UPLOAD_SECONDS)

    @contextmanager
    def _blocks(self) -> Generator[Generator[bytes]]:
        bundle = self._rollout.bundle
        if bundle is not None:
            with bundle.file.open("rb") as file:
                yield (block for block in iter(lambda: file.read(1 << 20), b""))
            return
        yield (
            each for each in self._rollout.share.blocks(f"{self._rollout.stage.home}/releases/{self._rollout.release}")
        )

    def _beside(self) -> Exchange:
        """Nothing is current that has not been checked; what is current is taken over at once."""
        text = Text("Starting release {digest} beside the one that serves…", digest=self._rollout.release[:12])
        self._free()
        self._journal.step(BESIDE, text, increment=10, release=self._rollout.release)
        seq = self._begin()
        self._rollout.upload()  # while it starts
        checked = self._follow(seq, ("checked", "done"))
        if checked.state == "checked":
            self._judge_before()
        self._published = self._rollout.make_current(judged=self._judged)
        if checked.state == "done":
            return checked
        text = Text("Release {digest} has been checked: it takes over…", digest=self._rollout.release[:12])
        self._journal.step("take-over", text, increment=10, release=self._rollout.release)
        return self._follow(self._take_over(checked.seq), ("done",))

    def _judge_before(self) -> None:
        """Behind the container's door for the deploy key: no caller is answered by it yet."""
        aim, gate, release = self._running.aim, self._rollout.gate, self._rollout.release
        if gate is not None:
            text = Text("Evaluating release {digest} before it takes over…", digest=release[:12])
            self._journal.step(BEFORE, text, increment=10, release=release)
            at = At(f"{aim.url}{CANDIDATE}", self._running.key, aim.app.name, beside_callers=True)
            try:
                passed(gate, at, release, self._journal)
            except EndpointError as failure:
                seen = self._talk.look()
                if (seen.state, seen.release) == ("failed", release):
                    raise failed(seen, release) from failure  # it has ended meanwhile, for its own reason
                raise
        self._judged = True

    def _in_turn(self) -> Exchange:
        """Current first: a container that ends amid the exchange is started again with the new release."""
        self._free()
        self._published = self._rollout.make_current(judged=False)
        text = Text(
            "Exchanging the server for release {digest}: requests wait from now on…", digest=self._rollout.release[:12]
        )
        self._journal.step(IN_TURN, text, increment=10, release=self._rollout.release)
        return self._follow(self._begin(), ("done",))

    def _free(self) -> None:
        """Until no other exchange is under way: one that an earlier run of this project left is dropped, another's waited for."""
        left = [entry for step in (BESIDE, IN_TURN) if (entry := self._journal.cut_off(step)) is not None]
        deadline = time.monotonic() + self._rollout.patience.whole
        dropped = waited = False
        while (seen := self._talk.look()).under_way and not of_ours(
            seen, self._rollout.release, self._rollout.number, self._form
        ):
            if time.monotonic() > deadline:
                raise Busy(
                    Text("Another exchange is under way in the container."), Text("Run Deploy again when it has ended.")
                )
            if not dropped and any(entry.get("release") == seen.release for entry in left):
                self._journal.log(Text("An exchange that was cut off is still under way: it is dropped."))
                self._talk.asked(self._supervisor.discard)
                dropped = True
            else:
                self._journal.progress(Text("Waiting for another exchange in the container to end…"))
                waited = True
            self._talk.next(seen.seq)
        if waited:
            self._refuse_if_deployed()

    def _refuse_if_deployed(self) -> None:
        """Who has waited for somebody else's exchange knows the share as it was before that."""
        rollout, published = self._rollout, self._published
        record = read_record(rollout.share, rollout.stage.home, self._journal, bundles=False)
        known = rollout.record.highest if published is None else published.generation
        current = record.current
        if record.highest != known and (current is None or current.release != rollout.release):
            raise deployed_meanwhile(record.highest)

    def _begin(self) -> int:
        """What happened before is of no interest: the number after which it does. One of ours that is under way goes on."""
        seen = self._talk.look()
        if of_ours(seen, self._rollout.release, self._rollout.number, self._form):
            self._journal.log(Text("The container is at it already: that is followed."))
            return seen.seq - 1
        smoke = to_wire(self._rollout.smoke)

        def begin() -> None:
            self._supervisor.begin(self._rollout.release, self._rollout.number, self._form, smoke)

        try:
            self._talk.asked(begin)
        except NotThere:
            self._running = replace(self._running, release="")
            self._push()
            self._talk.asked(begin)
        except Busy:  # somebody was faster by a moment
            self._free()
            return self._begin()
        except NotReached:  # the answer alone may be lost: what comes of it is seen
            self._journal.log(Text("Whether the exchange has begun is not known: the answer was lost."), "warning")
        return seen.seq

    def _take_over(self, seq: int) -> int:
        """A lost answer is no reason to do it twice: the container tells what came of it."""
        self._taken = True
        try:
            self._talk.asked(lambda: self._supervisor.take_over(self._rollout.release))
        except NotReached:
            if self._talk.look().state == "checked":
                self._talk.asked(lambda: self._supervisor.take_over(self._rollout.release))
        except NotChecked:  # somebody else who deploys the same has told it, or nobody did in time: that is seen
            return seq
        return seq

    def _follow(self, seq: int, until: tuple[ExchangeState, ...]) -> Exchange:
        """In turn nobody accepts until the new server does, or the old one again: what is asked waits as long as all requests."""
        patience, release = self._rollout.patience, self._rollout.release
        bears = patience.whole if self._form == "in turn" else patience.again
        deadline, lost_at = time.monotonic() + patience.whole, None
        while time.monotonic() < deadline:
            try:
                seen = self._talk.look() if lost_at is not None and self._form == "beside" else self._talk.next(seq)
            except NotReached:
                now = time.monotonic()
                lost_at = lost_at or now
                if now - lost_at > bears:
                    raise
                self._show(
                    Text("Requests wait until the new server answers…")
                    if self._form == "in turn"
                    else Text("No answer ({problem}); still waiting…", problem=NotReached.code)
                )
                self._journal.wait(patience.poll)
                continue
            lost_at, seq = None, seen.seq
            if seen.state != "idle" and seen.release != release:
                raise Busy(
                    Text("The container is at another exchange, or has not begun this one."), Text("Run Deploy again.")
                )
            if seen.state == "failed" or (seen.state == "idle" and seen.running != release):
                raise failed(seen, release)
            if seen.state in until or seen.state == "idle":
                return seen
            self._show(told(seen))
        raise EndpointError(
            Text(
                "Release {digest} was not ready within {minutes} minutes.",
                digest=release[:12],
                minutes=f"{patience.whole / 60:g}",
            ),
            Text("Look at the log, correct the cause and run Deploy again."),
            code="NotReady",
        )

    def _answers(self) -> Version:
        """At the revision's own address, as the new server says it itself. For a moment a connection that the ingress keeps may
        still lead to the old one."""
        aim = self._running.aim
        deadline = time.monotonic() + self._rollout.patience.again
        while True:
            version = answered(self._journal, lambda: version_of(aim))
            if version is not None and version.replica and version.replica != self._running.replica:
                raise other_replica()
            if version is not None and version.loaded and self._is_new(version):
                return version
            if time.monotonic() > deadline:
                raise EndpointError(
                    Text(
                        "{revision} serves another release than the one that was deployed.", revision=aim.revision.name
                    ),
                    Text("The end of its log says which one it started, and why."),
                    code="OtherReleaseServes",
                )
            self._journal.wait(0.1)

    def _is_new(self, version: Version) -> bool:
        return version.release == self._rollout.release and (
            self._former_start is None or version.started != self._former_start
        )

    def _served(self, version: Version, ended: Exchange) -> Served:
        stage, published = self._rollout.stage, self._published
        assert published is not None, "made current before it serves"
        if ended.pause:
            self._journal.log(Text("Requests waited for {seconds} s.", seconds=f"{ended.pause:.1f}"))
        names = tuple(each.name for each in replicas_of(stage.place, stage.revision.name))
        if any(name != self._running.replica for name in names):
            return self._by_restart()
        write_served(stage.place, stage.where.share, stage.home, published.generation, self._journal)
        arrived = Arrived(names or (self._running.replica,), version)
        return Served(published, arrived, stage.app, "in-place", self._form, ended.pause)

    def _by_restart(self) -> Served:
        """What is current is started by all: two releases would serve otherwise."""
        rollout = self._rollout
        self._journal.log(
            Text("Another replica has started meanwhile: it is given the release by a restart."), "warning"
        )
        if self._published is None:
            rollout.upload()
            self._published = rollout.make_current(judged=self._judged)
        return put_in_service(
            rollout.stage,
            rollout.bundle,
            self._published,
            origin=rollout.origin,
            journal=self._journal,
            patience=rollout.patience,
            gate=None if self._judged else rollout.gate,
        )

    def _failed(self, failure: SlipwayError) -> SlipwayError:
        """The old server goes on, or starts again; where the new release is current already, the one before is made so again."""
        self._talk.dropped(self._rollout.release)
        if not isinstance(failure, EndpointError) or isinstance(failure, Busy):
            return failure
        changed = self._published is not None and self._published.changed
        made = self._published if changed else self._rollout.left_unjudged(failure)
        if made is not None:
            way = WayBack(self._running.aim, self._rollout.stage.where, made, self._rollout.origin)
            by_itself = changed and not self._done
            return taken_back(way, failure, self._journal, self._rollout.patience, by_itself=by_itself)
        return self._goes_on(failure)

    def _goes_on(self, failure: EndpointError) -> EndpointError:
        before = self._running.release
        version = answered(self._journal, lambda: version_of(self._running.aim))
        facts = {"reason": failure.message, "digest": before[:12]}
        if version is not None and version.loaded and version.release == before:
            text = Text("{reason} Release {digest} goes on serving.", **facts)
            self._journal.restored()
        else:
            text = Text("{reason} Release {digest} is the current one still, and does not answer just now.", **facts)
        return failure.in_other_words(text, failure.suggestion)

    def _cancelled(self, cancelled: Cancelled) -> Cancelled:
        """What goes on without the person who cancelled. Not waited for: a cancel is quick."""
        published = self._published
        if published is not None and (self._taken or self._done):
            return cancelled_after(published, cancelled, judged=self._judged or not self._done)
        dropped = self._talk.dropped(self._rollout.release)
        digest = self._running.release[:12]
        if published is not None and published.changed and not dropped:  # out of reach until a server accepts again
            return cancelled_after(published, cancelled)
        if published is None or not published.changed:
            return Cancelled(
                Text("Cancelled. Nothing was exchanged: release {digest} goes on serving.", digest=digest),
                cancelled.suggestion,
            )
        aim = self._running.aim
        steady = replace(aim, place=aim.place.around.after_cancel().app(aim.place.name))
        way = WayBack(steady, self._rollout.stage.where, published, self._rollout.origin)
        try:
            former = made_current_again(way, self._journal.after_cancel())
        except SlipwayError as error:
            self._journal.log(
                Text("The release before could not be made current: {problem}", problem=error.message), "error"
            )
            former = None
        if former is None:
            return cancelled_after(published, cancelled)
        return Cancelled(
            Text(
                "Cancelled. The release before, {digest}, is current again (generation {number}), and starts by itself.",
                digest=former.release[:12],
                number=former.generation,
            ),
            cancelled.suggestion,
        )

    def _show(self, text: Text) -> None:
        if str(text) != self._shown:
            self._shown = str(text)
            self._journal.progress(text)
            self._journal.log(text)
