"""A Provision is killed at every write of an unkilled run, before and after it: journal, the project's files, requests to ARM."""

from __future__ import annotations

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
    """What is provisioned: `begun` makes a ground on which the next Provision has something to do; `applied`, whether it did."""

    name: str
    begun: Callable[[World, Path, str], Ground]
    applied: Callable[[Ground], list[str]]


def first(world: World, folder: Path, name: str) -> Ground:
    return Ground(world, folder, name)


def changed(world: World, folder: Path, name: str) -> Ground:
    """An app that exists, and of which a parameter is stated otherwise since: a PATCH beside the deployment."""
    ground = Ground(world, folder, name)
    assert ground.provision().code == 0
    ground.project.state(cooldownSeconds=99)
    return ground


def with_environment(world: World, folder: Path, name: str) -> Ground:
    """An environment of somebody else's, which gets a GPU profile by a PATCH before the deployment."""
    ground = Ground(world, folder, name)
    profiles = [{"name": "Consumption", "workloadProfileType": "Consumption"}]
    body = {"location": "westus3", "properties": {"workloadProfiles": profiles}}
    world.apps.managed_environments.begin_create_or_update(name, "theirs", body).result()
    ground.project.state(acaEnvironmentName="theirs")
    return ground


def cooldown_applied(ground: Ground) -> list[str]:
    found = ground.world.apps.container_apps.get(ground.name, ground.config["ACA_APP_NAME"])
    stated = found.properties.template.scale.cooldown_period
    return [] if stated == 99 else [f"the stated cooldown is not applied: {stated}"]


def profile_added(ground: Ground) -> list[str]:
    found = ground.world.apps.managed_environments.get(ground.name, "theirs")
    names = {str(each.name) for each in found.properties.workload_profiles}
    return [] if "gpu-inference" in names and "Consumption" in names else [f"the environment's profiles are {names}"]


SCENES = (
    Scene("first", first, lambda _: []),
    Scene("changed", changed, cooldown_applied),
    Scene("environment", with_environment, profile_added),
)


def points(scene: Scene, ground: Ground) -> list[Point]:
    """From an unkilled run: its writes of files, in order, and its requests that write."""
    count = {"part": "arm", "method": METHODS, "path": WRITING, "kind": "delay", "seconds": 0, "times": None}
    with tempfile.NamedTemporaryFile("r", suffix=".list") as listed, ground.faults(count) as hits:
        done = ground.finish(ground.begin_killed(0, "never", listed.name))
        (asked,) = hits()
        written = Path(listed.name).read_text(encoding="utf-8").splitlines()
    assert done.code == 0, (scene.name, done)
    files = [Point("file", n, after, what) for n, what in enumerate(written) for after in (False, True)]
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
    for number, point in enumerate(chosen):
        ground = scene.begun(world, folder, f"{scene.name}-{label}-{number}")
        if not killed_at(ground, point):
            yield point, ["the run did not come so far, or had ended"]
            continue
        wrong = ground.torn() if scene.name != "changed" else []
        begun = [step for step in ground.steps("provision") if step != "done"]
        if (
            point.number > 0
            and point.where == "file"
            and begun
            and ground.unfinished("provision") is None
            and not ended(ground)
        ):
            wrong.append("the journal does not tell that it was cut off")
        wrong += [*ground.converges(), *one_deployment(ground)]
        wrong += scene.applied(ground) if not wrong else []
        yield point, wrong
        ground.end()


def ended(ground: Ground) -> bool:
    return ground.steps("provision")[-1:] in (["done"], ["failed"])


def one_deployment(ground: Ground) -> list[str]:
    """Of what the parameters state now; the scene's own first Provision has made another."""
    there = ground.deployments()
    most = 2 if "changed" in ground.name else 1
    running = [name for name, state in there if state not in ("Succeeded", "Canceled")]
    return [
        *([f"{len(there)} deployments: {there}"] if len(there) > most else []),
        *(f"{each} still runs" for each in running),
    ]


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
