"""How soon Slipway answers in VS Code and over stdio: nobody waits for what is not asked.

    npm run bench -- startup [--goals] [--without vscode]

The sidecar beside a bare pygls server, in alternating rounds; a diagnostic from the start of the process, and others while a
Provision runs; and in a real VS Code on the packaged extension the activation, the first picker and the view.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from statistics import median
from typing import Any

from tests.bench.provision import GROUP, Ground
from tests.bench.report import Report, goal_arguments, report_for

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 9
READY, FIRST, WHILE, ACTIVATION, PICKER, VIEW = 1.5, 3.0, 0.05, 50.0, 700.0, 300.0
"""The goals: two ratios to a bare server's start, a time in seconds, three in milliseconds. Ratios bear a busy machine."""
TYPED = 0.02
"""Seconds between two changes: a look weighs as much as another."""

LEAST_LOOKS = 20
"""Diagnostics that have to be seen while the Provision runs, before anything is said of them."""

GOALS = ("sidecar ready", "first diagnostic", "diagnostic while a Provision runs", "activation", "first picker", "view")
PEERS = {"vscode": ("activation", "first picker", "view")}

BARE = [sys.executable, "-c", "from pygls.lsp.server import LanguageServer; LanguageServer('bare', '1').start_io()"]
OURS = [sys.executable, "-m", "sidecar", "serve"]
MISTAKEN = '{"parameters": {"maximumInstanceCont": {"value": %d}}}'


