"""Rows of exchanges in a container: under load, and with what fails or is killed at each step."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from sidecar.core.sync import Release
from tests.faults.rolling.defects import DEFECTS, Defect
from tests.faults.rolling.load import Load, Question
from tests.faults.rolling.table import Play, Told
from tests.support.contained import (
    API_KEY,
    ROOT,
    Contained,
    contained,
    eventually,
    publish,
    release_of,
    share,
    shouting,
)

ENOUGH = 2000  # requests for a form
EXCHANGES = 10
CLIENTS = 16
RESTING = 8  # further clients, whose connections are idle most of the time
BASE = "slipway/tiny-llama"
WHO, AM = "Who are you?", "I am a tiny language model."
AFTER = 40  # answers of the release that took over, before the next one


@dataclass(frozen=True)
class Switch:
    """One exchange under load."""

    pause: float
    in_flight: int
    """Requests that were under way, or waited, when it took over."""
    both: bool
    """Whether each of the two releases answered while it went on."""
    seconds: float


@dataclass(frozen=True)
class Carried:
    """What became of the requests."""

    load: Load
    switches: Sequence[Switch]

    @property
    def held(self) -> bool:
        quiet = not self.load.failed and not self.load.wrong and 4 * self.load.connections >= len(self.load.done)
        return quiet and all(each.both and each.in_flight >= self.load.clients for each in self.switches)

    def row(self, enough: int) -> Told:
        clients = self.load.clients
        expected = (
            f"0 failed, 0 wrong of ≥ {enough}, a quarter on new connections; ≥ {clients} in flight at each switch"
        )
        return Told(expected, self.told(), self.held and len(self.load.done) >= enough)

    def told(self) -> str:
        pauses = [each.pause for each in self.switches]
        least = min(each.in_flight for each in self.switches)
        return (
            f"{len(self.switches)} exchanges, {self.load.verdict()}; {self.load.connections} connections; at least {least} in "
            f"flight at a switch; both releases answered in {sum(each.both for each in self.switches)}; longest pause "
            f"{max(pauses):.2f} s; longest exchange {max(each.seconds for each in self.switches):.1f} s"
        )


def questions_of(container: Contained, sample: dict[str, Any], calm: Release, loud: Release) -> list[Question]:
    """The sample's, with what the two releases answer."""
    hashes = {each["name"]: each["hash"] for each in container.version()["adapters"]}
    return [
        Question(
            model, each["question"], {calm.digest: each[kind], loud.digest: each[kind].upper()}, hashes.get(model, "")
        )
        for each in sample["questions"]
        for model, kind in ((sample["base"], "base"), (sample["adapter"], "adapter"))
    ]


async def under_load(
    container: Contained, questions: Sequence[Question], releases: tuple[Release, Release], form: str, *, exchanges: int,
    enough: int = 0, clients: int = CLIENTS,
) -> Carried:  # fmt: skip
    """Exchanges the release, of which the first runs, to and fro while the clients ask."""
    load = Load("127.0.0.1", container.port, API_KEY, questions, clients, RESTING)
    load.start()
    running, other = releases
    await load.until(running.digest, AFTER)
    switches: list[Switch] = []
    for number in range(exchanges):
        new = other if number % 2 == 0 else running
        switches.append(await switched(container, load, new, form, number + 2))
    deadline = time.monotonic() + 300
    while len(load.done) < enough and time.monotonic() < deadline:
        await asyncio.sleep(0.05)  # sleeps: between two looks
    await load.stop()
    return Carried(load, switches)


async def switched(container: Contained, load: Load, new: Release, form: str, generation: int) -> Switch:
    before, began = len(load.done), time.monotonic()
    assert (await asyncio.to_thread(container.send, new)).status_code in (200, 201)
    answer = await asyncio.to_thread(container.begin, new, form, generation)
    assert answer.status_code == 202, answer.text
    in_flight = load.in_flight
    told = await asyncio.to_thread(container.until, "checked", "done", "failed")
    if told["state"] == "checked":
        answer = await asyncio.to_thread(container.take_over, new)
        in_flight = load.in_flight
        assert answer.status_code == 202, answer.text
        told = await asyncio.to_thread(container.until, "done", "failed")
    assert told["state"] == "done", told
    seconds = time.monotonic() - began
    await load.until(new.digest, AFTER)
    answered = {each.release for each in load.done[before:] if each.release}
    return Switch(told["pause"], in_flight, len(answered) == 2, seconds)


@dataclass
class Stage:
    """What a row has: the sample's models, two releases, a share that the first is current on, and a folder. `_shared`: a
    container for rows after which the first release serves in it as before."""

    models: Path
    sample: dict[str, Any]
    folder: Path
    releases: tuple[Release, Release]
    stack: ExitStack
    _shared: Contained | None = None

    def mount(self) -> Path:
        """Anew for each row."""
        place = share(Path(tempfile.mkdtemp(dir=self.folder)), self.models)
        publish(place, self.releases[0], 1)
        return place

    def container(self, **variables: str) -> AbstractContextManager[Contained]:
        return contained(self.mount(), self.folder, **variables)

    def shared(self) -> Contained:
        if self._shared is None or self._shared.process.poll() is not None:
            self._shared = self.stack.enter_context(self.container(SLIPWAY_START_SECONDS="15"))
            self._shared.ready()
        return self._shared


