"""The strategy `revision`: a new revision beside the old one gets the requests once it is checked; then the old one ends."""

from __future__ import annotations

import secrets
import time

from sidecar.decisions.candidate import Candidate, with_candidate
from sidecar.decisions.restart import Plan
from sidecar.decisions.shifting import MULTIPLE, WHOLE, handed_over, pinned, shifted, weight_of
from sidecar.decisions.upgrade import has_present_start
from sidecar.gateway import apps, revisions
from sidecar.gateway.files import open_share
from sidecar.gateway.traffic import Routing, routing
from sidecar.words.errors import Cancelled, ConsentNeeded, EndpointError, SlipwayError
from sidecar.words.names import StrategyWish
from sidecar.words.text import Text
from sidecar.workflows.asking import ask_smoke
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.gate import BEFORE_REVISION, passed_there
from sidecar.workflows.judging import At
from sidecar.workflows.outcome import Served, ask_model
from sidecar.workflows.placing import plan_of
from sidecar.workflows.publish import Published, repair
from sidecar.workflows.records import write_served
from sidecar.workflows.restart import Aim, answered, version_of
from sidecar.workflows.rollout import Arrived, roll_out
from sidecar.workflows.stage import Rollout, Stage, aim_of
from sidecar.workflows.two_revisions import (
    Pair,
    begin,
    begun_now,
    drained,
    end_at_once,
    ended,
    read_begun,
    refuse_anothers,
    route,
    settled,
)
from sidecar.workflows.undoing import Done, undone
from sidecar.workflows.upgrade import new_revision

CONSENT = "two-revisions"

FELT_SECONDS = 30
"""For a change of the weights to be felt at the app's address; it is, at once, where anybody has looked."""

LOOK_SECONDS = 5
"""Between two looks at a revision that has taken over."""

FAILED_LOOKS = 3
"""In a row: so often a revision that has taken over does not answer before it is taken back."""


def can_be_revised(app: apps.App, wish: StrategyWish) -> bool:
    """Whether an app can be rolled out so. Without being asked for it only where the app is in mode Multiple already: another
    one needs consent. Its start has to know what a candidate is, and to be free to start it."""
    free = has_present_start(app) and app.env.get("SLIPWAY_RELEASE") == "current" and app.fqdn is not None
    return free and (app.mode == MULTIPLE or (wish == "revision" and app.mode == "Single"))


def revised(rollout: Rollout) -> Served:
    stage = rollout.stage
    was = routing(stage.place)
    agree(stage, was, rollout.consents)
    refuse_without_gpu(rollout)
    return _Beside(rollout, was).run()


def agree(stage: Stage, was: Routing, consents: tuple[str, ...]) -> None:
    """Before anything is done."""
    if was.mode != "Single" or CONSENT in consents:
        return
    raise ConsentNeeded(
        CONSENT,
        Text(
            "A revision beside the one that runs needs {app} in revision mode Multiple for as long as both run, and both their "
            "GPUs are paid for meanwhile.",
            app=stage.app.name,
        ),
        Text("Its traffic is held at {revision} by name first; mode and traffic are given back.", revision=_old(stage)),
    )


def refuse_without_gpu(rollout: Rollout) -> None:
    """A second replica that can get no GPU would wait for one until the first ends, which waits for the second."""
    stage = rollout.stage
    plan = plan_of(stage.place, stage.app, stage.revision)
    if plan.way != "old-first":
        return
    raise EndpointError(
        Text("There is no GPU for a second revision. {reason}", reason=plan.reason or ""),
        Text("Choose another strategy, or ask for a quota of two GPUs. Nothing was changed."),
        code="NoGpuFree",
    )


