"""`npm run faults -- serving`: faults against real model servers, as a table.

A row counts when its fault was really injected (hits), its outcome was read outside of the server (HTTP status, exit
code, /proc, the server's metrics), it stayed under a printed bound, and a control run without the fault read differently.
"""

import argparse
import concurrent.futures
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.bench.small_model import make
from tests.contract.inference.conftest import Endpoint, Started, eventually
from tests.faults.ground import ADAPTER_PATH, LONGER, Row, World, await_text, chat
from tests.faults.hostile_folders import hostile
from tests.faults.never_quietly import not_finite, read_errors, some_read_errors, useless_gpu, wrong_kernel

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the model server's faults.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(FAULTS)}; all when none is given")
    wanted = parser.parse_args().names
    if unknown := set(wanted) - FAULTS.keys():
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    command = [sys.executable, "-m", "sidecar.sample", "--cached"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    rows: list[Row] = []
    for name, fault in FAULTS.items():
        if not wanted or name in wanted:
            with tempfile.TemporaryDirectory(prefix="slipway-faults-") as folder:
                rows.append(fault(World(Path(done.stdout.strip()), Path(folder))))
            show(rows[-1])
    held = sum(row.held for row in rows)
    print(f"faults held: {held} of {len(rows)}")
    return 0 if held == len(rows) else 1


def show(row: Row) -> None:
    verdict = "held" if row.held else "BROKEN"
    print(f"{row.fault} | hits {row.hits} | {row.outcome} | bound {row.bound} | control: {row.control} | {verdict}")


def disconnect(world: World) -> Row:
    """A client goes away in mid-generation."""
    body = {**LONGER, "stream": True, "max_tokens": 2000}
    slowest = 0.0
    hits = 10
    with world.server() as server:
        for _ in range(hits):
            with server.http().stream("POST", "/v1/chat/completions", json=body) as answer:
                lines = answer.iter_lines()  # kept: httpx hangs up when nobody holds it
                await_text(lines)
            began = time.monotonic()
            eventually(lambda: server.metric("slipway_running") == 0)
            slowest = max(slowest, time.monotonic() - began)
        drawn, blocks = server.metric("slipway_generated_tokens"), server.metric("slipway_kv_blocks_used")
        ended = server.metric("slipway_cancelled_total")
        with server.http().stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            await_text(lines)
            still = server.metric("slipway_running")
    held = ended == hits and blocks == 0 and hits <= drawn < hits * 2000 and still == 1
    outcome = f"slot free after {slowest:.2f} s, {drawn:.0f} of {hits * 2000} tokens drawn, {blocks:.0f} blocks kept"
    return Row(
        "client disconnects", hits, outcome, "none goes on to its end", f"{still:.0f} running while connected", held
    )


def overload(world: World) -> Row:
    """Ten times the capacity at once."""
    with world.server(SLIPWAY_MAX_RUNNING="4", SLIPWAY_MAX_WAITING="4") as server:
        http = server.http()  # one for all: to make one takes longer than a refusal

        def one(_: int) -> tuple[int, float, str]:
            began = time.monotonic()
            answer = http.post("/v1/chat/completions", json={**LONGER, "max_tokens": 60})
            return answer.status_code, time.monotonic() - began, answer.headers.get("retry-after", "")

        with concurrent.futures.ThreadPoolExecutor(80) as pool:
            eventually(lambda: "gradio" in http.get("/").text, 180)  # until then its import slows everything down
            alone = min(one(0)[1] for _ in range(3))
            answers = list(pool.map(one, range(80)))
            control = list(pool.map(one, range(4)))
    refused = [a for a in answers if a[0] in {429, 503}]
    admitted = sorted(a[1] for a in answers if a[0] == 200)
    strange = [a for a in answers if a[0] not in {200, 429, 503}]
    bound, quickly = 20 * alone + 5, 2 * alone + 1
    slowest = max((a[1] for a in refused), default=0.0)
    held = bool(refused) and all(a[2] for a in refused) and not strange and bool(admitted) and admitted[-1] < bound
    held = held and slowest < quickly and all(a[0] == 200 for a in control)
    outcome = f"{len(refused)} refused with Retry-After, the slowest after {slowest:.2f} s; slowest admitted {admitted[-1]:.2f} s"
    said = f"{sum(a[0] == 200 for a in control)} of 4 answered"
    bounds = f"{quickly:.1f} s to refuse, {bound:.1f} s to answer"
    return Row("overload, 10× capacity", len(refused), outcome, bounds, said, held)


def sigterm(world: World) -> Row:
    """38: SIGTERM with requests under way."""
    with world.server(SLIPWAY_DRAIN_TIMEOUT="240") as server:
        http = server.http()
        before = http.get("/health/ready").status_code
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(chat, server, ignore_eos=True, max_tokens=1500) for _ in range(8)]
            eventually(lambda: server.metric("slipway_in_flight") == 8)
            server.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            eventually(lambda: http.get("/health/ready").status_code == 503)
            late = http.post("/v1/chat/completions", json=LONGER).status_code
            finished = [a.result() for a in asked]
        code = server.process.wait(120)
        took = time.monotonic() - began
    whole = sum(a.status_code == 200 and a.json()["usage"]["completion_tokens"] == 1500 for a in finished)
    outcome = f"{whole} of 8 finished whole, one that came late got {late}, exit code {code} after {took:.1f} s"
    held = (whole, late, code, before) == (8, 503, 0, 200)
    return Row("SIGTERM under load", 1, outcome, "240 s", f"ready was {before}", held)