@contextmanager
def opened() -> Generator[Play]:
    command = [sys.executable, "-m", "sidecar.sample", "--cached"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    models = Path(done.stdout.strip().splitlines()[-1])
    with tempfile.TemporaryDirectory(prefix="slipway-rollout-") as named, ExitStack() as stack:
        folder = Path(named)
        releases = (release_of(folder, "calm"), release_of(folder, "loud", shouting))
        stage = Stage(models, json.loads((models / "sample.json").read_text()), folder, releases, stack)
        yield lambda name: ROWS[name](stage)


def defective(stage: Stage, defect: Defect, form: str) -> Told:
    """A release that does not serve; the former one does, and the container is the same."""
    bad = release_of(Path(tempfile.mkdtemp(dir=stage.folder)), "bad", defect.change)
    container = stage.shared()
    before = container.servers()
    told = container.exchanged(bad, form, smoke=[{"prompt": WHO, "contains": AM}])
    return after_failure(container, told, defect.reason, same=before if form == "beside" else None)


def after_failure(container: Contained, told: dict[str, Any], reason: str, same: list[int] | None) -> Told:
    """`same`: the servers that have to be those of before."""
    eventually(lambda: len(container.servers()) == 1)
    text = container.chat(WHO).json()["choices"][0]["message"]["content"]
    running = container.exchange()["running"]["generation"]
    kept = same is None or container.servers() == same
    held = told["state"] == "failed" and reason in str(told["reason"]) and text == AM and running == "1" and kept
    outcome = f"{told['state']}: {told['reason']}; then generation {running} answers {text!r}; pause {told['pause']}"
    return Told(f"failed: … {reason} …; generation 1 answers", outcome, held and container.process.poll() is None)


def killed_before(stage: Stage, step: str, form: str) -> Told:
    """SIGKILL of the server that is tried; the former one serves, or starts again."""
    _, loud = stage.releases
    container = stage.shared()
    (serving,) = container.servers()
    logged = len(container.log.read_text())
    assert container.send(loud).status_code in (200, 201)
    assert container.begin(loud, form).status_code == 202
    tried = eventually(lambda: [each for each in container.servers() if each != serving])
    eventually(lambda: step == "preparing" or form == "beside" or LEAVES in container.log.read_text()[logged:])
    os.kill(tried[0], signal.SIGKILL)
    told = container.until("failed", "checked", "done")
    same = [serving] if form == "beside" or step == "preparing" else None
    return after_failure(container, told, "it ended with exit code 137", same)


def killed_after(stage: Stage, step: str, form: str) -> Told:
    """SIGKILL of the server that drains, or of the container's first process."""
    _, loud = stage.releases
    with stage.container() as container:
        container.ready()
        (serving,) = container.servers()
        stream = Stream(container)
        assert container.send(loud).status_code == 201
        assert container.begin(loud, form).status_code == 202
        if step == "supervisor":
            tried = eventually(lambda: [each for each in container.servers() if each != serving])
            container.process.kill()
            stream.close()
            eventually(lambda: not any(alive(each) for each in (serving, *tried)), 10)
            return Told("nothing outlives it", "all servers ended with it", held=True)
        if form == "beside":
            container.until("checked")
            container.take_over(loud)
        eventually(lambda: LEAVES in container.log.read_text())
        os.kill(serving, signal.SIGKILL)
        told = container.until("done", "failed")
        stream.close()
        text = container.chat(WHO).json()["choices"][0]["message"]["content"]
        held = (told["state"], text) == ("done", AM.upper()) and container.process.poll() is None
        outcome = f"{told['state']}; the new release answers {text!r}; the stream of the killed server was cut off"
        return Told("done; the new release answers; the container lives", outcome, held)


class Stream:
    """One long answer, so that the server has something to finish."""

    def __init__(self, container: Contained) -> None:
        self._client = httpx.Client(timeout=60)
        body = {"messages": [{"role": "user", "content": WHO}], "model": BASE, "stream": True, "ignore_eos": True}
        request = self._client.build_request(
            "POST",
            f"{container.url}/v1/chat/completions",
            json={**body, "max_tokens": 1800},
            headers={"authorization": f"Bearer {API_KEY}"},
        )
        self._answer = self._client.send(request, stream=True)
        self._lines = self._answer.iter_lines()
        next(self._lines)

    def close(self) -> None:
        self._answer.close()
        self._client.close()


def alive(pid: int) -> bool:
    """A process that has ended and is not reaped yet has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


LEAVES = "leaving: another release takes over"
"""Of the server's log, when it accepts no more."""

FORMS = ("beside", "in turn")
BEFORE = (("loading", "beside"), ("preparing", "in turn"), ("loading", "in turn"))
AFTER_IT = tuple((step, form) for step in ("draining", "supervisor") for form in FORMS)
ROWS: dict[str, Callable[[Stage], Told]] = {
    **{
        f"in-place-{defect.name}-{form.replace(' ', '-')}": partial(defective, defect=defect, form=form)
        for defect in DEFECTS
        for form in FORMS
    },
    **{
        f"in-place-kill-{step}-{form.replace(' ', '-')}": partial(play, step=step, form=form)
        for play, moments in ((killed_before, BEFORE), (killed_after, AFTER_IT))
        for step, form in moments
    },
}
