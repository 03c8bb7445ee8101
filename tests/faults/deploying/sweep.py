"""A command is killed at every write request and journal step of an unkilled run; row 20: a Deploy, and what the next does."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sidecar.core.releases import generation_from, generation_numbers
from sidecar.words.names import OperationKind
from tests.contract.localcloud.conftest import eventually
from tests.faults.deploying.ground import RESTART, Ground, Row

WRITES = "PUT|POST|PATCH|DELETE"


@dataclass(frozen=True)
class Command:
    """What is killed: a verb with its arguments, and its journal's name. `path`: of the requests that write; some that only read
    are a POST too."""

    kind: OperationKind
    arguments: tuple[str, ...]
    path: str = ".*"


DEPLOY = Command("deploy", RESTART)


@dataclass(frozen=True)
class Point:
    """Where a run is killed: at a write request (`files` or `arm`), before or after it took effect, or at a journal's step."""

    where: str
    number: int
    after: bool = False

    def __str__(self) -> str:
        when = "" if self.where == "journal" else " after" if self.after else " before"
        return f"{self.where} {self.number}{when}"


def points(ground: Ground, command: Command) -> list[Point]:
    """From an unkilled run on the same ground: as many writes and steps as it makes."""
    begun = len(ground.steps(command.kind))
    count = {"method": WRITES, "path": command.path, "kind": "delay", "seconds": 0, "times": None}
    with ground.faults({**count, "part": "files"}, {**count, "part": "arm"}) as hits:
        done = ground.deploy(*command.arguments)
        files, arm = hits()
    assert done.code == 0, done
    steps = len(ground.steps(command.kind)) - begun
    writes = [
        Point(part, n, after)
        for part, most in (("files", files), ("arm", arm))
        for n in range(most)
        for after in (False, True)
    ]
    return [*writes, *(Point("journal", n) for n in range(steps))]


def killed_at(ground: Ground, command: Command, point: Point) -> tuple[bool, bool]:
    """Whether the run came so far, and whether it was alive when it was killed: one whose request was cut may end by itself."""
    if point.where == "journal":
        begun = len(ground.steps(command.kind))
        process = ground.begin(*command.arguments)
        came = eventually(
            lambda: len(ground.steps(command.kind)) > begun + point.number or process.poll() is not None, 90
        )
        alive = process.poll() is None
        ground.kill(process)
        return bool(came) and alive, alive
    kind = "reset-after" if point.after else "reset-before"
    which = {"part": point.where, "method": WRITES, "path": command.path, "skip": point.number}
    with ground.faults({**which, "kind": kind, "times": None}) as hits:
        process = ground.begin(*command.arguments)
        struck = ground.await_hit(hits, process)
        alive = process.poll() is None
        ground.kill(process)
    return struck, alive


def sweep(ground: Ground, chosen: list[Point]) -> Generator[tuple[Point, list[str]]]:
    """What is not as it should be at each point; nothing where the run ended before it came so far."""
    for number, point in enumerate(chosen):
        before = ground.serving()
        ground.write("serve", f"killed {number}")
        came, alive = killed_at(ground, DEPLOY, point)
        if not came:
            yield point, []
            continue
        wrong = [f"{name[:12]} on the share is damaged" for name in ground.damaged() if name in current(ground)]
        if alive and ground.unfinished() is None and ground.steps()[-1] not in ("failed", "done"):
            wrong.append("the journal does not tell that it was cut off")
        answering = ground.serving()
        if answering and before and answering != before and ground.damaged():
            wrong.append("a mix may serve")
        done = ground.deploy()
        if done.code != 0:
            wrong.append(f"the next run ended with {done.code}: {done.out[:300]}")
        elif ground.serving() != done.document["release"]:
            wrong.append("the next run's release does not serve")
        if ground.unfinished() is not None:
            wrong.append("the journal still tells of it after the next run")
        yield point, wrong


def current(ground: Ground) -> set[str]:
    """Releases that generations on the share name."""
    with ground.share() as share:
        names = [each.name for each in share.list(f"{ground.home}/generations")]
        found = [
            generation_from(n, share.read(f"{ground.home}/generations/{n}.json")) for n in generation_numbers(names)
        ]
    return {each.release for each in found if each is not None}


def row(grounds: Sequence[Ground], every: int = 1) -> Row:
    """The points are shared out among grounds, each on a cloud of its own, since rules of faults hold for a whole cloud.
    `every`: of how many points one is played."""
    began = time.monotonic()
    for ground in grounds:
        ground.write("serve", "first")
        assert ground.deploy().code == 0
    grounds[0].write("serve", "counted")
    all_points = points(grounds[0], DEPLOY)
    chosen = all_points[::every]

    def play(number: int) -> list[tuple[Point, list[str]]]:
        return list(sweep(grounds[number], chosen[number :: len(grounds)]))

    with ThreadPoolExecutor(len(grounds)) as pool:
        found = [each for part in pool.map(play, range(len(grounds))) for each in part]
    wrong = [f"{point}: {each}" for point, problems in found for each in problems]
    seen = f"{len(found)} of {len(all_points)} points played, " + ("; ".join(wrong) or "each run after finished")
    return Row(
        20, "SIGKILL at every write and step of a Deploy", "old or new complete, never mixed; re-run finishes", seen,
        time.monotonic() - began, len(found), not wrong and bool(found),
    )  # fmt: skip
