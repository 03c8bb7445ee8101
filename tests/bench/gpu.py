"""`npm run bench -- gpu`: the GPU's decode path against what the GPU can do, in the shape of Phi-3-mini with random weights.

Needs PyTorch (and the Triton that comes with it) and no file. Measures the ceilings first, then which share of them decoding
reaches, prompts, adapters, and, where transformers is installed, the ratio to its `generate_batch`. Also checks that what is
computed is right. Ends within eight minutes (`--seconds`). A part that fails is told and the others go on, for time on a GPU is
dear; the exit code says so. `--device cpu --tiny` runs the same code at a toy size, kernels interpreted.
"""

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import torch
    from random_model import Batch
    from report import Report

    from inference.engine.compute.model_runner import ModelRunner

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(1, str(HERE.parents[1]))

from report import goal_arguments, report_for  # noqa: E402

SHARES = {  # of what the device could do at best, in the order of Sizes.batches
    "batch 1 ≥ 85 % of read bandwidth": 0.85,
    "batch 2 at 1k ≥ 80 % of (weights + KV) / bandwidth": 0.80,
    "batch 4 at 1k ≥ 80 % of (weights + KV) / bandwidth": 0.80,
    "batch 16 at 1k ≥ 75 % of (weights + KV) / bandwidth": 0.75,
    "batch 64 at 1k ≥ 75 % of (weights + KV) / bandwidth": 0.75,
}
ADAPTED = "one adapter ≥ 0.95× base"
PEER = "≥ 3× transformers generate_batch at 64"
CLOSE = "logits as close to float32 as torch's own operations"
REPLAYED = "a replayed graph computes what was captured"
GOALS = (*SHARES, ADAPTED, PEER, CLOSE, REPLAYED)
PEERS = {"transformers": (PEER,)}
RANK = 16
WARM_UPS = 2  # rounds of the same requests: a batch size seen once a round is captured in the second
KERNEL_ROWS = (1, 2, 4)
LEAST_MEMORY = 60e9  # bytes: 64 sequences of 1.5k tokens take 39 GB of keys and values, the weights 8


def main() -> None:
    arguments = parse_arguments()
    if arguments.device == "cpu":
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
    import torch

    if arguments.device == "cpu":
        torch.set_num_threads(1)  # the interpreter works in small steps, between which threads only wait
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit(
            "no CUDA device: PyTorch sees no GPU here, so there is nothing to measure (--device cpu --tiny runs the code)"
        )
    if find_spec("triton") is None:
        sys.exit("Triton is not installed: it comes with PyTorch's CUDA builds")

    from inference.engine.compute.device import KERNELS_FROM

    if arguments.device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        if (properties.major, properties.minor) < KERNELS_FROM or properties.total_memory < LEAST_MEMORY:
            needed = f"compute capability {'.'.join(map(str, KERNELS_FROM))} and {LEAST_MEMORY / 1e9:.0f} GB"
            has = f"{properties.major}.{properties.minor} and {properties.total_memory / 1e9:.0f} GB"
            sys.exit(f"this benchmark is for a GPU with {needed} or more; {properties.name} has {has}")
    if arguments.device == "cpu":
        from inference.engine.compute.gpu.kernels import gemv

        gemv.N_STEP, gemv.K_STEP = 256, 64  # it takes its time for each program, too: fewer and wider ones

    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(arguments.seconds)
    report = report_for(arguments, GOALS, PEERS)
    try:
        with torch.inference_mode():
            failed = Bench(report, torch.device(arguments.device), arguments.tiny).run()
    except OutOfTime:
        print(f"out of time after {arguments.seconds} s: what is missing below was not attempted", file=sys.stderr)
        failed = ["time"]
    signal.alarm(0)
    report.end(arguments.goals)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the reasons are above")


class OutOfTime(BaseException):
    """The time that a run may take is over. Nobody who tries something and goes on without it shall catch this."""


def out_of_time(*_: object) -> NoReturn:
    raise OutOfTime


