"""The GPU's decode path on a CPU: static buffers, paged attention and stacked adapters give the reference's tokens, with the
torch operations and with the Triton kernels under Triton's interpreter.
"""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from inference.engine.compute.choice import Attention, Backend
from tests.unit.inference.conftest import Families, Family, Reference, RigMaker

pytest.importorskip("triton")

from inference.engine.compute.decoder import forward
from inference.engine.compute.device import raise_if_lost
from inference.engine.compute.gpu import paged_cache
from inference.engine.compute.gpu.kernels import attention, fused, gemv, lora
from inference.engine.compute.gpu.lora_stacks import first_layer_of_zeros
from inference.engine.compute.gpu.paged_cache import read_prompt
from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import SamplingParams, Sequence
from inference.engine.weights.loader import allocate
from inference.engine.weights.lora import Lora
from tests.bench.random_model import (
    BLOCK_SIZE,
    TINY,
    Batch,
    make_runner,
    prompt_of,
    random_adapter,
    random_weights,
    spec_of,
)
from tests.gpu.where import KERNELS as KERNELS_ON
from tests.unit.inference.test_oracle import FAMILIES, assert_hits_equal, random_requests

KERNELS = ("llama", "mistral-window", "phi3-longrope", "qwen3")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def large_tiles(monkeypatch: pytest.MonkeyPatch):
    """The interpreter takes its time for each program: fewer and wider ones. test_kernels.py runs those of a GPU."""
    if KERNELS_ON.type == "cpu":
        monkeypatch.setattr(gemv, "N_STEP", 256)  # patched: constants of a kernel, for the interpreter only
        monkeypatch.setattr(gemv, "K_STEP", 64)  # patched: constants of a kernel, for the interpreter only


