"""A roll-out beside the old revision, or by a restart, killed at each of its writes and steps while callers ask: the next
Deploy ends it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from sidecar.words.errors import SlipwayError
from sidecar.words.names import StrategyWish
from tests.faults.deploying.ground import RESTART
from tests.faults.deploying.sweep import Command, Point, current, killed_at, points
from tests.faults.rolling.callers import called
from tests.faults.rolling.ground import REVISION, Rolling
from tests.faults.rolling.table import Told

WRITING = r"^(?!.*(oauth2|listKeys|listSecrets|getAuthtoken))"
COMMANDS: dict[StrategyWish, Command] = {
    "revision": Command("deploy", REVISION, WRITING),
    "restart": Command("deploy", RESTART, WRITING),
}
CALLERS = 2
LOOKS = ("look", "check", "sync", "upload")
"""Steps at which nothing that counts has been changed yet."""


@dataclass(frozen=True)
class Moment:
    """`alone`: the next run is let come to its end. Where nothing was changed yet it is killed too, one step later."""

    point: Point
    alone: bool


def moments(ground: Rolling, command: Command) -> list[Moment]:
    """Every step, and of the writes those at which something differs: what is there after a write is there before the next."""
    found = points(ground, command)
    steps = ground.steps()[-sum(each.where == "journal" for each in found) :]
    looks = {n for n, step in enumerate(steps) if step in LOOKS}
    ended = {n for n, step in enumerate(steps) if step == "done"}
    journal = [Moment(each, each.number not in looks) for each in found if each.where == "journal"]
    journal = [each for each in journal if each.point.number not in ended]
    writes = [Moment(each, alone=True) for each in found if each.where != "journal" and (each.after or not each.number)]
    return [*(each for each in journal if not each.alone), *writes, *(each for each in journal if each.alone)]


def row(ground: Rolling, wish: StrategyWish, part: int = 0, parts: int = 1) -> Told:
    """One of several parts of the points: each part has a cloud of its own."""
    ground.first()
    ground.tell("counted")
    found = moments(ground, COMMANDS[wish])
    played = list(sweep(ground, wish, found[part::parts]))
    wrong = [f"{point}: {each}" for point, problems in played for each in problems]
    seen = f"{len(played)} of {len(found)} points played" + (f", part {part + 1} of {parts}" if parts > 1 else "")
    told = "; ".join(wrong) or "each run after finished, no request failed"
    return Told("traffic always on what serves; re-run converges", f"{seen}: {told}", not wrong and bool(played))


def sweep(ground: Rolling, wish: StrategyWish, chosen: Sequence[Moment]) -> Generator[tuple[Point, list[str]]]:
    """What is not as it should be at each point; nothing where the run ended before it came so far. What is killed is a process;
    the run after it is one of this process, with short waits."""
    intact = set[str]()
    for number, moment in enumerate(chosen):
        before = ground.serving()
        ground.tell(f"killed {number}")
        with called(ground.url, ground.key(), CALLERS) as counted:
            came, alive = killed_at(ground, COMMANDS[wish], moment.point)
            wrong = damaged(ground, intact)
            if came and alive and ground.unfinished() is None and ground.steps()[-1] not in ("failed", "done"):
                wrong.append("the journal does not tell that it was cut off")
            if not ground.serving():
                wrong.append("nothing serves after the kill")
            if moment.alone or not came or moment is chosen[-1]:
                wrong += _again(ground, wish)
            elif ground.serving() != before:
                wrong.append("another release serves, though nothing was done yet")
        if counted.bad:
            wrong.append(counted.load.verdict())
        strangers = set(counted.releases) - {before, ground.serving()}
        if strangers:
            wrong.append(f"{len(strangers)} other releases answered")
        wrong += ground.at_rest()
        print(f"{moment.point}: {'; '.join(wrong) or 'as it should be'}", file=sys.stderr, flush=True)
        if came:
            yield moment.point, wrong


def damaged(ground: Rolling, intact: set[str]) -> list[str]:
    """Of the releases that generations name, those whose bytes are others. `intact`: seen before, and never written again."""
    with ground.share() as share:
        for name in current(ground) - intact:
            if hashlib.sha256(share.read(f"{ground.home}/releases/{name}")).hexdigest() != name:
                return [f"{name[:12]} on the share is damaged"]
            intact.add(name)
    return []


def _again(ground: Rolling, wish: StrategyWish) -> list[str]:
    try:
        done = ground.rolled(wish=wish)
    except SlipwayError as error:
        return [f"the next run ended with {error.code}: {error}"]
    return [] if ground.serving() == done.release else ["the next run's release does not serve"]
