"""`npm run bench -- serving`: our server beside the peers that are installed, as ratios of alternating rounds.

Every figure is one JSON line; the last line says which goals are met. All servers get the same model, the same two cores
and the same clients. Ratios are medians over rounds, each of which runs all servers one after the other.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from load import Load, Target, run  # noqa: E402
from small_model import make  # noqa: E402

KEY = "bench"
BASE = "bench/small"
ADAPTERS = tuple(f"adapter{number}" for number in range(4))


@dataclass(frozen=True)
class Goal:
    """What a figure should reach."""

    name: str
    text: str
    met: bool


@dataclass
class Report:
    """Figures as they are measured, goals as they are judged."""

    goals: list[Goal]

    def figure(self, name: str, value: float, **more: object) -> None:
        print(json.dumps({"figure": name, "value": round(value, 3), **more}), flush=True)

    def ratio(self, name: str, ours: list[float], theirs: list[float], goal: float | None) -> None:
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        value = median(ratios)
        self.figure(name, value, rounds=[round(r, 2) for r in ratios], goal=goal)
        if goal is not None:
            self.goals.append(Goal(name, f"{name} {value:.2f} of {goal}", value >= goal))

    def end(self) -> None:
        missing = [goal.text for goal in self.goals if not goal.met]
        met = len(self.goals) - len(missing)
        print(f"goals met: {met} of {len(self.goals)}; missing: {', '.join(missing) or 'none'}", flush=True)


def main() -> None:
    arguments = parse_arguments()
    report = Report([])
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder, ExitStack() as stack:
        mount = Path(folder)
        make(mount, adapters=len(ADAPTERS))
        model = mount / "model-cache" / "bench" / "small"
        began = time.monotonic()
        ours_port = stack.enter_context(ours(mount))
        ours_start = time.monotonic() - began
        began = time.monotonic()
        peer_port = stack.enter_context(transformers_serve(model))
        peer_start = time.monotonic() - began
        threads_port = stack.enter_context(thread_a_request(model))
        base = Target(ours_port, (BASE,), KEY, {"ignore_eos": True})
        one = Target(ours_port, ADAPTERS[:1], KEY, {"ignore_eos": True})
        four = Target(ours_port, ADAPTERS, KEY, {"ignore_eos": True})
        peer = Target(peer_port, (str(model),))
        threads = Target(threads_port, (BASE,))
        everyone = {
            "ours": base,
            "one adapter": one,
            "four adapters": four,
            "transformers serve": peer,
            "threads": threads,
        }
        for target in everyone.values():
            run(target, 4, 16)  # warm up
        report.figure("start-up seconds, ours", ours_start)
        report.figure("start-up seconds, transformers serve", peer_start)
        report.ratio("start-up: transformers serve / ours", [peer_start], [ours_start], 2.0)
        for clients, goal in ((1, 1.4), (4, None), (16, 2.0)):
            compare(report, everyone, clients, goal, arguments)
        swap(report, mount, base)
        memory(report, mount, Path(folder) / "large")
        overhead(report)
    for name in ("vllm",):
        if not installed(name):
            print(json.dumps({"figure": f"peer {name}", "value": None, "why": "not installed here"}))
    report.end()


def compare(
    report: Report, everyone: dict[str, Target], clients: int, goal: float | None, arguments: argparse.Namespace
) -> None:
    seen: dict[str, list[Load]] = {name: [] for name in everyone}
    for _ in range(arguments.rounds):
        for name, target in everyone.items():
            slow = name == "threads" and clients > 1
            seen[name].append(run(target, clients, arguments.tokens // 4 if slow else arguments.tokens))
    rates = {name: [load.rate for load in loads] for name, loads in seen.items()}
    for name in everyone:
        report.figure(f"tokens/s, {name}, {clients} clients", median(rates[name]))
    report.ratio(f"{clients} clients: ours / transformers serve", rates["ours"], rates["transformers serve"], goal)
    pattern = 15.0 if clients == 16 else None
    report.ratio(f"{clients} clients: ours / thread a request", rates["ours"], rates["threads"], pattern)
    many = clients == 16
    report.ratio(f"{clients} clients: one adapter / base", rates["one adapter"], rates["ours"], 0.95 if many else None)
    report.ratio(
        f"{clients} clients: four adapters / base", rates["four adapters"], rates["ours"], 0.85 if many else None
    )
    mine = seen["ours"]
    report.figure(f"first token ms, ours, {clients} clients", 1000 * median(load.first_median for load in mine))
    theirs = seen["transformers serve"]
    report.figure(
        f"first token ms, transformers serve, {clients} clients", 1000 * median(load.first_median for load in theirs)
    )
    half, most = median(load.gap(0.5) for load in mine), median(load.gap(0.99) for load in mine)
    report.figure(f"inter-token ms p50, ours, {clients} clients", 1000 * half)
    report.figure(f"inter-token ms p99, ours, {clients} clients", 1000 * most)
    if many:
        report.figure("inter-token p99 / p50, 16 clients", most / half, goal="≤ 3")
        report.goals.append(Goal("p99", f"inter-token p99 is {most / half:.1f}× p50, goal 3×", most <= 3 * half))


def swap(report: Report, mount: Path, base: Target) -> None:
    """From the changed file to the new adapter's first token, and the longest pause, under sixteen streaming clients."""
    http = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    body = {"lora_name": "swapped", "lora_path": "models/adapter0/adapter", "load_inplace": True}
    new = Target(base.port, ("swapped",), KEY, {"ignore_eos": True})
    times: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        background = pool.submit(run, base, 16, 1000)
        for _ in range(5):
            (mount / "models" / "adapter0" / "adapter" / "adapter_model.safetensors").touch()
            began = time.monotonic()
            request = urllib.request.Request(
                f"http://127.0.0.1:{base.port}/v1/load_lora_adapter", json.dumps(body).encode(), http
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 200
            run(new, 1, 1)
            times.append(time.monotonic() - began)
        load = background.result()
    stall = max(load.gaps)
    report.figure("hot swap: change to first token, seconds", median(times), rounds=[round(t, 3) for t in times])
    report.figure("hot swap: longest pause of 16 streams, ms", 1000 * stall)
    report.goals.append(Goal("swap", f"hot swap takes {median(times):.2f} s of 1", median(times) < 1))
    report.goals.append(Goal("stall", f"the longest pause in a swap is {1000 * stall:.0f} ms of 50", stall < 0.05))


def memory(report: Report, small: Path, large: Path) -> None:
    """What a larger model adds to the process, against the bytes of its weights."""
    make(large, adapters=0, hidden=1536, layers=6)
    added: list[tuple[int, int]] = []
    for mount in (small, large):
        weights = sum(file.stat().st_size for file in (mount / "model-cache").rglob("*.safetensors"))
        with ours(mount) as port:
            added.append((weights, peak(port)))
    (few, before), (many, after) = added
    ratio = (after - before) / (many - few)
    report.figure("peak memory added / weights", ratio, weights_mb=many >> 20)
    report.goals.append(Goal("memory", f"peak memory grows by {ratio:.2f}× the weights, goal 1.1×", ratio <= 1.1))


def peak(port: int) -> int:
    """Peak resident bytes of the server on a port, which is a child of ours."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    for child in children:
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        if f"CONTAINER_APP_PORT={port}".encode() in environment:
            status = Path(f"/proc/{child}/status").read_text()
            return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    raise RuntimeError(f"no server on {port}")


def overhead(report: Report) -> None:
    script = str(HERE / "overhead.py")
    done = subprocess.run([sys.executable, script], check=True, stdout=subprocess.PIPE, text=True)
    seen: dict[str, list[float]] = json.loads(done.stdout)
    cost = median(seen["/ours"])
    report.figure("HTTP + JSON + detokenising, CPU µs a token", cost, goal="≤ 12")
    report.goals.append(Goal("overhead", f"a token costs {cost:.1f} µs beside the model, goal 12", cost <= 12))
    report.ratio("overhead: StreamingResponse + json.dumps / ours", seen["/usual"], seen["/ours"], 5.0)


@contextmanager
def ours(mount: Path) -> Generator[int]:
    variables = {"SLIPWAY_BIND_HOST": "127.0.0.1", "SLIPWAY_API_KEY": KEY, "SLIPWAY_MOUNT": str(mount)}
    with server(
        [sys.executable, "-m", "inference"],
        "/health/ready",
        lambda port: {**variables, "CONTAINER_APP_PORT": str(port)},
    ) as port:
        yield port


@contextmanager
def transformers_serve(model: Path) -> Generator[int]:
    """Ready once the model is loaded, for which it is asked by name."""
    options = ["--continuous-batching", "--host", "127.0.0.1", "--dtype", "float32"]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model), *options]
    with server([*command, "--port", "{port}"], "/health", lambda port: {"HF_HUB_OFFLINE": "1"}) as port:
        run(Target(port, (str(model),)), 1, 4)
        yield port


@contextmanager
def thread_a_request(model: Path) -> Generator[int]:
    with server(
        [sys.executable, str(HERE / "thread_server.py"), str(model), "{port}"], "/health", lambda port: {}
    ) as port:
        yield port


@contextmanager
def server(command: list[str], probe: str, more: Callable[[int], dict[str, str]]) -> Generator[int]:
    """A server process on a free port, up when its probe answers 200."""
    port = free_port()
    threads = os.environ.get("OMP_NUM_THREADS", "2")
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false", **more(port)}
    log = tempfile.NamedTemporaryFile(prefix="slipway-bench-", suffix=".log", delete=False)  # noqa: SIM115
    process = subprocess.Popen(
        [part.replace("{port}", str(port)) for part in command], cwd=ROOT, env=environment, stdout=log, stderr=log
    )
    try:
        deadline = time.monotonic() + 120
        while not answers(f"http://127.0.0.1:{port}{probe}"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[1:4]} did not start; see {log.name}")
            time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the server beside its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=192)
    return parser.parse_args()


if __name__ == "__main__":
    main()