def malformed(world: World) -> Row:
    """Malformed, huge and slow requests beside a healthy client."""
    with world.server(SLIPWAY_BODY_TIMEOUT="5") as server:
        stop = threading.Event()
        healthy: list[int] = []

        def client() -> None:
            while not stop.is_set():
                healthy.append(chat(server, max_tokens=8).status_code)

        beside = threading.Thread(target=client)
        chat(server, max_tokens=8)
        before = resident(server)
        beside.start()
        statuses = [
            server.http().post("/v1/chat/completions", content=content).status_code
            for content in (b"{", b"[]", b"\xff\xfe", b'{"model":' * 1000, b"[" * 100_000, b"x" * (64 << 20))
        ]
        million = chat(server, messages=[{"role": "user", "content": "a b " * 500_000}])
        statuses.append(million.status_code)
        statuses.append(slow_body(server))
        crawlers = [half_request(server) for _ in range(50)]
        after_crawlers = chat(server, max_tokens=8).status_code
        for crawler in crawlers:
            crawler.close()
        stop.set()
        beside.join()
        grown = (resident(server) - before) >> 20
    held = all(400 <= s < 500 for s in statuses) and set(healthy) == {200} and after_crawlers == 200 and grown < 400
    outcome = f"statuses {statuses}, memory grew by {grown} MiB"
    control = f"{len(healthy)} healthy requests beside them, all {set(healthy)}"
    return Row("malformed, huge, slow requests", len(statuses) + len(crawlers), outcome, "400 MiB", control, held)


def slow_body(server: Endpoint) -> int:
    with open_socket(server) as raw:
        raw.sendall(head(server, 100))
        raw.sendall(b"{")
        return int(raw.recv(100).split()[1])


def half_request(server: Endpoint) -> socket.socket:
    raw = open_socket(server)
    raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ")
    return raw


def open_socket(server: Endpoint) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
    raw.settimeout(120)
    return raw


