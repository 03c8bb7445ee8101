"""What only a GPU can show: graphs replay what was computed, also after a swap, and 16 bits are as close as torch's own."""

from typing import Any

import pytest
import torch

from inference.engine.compute.choice import Attention, Backend
from inference.engine.compute.gpu.graphs import CudaCapture, Graphs
from inference.engine.compute.gpu.self_check import difference, made_rows
from inference.engine.files.spec import ModelSpec
from tests.bench.random_model import (
    BLOCK_SIZE,
    PHI3_MINI,
    Batch,
    converted,
    make_runner,
    prompt_of,
    random_adapter,
    random_weights,
    spec_of,
)
from tests.gpu.where import CUDA, KERNELS

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not CUDA, reason="PyTorch sees no CUDA device here")]
kernels = pytest.mark.skipif(KERNELS.type == "cpu", reason="no GPU here that is new enough for our kernels")
DEVICE = torch.device("cuda")
HALF = torch.bfloat16
SHAPE = PHI3_MINI | {"num_hidden_layers": 2, "hidden_size": 768, "num_attention_heads": 8, "num_key_value_heads": 8}
SHAPES = {"one key head a head": SHAPE, "shared key heads": SHAPE | {"num_key_value_heads": 2, "sliding_window": 60}}
BLOCKS = 800
ROWS = 64  # at once, at most


@pytest.fixture(scope="module", params=SHAPES)
def model(request: pytest.FixtureRequest) -> tuple[ModelSpec, Any]:
    spec = spec_of(SHAPES[request.param])
    return spec, random_weights(spec, HALF, DEVICE)


def batch_of(runner: Any, number: int, adapters: Any = (0,), tokens: int = 12):
    batch = Batch(runner, BLOCKS, ROWS)
    for index in range(number):
        batch.add(prompt_of(40 + index, runner.spec.vocabulary, index), tokens, adapters[index % len(adapters)])
    batch.prefill()
    return batch


def gpu_of(runner: Any):
    assert runner.gpu is not None
    return runner.gpu


@kernels
@pytest.mark.parametrize("number", [1, 2, 3, 4, 6, 16, 64])
def test_a_replay_computes_what_is_computed_without_a_graph(model: tuple[ModelSpec, Any], number: int):
    spec, weights = model
    runner = make_runner(spec, weights, Backend(DEVICE, HALF, "triton"), blocks=BLOCKS, rows=ROWS)
    path = gpu_of(runner).decode
    batch = batch_of(runner, number)
    for _ in range(6):
        parts = batch.scheduler.schedule()
        replayed = path.run(parts).logits.clone()  # first: both write to the same buffer
        direct = path.run_directly(parts).logits
        assert torch.allclose(replayed, direct, atol=1e-2, rtol=0)
        batch.step()
    assert path.graphs.captured
    assert not path.graphs.failed


@kernels
def test_a_swap_between_two_replays_needs_no_new_graph(model: tuple[ModelSpec, Any]):
    spec, weights = model
    runner = make_runner(spec, weights, Backend(DEVICE, HALF, "triton"), blocks=BLOCKS, rows=16)
    path = gpu_of(runner).decode
    runner.install_adapter(1, random_adapter(spec, 16, HALF, DEVICE, 1))
    batch = batch_of(runner, 4, adapters=(0, 1), tokens=30)
    for _ in range(3):
        batch.step()
    parts = sorted(batch.scheduler.schedule(), key=lambda part: part.sequence.adapter)
    before, graphs = path.run(parts).logits.clone(), path.graphs.captured
    runner.install_adapter(1, random_adapter(spec, 8, HALF, DEVICE, 2))
    after = path.run(parts).logits.clone()
    assert path.graphs.captured == graphs
    assert torch.equal(before[:2], after[:2])  # the base's rows, bit by bit
    assert not torch.allclose(before[2:], after[2:], atol=1e-2)
    assert torch.allclose(after, path.run_directly(parts).logits, atol=1e-2, rtol=0)


def test_graphs_are_captured_after_a_failure_and_after_all_were_dropped():
    graphs: Graphs[int, torch.Tensor] = Graphs(CudaCapture())
    x = torch.ones(3, device=DEVICE)

    def waits():
        return x * x.sum().item()

    for number in range(3):
        for _ in range(3):
            assert torch.equal(graphs.run(0, waits), x * x.sum())
            assert torch.equal(graphs.run(number + 1, lambda: x + 1), x + 1)
            assert torch.cuda.current_stream() == torch.cuda.default_stream()
        assert graphs.failed == {0}
        assert graphs.captured == {number + 1}
        graphs.drop(lambda key: True)
        torch.cuda.empty_cache()


