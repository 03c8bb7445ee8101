"""Releases of the real model server rolled out under load on the local cloud: through the ingress, which keeps its connections
to replicas open, by each strategy; and restarts by the platform."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from sidecar.core.scaffold import WORKSPACE, code_of
from sidecar.core.sync import pack
from sidecar.core.workspace import open_workspace
from sidecar.gateway import revisions
from sidecar.gateway.apps import client_of
from sidecar.gateway.session import open_session
from sidecar.words.names import Strategy
from sidecar.workflows.observe import api_key
from tests.bench.deploy import Ground
from tests.contract.localcloud.conftest import eventually
from tests.faults.rolling.in_place import AFTER, CLIENTS, ENOUGH, EXCHANGES, RESTING, Carried, Switch
from tests.faults.rolling.load import Load, Question
from tests.faults.rolling.table import Play, Told
from tests.support.contained import HAND_OUT, ROOT, SHOUTED

RESTARTS = 3


@dataclass(frozen=True)
class Way:
    """How a release comes into service."""

    strategy: Strategy
    form: str | None = None


BESIDE, IN_TURN, REVISION = Way("in-place", "beside"), Way("in-place", "in turn"), Way("revision")


@contextmanager
def opened() -> Generator[Play]:
    """One app, which each row leaves serving."""
    with tempfile.TemporaryDirectory(prefix="slipway-rollout-", ignore_cleanup_errors=True) as folder:
        ground = Ground(Path(folder), waits=0.05)
        try:
            ground.prepare()
            yield lambda name: ROWS[name](ground)
        finally:
            ground.stop()


def loaded(ground: Ground, way: Way) -> Told:
    """Ten changes of the code, each deployed while the clients ask."""
    return asyncio.run(under_load(ground, way)).row(ENOUGH)


def restarted(ground: Ground) -> Told:
    """By the platform, with two replicas: it starts one more, and ends one, twice."""
    return asyncio.run(through_restarts(ground))


class Telling:
    """The sample's questions, and what each release answers: known as soon as its digest is, before it is deployed."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        told = sample()
        kinds = ((told["base"], "base"), (told["adapter"], "adapter"))
        self._answers: dict[str, dict[str, str]] = {each[kind]: {} for each in told["questions"] for _, kind in kinds}
        self.questions = [
            Question(model, each["question"], self._answers[each[kind]], hashes.get(model, ""))
            for each in told["questions"]
            for model, kind in kinds
        ]

    def learn(self, release: str, *, shouts: bool) -> None:
        for text, answers in self._answers.items():
            answers[release] = text.upper() if shouts else text


async def asking(ground: Ground) -> tuple[Load, Telling, str]:
    """Clients that ask what serves, its release, and what each release says."""
    workspace = open_workspace(str(ground.project))
    key = api_key(workspace, open_session(ground.settings, "local"))
    endpoint: str = json.loads((workspace.infra / "inference.config.json").read_text())["ACA_APP_ENDPOINT"]
    version = httpx.get(f"http://{endpoint}/version", headers={"authorization": f"Bearer {key}"}, timeout=60).json()
    telling = Telling({each["name"]: each["hash"] for each in version["adapters"]})
    host, _, port = endpoint.partition(":")
    load = Load(host, int(port), key, telling.questions, CLIENTS, RESTING)
    running: str = version["release"]
    telling.learn(running, shouts=SHOUTED in (ground.project / "inference" / "service.py").read_text())
    load.start()
    await load.until(running, AFTER)
    return load, telling, running


async def under_load(ground: Ground, way: Way) -> Carried:
    load, telling, running = await asking(ground)
    seen: list[tuple[float, Switch]] = []
    for number in range(EXCHANGES):
        before, began = len(load.done), time.monotonic()
        shouts = change(ground, way, number)
        new = digest(ground)
        telling.learn(new, shouts=shouts)
        done = await asyncio.to_thread(ground.deploy, f"{way} {number}", way.strategy)
        seconds = time.monotonic() - began
        assert (done.deployed.strategy, done.deployed.form) == (way.strategy, way.form), done.deployed
        await load.until(new, AFTER)
        answered = load.done[before:]
        first = min(each.began for each in answered if each.release == new)
        both = {running, new} <= {each.release for each in answered}
        seen.append((first, Switch(done.deployed.pause or 0.0, 0, both, seconds)))
        running = new
    await until_enough(load)
    # Counted once all have ended: who waited longest at a switch is answered after many others.
    switches = [
        replace(switch, in_flight=sum(each.began <= first <= each.ended for each in load.done))
        for first, switch in seen
    ]
    return Carried(load, switches)