def head(server: Endpoint, length: int) -> bytes:
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: x",
        f"authorization: Bearer {server.key}",
        f"content-length: {length}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def resident(server: Started) -> int:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def swapped(world: World) -> Row:
    """An adapter replaced by a broken one, and by itself, while requests run."""
    mount = world.copy("mount")
    with world.server(mount) as server:
        stop = threading.Event()
        answers: list[tuple[int, str]] = []

        def client() -> None:
            while not stop.is_set():
                answer = chat(server, "gpu_model")
                answers.append((answer.status_code, answer.json()["choices"][0]["message"]["content"]))

        clients = [threading.Thread(target=client) for _ in range(4)]
        for one in clients:
            one.start()
        load = {"lora_name": "gpu_model", "lora_path": ADAPTER_PATH, "load_inplace": True}
        good = [server.http().post("/v1/load_lora_adapter", json=load).status_code for _ in range(10)]
        os.truncate(mount / ADAPTER_PATH / "adapter_model.safetensors", 5000)
        broken = server.http().post("/v1/load_lora_adapter", json=load)
        eventually(lambda: len(answers) > 40)
        stop.set()
        for one in clients:
            one.join()
        alive = httpx.get(f"{server.url}/health/live", timeout=60).status_code
    kinds = set(answers)
    held = good == [200] * 10 and broken.status_code == 400 and "truncated" in broken.text and alive == 200
    held = held and len(kinds) == 1 and next(iter(kinds))[0] == 200
    outcome = f"{len(answers)} answers of {len(kinds)} kind, the broken adapter refused ({broken.status_code})"
    return Row("adapter swapped while serving", 11, outcome, "no failed request", "10 good swaps took", held)


def out_of_memory(world: World) -> Row:
    """One request needs more memory than the process may take, while others run."""
    mount = world.folder / "long"
    make(mount, adapters=0, layers=6, positions=9000)
    small = {"model": "bench/small", "prompt": [300, 301, 302], "max_tokens": 8, "temperature": 0, "ignore_eos": True}
    with world.server(mount) as server:

        def long(first: int, length: int = 8500) -> httpx.Response:
            """A prompt of its own, so that nothing of it is in the prefix cache; as it is, about 50 MB of keys and values."""
            prompt = [first, *(300 + number % 7000 for number in range(length))]
            body = {"model": "bench/small", "prompt": prompt, "max_tokens": 1, "temperature": 0}
            return server.http().post("/v1/completions", json=body, timeout=120)

        eventually(lambda: "gradio" in server.http().get("/").text, 180)  # until then the process itself still grows
        control = long(290, 2000)  # much shorter: what it leaves behind in the heap is too little for the other
        expected = server.http().post("/v1/completions", json=small).json()["choices"]
        taken = int((Path("/proc") / str(server.process.pid) / "statm").read_text().split()[0])
        limit = taken * os.sysconf("SC_PAGE_SIZE") + (16 << 20)
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            failing = pool.submit(long, 291)
            others: list[object] = []
            while not failing.done():
                others.append(server.http().post("/v1/completions", json=small).json().get("choices"))
        failed = failing.result()
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        after = long(292).status_code
        ready = httpx.get(f"{server.url}/health/ready", timeout=60).status_code
        blocks = server.metric("slipway_kv_blocks_used")
    wrong = sum(each != expected for each in others)
    held = failed.status_code == 500 and failed.json()["error"]["code"] == "engine_error"
    held = held and others != [] and wrong == 0 and after == 200 and ready == 200 and blocks == 0
    outcome = f"that request {failed.status_code}, {len(others) - wrong} of {len(others)} others right, then {after}"
    bound = "only that request fails"
    return Row("out of memory in one request", 1, outcome, bound, f"with memory {control.status_code}", held)


FAULTS: dict[str, Callable[[World], Row]] = {
    "disconnect": disconnect,
    "overload": overload,
    "sigterm": sigterm,
    "malformed": malformed,
    "hostile": hostile,
    "swapped": swapped,
    "out-of-memory": out_of_memory,
    "not-finite": not_finite,
    "useless-gpu": useless_gpu,
    "wrong-kernel": wrong_kernel,
    "some-read-errors": some_read_errors,
    "read-errors": read_errors,
}

if __name__ == "__main__":
    sys.exit(main())
