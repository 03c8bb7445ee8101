"""Tiny random models of every family, adapters for them, and engines without a server around them."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from starlette.types import ASGIApp
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers

from tests.gpu.where import KERNELS

if KERNELS.type == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported: its kernels run on CPU tensors

from inference.engine.adapters.table import BASE, Adapters, InstalledAdapter
from inference.engine.adapters.watch import Watch
from inference.engine.compute.choice import Attention, Backend, CacheShape
from inference.engine.compute.model_runner import ModelRunner
from inference.engine.engine import Deliver, Delta, Engine, Runner, Sink
from inference.engine.files.folder import check_adapter, check_model
from inference.engine.files.generation_config import API_DEFAULTS, SamplingDefaults
from inference.engine.files.spec import read_spec
from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.scheduler import Limits, Slice
from inference.engine.schedule.sequence import Choice, SamplingParams
from inference.engine.text.tokenizer import Tokenizer
from inference.engine.text.tokenizer_grammars import TokenizerGrammars
from inference.engine.weights.nf4 import Packing
from inference.server import application
from inference.service import Served, Service
from inference.settings import Settings
from inference.web.chat_mount import ChatPage
from inference.web.gate import Gate

VOCABULARY = 160


@dataclass
class Family:
    """A model on disk, its reference in transformers, and adapters by name."""

    path: Path
    reference: Any
    adapters: dict[str, Path] = field(default_factory=dict)


@dataclass
class Asked:
    """One request and what came of it."""

    prompt: list[int]
    adapter: InstalledAdapter
    params: SamplingParams
    deltas: list[Delta] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    number: int = 0

    def take(self, delta: Delta) -> None:
        self.deltas.append(delta)
        if delta.finish:
            self.done.set()

    @property
    def tokens(self) -> list[int]:
        return [choice.token for delta in self.deltas for choice in delta.choices]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)

    @property
    def finish(self) -> str | None:
        return self.deltas[-1].finish


class Interposed:
    """The runner as the engine has it: each step goes by way of `step`, which a test may put there to fail, wait or ask."""

    def __init__(self, runner: ModelRunner) -> None:
        self.step: Callable[[list[Slice]], list[Choice]] = runner.run
        self._runner = runner

    def run(self, slices: list[Slice]) -> list[Choice]:
        return self.step(slices)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


def straight(events: list[tuple[Sink, Delta]]) -> None:
    """Deltas to who asked, on the engine's thread."""
    for sink, delta in events:
        sink(delta)


@dataclass
class Rig:
    """An engine to ask. What it makes goes straight to who asked; to a server, where `deliver` is one's."""

    engine: Engine
    runner: ModelRunner
    steps: Interposed
    installed: dict[str, InstalledAdapter] = field(default_factory=dict)
    deliver: Deliver = straight

    def ask(
        self, prompt: list[int], adapter: str = "", then: Callable[[Asked], None] = lambda asked: None, **params: Any
    ) -> Asked:
        """`then` is called after each delta, on the engine's thread."""
        options: Any = {"max_tokens": 16, "temperature": 0.0, "ignore_eos": True, "logprobs": 0, **params}
        chosen = SamplingParams(**options)
        asked = Asked(prompt, self.installed[adapter], chosen)

        def take(delta: Delta) -> None:
            asked.take(delta)
            then(asked)

        asked.number = self.engine.submit(prompt, chosen, asked.adapter, take)
        return asked


@pytest.fixture(scope="session")
def words() -> Tokenizer:
    return word_tokenizer(VOCABULARY)


def word_tokenizer(size: int, eos: frozenset[int] = frozenset({2})) -> Tokenizer:
    """One word a token: `w0`, `w1`, …"""
    fast = FastTokenizer(models.WordLevel({f"w{n}": n for n in range(size)}, unk_token="w0"))
    fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast.decoder = decoders.Fuse()
    return Tokenizer(fast, eos, None, {})


def make_family(folder: Path, config_class: str, targets: list[str], **config: Any) -> Family:
    """A random model whose greedy text does not degenerate, saved as a model folder, with two adapters beside it."""
    import transformers  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    torch.manual_seed(len(config_class) + len(config))
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    } | config
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, config_class)(**shape))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
        elif "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
        elif "embed" in name or "lm_head" in name:
            torch.nn.init.normal_(parameter, std=1.0)
        else:
            torch.nn.init.normal_(parameter, std=1.2 / parameter.shape[-1] ** 0.5)
    base = folder / "model-cache" / "test" / "model"
    model.generation_config.eos_token_id = None
    model.save_pretrained(base)
    word_tokenizer(VOCABULARY).fast.save(str(base / "tokenizer.json"))
    family = Family(base, model)
    second: Any = {"use_rslora": True, "alpha_pattern": {"o_proj": 3}}
    for name, rank, more in (("first", 4, {}), ("second", 6, second)):
        settings = LoraConfig(
            r=rank, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM", init_lora_weights=False, **more
        )
        adapted = get_peft_model(model, settings, adapter_name=name)
        adapted.save_pretrained(str(folder / "adapters"), save_embedding_layers=False)
        family.adapters[name] = folder / "adapters" / name
        model = adapted.unload()
    family.reference = model.eval()
    return family


