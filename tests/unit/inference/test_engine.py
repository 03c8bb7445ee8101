"""The engine as a whole: cancelling, failing alone, stopping, prefix hits, seeds and stop strings in a running batch."""

import random
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.engine.files.folder import check_adapter
from inference.engine.schedule.scheduler import Slice
from tests.unit.inference.conftest import Families, Family, Reference, RigMaker

SPLIT = ["q_proj", "v_proj", "o_proj", "gate_proj"]


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return families.make(tmp_path_factory.mktemp("engine"), "LlamaConfig", SPLIT)


@pytest.fixture(scope="module")
def reference(llama: Family, families: Families) -> Reference:
    return families.reference(llama)


def prompts(number: int, seed: int = 1, longest: int = 20):
    chance = random.Random(seed)
    return [[chance.randrange(3, 160) for _ in range(chance.randrange(2, longest))] for _ in range(number)]


def test_a_request_that_breaks_the_step_fails_alone(llama: Family, reference: Reference, make_rig: RigMaker):
    rig = make_rig(llama)
    good = [rig.ask(prompt, max_tokens=30) for prompt in prompts(4)]
    guilty = rig.ask([5, 99_999, 7], max_tokens=30)  # a token that the model has no row for
    more = [rig.ask(prompt, "first", max_tokens=30) for prompt in prompts(2, seed=2)]
    assert guilty.done.wait(240)
    assert guilty.finish == "error"
    for request in good + more:
        assert request.done.wait(240)
        name = "first" if request in more else ""
        assert request.tokens == reference.generate(request.prompt, name, 30)
    assert rig.engine.gauges().blocks_used == 0


def test_a_cancelled_request_ends_within_a_step_and_frees_its_blocks(
    llama: Family, reference: Reference, make_rig: RigMaker
):
    rig = make_rig(llama)
    known, begun, told = threading.Event(), threading.Event(), threading.Event()

    def waiting(slices: list[Slice]):
        """Amid the answer it waits until it has been cancelled."""
        assert known.wait(240)
        if asked[0].deltas:
            begun.set()
            assert told.wait(240)
        return rig.runner.run(slices)

    asked: list[Any] = []
    rig.steps.step = waiting
    stays = rig.ask(prompts(1)[0], max_tokens=60)
    asked.append(goes := rig.ask(prompts(1, seed=3)[0], max_tokens=200))
    known.set()
    assert begun.wait(240)
    rig.engine.cancel(goes.number)
    told.set()
    assert goes.done.wait(240)
    assert goes.finish == "cancelled"
    assert stays.done.wait(240)
    assert stays.tokens == reference.generate(stays.prompt, "", 60)
    rig.engine.cancel(goes.number)  # a second time, and after the end: nothing happens
    rig.engine.cancel(123_456)
    assert rig.engine.gauges().blocks_used == 0


@pytest.mark.parametrize(
    ("where", "limits", "prompt", "at"),
    [
        ("waiting", {"sequences": 1}, 20, 4),
        ("reading its prompt", {"prefill": 4}, 90, 6),
        ("decoding", {}, 20, 12),
    ],
)
def test_a_cancel_is_done_before_another_step_has_ended(
    llama: Family, make_rig: RigMaker, where: str, limits: dict[str, Any], prompt: int, at: int
):
    """The one that stays gets a token each step; it is from there, on the engine's thread, that the other comes and goes."""
    rig = make_rig(llama, **limits)
    others, before, after = [], [], []

    def dropped(goes: Any):
        if goes.finish:
            after.append(rig.engine.gauges())

    def each_step(stays: Any):
        if len(stays.deltas) == 2:
            others.append(rig.ask(list(range(5, 5 + prompt)), then=dropped, max_tokens=120))
        if len(stays.deltas) == at:
            before.append(rig.engine.gauges())
            rig.engine.cancel(others[0].number)

    stays = rig.ask([5, 6, 7], then=each_step, max_tokens=60)
    assert stays.done.wait(240)
    assert stays.finish == "length"
    (goes,), (cancelled,), (gone,) = others, before, after
    assert where == ("waiting" if cancelled.waiting else "decoding" if goes.tokens else "reading its prompt")
    assert goes.finish == "cancelled"
    assert gone.steps <= cancelled.steps + 1
    assert (gone.running, gone.waiting) == (1, 0)


def test_a_cancel_during_a_step_is_done_when_that_step_has_ended(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama)
    known, steps = threading.Event(), []

    def cancelling(slices: list[Slice]):
        """The fifth step is not counted yet when the cancel comes."""
        if rig.engine.gauges().steps == 4:
            assert known.wait(240)
            rig.engine.cancel(asked.number)
        return rig.runner.run(slices)

    rig.steps.step = cancelling
    asked = rig.ask([5, 6, 7], then=lambda _: steps.append(rig.engine.gauges().steps), max_tokens=60)
    known.set()
    assert asked.done.wait(240)
    assert asked.finish == "cancelled"
    rig.engine.stop()
    assert steps == [1, 2, 3, 4, 5, 5]
    assert rig.engine.gauges().blocks_used == 0


