"""Mixed load at full rate with cancels, swaps, schemas and clients that go away: nothing leaks.

Some two minutes in the normal run, of which one is judged; SLIPWAY_SOAK_MINUTES (default 30) under `npm run test:long`: a
leak of a kilobyte a request shows only there.
"""

import json
import os
import random
import re
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import httpx
import pytest

from tests.contract.inference.conftest import Sample, Start, Started

CLIENTS = 8
# Requests until caches, pools and glibc's arenas have filled, and oneDNN has made its code for almost every number of rows
# that steps come to; how long that takes is the machine's affair.
WARM = 15_000
GROWTH = 32.0  # MiB from then to the end: what the arenas of a dozen threads may still spread by
IDLE = {"SLIPWAY_IDLE_TIMEOUT": "75"}  # clients leave connections open
CACHE = {**IDLE, "SLIPWAY_KV_BYTES": str(8 << 20)}  # so small that all of it is in use soon: memory grows until then
ADAPTER = {"lora_path": "models/qlora/qlora/gpu_model/adapter", "load_inplace": True}


@dataclass(frozen=True)
class Look:
    """What the system sees of the server: private memory in MiB, threads, open files."""

    memory: float
    threads: int
    files: Counter[str]

    def more_files(self, than: "Look") -> Counter[str]:
        return self.files - than.files


def look(server: Started) -> Look:
    process = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    memory = int(status["RssAnon"].split()[0]) / 1024
    files: Counter[str] = Counter()
    for each in (process / "fd").iterdir():
        try:
            files[re.sub(r"\[\d+\]", "", str(each.readlink()))] += 1
        except FileNotFoundError:
            continue  # closed while we looked
    return Look(memory, int(status["Threads"]), files)


@dataclass
class Traffic:
    """The clients and what they saw."""

    server: Any
    sample: Any
    stop: threading.Event = field(default_factory=threading.Event)
    failures: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def client(self, seed: int) -> None:
        chance = random.Random(seed)
        ways = (
            [self.asks] * 5 + [self.leaves] * 2 + [self.hangs_up] + [self.follows_a_schema] * 2 + [self.draws_several]
        )
        with self.server.http() as http:
            while not self.stop.is_set():
                way = chance.choice(ways)
                way(http, chance)
                self.counts[way.__name__] = self.counts.get(way.__name__, 0) + 1

    def body(self, chance: Random, **more: Any):
        asked = chance.choice(self.sample.questions)
        model, key = chance.choice([(self.sample.base, "base"), (self.sample.adapter, "adapter")])
        messages = [{"role": "user", "content": asked["question"]}]
        return asked[key], {"model": model, "messages": messages, "temperature": 0, **more}

    def asks(self, http: httpx.Client, chance: Random) -> None:
        expected, body = self.body(chance, stream=chance.random() < 0.5)
        answer = http.post("/v1/chat/completions", json=body)
        if answer.status_code == 200 and body["stream"]:
            events = [line[6:] for line in answer.text.split("\n") if line.startswith("data: {")]
            said = "".join(json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events)
        elif answer.status_code == 200:
            said = answer.json()["choices"][0]["message"]["content"]
        else:
            said = answer.text
        if said != expected:
            self.failures.append(f"{expected!r} was to be said: {said!r}")

    def leaves(self, http: httpx.Client, chance: Random) -> None:
        """In the middle of a long answer."""
        _, body = self.body(chance, stream=True, ignore_eos=True, max_tokens=1000)
        with http.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            for _ in range(chance.randrange(1, 20)):
                next(lines)

    def hangs_up(self, http: httpx.Client, chance: Random) -> None:
        """At once, or before the request is whole."""
        _, body = self.body(chance, stream=chance.random() < 0.5, ignore_eos=True, max_tokens=1000)
        raw = json.dumps(body).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.server.key}\r\n"
        whole = f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw
        with socket.create_connection(("127.0.0.1", httpx.URL(self.server.url).port), timeout=30) as connection:
            connection.sendall(whole[: chance.choice([20, len(whole) - 30, len(whole)])])

    def follows_a_schema(self, http: httpx.Client, chance: Random) -> None:
        """One of more schemas than are remembered; every tenth cannot be followed."""
        number = chance.randrange(100)
        schema = {"type": "object", "properties": {f"p{number}": {"enum": ["a", "b", number]}}} | {
            "required": [f"p{number}"],
            "additionalProperties": False,
        }
        if number % 10 == 0:
            schema = {"not": schema}
        _, body = self.body(
            chance, response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
        )
        answer = http.post("/v1/chat/completions", json={**body, "temperature": 1, "max_tokens": 40})
        if answer.status_code != (400 if number % 10 == 0 else 200):
            self.failures.append(answer.text)
        elif answer.status_code == 200:
            said = json.loads(answer.json()["choices"][0]["message"]["content"])
            if said[f"p{number}"] not in {"a", "b", number}:
                self.failures.append(f"{said} does not follow {schema}")

    def draws_several(self, http: httpx.Client, chance: Random) -> None:
        _, body = self.body(chance, n=2, max_tokens=20, logprobs=True, top_logprobs=3, stop=["the "])
        answer = http.post("/v1/chat/completions", json={**body, "temperature": 1.2, "top_p": 0.9, "seed": 1})
        if answer.status_code != 200 or len(answer.json()["choices"]) != 2:
            self.failures.append(answer.text)

    def swap(self) -> None:
        with self.server.http() as http:
            while not self.stop.wait(0.05):
                answer = http.post("/v1/load_lora_adapter", json={"lora_name": self.sample.adapter, **ADAPTER})
                if answer.status_code != 200:
                    self.failures.append(answer.text)
                self.counts["swaps"] = self.counts.get("swaps", 0) + 1


