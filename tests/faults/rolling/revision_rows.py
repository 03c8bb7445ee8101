"""A revision beside the old one: what goes wrong with it alone, under streaming callers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.contract.localcloud.conftest import eventually
from tests.faults.rolling.callers import called
from tests.faults.rolling.ground import REVISION, SHORT, Rolling
from tests.faults.rolling.table import Told
from tests.faults.rolling.under_load import CALLERS, common, counts, played, untouched


def nothing_made(ground: Rolling) -> Told:
    """32: Azure calls the change done and makes no revision of it."""
    old = ground.first()
    ground.tell("nothing made")
    change = {"part": "arm", "method": "PATCH", "path": "/containerApps/", "kind": "stale", "skip": 1}
    with ground.faults(change) as hits:
        told, counted = played(ground, "revision", scale=0.1)
        struck = hits()[0]
    seen = f"told {told}, {counts(counted)}, left: {ground.at_rest()}"
    right = told == "NoNewRevision" and struck > 0 and untouched(ground, counted, old) and not ground.at_rest()
    return Told("told that no revision was made; all is as it was", seen, right)


def no_gpu(ground: Rolling) -> Told:
    """47: as many GPUs as the quota has; a second revision would wait for one for ever."""
    old = ground.first()
    ground.tell("no gpu")
    told, counted = played(ground, "revision")
    seen = f"told {told}, {counts(counted)}, left: {ground.at_rest()}"
    right = told == "NoGpuFree" and untouched(ground, counted, old) and not ground.at_rest()
    return Told("told before anything is changed", seen, right)


def fails_after_the_switch(ground: Rolling) -> Told:
    """A release that passes every check and fails once everybody asks it: the weights go back, then what is current."""
    old = ground.first()
    ground.tell("fails later")
    program = (ground.code / "__main__.py").read_text()
    (ground.code / "__main__.py").write_text(program.replace("SPENT_AFTER = sys.maxsize", "SPENT_AFTER = 20"))
    told, counted = played(ground, "revision", patience=replace(SHORT, keep=60))
    current = ground.generations()
    back = [each.release for each in counted.calls[-CALLERS:]]
    seen = f"told {told}, {counts(counted)}, generations {len(current)}, the last answers: {set(back) == {old}}"
    right = told == "FailedAfterSwitch" and not counted.bad and set(back) == {old} and len(current) == 3
    return Told(
        "weights first, then the rest", seen, right and len(ground.active()) == 1 and len(counted.releases) == 2
    )


def two_at_once(ground: Rolling) -> Told:
    """19: the second finds that somebody is at it, and touches nothing."""
    ground.first()
    ground.tell("one")
    begun = len(ground.steps())
    with called(ground.url, ground.key(), CALLERS) as counted:
        one = ground.begin(*REVISION)
        eventually(lambda: "beside" in ground.steps()[begun:], 180, "the first to begin")
        ground.tell("two")
        two = ground.roll()
        ended = ground.finish(one)
    told = two.error["code"] if two.code else "nothing"
    serves = ended.code == 0 and ground.serving() == ended.document["release"]
    seen = f"exits {ended.code} and {two.code}, told {told}, the first serves: {serves}, {counts(counted)}, {ground.at_rest()}"
    right = told == "RolloutUnderWay" and serves and not counted.bad and not ground.at_rest()
    return Told("one serves, the other is told", seen, right)


def wrong_answers(ground: Rolling) -> Told:
    """A release that is ready and does not answer a question as was stated gets no request."""
    old = ground.first()
    ground.tell("wrong answers")
    (ground.project.workspace.infra / "smoke.json").write_text('[{"prompt": "Hello", "contains": "never said"}]')
    told, counted = played(ground, "revision")
    seen = f"told {told}, {counts(counted)}, active {len(ground.active())}"
    return Told("the old one serves", seen, told == "SmokeFailed" and untouched(ground, counted, old))


ROWS: dict[str, Callable[[Rolling], Told]] = {
    **common("revision"),
    "revision-32": nothing_made,
    "revision-smoke": wrong_answers,
    "revision-after": fails_after_the_switch,
    "revision-two": two_at_once,
}
ONE_GPU: dict[str, Callable[[Rolling], Told]] = {"revision-47": no_gpu}
"""On a cloud with one GPU."""