Made = Callable[[str], tuple[Family, Reference]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, families: Families) -> Made:
    """Families by name, each made once with its reference."""
    known = {}

    def make(name: str):
        if name not in known:
            kind, targets, config = FAMILIES[name]
            family = families.make(tmp_path_factory.mktemp(name), kind, targets, **config)
            known[name] = family, families.reference(family)
        return known[name]

    return make


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "settings",
    [
        {"blocks": 256, "block_size": 4},
        {"blocks": 40, "block_size": 4, "tokens": 24, "prefill": 5, "sequences": 5},
    ],
    ids=["plenty", "short-of-everything"],
)
def test_tokens_equal_the_reference(made: Made, make_rig: RigMaker, name: str, settings: dict[str, Any]):
    family, reference = made(name)
    rig = make_rig(family, attention="torch", **settings)
    chance = random.Random(5)
    asked = []
    for prompt, adapter, number in random_requests(3, 14, 60):
        asked.append((rig.ask(prompt, adapter, max_tokens=number), adapter))
        if chance.random() < 0.4:
            asked[chance.randrange(len(asked))][0].done.wait(240)
    for request, adapter in asked:
        assert request.done.wait(240)
        assert request.tokens == reference.generate(request.prompt, adapter, request.params.max_tokens)
    if settings["blocks"] == 40:
        assert rig.engine.gauges().preemptions > 0
    assert_hits_equal(rig, reference)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_give_the_references_tokens(made: Made, make_rig: RigMaker, name: str, monkeypatch: pytest.MonkeyPatch):
    """Few rows (our own products, with the norm and the gate in them) and more (torch's), base and adapters, two buckets."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)  # or no matrix is left as it was loaded
    family, reference = made(name)
    rig = make_rig(family, attention="triton", blocks=64, sequences=5)
    alone = rig.ask([9, 30, 7, 101], max_tokens=3, logprobs=None)  # nothing but the likeliest token is asked for
    assert alone.done.wait(200)
    assert alone.text == "".join(f"w{token}" for token in reference.generate(alone.prompt, "", 3))
    several = [([5, 6, 7], ""), ([40, 41], "first"), ([9, 30, 7, 101, 8], "second"), ([77], "first"), ([12, 13], "")]
    # Five rows are more than our own products of few rows take: one family shows that those join in as well.
    several = several if name == "llama" else several[:3]
    asked = [(rig.ask(prompt, adapter, max_tokens=3), adapter) for prompt, adapter in several]
    for request, adapter in asked:
        assert request.done.wait(200)
        assert request.tokens == reference.generate(request.prompt, adapter, 3)


@pytest.mark.parametrize("attention", ["torch", "triton"])
def test_longrope_changes_tables_while_decoding(made: Made, make_rig: RigMaker, attention: Attention):
    family, reference = made("phi3-longrope")
    rig = make_rig(family, attention=attention)
    prompt = [random.Random(9).randrange(3, 160) for _ in range(60)]
    request = rig.ask(prompt, max_tokens=8)
    assert request.done.wait(120)
    assert request.tokens == reference.generate(prompt, "", 8)


@pytest.mark.parametrize("attention", ["dense", "torch"])
def test_longrope_changes_tables_with_everything_known_already(made: Made, make_rig: RigMaker, attention: Attention):
    """The second time all tokens are found under the second table: nothing of the first may be read with them."""
    family, reference = made("phi3-longrope")
    rig = make_rig(family, attention=attention, block_size=4)
    prompt = [random.Random(9).randrange(3, 160) for _ in range(60)]
    expected = reference.generate(prompt, "", 12)
    told = []
    for _ in range(3):
        request = rig.ask(prompt, max_tokens=12)
        assert request.done.wait(120)
        assert request.tokens == expected
        told.append([choice.logprob for delta in request.deltas for choice in delta.choices])
    assert told[1] == pytest.approx(told[0], abs=1e-5)
    assert told[2] == pytest.approx(told[0], abs=1e-5)


def test_a_slots_next_adapter_answers_as_in_a_fresh_slot():
    """The one before had matrices in places where this one has none."""
    spec = spec_of(TINY)
    weights = random_weights(spec, torch.float32, CPU)
    whole, other = (random_adapter(spec, 8, torch.float32, CPU, seed) for seed in (1, 2))
    partial = Lora(tuple({"qkv": pairs["qkv"]} for pairs in other.layers))

    def told(*adapters: Any):
        runner = make_runner(spec, weights, Backend(CPU, torch.float32, "torch"), blocks=8, rows=1)
        for each in adapters:
            runner.install_adapter(1, each)
        batch = Batch(runner, 8, 1)
        batch.add(prompt_of(5, spec.vocabulary, 1), 6, 1, logprobs=3)
        batch.prefill()
        return [choice.logprob for _ in range(4) for choice in batch.step()]

    assert told(whole, partial) == told(partial)
    assert told(whole) != told(partial)


def test_a_lost_gpu_ends_the_engine_and_not_one_request_after_the_other(made: Made, make_rig: RigMaker):
    """So that /health/live answers 503 and the container is restarted."""
    family, _ = made("llama")
    rig = make_rig(family, attention="torch")
    lost = torch.AcceleratorError("CUDA error: unspecified launch failure")

    def waiting():
        raise lost

    def failing(slices: list[Slice]):
        if slices[0].sequence.tokens[0] == 13:
            raise_if_lost(lost, waiting)
        return rig.runner.run(slices)

    rig.steps.step = failing
    fine = rig.ask([9, 8], max_tokens=3)
    assert fine.done.wait(240)
    assert (fine.finish, rig.engine.failure) == ("length", "")
    for prompt in ([13, 8], [9, 8]):
        request = rig.ask(prompt, max_tokens=3)
        assert request.done.wait(240)
        assert request.finish == "error"
    assert "DeviceLost: the GPU is lost: CUDA error: unspecified launch failure" in rig.engine.failure


class Attended(TorchFunctionMode):
    """What attention was asked for."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
        if func is torch.nn.functional.scaled_dot_product_attention:
            self.calls.append((*(each.shape[1] for each in args[:3]), (kwargs or {}).get("enable_gqa", False)))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("count", "total", "window"), [(9, 9, 0), (5, 9, 0), (9, 9, 4), (5, 9, 4)])