class Reference:
    """`PeftModel.generate` and its logits, in fp32 or as asked."""

    def __init__(self, family: Family, dtype: torch.dtype = torch.float32) -> None:
        from peft import PeftModel  # noqa: PLC0415  (loads in seconds; only who needs it waits)

        base = family.reference
        if dtype != torch.float32:
            import transformers  # noqa: PLC0415  (loads in seconds; only who needs it waits)

            base = transformers.AutoModelForCausalLM.from_pretrained(family.path, dtype=dtype)
        own: Any = {"autocast_adapter_dtype": False}  # PEFT would compute adapters of 16-bit models in fp32
        self.model = PeftModel.from_pretrained(base, family.adapters["first"], adapter_name="first", **own)
        self.model.load_adapter(family.adapters["second"], adapter_name="second", **own)
        self.model.to(dtype)
        self.model.eval()

    def generate(self, prompt: list[int], adapter: str, number: int) -> list[int]:
        """Greedy tokens."""
        if adapter:
            self.model.set_adapter(adapter)
            return self._run(prompt, number)
        with self.model.disable_adapter():
            return self._run(prompt, number)

    def scores(self, tokens: list[list[int]], adapter: str = "") -> torch.Tensor:
        """The logits after each token, [texts, tokens, vocabulary]."""
        if adapter:
            self.model.set_adapter(adapter)
        with torch.inference_mode(), contextlib.nullcontext() if adapter else self.model.disable_adapter():
            return self.model(input_ids=torch.tensor(tokens)).logits.double()

    def _run(self, prompt: list[int], number: int) -> list[int]:
        ids = torch.tensor([prompt])
        everything = torch.ones_like(ids)
        out = self.model.generate(
            input_ids=ids, attention_mask=everything, do_sample=False, max_new_tokens=number, min_new_tokens=number
        )
        return out[0, len(prompt) :].tolist()


RigMaker = Callable[..., Rig]
Serve = Callable[..., tuple[Service, ASGIApp]]


def rig_for(
    family: Family,
    *,
    blocks: int = 256,
    block_size: int = 4,
    dtype: torch.dtype = torch.float32,
    tokenizer: Tokenizer | None = None,
    attention: Attention = "dense",
    packing: Packing = "full",
    **limits: Any,
) -> Rig:
    """Whoever makes one stops its engine."""
    mount = family.path.parents[2]
    folder = check_model("test/model", family.path, mount)
    spec = read_spec(folder.config)
    context = spec.context
    bounds = Limits(**limits)
    backend = Backend(KERNELS if attention == "triton" else torch.device("cpu"), dtype, attention)
    cache = CacheShape(blocks, block_size, context, bounds.sequences)
    runner = ModelRunner.load(folder, spec, backend=backend, cache=cache, packing=packing)
    manager, steps = BlockManager(blocks, block_size), Interposed(runner)
    words = tokenizer or word_tokenizer(VOCABULARY)
    engine = Engine(cast("Runner", steps), words, manager, bounds, context, lambda events: rig.deliver(events))
    rig = Rig(engine, runner, steps, {"": BASE})
    for slot, (name, path) in enumerate(family.adapters.items(), start=1):
        adapter = check_adapter(name, path, mount)
        engine.install(slot, adapter)
        rig.installed[name] = InstalledAdapter(name, slot, slot, adapter.digest, path)
    return rig


@pytest.fixture
def make_rig() -> Generator[RigMaker]:
    rigs: list[Rig] = []

    def make(family: Family, **options: Any) -> Rig:
        rigs.append(rig_for(family, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.engine.stop()


def served_by(
    rig: Rig, mount: Path, *, sampling: SamplingDefaults = API_DEFAULTS, name: str = "base", **settings: Any
) -> tuple[Service, ASGIApp]:
    """The server around a rig's engine, on the event loop that runs."""
    given: dict[str, Any] = {"api_key": "key", "mount": mount, **settings}
    service = Service(Settings(**given), asyncio.get_running_loop())
    rig.deliver = service.deliver
    adapters = Adapters(mount, 1, rig.engine.install, rig.engine.remove)
    watch = Watch(adapters, mount, mount / "config.json", 60)
    grammars = TokenizerGrammars(rig.engine.tokenizer)
    service.served = Served(name, rig.engine, adapters, grammars, watch, sampling=sampling)
    service.note("ready", 1.0, "")
    return service, application(service, Gate("key"), ChatPage(service))


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """As `served_by`; the key is `key`, the base is called `base`. Settings by their names."""
    return lambda rig, **options: served_by(rig, tmp_path, **options)


@dataclass(frozen=True)
class Families:
    """What tests need to make models of their own."""

    make = staticmethod(make_family)
    reference = Reference


@pytest.fixture(scope="session")
def families() -> Families:
    return Families()