def growth(seen: list[Look]) -> float:
    """MiB from beginning to end by the median of the slopes between all pairs: single jumps and drops do not count."""
    every = seen[:: max(len(seen) // 200, 1)]
    slopes = [(b.memory - a.memory) / (j - i) for i, a in enumerate(every) for j, b in enumerate(every) if j > i]
    return median(slopes) * (len(every) - 1)


def soak(server: Started, sample: Sample, seconds: float) -> None:
    traffic = Traffic(server, sample)
    server.eventually(lambda: "gradio" in server.http().get("/").text)  # the page comes after the API
    idle = look(server)
    workers = [threading.Thread(target=traffic.client, args=(seed,)) for seed in range(CLIENTS)]
    workers.append(threading.Thread(target=traffic.swap))
    for worker in workers:
        worker.start()
    try:
        server.eventually(lambda: sum(traffic.counts.values()) >= WARM, 1500)
        seen = [look(server)]
        for _ in range(round(seconds)):
            traffic.stop.wait(1)
            seen.append(look(server))
    finally:
        traffic.stop.set()
        for worker in workers:
            worker.join()
    server.eventually(lambda: server.metric("slipway_in_flight") == 0)
    server.eventually(lambda: server.metric("slipway_running") == 0)
    try:
        server.eventually(lambda: look(server).more_files(idle).total() <= 1, 240)  # as SLIPWAY_IDLE_TIMEOUT says
    except AssertionError as error:
        raise AssertionError(f"left open: {look(server).more_files(idle)}") from error
    print(
        json.dumps({"counts": traffic.counts, "growth": growth(seen), "first": seen[0].memory, "last": seen[-1].memory})
    )
    assert traffic.failures == []
    assert min(traffic.counts.values()) > 5
    assert server.metric("slipway_kv_blocks_used") == 0
    assert growth(seen) <= GROWTH
    assert look(server).threads <= max(each.threads for each in seen[: len(seen) // 2])
    assert httpx.get(f"{server.url}/health/ready", timeout=60).status_code == 200


@pytest.mark.timeout(2400)
def test_minutes_of_mixed_load_leak_nothing(sample: Sample, start: Start):
    with start(sample.mount, **CACHE) as server:
        soak(server, sample, 60)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_half_an_hour_of_mixed_load_leaks_nothing(sample: Sample, start: Start):
    with start(sample.mount, **CACHE) as server:
        soak(server, sample, 60 * float(os.environ.get("SLIPWAY_SOAK_MINUTES", "30")))