def test_prompts_attend_with_a_key_head_for_each_head(count: int, total: int, window: int):
    """Shared key heads have no kernel of little memory on a T4, nor with a mask on any GPU."""
    spec = spec_of(TINY | {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2})
    query, both = torch.randn(count, 32), torch.randn(total, spec.key_value)
    with Attended() as seen:
        out = read_prompt(spec, query, both, window)
    assert seen.calls
    assert set(seen.calls) == {(4, 4, 4, False)}
    keys, values = both.double().view(total, 2, 2, 8).repeat_interleave(2, 2).unbind(1)
    scores = torch.einsum("qhd,khd->hqk", query.double().view(count, 4, 8), keys) * 8**-0.5
    behind = torch.arange(total) - torch.arange(total - count, total).unsqueeze(1)
    hidden = (behind > 0) | (behind <= -window) if window else behind > 0
    weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
    assert torch.allclose(out.double(), torch.einsum("hqk,khd->qhd", weights, values).flatten(1), atol=1e-5)


class Launches:
    """The compiled form of each kernel that was launched: Triton compiles one for every combination of constants, number
    formats, and of what its arguments are multiples of."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.forms = set()
        for module in (attention, fused, gemv, lora):
            for name, kernel in vars(module).items():
                if hasattr(kernel, "pre_run_hooks"):
                    general = set(getattr(kernel, "kwargs", {}).get("do_not_specialize") or ())
                    hooks = [self.hook(name, kernel, general)]
                    patch.setattr(kernel, "pre_run_hooks", hooks)  # patched: Triton's own hook

    def hook(self, name: str, kernel: Any, general: Any):
        def seen(*values: Any, **constants: Any):
            given = dict(zip(kernel.arg_names, values, strict=False))
            form = [(key, self.kind(value, key in general)) for key, value in given.items()]
            self.forms.add((name, *form, *sorted(constants.items())))

        return seen

    @staticmethod
    def kind(value: Any, general: Any):
        if isinstance(value, torch.Tensor):
            return value.dtype, value.data_ptr() % 16 == 0
        if isinstance(value, int) and not general:
            return value == 1, value % 16 == 0
        return type(value)


def requests_of_every_kind(runner: Any, blocks: int, vocabulary: int):
    """Alone and together, short and long, base and adapters, decoding alone and beside prompts."""
    batch = Batch(runner, blocks, 5)
    for index, (length, adapter) in enumerate(((3, 0), (70, 1), (1, 1), (21, 0), (2, 2))):
        batch.add(prompt_of(length, vocabulary, index), 6 - index, adapter)
        batch.step()
    batch.finish()
    return [sequence.tokens for sequence in batch.sequences]


@pytest.mark.parametrize("attention", ["torch", "triton"])
def test_a_warm_up_compiles_what_requests_need_and_touches_nobodys_pages(
    attention: Attention, monkeypatch: pytest.MonkeyPatch
):
    if attention == "triton" and KERNELS_ON.type != "cpu":
        pytest.skip("watches the interpreter; a GPU's kernels do not take a CPU's tensors")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    spec = spec_of(TINY | {"sliding_window": None, "max_position_embeddings": 200})
    weights, blocks = random_weights(spec, torch.float32, CPU), 14
    told = []
    for warm in (True, False):
        runner = make_runner(spec, weights, Backend(CPU, torch.float32, attention), blocks=blocks, rows=5)
        launches = Launches(monkeypatch)
        assert runner.gpu is not None
        pages = runner.gpu.cache.pages
        pages[:, : blocks * BLOCK_SIZE] = 7
        if warm:
            runner.warm_up()
            assert (pages[:, : blocks * BLOCK_SIZE] == 7).all()
            assert pages[:, blocks * BLOCK_SIZE :].isfinite().all()
        for slot, rank in ((1, 8), (2, 24)):
            runner.install_adapter(slot, random_adapter(spec, rank, torch.float32, CPU, slot))
        known = set(launches.forms)
        told.append(requests_of_every_kind(runner, blocks, spec.vocabulary))
        if attention == "triton":
            assert bool(launches.forms - known) is not warm
    assert told[0] == told[1]


class Indexed(TorchFunctionMode):
    """Indexing and copies of fake tensors in a build without CUDA, where torch's own ask for the device itself.

    A copy may go from one device to another, so there only shapes count.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
        if func is torch.Tensor.__getitem__:
            return indexed(*args)
        if func is torch.Tensor.__setitem__:
            there, value = indexed(*args[:2]), args[2]
            return there.fill_(value) if isinstance(value, int) else there.copy_(value)
        if func is torch.Tensor.copy_:
            assert torch.broadcast_to(args[1], args[0].shape).shape == args[0].shape
            return args[0]
        return func(*args, **(kwargs or {}))


