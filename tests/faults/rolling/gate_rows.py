"""A gate by each strategy that a telling server can be rolled out by: passed, missed, not to be judged, killed, and cancelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from sidecar.core.evaluation_runs import Answer, answers_of, runs
from sidecar.words.errors import Cancelled
from sidecar.words.names import StrategyWish
from tests.contract.localcloud.conftest import eventually
from tests.faults.deploying.ground import RESTART
from tests.faults.rolling.callers import called
from tests.faults.rolling.ground import REVISION, Rolling
from tests.faults.rolling.table import Told
from tests.faults.rolling.under_load import CALLERS, counts, played, untouched

ROWS_ASKED = 60
GOOD, NEVER = "^[0-9a-f]{8} ", "never said"
"""What every answer of a telling server matches, and what none does."""

STEPS: Mapping[StrategyWish, str] = {"revision": "judge-revision", "restart": "judge-serving"}
COMMANDS: Mapping[StrategyWish, tuple[str, ...]] = {"revision": REVISION, "restart": RESTART}
ANSWERED = "                self.answer(200, {"


def slowly(ground: Rolling) -> None:
    """Whole answers take a while, so that there is a middle of the gate."""
    _before_answers(ground, "time.sleep(0.3)")


def refusing(ground: Rolling) -> None:
    """The gate's questions alone are answered by somebody between, as it seems: by none of the server's own refusals."""
    _before_answers(ground, 'if "question" in json.dumps(asked):\n                    return self.answer(403, {})')


def _before_answers(ground: Rolling, line: str) -> None:
    file = ground.code / "__main__.py"
    text = file.read_text()
    assert text.count(ANSWERED) == 1, "the telling server has changed"
    file.write_text(text.replace(ANSWERED, f"                {line}\n{ANSWERED}"))


def judged(ground: Rolling, wish: StrategyWish) -> Told:
    old = ground.first()
    ground.tell("passes")
    ground.demand(GOOD)
    good, one = played(ground, wish)
    now = ground.serving()
    ground.tell("misses")
    ground.demand(NEVER)
    bad, two = played(ground, wish)
    seen = f"{good}, then {bad}; {counts(one)}; {counts(two)}; the second serves: {ground.serving() == now}"
    right = (good, bad) == ("done", "GateMissed") and now != old and ground.serving() == now
    right = right and not one.bad and not two.bad
    if wish == "revision":
        right = right and untouched(ground, two, now)
    return Told("one takes over, the other does not stay", seen, right)


def not_judged(ground: Rolling, wish: StrategyWish) -> Told:
    """What can't be asked has not passed."""
    old = ground.first()
    ground.tell("not to be judged")
    refusing(ground)
    ground.demand(GOOD)
    told, counted = played(ground, wish)
    seen = f"told {told}, {counts(counted)}, the old one serves: {ground.serving() == old}"
    return Told("no pass; the old one serves", seen, told == "GateUnverified" and ground.serving() == old)


def killed(ground: Rolling, wish: StrategyWish) -> Told:
    """In the middle of its questions. The next run judges the same release, and asks nothing again that was answered."""
    old = ground.first()
    ground.tell("killed")
    slowly(ground)
    ground.demand(GOOD, ROWS_ASKED)
    with called(ground.url, ground.key(), CALLERS) as counted:
        stored = _killed_amid(ground, wish)
        unjudged = ground.serving()
        begun = len(ground.written)
        done = ground.rolled(wish=wish)
    went_on = [line for line in ground.written[begun:] if "answers are stored already" in line]
    kept = {each: _stored(ground).get(each) for each in stored} == stored
    seen = (
        f"{len(stored)} of {ROWS_ASKED} answers at the kill, kept: {kept}; said: {went_on[:1]}; {counts(counted)}; "
        f"left: {ground.at_rest()}"
    )
    right = kept and bool(went_on) and ground.serving() == done.release != old and not counted.bad
    right = right and (unjudged == old) == (wish == "revision")
    return Told("gone on with; then it serves", seen, right and not ground.at_rest())


def killed_then_missed(ground: Rolling, wish: StrategyWish) -> Told:
    """What a kill left current without a verdict answers all the while: that makes it no release to stay with."""
    old = ground.first()
    ground.tell("killed, then missed")
    slowly(ground)
    ground.demand(NEVER, ROWS_ASKED)
    _killed_amid(ground, "restart")
    amid = ground.serving()
    told, counted = played(ground, wish)
    seen = f"told {told}, {counts(counted)}, the old one serves: {ground.serving() == old}"
    return Told("judged again; the old one comes back", seen, told == "GateMissed" and amid != old == ground.serving())


def cancelled(ground: Rolling, wish: StrategyWish) -> Told:
    old = ground.first()
    ground.tell("cancelled")
    slowly(ground)
    ground.demand(GOOD, ROWS_ASKED)
    said = ""
    with called(ground.url, ground.key(), CALLERS) as counted:
        try:
            ground.rolled(wish=wish, cancel_at=STEPS[wish])
        except Cancelled as error:
            said = str(error)
    serves = ground.serving() == old
    seen = f"told: {said} The old one serves: {serves}; {counts(counted)}; active: {len(ground.active())}"
    wanted = "has served all the while" if wish == "revision" else "its gate has not judged it"
    right = wanted in said and serves == (wish == "revision") and not counted.bad and len(ground.active()) == 1
    return Told("told what serves, and that nothing has judged it", seen, right)


def _stored(ground: Rolling) -> dict[tuple[str, str], Answer]:
    run = next(iter(runs(ground.project.workspace)), None)
    return {} if run is None else answers_of(run)


def _killed_amid(ground: Rolling, wish: StrategyWish) -> dict[tuple[str, str], Answer]:
    """What was stored then."""
    process = ground.begin(*COMMANDS[wish])
    eventually(lambda: len(_stored(ground)) >= 4 or process.poll() is not None, 180, "some answers")
    ground.kill(process)
    stored = _stored(ground)
    assert ground.steps()[-1] == STEPS[wish], f"it was at {ground.steps()[-1]}"
    assert 4 <= len(stored) < ROWS_ASKED, f"{len(stored)} answers: it was not in the middle"
    return stored


WISHES: tuple[StrategyWish, ...] = ("revision", "restart")
ROWS: dict[str, Callable[[Rolling], Told]] = {
    **{f"gate-{wish}": partial(judged, wish=wish) for wish in WISHES},
    **{f"gate-{wish}-unjudged": partial(not_judged, wish=wish) for wish in WISHES},
    **{f"gate-{wish}-killed": partial(killed, wish=wish) for wish in WISHES},
    **{f"gate-{wish}-cancelled": partial(cancelled, wish=wish) for wish in WISHES},
    **{f"gate-{wish}-killed-missed": partial(killed_then_missed, wish=wish) for wish in WISHES},
}
