"""On the transformers engine the base stays as it was, to the bit, whatever adapters bring and however they come and go."""

import copy
import gc
import itertools
import json
import shutil
import threading
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from inference.engine.adapters.table import BASE, Adapters, InstalledAdapter
from inference.engine.adapters.watch import Watch
from inference.engine.compute.fallback import TransformersRunner, frame_of
from inference.engine.engine import Delta, Engine, Sink
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import check_adapter, check_model
from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.scheduler import Limits
from inference.engine.schedule.sequence import SamplingParams
from inference.engine.text.tokenizer import Tokenizer
from tests.contract.inference.conftest import Start
from tests.unit.inference.adapter_kinds import BROKEN, KINDS, TARGETS, broken
from tests.unit.inference.conftest import Families, Family

PROMPT = [5, 9, 31, 77, 12]


@dataclass
class Expected:
    """What PEFT computes. Answers are equal to it that have its tokens, and its probabilities for the first one."""

    tokens: list[int]
    first: torch.Tensor

    def __eq__(self, other: object) -> bool:
        answer: Any = other
        drawn = [choice.token for choice in answer]
        return drawn == self.tokens and all(abs(float(self.first[t]) - p) < 1e-4 for t, p in answer[0].top)


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, families: Families) -> Family:
    """A base, an adapter of each kind, and of each the tokens that PEFT draws with it."""
    made = families.make(tmp_path_factory.mktemp("base"), "LlamaConfig", TARGETS, tie_word_embeddings=request.param)
    for seed, (name, kind) in enumerate(KINDS.items()):
        torch.manual_seed(seed)
        config = copy.deepcopy(kind)  # PEFT writes into it
        adapted = peft.get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(made.path), config)
        for key, parameter in adapted.named_parameters():
            if any(part in key for part in ("magnitude", "modules_to_save", "ia3_l")):
                parameter.data += torch.randn_like(parameter) * 0.3
        made.adapters[name] = made.path.parents[2] / "adapters" / name
        adapted.save_pretrained(str(made.adapters[name]), save_embedding_layers=False)
    return made


@pytest.fixture(scope="module")
def expected(made: Family) -> Callable[[str], Expected]:
    """The tokens that PEFT draws with one adapter, and without any; and how likely each was as the first."""
    known: dict[str, Expected] = {}

    def of(name: str) -> Expected:
        if name not in known:
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(made.path)
            model.generation_config.eos_token_id = None
            if name:
                model = peft.PeftModel.from_pretrained(model, str(made.adapters[name]))
            ids = torch.tensor([PROMPT])
            out = model.eval().generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=8,
                output_logits=True,
                return_dict_in_generate=True,
            )
            known[name] = Expected(out.sequences[0, len(PROMPT) :].tolist(), out.logits[0][0].log_softmax(-1))
        return known[name]

    return of


