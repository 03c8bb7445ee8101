"""A Provision is killed at every write of an unkilled run, before and after it: journal, the project's files, requests to ARM."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.contract.localcloud.conftest import World
from tests.faults.provisioning.ground import WRITING, Ground, Row

METHODS = "PUT|POST|PATCH|DELETE"


@dataclass(frozen=True)
class Point:
    """`file`: one of the writes that Python tells its audit hook of; `arm`: a request that writes."""

    where: str
    number: int
    after: bool
    what: str = ""

    def __str__(self) -> str:
        return f"{self.where} {self.number} {'after' if self.after else 'before'} {self.what}".rstrip()


@dataclass(frozen=True)
class Scene:
    """What is provisioned: `begun` makes a ground; `next`, before each point, gives the next Provision something to do; `applied`
    tells whether it did. `once`: all points of a lane share a ground."""

    name: str
    begun: Callable[[World, Path, str], Ground]
    next: Callable[[Ground, int], None]
    applied: Callable[[Ground], list[str]]
    once: bool = False


def changed(world: World, folder: Path, name: str) -> Ground:
    """An app that exists."""
    ground = Ground(world, folder, name)
    assert ground.provision().code == 0
    return ground


def another_cooldown(ground: Ground, number: int) -> None:
    """A parameter is stated otherwise: a PATCH beside the deployment."""
    ground.project.state(cooldownSeconds=100 + number)


def with_environment(world: World, folder: Path, name: str) -> Ground:
    """An environment of somebody else's, which gets a GPU profile by a PATCH before the deployment."""
    ground = Ground(world, folder, name)
    ground.with_environment()
    return ground


def cooldown_applied(ground: Ground) -> list[str]:
    found = ground.world.apps.container_apps.get(ground.name, ground.config["ACA_APP_NAME"])
    stated = json.loads(ground.project.workspace.parameters_file.read_text(encoding="utf-8"))["parameters"][
        "cooldownSeconds"
    ]
    has = found.properties.template.scale.cooldown_period
    return [] if has == stated["value"] else [f"the stated cooldown is not applied: {has}"]


def profile_added(ground: Ground) -> list[str]:
    found = ground.world.apps.managed_environments.get(ground.name, "theirs")
    names = {str(each.name) for each in found.properties.workload_profiles}
    return [] if "gpu-inference" in names and "Consumption" in names else [f"the environment's profiles are {names}"]


SCENES = (
    Scene("first", Ground, lambda *_: None, lambda _: []),
    Scene("changed", changed, another_cooldown, cooldown_applied, once=True),
    Scene("environment", with_environment, lambda *_: None, profile_added),
)


def points(scene: Scene, ground: Ground) -> list[Point]:
    """From an unkilled run: its writes of files, in order, and its requests that write. A run that asked for consent has only
    looked, and looks again: that part is played once."""
    count = {"part": "arm", "method": METHODS, "path": WRITING, "kind": "delay", "seconds": 0, "times": None}
    begun = len(ground.steps("provision"))
    scene.next(ground, 0)
    with tempfile.NamedTemporaryFile("r", suffix=".list") as listed, ground.faults(count) as hits:
        done = ground.finish(ground.begin_killed(0, "never", listed.name))
        (asked,) = hits()
        written = Path(listed.name).read_text(encoding="utf-8").splitlines()
    assert done.code == 0, (scene.name, done)
    steps = ground.steps("provision")[begun:]
    again = len(steps) - 1 - steps[::-1].index("resolve")
    files = [Point("file", n, after, what) for n, what in enumerate(written) if n >= again for after in (False, True)]
    return files + [Point("arm", n, after) for n in range(asked) for after in (False, True)]


def killed_at(ground: Ground, point: Point) -> bool:
    """Whether the run came so far, and was alive until then."""
    if point.where == "file":
        process = ground.begin_killed(point.number, "after" if point.after else "before")
        return ground.finish(process).code == -9
    kind = "reset-after" if point.after else "reset-before"
    which = {"part": "arm", "method": METHODS, "path": WRITING, "skip": point.number}
    with ground.faults({**which, "kind": kind, "times": None}) as hits:
        process: subprocess.Popen[str] = ground.begin()
        struck = ground.await_hit(hits, process)
        alive = process.poll() is None
        ground.kill(process)
    return struck and alive


def played(
    scene: Scene, world: World, folder: Path, chosen: Sequence[Point], label: str
) -> Generator[tuple[Point, list[str]]]:
    """What is not as it should be at each point; a point that was not reached is told as that."""
    ground: Ground | None = None
    for number, point in enumerate(chosen):
        if ground is None or not scene.once:
            ground = scene.begun(world, folder, f"{scene.name}-{label}-{number}")
        scene.next(ground, number + 1)
        yield point, killed_and_again(scene, ground, point)
        if not scene.once:
            ground.end()
    if ground is not None and scene.once:
        ground.end()


def killed_and_again(scene: Scene, ground: Ground, point: Point) -> list[str]:
    before, deployed = len(ground.steps("provision")), len(ground.deployments())
    if not killed_at(ground, point):
        return ["the run did not come so far, or had ended"]
    wrong = ground.torn()
    steps = ground.steps("provision")[before:]
    if steps and steps[-1] not in ("done", "failed") and ground.unfinished("provision") is None:
        wrong.append("the journal does not tell that it was cut off")
    wrong += ground.converges()
    there = ground.deployments()
    if len(there) > deployed + 1:
        wrong.append(f"more than one deployment was begun: {there}")
    wrong += [f"{name} has not ended" for name, state in there if state not in ("Succeeded", "Canceled")]
    return wrong or scene.applied(ground)


def row(clouds: Sequence[tuple[World, Path]], every: int = 1) -> Iterator[Row]:
    """The points are shared out among clouds, since rules of faults hold for a whole cloud. `every`: of so many one is played."""
    for scene in SCENES:
        began = time.monotonic()
        ground = scene.begun(*clouds[0], f"{scene.name}-counted")
        known = points(scene, ground)
        ground.end()
        chosen = known[::every]

        def play(lane: int, scene: Scene = scene, chosen: Sequence[Point] = chosen) -> list[tuple[Point, list[str]]]:
            return list(played(scene, *clouds[lane], chosen[lane :: len(clouds)], str(lane)))

        with ThreadPoolExecutor(len(clouds)) as pool:
            found = [each for part in pool.map(play, range(len(clouds))) for each in part]
        wrong = [f"{point}: {each}" for point, problems in found for each in problems]
        counts = f"{sum(each.where == 'file' for each in known)} at files, {sum(each.where == 'arm' for each in known)} at ARM"
        yield Row(
            17, f"SIGKILL at every write ({scene.name})", "the next run converges: one set, a whole configuration",
            f"{len(found)} of {len(known)} points ({counts}): " + ("; ".join(wrong) or "each run after finished"),
            time.monotonic() - began, 600, len(found), not wrong and bool(found),
        )  # fmt: skip