class _Beside:
    """One roll-out. What has been done so far decides what a failure undoes."""

    def __init__(self, rollout: Rollout, was: Routing) -> None:
        self._rollout = rollout
        self._stage = rollout.stage
        self._journal = rollout.journal
        self._secrets = apps.secrets(self._stage.place)
        old = aim_of(self._stage, self._stage.app, self._stage.revision, None, self._secrets)
        self._pair = Pair(old, self._stage.where.share, self._stage.home)
        self._was = self._before(was)
        self._held = pinned(was, _old(self._stage))
        self._candidate = Candidate(rollout.number, rollout.release, secrets.token_hex(4))
        self._kept = rollout.patience.keep * self._stage.place.around.session.patience.scale
        self._new: Aim | None = None
        self._shifted = False
        self._published: Published | None = None

    def run(self) -> Served:
        try:
            self._pin()
            new = self._make()
            arrived = self._check(new)
            self._shift(new)
            published = self._commit(new, arrived)
            self._keep(new)
        except Cancelled as cancelled:
            raise self._cancelled(cancelled) from cancelled
        except SlipwayError as failure:
            raise undone(self._done(), failure, self._journal, self._rollout.patience) from failure
        app = self._end(new)
        return Served(published, arrived, app, strategy="revision")

    def _before(self, was: Routing) -> Routing:
        """What an earlier roll-out had found, where that was taken back and its traffic still names the old revision."""
        if was.mode == "Single":
            return was
        with self._pair.opened() as share:
            left = read_begun(share, self._pair.home)
        kept = left is not None and left.candidate is None and pinned(left.was, left.old) == was
        return left.was if left is not None and kept else was

    @property
    def _url(self) -> str:
        """Where the weights count; the workspace may name the address of one revision."""
        return f"{self._pair.place.around.session.profile.scheme}://{self._stage.app.fqdn}"

    def _pin(self) -> None:
        """The traffic is held by name before another revision is made, and what was before is written down before that."""
        text = Text("Holding the requests at {revision}…", revision=_old(self._stage))
        self._journal.step("pin", text, increment=5, revision=_old(self._stage))
        begun = begun_now(_old(self._stage), self._candidate, self._was, self._rollout.origin.by)
        begin(self._pair, begun, self._rollout.patience.whole)
        route(self._pair.place, self._held)

    def _make(self) -> Aim:
        digest, old = self._rollout.release, _old(self._stage)
        text = Text("Starting a revision with release {digest} beside {old}…", digest=digest[:12], old=old)
        self._journal.step("beside", text, increment=10, revision=old, candidate=str(self._candidate))
        place = self._pair.place
        template = with_candidate(revisions.template_of(place, old), self._candidate)
        apps.update_template(place, template)
        app, revision = new_revision(place, self._stage.app, self._journal)
        self._new = aim_of(self._stage, app, revision, digest, self._secrets)
        return self._new

    def _check(self, new: Aim) -> Arrived:
        """At its own address: nobody else asks it yet."""
        journal, patience = self._journal, self._rollout.patience
        arrived = roll_out(new, Plan("new"), journal, patience)
        if not self._is_it(arrived) and self._mended():
            plan = plan_of(new.place, new.app, new.revision)
            arrived = roll_out(new, plan, journal, patience)
        if not self._is_it(arrived):
            raise EndpointError(
                Text("{revision} serves another release than the one that was deployed.", revision=new.revision.name),
                Text("The end of its log says which one it started, and why."),
                code="OtherReleaseServes",
            )
        journal.step("ask", Text("Asking the model…"), increment=5, revision=new.revision.name)
        ask_smoke(new.url, new.key, self._rollout.smoke, journal)
        if self._rollout.gate is not None:
            text = Text("Evaluating {revision} before it gets requests…", revision=new.revision.name)
            journal.step(BEFORE_REVISION, text, increment=5, revision=new.revision.name)
            at = At(new.url, new.key, new.app.name)
            passed_there(self._rollout.gate, new, at, self._rollout.release, journal)
        return arrived

    def _is_it(self, arrived: Arrived) -> bool:
        version = arrived.version
        return arrived.release_matches and version is not None and version.generation == self._candidate.number

    def _mended(self) -> bool:
        """What a second start could change: a bundle that was damaged, a mount that has not shown it yet."""
        where, bundle = self._stage.where.share, self._rollout.bundle
        if bundle is not None:
            with open_share(self._pair.place.around, where.account, where.share) as share:
                if repair(bundle, share, self._pair.home, self._journal):
                    return True
        self._journal.log(Text("The share did not show the release yet: once more…"), "warning")
        self._journal.wait(self._rollout.patience.lag)
        return True

    def _shift(self, new: Aim) -> None:
        wanted = self._held
        for percent in self._rollout.patience.shares:
            wanted = self._shared(new.revision.name, percent)
            text = Text("Sending {percent} % of the requests to {new}…", percent=percent, new=new.revision.name)
            self._journal.step("shift", text, increment=10, revision=new.revision.name)
            refuse_anothers(self._pair, self._candidate)
            self._shifted = True
            route(self._pair.place, wanted)
            if percent < WHOLE:
                self._look_after(new, self._kept)
        text = Text("Asking the model at {url}…", url=self._url)
        self._journal.step("answers", text, increment=5, revision=new.revision.name)
        if weight_of(wanted, new.revision.name) == WHOLE:
            self._felt()
        ask_model(self._url, new.key, self._journal)

    def _shared(self, new: str, percent: int) -> Routing:
        old = _old(self._stage)
        return handed_over(self._was, old, new) if percent == WHOLE else shifted(self._held, old, new, percent)

    def _felt(self) -> None:
        """Until the address that callers use answers with the release."""
        url, key = self._url, self._pair.old.key
        asked = Aim(self._pair.place, self._stage.app, self._stage.revision, url, key, self._rollout.release, ours=True)
        deadline = time.monotonic() + FELT_SECONDS
        while True:
            version = answered(self._journal, lambda: version_of(asked))
            if version is not None and version.release == self._rollout.release:
                return
            if time.monotonic() > deadline:
                raise EndpointError(
                    Text("{url} does not answer with the new release, though all requests go there.", url=url),
                    Text("Look at the app's traffic in the portal, then run Deploy again."),
                    code="OtherReleaseServes",
                )
            self._journal.wait(1)

    def _commit(self, new: Aim, arrived: Arrived) -> Published:
        """The release is current once it serves: until then the old revision went on starting the one before."""
        self._published = published = self._rollout.make_current(judged=True)
        where = self._stage.where.share
        write_served(
            self._pair.place, where, self._pair.home, published.generation, self._journal, arrived.took,
            revision=new.revision.name,
        )  # fmt: skip
        return published

    def _keep(self, new: Aim) -> None:
        """What the old one was asked it answers; and it stays for a while, for the way back."""
        text = Text(
            "{new} serves. {old} answers what it was asked before…", new=new.revision.name, old=_old(self._stage)
        )
        self._journal.step("drain", text, increment=5, revision=_old(self._stage))
        began = time.monotonic()
        drained(self._pair, self._journal, self._rollout.patience)
        self._look_after(new, self._kept - (time.monotonic() - began))

    def _look_after(self, new: Aim, seconds: float) -> None:
        """A release that was checked may still fail once everybody asks it."""
        deadline = time.monotonic() + seconds
        bearing = Bearing(self._journal, self._rollout.patience.lost)
        failed = 0
        while time.monotonic() < deadline:
            seen = bearing.ask(lambda: revisions.revision(self._pair.place, new.revision.name))
            version = answered(self._journal, lambda: version_of(new))
            bad = seen is not None and (seen.health == "Unhealthy" or version is None or version.release != new.release)
            failed = failed + 1 if bad else 0
            if failed >= FAILED_LOOKS:
                raise EndpointError(
                    Text("{new} was checked, and does not answer any more.", new=new.revision.name),
                    Text("Look at its log, correct the cause and run Deploy again."),
                    code="FailedAfterSwitch",
                )
            self._journal.wait(max(0.0, min(LOOK_SECONDS, deadline - time.monotonic())))

    def _end(self, new: Aim) -> apps.App:
        """The release serves whatever comes now: what is not ended here is ended by the next Deploy."""
        ended(self._pair, self._was, self._journal)
        return settled(self._pair, self._was, new.revision.name, self._journal)

    def _done(self) -> Done:
        return Done(
            rollout=self._rollout,
            pair=self._pair,
            candidate=self._candidate,
            was=self._was,
            held=self._held,
            shifted=self._shifted,
            published=self._published,
        )

    def _cancelled(self, cancelled: Cancelled) -> SlipwayError:
        """Two GPUs are not left running by a cancel: before the switch the new revision ends, after it the old one."""
        if self._published is None or self._new is None:
            return undone(self._done(), cancelled, self._journal, self._rollout.patience)
        with self._journal.after_cancel().guard():
            end_at_once(self._pair.after_cancel(), self._was, self._new.revision.name)
        self._journal.done(release=self._published.release, generation=str(self._published.generation))
        return Cancelled(
            Text(
                "Cancelled. Release {digest} serves (generation {number}); {old} was ended without waiting for it.",
                digest=self._published.release[:12],
                number=self._published.generation,
                old=_old(self._stage),
            ),
            Text("AI Toolkit: Roll back inference deployment goes back to the release before."),
        )


def _old(stage: Stage) -> str:
    return stage.revision.name