@dataclass
class Bench:
    """An engine, and all that can be seen of its base: what it answers, its layers and its tensors."""

    engine: Engine
    runner: TransformersRunner
    mount: Path

    def ask(self, slot: int) -> list[Any]:
        done, choices = threading.Event(), []

        def sink(delta: Delta):
            choices.extend(delta.choices)
            if delta.finish:
                done.set()

        params = SamplingParams(max_tokens=8, temperature=0.0, ignore_eos=True, logprobs=20)
        installed = InstalledAdapter("x", slot, slot, "", None) if slot else BASE
        self.engine.submit(PROMPT, params, installed, sink)
        assert done.wait(240)
        return choices

    def install(self, slot: int, name: str, path: Path) -> None:
        self.engine.install(slot, check_adapter(name, path, self.mount))

    def base(self) -> Any:
        model: Any = self.runner._model
        layers = [(name, type(module)) for name, module in model.named_modules()]
        return self.ask(0), layers, {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def assert_base(self, before: Any) -> None:
        answers, layers, tensors = before
        now, layers_now, tensors_now = self.base()
        assert now == answers
        assert layers_now == layers
        assert tensors_now.keys() == tensors.keys()
        assert all(torch.equal(tensors_now[name], tensor) for name, tensor in tensors.items())


@pytest.fixture
def bench(made: Family, words: Tokenizer) -> Generator[Bench]:
    mount = made.path.parents[2]
    runner = TransformersRunner(check_model("test/model", made.path, mount), torch.device("cpu"), torch.float32)

    def deliver(events: list[tuple[Sink, Delta]]):
        for sink, delta in events:
            sink(delta)

    engine = Engine(runner, words, BlockManager(256, 4), Limits(), 256, deliver)
    runner.warm_up()
    yield Bench(engine, runner, mount)
    engine.stop()


@pytest.mark.parametrize("name", KINDS)
def test_an_adapter_of_any_kind_leaves_nothing_behind(
    made: Family, expected: Callable[[str], Expected], bench: Bench, name: str
):
    before = bench.base()
    assert bench.ask(0) == expected("")
    for _ in range(2):
        bench.install(1, name, made.adapters[name])
        assert bench.ask(0) == before[0]
        assert bench.ask(1) == expected(name)
        assert bench.ask(1) != before[0]
        assert bench.ask(0) == before[0]
        bench.engine.remove(1)
        bench.assert_base(before)


@pytest.mark.parametrize("start", [True, "gaussian", "eva", "orthogonal", "mica"])
def test_however_an_adapter_was_started_the_base_stays(
    made: Family, expected: Callable[[str], Expected], bench: Bench, tmp_path: Path, start: Start
):
    before = bench.base()
    shutil.copytree(made.adapters["plain"], tmp_path / "started")
    file = tmp_path / "started" / "adapter_config.json"
    even = {"r": 4, "lora_alpha": 8} if start == "orthogonal" else {}  # it takes no other ranks
    file.write_text(json.dumps(json.loads(file.read_text()) | {"init_lora_weights": start} | even))
    if even:
        tensors = load_file(file.with_name("adapter_model.safetensors"))
        for key, tensor in tensors.items():
            tensors[key] = torch.nn.functional.pad(tensor, (0, 0, 0, 1) if "lora_A" in key else (0, 1))
        save_file(tensors, file.with_name("adapter_model.safetensors"))
    bench.mount = tmp_path
    bench.install(1, "started", tmp_path / "started")
    assert bench.ask(1) == expected("plain")
    bench.engine.remove(1)
    bench.assert_base(before)


PAIRS = [*itertools.permutations(["plain", "head", "embedding", "low-rank-head"], 2), ("ia3", "head"), ("oft", "dora")]


@pytest.mark.parametrize("pair", PAIRS, ids="-then-".join)
@pytest.mark.parametrize("leaves", [0, 1], ids=["first-leaves", "last-leaves"])
def test_of_two_either_may_leave_first(
    made: Family, expected: Callable[[str], Expected], bench: Bench, pair: tuple[str, ...], leaves: int
):
    before = bench.base()
    for slot, name in enumerate(pair, start=1):
        bench.install(slot, name, made.adapters[name])
    assert [bench.ask(slot) for slot in (1, 2)] == [expected(name) for name in pair]
    assert bench.ask(0) == before[0]
    stays = 1 - leaves
    bench.engine.remove(leaves + 1)
    assert bench.ask(0) == before[0]
    assert bench.ask(stays + 1) == expected(pair[stays])
    bench.engine.remove(stays + 1)
    bench.assert_base(before)


def test_many_come_and_go_in_any_order(made: Family, expected: Callable[[str], Expected], bench: Bench):
    before = bench.base()
    names = ["head", "plain", "dora", "both", "loha", "lokr"]
    for slot, name in enumerate(names, start=1):
        bench.install(slot, name, made.adapters[name])
    for slot in (3, 1, 6, 2):
        bench.engine.remove(slot)
        assert bench.ask(0) == before[0]
        assert bench.ask(4) == expected("both")
    bench.install(1, "plain", made.adapters["plain"])
    for slot in (4, 1, 5):
        bench.engine.remove(slot)
        assert bench.ask(0) == before[0]
    bench.assert_base(before)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("beside", ["", "head", "plain"], ids=["alone", "beside-a-head", "beside-a-plain-one"])
def test_one_that_is_refused_half_way_leaves_nothing_behind(
    made: Family, expected: Callable[[str], Expected], bench: Bench, tmp_path: Path, name: str, beside: str
):
    before = bench.base()
    if beside:
        bench.install(2, beside, made.adapters[beside])
    bench.mount = tmp_path
    with pytest.raises(AdapterError, match=BROKEN[name][2]):
        bench.install(1, "broken", broken(made, tmp_path, name))
    bench.mount = made.path.parents[2]
    assert bench.ask(0) == before[0]
    bench.install(1, "plain", made.adapters["plain"])  # the slot is free, and nothing is left in it
    assert bench.ask(1) == expected("plain")
    bench.engine.remove(1)
    if beside:
        assert bench.ask(2) == expected(beside)
        bench.engine.remove(2)
    bench.assert_base(before)


Table = tuple[Adapters, Watch, Callable[[str, str], Path]]


@pytest.fixture
def table(made: Family, bench: Bench, tmp_path: Path) -> Table:
    """Adapters on a mount of their own, and the watch over it."""
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "config.json").write_text("{}")
    adapters = Adapters(mount, 4, bench.engine.install, bench.engine.remove)

    def put(name: str, kind: str) -> Path:
        shutil.rmtree(mount / name, ignore_errors=True)
        shutil.copytree(made.adapters[kind], mount / name)
        return mount / name

    return adapters, Watch(adapters, mount, mount / "config.json", 60), put