@pytest.mark.parametrize("adapter", [0, 1])
@pytest.mark.parametrize(
    ("attention", "half"), [pytest.param("triton", torch.bfloat16, marks=kernels), ("torch", torch.float16)], ids=str
)
def test_half_precision_is_as_close_to_float32_as_torchs_own(
    model: tuple[ModelSpec, Any], adapter: int, attention: Attention, half: torch.dtype
):
    """The second is a T4's way, which any GPU can go."""
    spec, weights = model
    weights = converted(weights, half)
    exact = make_runner(
        spec, converted(weights, torch.float32), Backend(DEVICE, torch.float32, "dense"), blocks=BLOCKS, rows=16
    )
    forced = prompt_of(24, spec.vocabulary, 5)
    seen = []
    for runner in (
        exact,
        make_runner(spec, weights, Backend(DEVICE, half, "dense"), blocks=BLOCKS, rows=16),
        make_runner(spec, weights, Backend(DEVICE, half, attention), blocks=BLOCKS, rows=16),
    ):
        dtype = torch.float32 if runner is exact else half
        lora = random_adapter(spec, 16, half, DEVICE, 1)
        runner.install_adapter(1, converted(lora, dtype))
        batch = Batch(runner, BLOCKS, 16)
        for index in range(3):
            batch.add(prompt_of(40 + index, spec.vocabulary, index), len(forced), adapter, logprobs=20)
        seen.append([batch.step(token) for token in forced])
    reference, theirs, ours = seen
    assert error(reference, ours) <= 1.1 * error(reference, theirs)
    likeliest = [
        (a.token, b.token) for one, other in zip(reference, ours, strict=True) for a, b in zip(one, other, strict=True)
    ]
    assert sum(a == b for a, b in likeliest) >= 0.9 * len(likeliest)


@kernels
@pytest.mark.parametrize("number", [1, 2, 4, 16, 64])
def test_kernels_compute_what_torchs_operations_compute(model: tuple[ModelSpec, Any], number: int):
    """The check of the server's own start, for each number of rows that it may decode."""
    spec, weights = model
    runner = make_runner(spec, weights, Backend(DEVICE, HALF, "triton"), blocks=BLOCKS, rows=ROWS)
    path = gpu_of(runner)
    rows = made_rows(number, path.decode.width, BLOCK_SIZE, DEVICE)
    with torch.inference_mode():
        assert difference(spec, weights, [rows], path.decode.operations, path.plain) == ""


@kernels
def test_a_start_keeps_the_kernels(model: tuple[ModelSpec, Any]):
    spec, weights = model
    runner = make_runner(spec, weights, Backend(DEVICE, HALF, "triton"), blocks=BLOCKS, rows=ROWS)
    runner.warm_up()
    assert runner.attention == "triton", runner.notes


def error(exact: Any, found: Any):
    squares = []
    for one, other in zip(exact, found, strict=True):
        for a, b in zip(one, other, strict=True):
            known = dict(b.top)
            squares += [(value - known[token]) ** 2 for token, value in a.top if token in known]
    return (sum(squares) / len(squares)) ** 0.5


def test_a_whole_run_equals_the_steps_of_torchs_operations(model: tuple[ModelSpec, Any]):
    """float32 throughout: greedy tokens are the same whatever computes them."""
    spec, weights = model
    wide = converted(weights, torch.float32)
    ways: list[Attention] = ["dense", "torch", *(["triton"] if KERNELS.type == "cuda" else [])]
    told = []
    for attention in ways:
        runner = make_runner(spec, wide, Backend(DEVICE, torch.float32, attention), blocks=BLOCKS, rows=16)
        batch = batch_of(runner, 5)
        batch.finish()
        told.append([sequence.tokens for sequence in batch.sequences])
    assert all(each == told[0] for each in told)


@kernels
def test_padding_leaves_the_pages_of_others_alone(model: tuple[ModelSpec, Any]):
    spec, weights = model
    runner = make_runner(spec, weights, Backend(DEVICE, HALF, "triton"), blocks=BLOCKS, rows=16)
    batch = batch_of(runner, 5)
    used = {block for sequence in batch.sequences for block in sequence.blocks}
    free = [row for block in set(range(BLOCKS)) - used for row in range(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE)]
    pages = gpu_of(runner).cache.pages
    pages[:, free] = 7
    for _ in range(3):
        batch.step()
    held = {block for sequence in batch.sequences for block in sequence.blocks}
    free = [row for block in set(range(BLOCKS)) - held for row in range(block * BLOCK_SIZE, (block + 1) * BLOCK_SIZE)]
    assert (pages[:, free] == 7).all()