def test_random_cancels_leak_no_block(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama, blocks=60, block_size=4, tokens=32, prefill=7, sequences=6)
    chance = random.Random(4)
    asked = []
    for prompt in prompts(60, seed=5, longest=40):
        asked.append(rig.ask(prompt, chance.choice(["", "first", "second"]), max_tokens=chance.randrange(1, 60)))
        if chance.random() < 0.5:
            rig.engine.cancel(chance.choice(asked).number)
        if chance.random() < 0.2:
            asked[0].done.wait(0.05)
    for request in asked:
        assert request.done.wait(240)
        assert request.finish in {"length", "cancelled"}
    gauges = rig.engine.gauges()
    assert (gauges.blocks_used, gauges.running, gauges.waiting) == (0, 0, 0)


def test_a_prefix_hit_is_reported_and_changes_nothing(llama: Family, reference: Reference, make_rig: RigMaker):
    rig = make_rig(llama, block_size=4)
    prompt = list(range(10, 31))
    first = rig.ask(prompt, max_tokens=12)
    assert first.done.wait(240)
    second = rig.ask(prompt, max_tokens=12)
    assert second.done.wait(240)
    assert (first.deltas[-1].cached, second.deltas[-1].cached) == (0, 20)
    assert first.tokens == second.tokens == reference.generate(prompt, "", 12)
    other = rig.ask(prompt, "first", max_tokens=12)
    assert other.done.wait(240)
    assert other.deltas[-1].cached == 0
    assert other.tokens == reference.generate(prompt, "first", 12)


def test_a_seeded_request_says_the_same_in_any_company(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama)
    options: dict[str, Any] = {"temperature": 1.0, "top_p": 0.9, "seed": 11, "max_tokens": 20}
    alone = rig.ask([9, 8, 7], **options)
    assert alone.done.wait(240)
    mates = [rig.ask(prompt, "second", temperature=1.5, max_tokens=40) for prompt in prompts(6, seed=8)]
    crowded = rig.ask([9, 8, 7], **options)
    assert crowded.done.wait(240)
    assert crowded.tokens == alone.tokens
    for mate in mates:
        assert mate.done.wait(240)


def test_a_stop_string_across_tokens_ends_the_sequence(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama)
    plain = rig.ask([9, 8, 7], max_tokens=12, logprobs=None)
    assert plain.done.wait(240)
    stop = plain.text[8:13]
    stopped = rig.ask([9, 8, 7], max_tokens=12, logprobs=None, stop=(stop,))
    assert stopped.done.wait(240)
    assert stopped.finish == "stop"
    assert stopped.text == plain.text[: plain.text.index(stop)]


def test_the_end_token_ends_unless_it_is_to_be_ignored(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama)
    forced = rig.ask([9, 8], max_tokens=5, ignore_eos=False, logit_bias={2: 100.0}, logprobs=None)
    assert forced.done.wait(240)
    assert (forced.finish, forced.text) == ("stop", "")
    ignored = rig.ask([9, 8], max_tokens=5, ignore_eos=True, logit_bias={2: 100.0})
    assert ignored.done.wait(240)
    assert ignored.tokens == [2] * 5


def test_stopping_ends_what_is_under_way(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama)
    stops = threading.Event()

    def waiting(slices: list[Slice]):
        assert stops.wait(240)  # its answer would be whole by then, on a machine that does something else just now
        return rig.runner.run(slices)

    rig.steps.step = waiting
    request = rig.ask([9, 8], max_tokens=250)
    stops.set()
    rig.engine.stop()
    assert request.done.wait(240)
    assert request.finish == "cancelled"


def test_weights_that_are_no_numbers_are_found_before_serving(
    llama: Family, families: Families, make_rig: RigMaker, tmp_path: Path
):
    broken = families.make(tmp_path, "LlamaConfig", SPLIT)
    file = broken.path / "model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"][3] = torch.nan
    save_file(tensors, file, metadata={"format": "pt"})
    rig = make_rig(broken)
    with pytest.raises(RuntimeError, match="finite"):
        rig.engine.warm_up()


def test_installing_adapters_leaves_base_and_other_adapters_bit_identical(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama)

    def said(adapter: str):
        asked = rig.ask([9, 8, 7], adapter, max_tokens=8, logprobs=3)
        assert asked.done.wait(240)
        return [delta.choices for delta in asked.deltas]

    before = {adapter: said(adapter) for adapter in ("", "first")}
    others = [check_adapter(name, path, llama.path.parents[2]) for name, path in llama.adapters.items()]
    for _ in range(100):
        for slot, folder in enumerate((*others, *others), start=2):
            rig.engine.install(slot, folder)
    during = [rig.ask([9, 8, 7], adapter, max_tokens=8, logprobs=3) for adapter in ("first", "") * 4]
    for folder in (*others, *others, *others):
        rig.engine.install(3, folder)
    for slot in range(2, 6):
        rig.engine.remove(slot)
    assert all(asked.done.wait(240) for asked in during)
    assert {adapter: said(adapter) for adapter in before} == before
    alone = rig.ask([9, 8, 7], "first", max_tokens=8)
    assert alone.done.wait(240)
    for asked in during[::2]:
        assert asked.tokens == alone.tokens