def test_one_whose_folder_is_deleted_leaves_nothing_behind(
    bench: Bench, expected: Callable[[str], Expected], table: Table
):
    adapters, watch, put = table
    before = bench.base()
    path = put("one", "head")
    adapters.load("one", path)
    assert bench.ask(adapters.installed["one"].slot) == expected("head")
    shutil.rmtree(path)
    watch.look(walk=True)
    watch.look(walk=True)
    assert not adapters.installed
    bench.assert_base(before)


def test_one_that_is_replaced_in_place_leaves_nothing_behind(
    bench: Bench, expected: Callable[[str], Expected], table: Table, made: Family, tmp_path: Path
):
    """By another with a head, by a broken one, by one without a head; then it is unloaded."""
    adapters, _, put = table
    before = bench.base()
    for kind in ("head", "both", "plain", "embedding"):
        adapters.load("one", put("one", kind))
        assert bench.ask(0) == before[0]
        assert bench.ask(adapters.installed["one"].slot) == expected(kind)
        shutil.rmtree(tmp_path / "mount" / "broken", ignore_errors=True)
        with pytest.raises(AdapterError):
            adapters.load("one", broken(made, tmp_path, "a layer of the base"))
        assert bench.ask(0) == before[0]
        assert bench.ask(adapters.installed["one"].slot) == expected(kind)
    adapters.unload("one")
    bench.assert_base(before)


def test_a_request_under_way_keeps_the_adapter_that_it_began_with(
    bench: Bench, expected: Callable[[str], Expected], table: Table
):
    adapters, _, put = table
    before = bench.base()
    adapters.load("one", put("one", "head"))
    held = adapters.hold("one")
    assert held is not None
    adapters.load("one", put("one", "plain"))
    assert bench.ask(held.slot) == expected("head")
    adapters.unload("one")
    assert bench.ask(held.slot) == expected("head")
    assert bench.ask(0) == before[0]
    adapters._retired.discard(held.slot)  # given back here, not beside the event loop
    bench.engine.remove(held.slot)
    bench.assert_base(before)


def test_the_base_goes_on_while_adapters_come_and_go(made: Family, expected: Callable[[str], Expected], bench: Bench):
    """Adapters are made beside the engine's steps."""
    before = bench.base()
    stop = threading.Event()
    answers: list[Any] = []

    def client():
        while not stop.is_set():
            answers.append(bench.ask(0))

    clients = [threading.Thread(target=client) for _ in range(2)]
    for each in clients:
        each.start()
    for number in range(6):
        name = ("head", "plain", "both")[number % 3]
        bench.install(1, name, made.adapters[name])
        assert bench.ask(1) == expected(name)
        bench.engine.remove(1)
    while len(answers) <= 6 and all(each.is_alive() for each in clients):
        bench.ask(1)
    stop.set()
    for each in clients:
        each.join()
    assert len(answers) > 6
    assert all(answer == before[0] for answer in answers)
    bench.assert_base(before)


def test_a_frame_has_the_bases_numbers_and_nothing_else_of_it(bench: Bench):
    model: Any = bench.runner._model
    frame = frame_of(model)
    assert {id(module) for module in frame.modules()}.isdisjoint(id(module) for module in model.modules())
    assert {p.data_ptr() for p in frame.parameters()} == {p.data_ptr() for p in model.parameters()}
    assert (frame.lm_head.weight is frame.model.embed_tokens.weight) == (
        model.lm_head.weight is model.model.embed_tokens.weight
    )
    before = bench.base()
    for parameter in frame.parameters():
        parameter.data = torch.zeros_like(parameter)
    frame.config.vocab_size = 1
    bench.assert_base(before)
    assert model.config.vocab_size == 160


def test_an_adapter_that_is_removed_is_gone_from_memory(made: Family, bench: Bench):
    """At once: on a GPU nobody waits for a collection of cycles."""
    gc.disable()
    try:
        bench.install(1, "both", made.adapters["both"])
        bench.ask(1)
        held = [weakref.ref(parameter) for parameter in bench.runner._adapted[1].parameters()]
        bench.engine.remove(1)
        assert not [parameter for parameter in held if parameter() is not None]
    finally:
        gc.enable()