def indexed(tensor: torch.Tensor, index: Any):
    index = index if isinstance(index, tuple) else (index,)
    left, dim, rows = len([each for each in index if each is not None]), 0, []
    for each in index:
        left -= each is not None
        if each is None:
            tensor = tensor.unsqueeze(dim)
        elif each is ...:
            dim = tensor.ndim - left - 1
        elif isinstance(each, slice):
            tensor = torch.ops.aten.slice(tensor, dim, each.start, each.stop)
        elif isinstance(each, torch.Tensor):
            rows += [None] * (dim - len(rows)) + [each]
        else:
            tensor, dim = tensor.select(dim, each), dim - 1
        dim += 1
    return torch.ops.aten.index(tensor, rows) if rows else tensor


def slice_of(number: int, blocks: list[int], start: int, count: int, adapter: int):
    tokens = list(range(3, 3 + start + count))
    sequence = Sequence(number, tokens, len(tokens), SamplingParams(4), adapter, salt=0, random=random.Random(1))
    sequence.blocks.extend(blocks)
    return Slice(sequence, start, count, True)


@pytest.mark.parametrize("heads", [2, 1], ids=["a key head for each head", "shared key heads"])
@pytest.mark.parametrize("window", [None, 12])
def test_every_tensor_is_where_it_is_computed_with(heads: int, window: int | None, monkeypatch: pytest.MonkeyPatch):
    """Without a GPU: torch's fake tensors have a device and a shape, and refuse operations over two devices."""
    config = {"num_attention_heads": 2, "num_key_value_heads": heads, "sliding_window": window}
    spec = spec_of(TINY | config)
    device = torch.device("cuda", 0)

    def corner(count: int, total: Any):  # torch's own is a subclass of Tensor, which cannot be fake
        return torch.ones(count, total, dtype=torch.bool, device=device).tril(total - count)

    monkeypatch.setattr(paged_cache, "causal_lower_right", corner)  # patched: torch's own cannot be fake
    with FakeTensorMode(), Indexed(), torch.no_grad():
        draft, _ = allocate(spec, torch.float16, device)
        weights, lora = draft.packed(), first_layer_of_zeros(spec, torch.float16, device)
        runner = make_runner(spec, weights, Backend(device, torch.float16, "torch"), blocks=12, rows=4)
        runner.warm_up()
        for slot in (1, 2):
            runner.install_adapter(slot, lora)
        path = runner.gpu
        assert path is not None
        decoding = [slice_of(1, [3, 4], 20, 1, 0), slice_of(2, [5], 6, 1, 1), slice_of(3, [6], 2, 1, 2)]
        prompts = [slice_of(4, [7], 0, 9, 0), slice_of(5, [1, 2], 14, 5, 1)]
        scores = path.decode.run(decoding)
        assert (scores.logits.device, scores.logits.shape) == (device, (3, spec.vocabulary))
        for some, others in ((decoding, prompts), ([], prompts), (decoding, [])):
            step = path.cache.begin(some, others)
            tokens, rotation, adapters = runner._inputs(some + others)
            batch = runner._slots.batch(adapters, device)
            hidden = forward(spec, weights, partial(path.cache.attend, step), tokens, rotation, batch)
            logits = runner._logits(some + others, hidden)
            assert (logits.device, logits.shape) == (device, (len(some + others), spec.vocabulary))
        runner.remove_adapter(1)