class Bench:
    """One run: the report, where it measures, and at which size."""

    def __init__(self, report: "Report", device: "torch.device", tiny: bool) -> None:
        import torch
        from random_model import FULL, SMALL, random_weights, spec_of

        self.report = report
        self.device = device
        self.sizes = SMALL if tiny else FULL
        self.cuda = device.type == "cuda"
        self.half = torch.bfloat16 if self.cuda else torch.float16  # the interpreter cannot multiply bfloat16 matrices
        self.bandwidth = 0.0
        self.capture = None
        self.spec = spec_of(self.sizes.model)
        self.weights = random_weights(self.spec, self.half, device)
        layers = [
            each for layer in self.weights.layers for each in (layer.qkv, layer.output, layer.gate_up, layer.down)
        ]
        self.bytes = sum(matrix.weight.nbytes for matrix in (*layers, self.weights.head))

    def run(self) -> list[str]:
        """All parts, what is judged first. Returns the names of those that failed."""
        failed: list[str] = []
        for part in (self.ceilings, self.closeness, self.decoding, self.peer, self.kernels):
            try:
                part()
            except Exception:  # noqa: BLE001  (told, and the run fails for it in the end)
                traceback.print_exc()
                failed.append(part.__name__)
        return failed

    def ceilings(self) -> None:
        """The best that this device does for plain reads, copies, and products."""
        import torch

        if self.cuda:
            properties = torch.cuda.get_device_properties(self.device)
            self.report.figure("GPU memory, GB", properties.total_memory / 1e9, gpu=properties.name)
        numbers = torch.ones(self.sizes.buffer // 4, dtype=torch.float32, device=self.device)
        other = torch.empty_like(numbers)
        read = numbers.nbytes / self.seconds(lambda: numbers.sum())
        copy = 2 * numbers.nbytes / self.seconds(lambda: other.copy_(numbers))
        self.bandwidth = max(read, copy)
        self.report.figure("read bandwidth, GB/s", read / 1e9)
        self.report.figure("copy bandwidth (read + write), GB/s", copy / 1e9)
        side = self.sizes.square
        square = torch.randn(side, side, device=self.device).to(self.half)
        took = self.seconds(lambda: square @ square)
        self.report.figure(f"product of {side} squares in 16 bits, TFLOP/s", 2 * side**3 / took / 1e12)

    def kernels(self) -> None:
        """Our products of few rows beside cuBLAS's, for each matrix of a layer."""
        import torch
        from torch.nn.functional import linear

        from inference.engine.compute.gpu.kernels.gemv import gemv

        for name in ("qkv", "output", "gate_up", "down"):
            # One matrix would stay in the cache of the GPU: each round multiplies by all layers' in turn.
            matrices = [getattr(layer, name).weight for layer in self.weights.layers]
            total = sum(matrix.nbytes for matrix in matrices)
            for rows in KERNEL_ROWS:
                x = torch.randn(rows, matrices[0].shape[1], device=self.device).to(self.half)
                ours = self.seconds(self.replayed(lambda x=x, all=matrices: [gemv(x, matrix, None) for matrix in all]))
                theirs = self.seconds(self.replayed(lambda x=x, all=matrices: [linear(x, matrix) for matrix in all]))
                share = {"cublas": round(total / theirs / self.bandwidth, 3)}
                self.report.figure(f"{name} · {rows} rows, share of bandwidth", total / ours / self.bandwidth, **share)

    def decoding(self) -> None:
        """Whole steps as the engine takes them, copies to and from the GPU and the choice of tokens included."""
        from random_model import BLOCK_SIZE, Batch, make_runner, prompt_of, random_adapter

        from inference.engine.compute.choice import Backend

        sizes, spec = self.sizes, self.spec
        most = max(sizes.batches)
        blocks = most * (-(-(sizes.context + 8 * sizes.steps) // BLOCK_SIZE) + 1)
        runner = make_runner(spec, self.weights, Backend(self.device, self.half, "triton"), blocks=blocks, rows=most)
        for slot in range(1, 5):
            runner.install_adapter(slot, random_adapter(spec, RANK, self.half, self.device, slot))
        base: dict[int, float] = {}
        for number, (goal, share) in zip(sizes.batches, SHARES.items(), strict=True):
            self.prefilled(runner, blocks, number)[0].clear()  # cuBLAS chooses its kernels the first time
            batch, took = self.prefilled(runner, blocks, number)
            if number > 1:
                self.report.figure(f"prefill tokens/s, {number} prompts", number * sizes.context / took)
            step = self.step_seconds(batch)
            base[number] = step
            # Of the steps that were timed the middle one: half of them came after it.
            tokens = sum(len(sequence.tokens) for sequence in batch.sequences) - number * (sizes.steps // 2)
            seen = tokens * spec.layers * spec.key_value * 2
            reached = (self.bytes + seen) / self.bandwidth / step
            device = self.device_seconds(batch)
            self.report.figure(f"tokens/s, batch {number}", number / step)
            self.report.figure(
                f"share of roofline, batch {number}",
                reached,
                step_ms=round(step * 1000, 3),
                device_ms=round(device * 1000, 3),
                weights_gb=round(self.bytes / 1e9, 2),
                kv_gb=round(seen / 1e9, 3),
            )
            self.report.goal(goal, reached >= share, f"{goal} ({100 * reached:.0f} %)")
            if number == sizes.batches[-1]:
                self.replays(batch)
            batch.clear()
        for number, adapters in ((sizes.batches[0], 1), (sizes.batches[-2], 1), (sizes.batches[-2], 4)):
            batch = Batch(runner, blocks, most)
            for index in range(number):
                batch.add(prompt_of(sizes.context, spec.vocabulary, index), 8 * sizes.steps, 1 + index % adapters)
            batch.prefill()
            ratio = base[number] / self.step_seconds(batch)
            self.report.figure(f"{adapters} adapters of rank {RANK} / base, batch {number}", ratio)
            if number == sizes.batches[0]:
                self.report.goal(ADAPTED, ratio >= 0.95, f"{ADAPTED} ({ratio:.2f})")
            batch.clear()
        assert runner.gpu is not None
        graphs = runner.gpu.decode.graphs
        self.report.figure("graphs captured", len(graphs.captured), failed=len(graphs.failed))

    def prefilled(self, runner: "ModelRunner", blocks: int, number: int):
        """A batch of prompts that decodes from now on, and the seconds that the prompts took."""
        from random_model import Batch, prompt_of

        batch = Batch(runner, blocks, max(self.sizes.batches))
        for index in range(number):
            batch.add(prompt_of(self.sizes.context, self.spec.vocabulary, index), 8 * self.sizes.steps)
        began = time.perf_counter()
        batch.prefill()
        return batch, time.perf_counter() - began

    def replays(self, batch: "Batch") -> None:
        """The same buffers once through the graph and once as they are: the same kernels, so the same numbers."""
        assert batch.runner.gpu is not None
        path = batch.runner.gpu.decode
        parts = batch.scheduler.schedule()
        replayed = path.run(parts).logits.clone()
        direct = path.run_directly(parts).logits
        apart = float((replayed - direct).abs().max())
        same = float((replayed.argmax(1) == direct.argmax(1)).double().mean())
        self.report.figure("replayed against computed: largest difference of logits", apart, same_token=same)
        name = REPLAYED
        if self.cuda and not path.graphs.captured:
            self.report.goal(name, False, "no graph was captured")
        else:
            self.report.goal(name, apart <= 1e-2 and same == 1.0, f"{name} (apart by {apart:.2g})")

    def closeness(self) -> None:
        """Two layers, teacher-forced: our kernels' error against float32 beside that of torch's operations."""
        import torch
        from random_model import BLOCK_SIZE, Batch, converted, distance, make_runner, prompt_of, random_weights, spec_of

        from inference.engine.compute.choice import Attention, Backend

        spec = spec_of(self.sizes.model, num_hidden_layers=2)
        weights = random_weights(spec, self.half, self.device)
        length, steps = self.sizes.context // 3, max(self.sizes.steps, 3)
        forced = prompt_of(steps, spec.vocabulary, 77)
        seen = {}
        ways: list[tuple[str, Attention, torch.dtype]] = [
            ("exact", "dense", torch.float32),
            ("torch", "dense", self.half),
            ("ours", "triton", self.half),
        ]
        for name, attention, dtype in ways:
            mine = converted(weights, dtype)
            runner = make_runner(
                spec,
                mine,
                Backend(self.device, dtype, attention),
                blocks=4 * (length + steps) // BLOCK_SIZE + 8,
                rows=4,
            )
            batch = Batch(runner, 4 * (length + steps) // BLOCK_SIZE + 8, 4)
            for index in range(4):
                batch.add(prompt_of(length + index, spec.vocabulary, index), steps, logprobs=20)
            seen[name] = [batch.step(token) for token in forced]
        errors = {name: distance(seen["exact"], seen[name]) for name in ("torch", "ours")}
        ratio = errors["ours"] / errors["torch"]
        self.report.figure("error of logprobs, ours / torch's operations", ratio, ours=errors["ours"])
        name = CLOSE
        self.report.goal(name, ratio <= 1.1, f"{name} ({ratio:.2f} of 1.1)")

    def peer(self) -> None:
        """The same requests through transformers' continuous batching and through our scheduler and runner."""
        import torch
        from random_model import prompt_of

        number = self.sizes.batches[-1]
        prompts = [prompt_of(self.sizes.peer_prompt, self.spec.vocabulary, index) for index in range(number)]
        rates = self.our_rates(prompts)
        if find_spec("transformers") is None or not self.cuda:
            self.report.goal(
                PEER, None, "compared on a GPU only" if not self.cuda else "transformers is not installed here"
            )
            return
        from transformers_peer import generate_batch

        torch.cuda.empty_cache()  # transformers takes what is free for its own keys and values
        theirs = generate_batch(self.sizes.model, self.half, self.device, prompts, self.sizes.peer_tokens, rounds=2)
        self.report.figure(f"tokens/s, {number} requests, transformers generate_batch", median(theirs))
        self.report.ratio(f"{number} requests: ours / transformers generate_batch", rates, theirs, PEER, 3.0)

    def our_rates(self, prompts: list[list[int]]) -> list[float]:
        """Tokens a second of two rounds."""
        from random_model import BLOCK_SIZE, Batch, make_runner

        from inference.engine.compute.choice import Backend

        sizes, number = self.sizes, len(prompts)
        blocks = number * (-(-(sizes.peer_prompt + sizes.peer_tokens) // BLOCK_SIZE) + 1)
        runner = make_runner(
            self.spec, self.weights, Backend(self.device, self.half, "triton"), blocks=blocks, rows=number
        )

        def once() -> float:
            batch = Batch(runner, blocks, number)
            for prompt in prompts:
                batch.add(prompt, sizes.peer_tokens)
            began = time.perf_counter()
            batch.finish()
            return number * sizes.peer_tokens / (time.perf_counter() - began)

        assert runner.gpu is not None
        graphs = runner.gpu.decode.graphs
        for _ in range(WARM_UPS):
            once()
        before = len(graphs.captured)
        rates = [once() for _ in range(2)]
        meanwhile = len(graphs.captured) - before
        self.report.figure(f"tokens/s, {number} requests, ours", median(rates), captured_meanwhile=meanwhile)
        return rates

    def step_seconds(self, batch: "Batch") -> float:
        """Median seconds of a step in which all decode, once their graph is there."""
        for _ in range(3 if self.cuda else 1):
            batch.step()
        times: list[float] = []
        for _ in range(self.sizes.steps):
            began = time.perf_counter()
            batch.step()
            times.append(time.perf_counter() - began)
        return median(times)

    def replayed(self, work: Callable[[], object]) -> Callable[[], object]:
        """The same kernels without the Python that launches them, which takes longer than the kernels do."""
        from inference.engine.compute.gpu.graphs import CudaCapture

        if not self.cuda:
            return work
        work()  # compiles
        self.capture = self.capture or CudaCapture()
        captured = self.capture(work)
        return lambda: captured.replay()

    def device_seconds(self, batch: "Batch") -> float:
        """Seconds of a step's computation alone: nothing waits for what comes out."""
        parts = batch.scheduler.schedule()
        gpu = batch.runner.gpu
        assert gpu is not None
        return self.seconds(lambda: gpu.decode.run(parts))

    def seconds(self, work: Callable[[], object]) -> float:
        """Seconds of one call: the best of a few rounds of several calls."""
        import torch

        calls = 10 if self.cuda else 1
        best = float("inf")
        for _ in range(5 if self.cuda else 1):
            if self.cuda:
                torch.cuda.synchronize()
            began = time.perf_counter()
            for _ in range(calls):
                work()
            if self.cuda:
                torch.cuda.synchronize()
            best = min(best, (time.perf_counter() - began) / calls)
        return best


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the GPU's decode path against what the GPU can do.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a toy size: runs the code, its figures mean nothing")
    parser.add_argument("--seconds", type=int, default=460, help="the most that a run may take")
    goal_arguments(parser, PEERS)
    arguments = parser.parse_args()
    if arguments.device == "cpu" and not arguments.tiny:
        parser.error("--device cpu needs --tiny: the kernels are interpreted there")
    return arguments


if __name__ == "__main__":
    main()