async def until_enough(load: Load) -> None:
    deadline = time.monotonic() + 300
    while len(load.done) < ENOUGH and time.monotonic() < deadline:
        await asyncio.sleep(0.05)  # sleeps: between two looks
    await load.stop()


async def through_restarts(ground: Ground) -> Told:
    place = ground.place()
    two = {"location": "westus3", "properties": {"template": {"scale": {"minReplicas": 2, "maxReplicas": 2}}}}
    (old,) = [each.name for each in revisions.revisions(place) if each.active]
    with client_of(place) as client:
        body: Any = two
        client.container_apps.begin_update(place.group, place.name, body).result()
        revision = str(client.container_apps.get(place.group, place.name).latest_revision_name)
    await asyncio.to_thread(eventually, lambda: all_ready(ground, revision, frozenset()), 120, "two replicas")
    revisions.deactivate(place, old)
    await asyncio.to_thread(eventually, lambda: not revisions.replicas(place, old), 60, "the revision before to end")
    load, _, running = await asking(ground)
    in_flight: list[int] = []
    for _ in range(RESTARTS):
        before = frozenset(each.name for each in revisions.replicas(place, revision))
        in_flight.append(load.in_flight)
        revisions.restart(place, revision)
        await asyncio.to_thread(
            eventually, lambda before=before: all_ready(ground, revision, before), 180, "both replicas to be new"
        )
        await load.until(running, AFTER)
    await until_enough(load)
    releases = {each.release for each in load.done}
    right = not load.failed and not load.wrong and len(load.done) >= ENOUGH and 4 * load.connections >= len(load.done)
    seen = f"{load.verdict()}; {load.connections} connections; in flight at each restart {in_flight}"
    expected = f"0 failed, 0 wrong of ≥ {ENOUGH}, a quarter on new connections; ≥ {CLIENTS} in flight at each restart"
    return Told(expected, seen, right and min(in_flight) >= CLIENTS and releases == {running})


def all_ready(ground: Ground, revision: str, before: frozenset[str]) -> bool:
    """Two replicas, and none of those of before."""
    found = revisions.replicas(ground.place(), revision)
    return len(found) == 2 and all(each.ready for each in found) and not before & {each.name for each in found}


def change(ground: Ground, way: Way, number: int) -> bool:
    """Another release, of which one can hear whether it is the one before: whether it shouts. One that asks for other packages
    is exchanged in turn."""
    file = ground.project / "inference" / "service.py"
    said = file.read_text()
    shouts = SHOUTED not in said
    file.write_text(said.replace(HAND_OUT, SHOUTED) if shouts else said.replace(SHOUTED, HAND_OUT))
    ground.edit(f"{way} {number}")
    if way.form == "in turn":
        ground.other_packages(str(number))
    return shouts


def digest(ground: Ground) -> str:
    with tempfile.TemporaryDirectory() as folder:
        workspace = open_workspace(str(ground.project))
        return pack(code_of(workspace, WORKSPACE), Path(folder, "bundle.tar")).digest


def sample() -> dict[str, Any]:
    command = [sys.executable, "-m", "sidecar.sample", "--cached"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads((Path(done.stdout.strip().splitlines()[-1]) / "sample.json").read_text())


ROWS: dict[str, Callable[[Ground], Told]] = {
    "in-place-load": partial(loaded, way=BESIDE),
    "in-turn-load": partial(loaded, way=IN_TURN),
    "revision-load": partial(loaded, way=REVISION),
    "restarts-load": restarted,
}
"""The last one leaves two replicas."""
