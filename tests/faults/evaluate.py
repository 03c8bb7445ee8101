"""`npm run faults -- evaluate`: an evaluation of 1,000 rows by two models, killed at ten places and gone on with, as a table.

A kill counts when every answer that was stored before it is there unchanged after it, and the server, by its own metrics, was
asked no more than what was then stored and what was under way. Killed are the moment in which the run is begun, seven in which
it asks (each at so many stored answers), and those before either report is put in its place."""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from sidecar.core.dataset import Answer
from sidecar.core.evaluation_runs import FOLDER, Run, answers_of, runs
from sidecar.core.workspace import open_workspace
from sidecar.doors.demo import sample_models
from tests.e2e.conftest import ROOT, Home, Place, new_place, until
from tests.e2e.test_evaluate import counted, put, rows_of

ROWS, MODELS, AT_ONCE = 1000, 2, 32
MIDDLE = (50, 300, 600, 900, 1200, 1500, 1800)
"""Stored answers at which a run is killed while it asks."""

FLYING = re.compile(r"^slipway_in_flight ([0-9.e+]+)$", re.MULTILINE)

Stored = Mapping[tuple[str, str], Answer]


@dataclass(frozen=True)
class Kill:
    """`write`: which write below the folder of evaluations, and `when`, by tests/support/killed.py; else `least`
    stored answers."""

    place: str
    least: int | None = None
    write: int = 0
    when: str = ""


KILLS = (
    Kill("the run is begun, nothing is asked", write=2, when="after"),
    *(Kill(f"{least} answers are stored", least) for least in MIDDLE),
    Kill("every answer is stored, no report", write=2, when="before"),
    Kill("the report for people is there, the one for programs is not", write=4, when="before"),
)
"""Writes of a new run: .gitignore, its file beside, renamed, opened; of one gone on with: opened, two reports
beside and renamed."""


@dataclass
class Ground:
    place: Place
    key: str

    @property
    def run(self) -> Run | None:
        return next(iter(runs(open_workspace(self.place.workspace))), None)

    @property
    def stored(self) -> Stored:
        return {} if self.run is None else answers_of(self.run)

    def settled(self) -> int:
        """Requests that the server was asked so far, once none is under way: whoever was killed left some."""
        url = f"http://{self.place.config['ACA_APP_ENDPOINT']}/metrics"
        headers = {"Authorization": f"Bearer {self.key}"}

        def idle() -> bool:
            text = httpx.get(url, headers=headers, trust_env=False, timeout=240).raise_for_status().text
            found = FLYING.search(text)
            return found is not None and float(found[1]) == 0

        until(idle, 240, "the server to be idle")
        return counted(self.place, self.key)

    def killed(self, kill: Kill) -> None:
        evaluate = ["evaluate", str(self.place.workspace)]
        if kill.least is None:
            folder = str(self.place.workspace / FOLDER)
            module = ["tests.support.killed", str(kill.write), kill.when, "", folder, "--"]
            process = started(self.place.home, [*module, *evaluate])
        else:
            process = started(self.place.home, ["sidecar", *evaluate])
            least = kill.least
            until(lambda: len(self.stored) >= least or process.poll() is not None, 600, kill.place)
            process.send_signal(signal.SIGKILL)
        process.wait(timeout=600)
        if process.returncode != -signal.SIGKILL:
            raise AssertionError(f"{kill.place}: it ended with {process.returncode} before it was killed")


def started(home: Home, module: list[str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, env=home.environ, stdout=quiet, stderr=quiet)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Kill an evaluation at ten places, and go on with it.")
    parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.hasten()
        try:
            good = played(home)
        finally:
            home.stop_cloud()
    print(f"faults evaluate: {good} of {len(KILLS) + 1} as expected ({time.monotonic() - began:.0f} s)")
    return 0 if good == len(KILLS) + 1 else 1


def played(home: Home) -> int:
    sample = sample_models(home.settings, threading.Event())
    place = new_place(home, home.folder / "project", "evaluated")
    place.provision()
    place.upload_models(sample[0])
    place.deploy()
    ground = Ground(place, place.api_key())
    put(place, rows_of(sample, ROWS // 24 + 1)[:ROWS])
    first = asked = ground.settled()
    stored: Stored = {}
    good = 0
    for kill in KILLS:
        ground.killed(kill)
        now, found = ground.settled(), ground.stored
        kept = {each: found.get(each) for each in stored} == stored
        more, twice = now - asked, now - asked - (len(found) - len(stored))
        held = kept and 0 <= twice <= AT_ONCE
        good += told(
            f"killed when {kill.place}", held, f"stored {len(found)}, asked {more}, of these lost {twice}, kept {kept}"
        )
        stored, asked = found, now
    done = place.home.cli("evaluate", str(place.workspace))
    answers, whole = ground.stored, ROWS * MODELS
    every = ground.settled() - first
    held = (
        len(answers) == whole
        and (done["stored"], done["asked"]) == (len(stored), whole - len(stored))
        and {each: answers.get(each) for each in stored} == stored
        and done["verdicts"][0]["word"] == "better"
        and whole <= every <= whole + AT_ONCE * len(KILLS)
    )
    text = (
        f"{len(answers)} answers, the server was asked {every} times: {every - whole} twice, at most {AT_ONCE} a kill"
    )
    return good + told("gone on with to its end", held, f"{text}; {done['verdicts'][0]['word']}")


def told(what: str, held: bool, outcome: str) -> bool:
    print(f"{'ok ' if held else 'BAD'}  {what}: {outcome}", flush=True)
    return held


if __name__ == "__main__":
    sys.exit(main())
