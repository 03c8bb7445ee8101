"""`npm run bench -- evaluate`: rows a second of an evaluation beside what the server itself answers to bare sockets.

    npm run bench -- evaluate [--goals] [--rounds 9] [--rows 100]

In alternating rounds the same rows, each by base and adapter, are asked of one server: by the product's own part, which stores
every answer, and by bare sockets that keep their connections and read nothing but the length of an answer. Both are a process of
their own, with as many requests at a time as the server computes; which of them is first alternates.
The model has 15.7 million random parameters."""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

import httpx

from sidecar.core.dataset import Case
from sidecar.core.evaluation_runs import Store, answers_of, begun
from sidecar.core.journal import Journal
from sidecar.core.workspace import open_workspace
from sidecar.gateway.rows import Answering
from sidecar.workflows.evaluating import Way, ask_all, asked_by
from tests.bench.peers import BASE, KEY, ROOT, ours
from tests.bench.report import Report, goal_arguments, report_for
from tests.bench.small_model import make

MODELS = (BASE, "adapter0")
TOKENS = 24
FEWEST_OF_CAPACITY = 0.9
GOAL = f"rows a second ≥ {FEWEST_OF_CAPACITY}× the server's own capacity"


def question(row: int, round_: int) -> str:
    """Of no two rounds the same: what the server has seen before it would answer faster."""
    return f"round {round_}, row {row}: " + "what is a slipway? " * 3


def evaluated(port: int, rows: int, round_: int, at_once: int) -> float:
    """Rows a second, each of them answered by both models and stored."""
    way = Way(at_once, TOKENS, 0.0, 0)
    journal = Journal(None, "", lambda _: None, threading.Event())
    cases = [Case("", (("user", question(row, round_)),), id=str(row)) for row in range(rows)]
    with tempfile.TemporaryDirectory() as folder:
        run = begun(open_workspace(folder), "0" * 64, {}, anew=True)
        began = time.perf_counter()
        with Store(run) as store, Answering(f"http://127.0.0.1:{port}", KEY, at_once) as answering:
            todo = [(case, model) for case in cases for model in MODELS]
            ask_all(todo, asked_by(answering, way), store.put, journal, at_once)
        seconds = time.perf_counter() - began
        answers = answers_of(run)
    if len(answers) != rows * len(MODELS) or {each.tokens for each in answers.values()} != {TOKENS}:
        raise RuntimeError(f"{len(answers)} answers, not {rows * len(MODELS)}; or not of {TOKENS} tokens")
    return rows / seconds


def bare(port: int, rows: int, round_: int, at_once: int) -> float:
    todo = deque((row, model) for row in range(rows) for model in MODELS)
    began = time.perf_counter()
    asyncio.run(everyone(port, todo, round_, at_once))
    return rows / (time.perf_counter() - began)


async def everyone(port: int, todo: deque[tuple[int, str]], round_: int, at_once: int) -> None:
    await asyncio.gather(*(client(port, todo, round_) for _ in range(at_once)))


async def client(port: int, todo: deque[tuple[int, str]], round_: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while todo:
        row, model = todo.popleft()
        messages = [{"role": "user", "content": question(row, round_)}]
        body = json.dumps(
            {"model": model, "messages": messages, "max_tokens": TOKENS, "temperature": 0.0, "seed": 0}
        ).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        told = await reader.readuntil(b"\r\n\r\n")
        lengths = [
            line.partition(b":")[2] for line in told.split(b"\r\n") if line.lower().startswith(b"content-length:")
        ]
        if b" 200 " not in told[:16]:
            raise RuntimeError(told[:80])
        await reader.readexactly(int(lengths[0]))
    writer.close()


def apart(how: str, port: int, rows: int, round_: int, at_once: int) -> float:
    """In a process of its own, as each of the two is in life; its start is not counted."""
    command = [sys.executable, "-m", "tests.bench.evaluate", "--part", how, *map(str, (port, rows, round_, at_once))]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=600)
    return float(done.stdout)


def measure(report: Report, rounds: int, rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), 1)
        with ours(Path(folder)) as port:
            headers = {"Authorization": f"Bearer {KEY}"}
            version = httpx.get(f"http://127.0.0.1:{port}/version", headers=headers, trust_env=False, timeout=60).json()
            at_once = int(version["limits"]["running"])
            apart("bare", port, at_once * 2, 0, at_once)  # warm
            ours_, theirs = list[float](), list[float]()
            for round_ in range(rounds):
                found: dict[str, float] = {}
                for how in ("bare", "evaluated")[:: -1 if round_ % 2 else 1]:
                    found[how] = apart(how, port, rows, 2 * round_ + 1 + (how == "bare"), at_once)
                theirs.append(found["bare"])
                ours_.append(found["evaluated"])
                report.figure(
                    "rows a second", ours_[-1], bare=round(theirs[-1], 2), at_once=at_once, models=len(MODELS)
                )
            report.ratio("evaluation / capacity", ours_, theirs, GOAL, FEWEST_OF_CAPACITY)


def main() -> None:
    parser = argparse.ArgumentParser(description="Rows a second of an evaluation, beside the server's own capacity.")
    goal_arguments(parser)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--part", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        how, port, rows, round_, at_once = asked.part
        part = {"bare": bare, "evaluated": evaluated}[how]
        print(part(int(port), int(rows), int(round_), int(at_once)))
        return
    report = report_for(asked, (GOAL,))
    measure(report, asked.rounds, asked.rows)
    report.end(asked.goals)


if __name__ == "__main__":
    main()