class Talk:
    """A server over stdio. What it sends is kept with the moment it came."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.heard: Queue[tuple[float, dict[str, Any]]] = Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.request(0, "initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self.ready = self.until(lambda message: message.get("id") == 0)[0] - self.began
        self.send({"method": "initialized", "params": {}})

    def request(self, number: int, method: str, params: object) -> None:
        self.send({"id": number, "method": method, "params": params})

    def send(self, message: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> tuple[float, dict[str, Any]]:
        while True:
            at, message = self.heard.get(timeout=300)
            if wanted(message):
                return at, message

    def _read(self) -> None:
        out = self._process.stdout
        assert out is not None
        while line := out.readline():
            length = 0
            while line.strip():
                name, _, value = line.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
                line = out.readline()
            message = json.loads(out.read(length))
            self.heard.put((time.perf_counter(), message))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def talking(command: Sequence[str], environ: Mapping[str, str]) -> Generator[Talk]:
    talk = Talk(command, environ)
    try:
        yield talk
    finally:
        talk.end()


def told(message: Mapping[str, Any]) -> bool:
    return message.get("method") == "textDocument/publishDiagnostics"


def opened(talk: Talk, file: Path) -> float:
    """When the file was sent."""
    document = {"uri": file.as_uri(), "languageId": "json", "version": 1, "text": MISTAKEN % 0}
    talk.send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
    return time.perf_counter()


def changed(talk: Talk, file: Path, version: int) -> float:
    """Seconds from a change of the open file until it is judged."""
    document = {"uri": file.as_uri(), "version": version}
    params = {"textDocument": document, "contentChanges": [{"text": MISTAKEN % version}]}
    sent = time.perf_counter()
    talk.send({"method": "textDocument/didChange", "params": params})
    at, message = talk.until(lambda each: told(each) and each["params"].get("version") == version)
    assert message["params"]["diagnostics"], "a misspelt name is told"
    return at - sent


def measure_ready(report: Report, environ: Mapping[str, str]) -> None:
    ours, bare = list[float](), list[float]()
    for _ in range(ROUNDS):
        for command, into in ((OURS, ours), (BARE, bare)):
            with talking(command, environ) as talk:
                into.append(talk.ready)
    ratio = median(one / other for one, other in zip(ours, bare, strict=True))
    rounds = [round(one / other, 2) for one, other in zip(ours, bare, strict=True)]
    report.figure("sidecar ready: seconds", median(ours), bare=round(median(bare), 3), rounds=rounds)
    report.figure("sidecar ready: times a bare pygls server", ratio, goal=f"≤ {READY}")
    report.goal("sidecar ready", ratio <= READY, f"sidecar ready ({ratio:.2f} of {READY})")


def measure_first(report: Report, environ: Mapping[str, str], file: Path) -> None:
    """From the start of the process, as VS Code has it: the file is open already."""
    first, bare = list[float](), list[float]()
    for _ in range(ROUNDS):
        with talking(OURS, environ) as talk:
            opened(talk, file)
            first.append(talk.until(told)[0] - talk.began)
        with talking(BARE, environ) as talk:
            bare.append(talk.ready)
    ratio = median(one / other for one, other in zip(first, bare, strict=True))
    report.figure("first diagnostic: seconds from the start of the process", median(first), bare=round(median(bare), 3))
    report.figure("first diagnostic: times a bare pygls server's start", ratio, goal=f"≤ {FIRST}")
    report.goal("first diagnostic", ratio <= FIRST, f"first diagnostic ({ratio:.2f} of {FIRST})")


def measure_while(report: Report, environ: Mapping[str, str], file: Path, subscription: str) -> None:
    """A change is judged again and again until the Provision has ended."""
    ended = threading.Event()
    with talking(OURS, environ) as talk:
        opened(talk, file)
        talk.until(told)
        quiet = [changed(talk, file, version) for version in range(2, 2 + LEAST_LOOKS)]
        project = file.parents[2]
        asked = {"folder": str(project), "cloud": "local", "subscriptionId": subscription, "resourceGroup": GROUP}
        asked |= {"consents": ["local-image", "gpu-profile"], "digest": None, "begins": True, "operation": "bench"}
        talk.request(1, "slipway/provision", asked)
        outcome: dict[str, Any] = {}
        busy = list[float]()
        version = 1000

        def watched(message: dict[str, Any]) -> bool:
            if message.get("id") == 1:
                outcome.update(message)
                ended.set()
            return told(message) and message["params"].get("version") == version

        while not ended.is_set():
            version += 1
            document = {"uri": file.as_uri(), "version": version}
            sent = time.perf_counter()
            params = {"textDocument": document, "contentChanges": [{"text": MISTAKEN % version}]}
            talk.send({"method": "textDocument/didChange", "params": params})
            busy.append(talk.until(watched)[0] - sent)
            time.sleep(TYPED)  # sleeps: a person types so often
        if "error" in outcome:
            raise SystemExit(f"the Provision failed: {outcome['error']}")
    worst = sorted(busy)
    figures = {"p95": round(worst[int(len(worst) * 0.95)], 4), "worst": round(worst[-1], 4), "looks": len(busy)}
    name = "diagnostic while a Provision runs"
    report.figure(f"{name}: seconds", median(busy), **figures, idle=round(median(quiet), 4), goal=f"< {WHILE}")
    enough = len(busy) >= LEAST_LOOKS
    met = enough and figures["p95"] < WHILE
    report.goal(
        name, met, f"{name} (95 of 100 within {figures['p95'] * 1000:.0f} of {WHILE * 1000:.0f} ms, {len(busy)} looks)"
    )


def measure_vscode(report: Report) -> None:
    """By a script that drives code-server: it prints a JSON line a figure."""
    for build in (["--package"], ["--tests"]):
        subprocess.run(["node", "esbuild.mjs", *build], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(
        ["node", "build/tests/bench/startup.cjs"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=540
    )
    figures = {each["figure"]: each for each in map(json.loads, done.stdout.splitlines())}
    for name, most in (("activation", ACTIVATION), ("first picker", PICKER), ("view", VIEW)):
        found = figures.get(name)
        if found is None:
            report.goal(name, None, f"the drive of VS Code ended with {done.returncode}")
            continue
        value = median(found["rounds"])
        report.figure(f"{name}: milliseconds", value, rounds=found["rounds"], what=found["what"], goal=f"≤ {most:.0f}")
        report.goal(name, value <= most, f"{name} ({value:.0f} of {most:.0f} ms)")
    for name, found in figures.items():
        if name not in GOALS:
            report.figure(f"{name}: milliseconds", median(found["rounds"]), rounds=found["rounds"], what=found["what"])


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="npm run bench -- startup")
    goal_arguments(parser, PEERS)
    options = parser.parse_args(arguments)
    report = report_for(options, GOALS, PEERS)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        ground = Ground(Path(folder))
        try:
            subscription = ground.prepare()
            environ = {**os.environ, **ground.environ}
            file = ground.project / "infra" / "provision" / "inference.parameters.json"
            measure_ready(report, environ)
            measure_first(report, environ, file)
            measure_while(report, environ, file, subscription)
        finally:
            ground.stop()
    if "vscode" not in options.without:
        measure_vscode(report)
    report.end(options.goals)


if __name__ == "__main__":
    main(sys.argv[1:])
