"""A gate by each strategy that a telling server can be rolled out by: passed, missed, not to be judged, killed, and cancelled."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from unittest.mock import patch

from sidecar.core.evaluation_runs import FOLDER, Answer, answers_of, runs
from sidecar.words.errors import Cancelled, EndpointError
from sidecar.words.names import StrategyWish
from sidecar.workflows import evaluating
from tests.contract.localcloud.conftest import eventually
from tests.faults.deploying.ground import RESTART
from tests.faults.rolling.callers import called
from tests.faults.rolling.ground import REVISION, Rolling
from tests.faults.rolling.table import Told
from tests.faults.rolling.under_load import CALLERS, counts, played, untouched
from tests.support.contained import ROOT

ROWS_ASKED = 60
GOOD, NEVER = "^[0-9a-f]{8} ", "never said"
"""What every answer of a telling server matches, and what none does."""

STEPS: Mapping[StrategyWish, str] = {"revision": "judge-revision", "restart": "judge-serving"}
COMMANDS: Mapping[StrategyWish, tuple[str, ...]] = {"revision": REVISION, "restart": RESTART}
REPORTED = 7
"""Of a new run's writes, from 0: .gitignore, its file beside, renamed, opened, two reports beside and renamed."""

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


def crashing(ground: Rolling, wish: StrategyWish) -> Told:
    """The questions end the server: that is the cause, and not that nobody answers."""
    old = ground.first()
    ground.tell("crashing")
    _before_answers(ground, 'if "question" in json.dumps(asked):\n                    os._exit(3)')
    ground.demand(GOOD)
    said, detail = "nothing", ""
    with patch.object(evaluating, "LOST_SECONDS", 30.0):  # patched: ten minutes in which a replica may be replaced
        try:
            ground.rolled(wish=wish)
        except EndpointError as error:
            said, detail = f"{error.code}: {error}", error.detail or ""
    seen = f"told {said}; the old one serves: {ground.serving() == old}"
    right = said.startswith("GateUnverified") and "has answered no row" not in said and "phase ready" in detail
    return Told("told by what ended it; the old one serves", seen, right and ground.serving() == old)


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


def passed_then_killed(ground: Rolling, wish: StrategyWish) -> Told:
    """At the write by which the gate has let it pass. The next run rolls the same release out, and asks nothing again."""
    ground.first()
    ground.tell("passed, then killed")
    file, asked = ground.code / "__main__.py", ground.state / "asked"
    _before_answers(ground, f"if 'question' in json.dumps(asked): open({str(asked)!r}, 'a').write('.')")
    file.write_text(file.read_text().replace('"base": BASE,', '"base": BASE, "baseHash": "b" * 64,'))
    ground.demand(GOOD, ROWS_ASKED)
    folder = str(ground.project.workspace.folder / FOLDER)
    module = ["tests.support.killed", str(REPORTED), "after", "", folder, "--", *COMMANDS[wish]]
    command = [sys.executable, "-m", *module, str(ground.project.workspace.folder), "--cloud", "local", "--json"]
    with called(ground.url, ground.key(), CALLERS) as counted:
        ended = subprocess.run(command, cwd=ROOT, env=ground.environ, capture_output=True, check=False, timeout=300)
        gate = next(iter(runs(ground.project.workspace)))
        at, first = ground.steps()[-1], len(asked.read_text())
        done = ground.rolled(wish=wish)
    again, every = len(asked.read_text()) - first, len(list(runs(ground.project.workspace)))
    seen = (
        f"killed at {at}, its gate finished: {gate.finished}; asked {first} questions before, {again} after; {every} run; "
        f"{counts(counted)}; left: {ground.at_rest()}"
    )
    right = (
        ended.returncode == -signal.SIGKILL
        and at == STEPS[wish]
        and gate.finished
        and (first, again) == (ROWS_ASKED, 0)
    )
    right = right and every == 1 and ground.serving() == done.release and not counted.bad and not ground.at_rest()
    return Told("gone on with, and no row is asked again", seen, right)


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
    **{f"gate-{wish}-crashing": partial(crashing, wish=wish) for wish in WISHES},
    **{f"gate-{wish}-killed": partial(killed, wish=wish) for wish in WISHES},
    **{f"gate-{wish}-cancelled": partial(cancelled, wish=wish) for wish in WISHES},
    **{f"gate-{wish}-passed-killed": partial(passed_then_killed, wish=wish) for wish in WISHES},
    **{f"gate-{wish}-killed-missed": partial(killed_then_missed, wish=wish) for wish in WISHES},
}
