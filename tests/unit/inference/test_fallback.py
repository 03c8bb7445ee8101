"""The fallback runner: adapters that only PEFT computes give PEFT's tokens, and none of them changes the base."""

import json
import shutil
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.engine.adapters.table import InstalledAdapter
from inference.engine.compute.fallback import TransformersRunner
from inference.engine.engine import Delta, Engine, Sink
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import FolderError, check_adapter, check_model
from inference.engine.files.spec import UnsupportedModel
from inference.engine.schedule.block_manager import BlockManager
from inference.engine.schedule.scheduler import Limits
from inference.engine.schedule.sequence import SamplingParams
from inference.engine.text.tokenizer import Tokenizer
from tests.unit.inference.conftest import Families, Family
from tests.unit.inference.foreign_code import lay_trap

SPLIT = ["q_proj", "v_proj", "down_proj"]
PROMPT = [5, 9, 31, 77, 12]


def more_adapters(made: Family):
    """Beside plain LoRA: DoRA, and a head of its own."""
    import transformers  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    variants: dict[str, dict[str, Any]] = {
        "dora": {"use_dora": True},
        "head": {"modules_to_save": ["lm_head"]},
    }
    for name, options in variants.items():
        torch.manual_seed(len(name))
        model = transformers.AutoModelForCausalLM.from_pretrained(made.path)
        settings = LoraConfig(r=3, target_modules=SPLIT, task_type="CAUSAL_LM", init_lora_weights=False, **options)
        adapted = get_peft_model(model, settings)
        for key, parameter in adapted.named_parameters():
            if any(part in key for part in ("magnitude", "modules_to_save")):
                parameter.data += torch.rand_like(parameter) * 0.5
        made.adapters[name] = made.path.parents[2] / "adapters" / name
        adapted.save_pretrained(str(made.adapters[name]), save_embedding_layers=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, families: Families) -> Family:
    made = families.make(tmp_path_factory.mktemp("fallback"), "LlamaConfig", SPLIT)
    more_adapters(made)
    return made


EngineMaker = Callable[..., Engine]


@pytest.fixture
def make_engine(words: Tokenizer) -> Generator[EngineMaker]:
    engines = []

    def make(path: Path, kind: Callable[..., Any] = TransformersRunner, **limits: Any):
        folder = check_model("test/model", path, path.parents[2])
        runner = kind(folder, torch.device("cpu"), torch.float32)

        def deliver(events: list[tuple[Sink, Delta]]):
            for sink, delta in events:
                sink(delta)

        engine = Engine(runner, words, BlockManager(256, 4), Limits(**limits), 256, deliver)
        engines.append(engine)
        runner.warm_up()
        return engine

    yield make
    for engine in engines:
        engine.stop()


@pytest.fixture
def engine(made: Family, make_engine: EngineMaker) -> Engine:
    return make_engine(made.path)


def install(engine: Engine, made: Family, slot: int, name: str):
    engine.install(slot, check_adapter(name, made.adapters[name], made.path.parents[2]))


def begin(engine: Engine, slot: int, number: int = 12):
    done, tokens = threading.Event(), []

    def sink(delta: Delta):
        tokens.extend(choice.token for choice in delta.choices)
        if delta.finish:
            done.set()

    params = SamplingParams(max_tokens=number, temperature=0.0, ignore_eos=True, logprobs=0)
    engine.submit(PROMPT, params, InstalledAdapter("x", slot, slot, "", None), sink)
    return done, tokens


def ended(begun: Any):
    done, tokens = begun
    assert done.wait(240)
    return tokens


def ask(engine: Engine, slot: int, number: int = 12):
    return ended(begin(engine, slot, number))


def expected(made: Family, name: str, number: int = 12):
    import transformers  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    from peft import PeftModel  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(made.path)
    model.generation_config.eos_token_id = None
    if name:
        model = PeftModel.from_pretrained(model, str(made.adapters[name]))
    ids = torch.tensor([PROMPT])
    mask = torch.ones_like(ids)
    out = model.eval().generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=number)
    return out[0, len(PROMPT) :].tolist()


def test_adapters_that_only_peft_computes_give_its_tokens(made: Family, engine: Engine):
    base = ask(engine, 0)
    assert base == expected(made, "")
    names = ["dora", "first", "head", "second"]
    for slot, name in enumerate(names, start=1):
        install(engine, made, slot, name)
    for slot, name in enumerate(names, start=1):
        assert ask(engine, slot) == expected(made, name), name
    assert ask(engine, 0) == base
    for slot in range(1, 5):
        engine.remove(slot)
    assert ask(engine, 0) == base
    install(engine, made, 1, "second")
    assert ask(engine, 1) == expected(made, "second")


HEAD = "base_model.model.lm_head.weight"
LORA = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.mark.parametrize(
    ("change", "config", "said"),
    [
        (lambda t: t.update({HEAD: torch.ones(160, 48)}), {}, "lm_head.weight, which would replace the base"),
        (lambda t: t.update({LORA: torch.full((4, 48), torch.nan)}), {}, "q_proj.lora_A.weight is not finite"),
        (lambda t: t.update({LORA: torch.ones(4, 47)}), {}, "does not fit the base model"),
        (lambda t: t.pop(LORA), {}, "does not fit the base model at .*q_proj.lora_A"),
        (lambda t: t.update({LORA.replace("q_proj", "x_proj"): torch.ones(4, 48)}), {}, "at .*x_proj.lora_A"),
        (lambda t: None, {"peft_type": "PREFIX_TUNING"}, "'PREFIX_TUNING' adapter; supported are LORA"),
        (lambda t: None, {"init_lora_weights": "pissa"}, "pissa, which changes the base"),
        (lambda t: None, {"trainable_token_indices": [3]}, "uses trainable_token_indices"),
        (lambda t: None, {"bias": "all"}, "trains biases of the base"),
    ],
)
@pytest.mark.parametrize("before", [[], ["second"]], ids=["as-the-first", "beside-another"])
def test_what_does_not_fit_is_refused_and_leaves_nothing_behind(  # noqa: PLR0917  (pytest passes them by name)
    made: Family,
    engine: Engine,
    tmp_path: Path,
    change: Callable[..., Any],
    config: dict[str, Any],
    said: str,
    before: list[Any] | list[str],
):
    for slot, name in enumerate(before, start=1):
        install(engine, made, slot, name)
    path = tmp_path / "wrong"
    shutil.copytree(made.adapters["first"], path)
    tensors = load_file(path / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, path / "adapter_model.safetensors")
    written = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps(written | config))
    with pytest.raises(AdapterError, match=said):
        engine.install(5, check_adapter("wrong", path, tmp_path))
    assert ask(engine, 0, 6) == expected(made, "", 6)
    install(engine, made, 5, "first")
    assert ask(engine, 5, 6) == expected(made, "first", 6)


# What our own engine does not know: other attention, convolutions, recurrences, and mixtures of them.
FOREIGN: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "gemma2": (
        "Gemma2Config",
        SPLIT,
        {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8, "tie_word_embeddings": False},
    ),
    "gemma3": (
        "Gemma3TextConfig",
        SPLIT,
        {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8, "tie_word_embeddings": False},
    ),
    "gpt2": ("GPT2Config", ["c_attn"], {"n_embd": 48, "n_layer": 2, "n_head": 6, "n_positions": 256}),
    "mixtral": ("MixtralConfig", ["q_proj", "v_proj"], {"num_local_experts": 4}),
    "mamba": ("MambaConfig", ["in_proj", "x_proj"], {"state_size": 8}),
    "lfm2": ("Lfm2Config", ["q_proj", "in_proj"], {"layer_types": ["conv", "full_attention", "conv"]}),
    "qwen3-next": (
        "Qwen3NextConfig",
        ["q_proj", "in_proj_qkvz"],
        {
            "head_dim": 8,
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
            "layer_types": ["linear_attention", "full_attention", "linear_attention"],
        },
    ),
}


@pytest.mark.parametrize("family", FOREIGN)
def test_foreign_architectures_give_their_own_tokens(
    family: str, families: Families, make_engine: EngineMaker, tmp_path: Path
):
    """In chunks smaller than the prompt, and several at once; base and adapter."""
    config, targets, more = FOREIGN[family]
    made = families.make(tmp_path, config, targets, **more)
    engine = make_engine(made.path, tokens=4, prefill=2)
    install(engine, made, 1, "first")
    base, adapted = expected(made, ""), expected(made, "first")
    assert adapted != base
    requests = [begin(engine, slot, 12) for slot in (0, 1, 0, 1)]
    assert [ended(request) for request in requests] == [base, adapted, base, adapted]


@pytest.mark.parametrize(
    ("family", "config"), [("llama", "LlamaConfig"), ("phi3", "Phi3Config"), ("gemma2", "Gemma2Config")]
)
def test_a_known_model_with_code_of_its_own_is_served_by_the_native_class(
    family: str, config: str, families: Families, make_engine: EngineMaker, tmp_path: Path
):
    """Ours, and one that only transformers knows; the adapter brings code too. None of it is run."""
    targets, more = (FOREIGN[family][1:]) if family in FOREIGN else (["o_proj", "down_proj"], {})
    made = families.make(tmp_path, config, targets, **more)
    mark = tmp_path / "run"
    base, adapted = expected(made, ""), expected(made, "first")
    lay_trap(made.path, mark, "config.json", "tokenizer_config.json")
    lay_trap(made.adapters["first"], mark, "config.json", "tokenizer_config.json", "adapter_config.json")
    engine = make_engine(made.path)
    install(engine, made, 1, "first")
    assert (ask(engine, 0), ask(engine, 1)) == (base, adapted)
    assert not mark.exists()


@pytest.mark.parametrize("auto_map", [None, [], ["trap.Trap"], "trap.Trap", 7, {"AutoConfig": 7}, {"AutoConfig": None}])
def test_an_auto_map_that_is_none_is_no_ones_business(
    auto_map: dict[str, Any] | int | list[Any] | list[str] | str | None,
    made: Family,
    make_engine: EngineMaker,
    tmp_path: Path,
):
    path = tmp_path / "model-cache/org/model"
    shutil.copytree(made.path, path)
    written = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**written, "auto_map": auto_map}))
    assert ask(make_engine(path), 0, 4) == expected(made, "", 4)


def test_a_model_whose_state_cannot_be_given_back_is_refused_by_name(
    families: Families, make_engine: EngineMaker, tmp_path: Path
):
    made = families.make(tmp_path, "RwkvConfig", ["key"], attention_hidden_size=48)
    with pytest.raises(UnsupportedModel, match="RwkvForCausalLM keeps no cache that can be given back"):
        make_engine(made.path)


def test_a_model_that_keeps_a_state_in_itself_is_refused_by_name(
    families: Families, make_engine: EngineMaker, tmp_path: Path
):
    """Alone it is right; beside another request each would go on with the other's state."""
    more = {"lru_width": 48, "conv1d_width": 4, "head_dim": 8, "num_hidden_layers": 3, "attention_window_size": 16}
    made = families.make(tmp_path, "RecurrentGemmaConfig", ["q_proj"], **more)
    with pytest.raises(UnsupportedModel, match="RecurrentGemmaForCausalLM computes other logits"):
        make_engine(made.path)


def test_an_adapter_of_extreme_weights_does_not_keep_the_base_from_starting(
    made: Family, make_engine: EngineMaker, tmp_path: Path
):
    engine = make_engine(made.path)
    path = tmp_path / "extreme"
    shutil.copytree(made.adapters["first"], path)
    tensors = load_file(path / "adapter_model.safetensors")
    save_file({key: tensor * 1e30 for key, tensor in tensors.items()}, path / "adapter_model.safetensors")
    engine.install(1, check_adapter("extreme", path, tmp_path))
    engine._runner.warm_up()
    assert ask(engine, 0) == expected(made, "")


class Forgetful(TransformersRunner):
    """As an architecture would be whose state is not in its cache."""

    def _logits(self, slot: int, tokens: list[int], cache: Any):
        return super()._logits(slot, tokens, self._cache())


def test_a_model_that_forgets_between_steps_is_refused(made: Family, make_engine: EngineMaker):
    with pytest.raises(UnsupportedModel, match="computes other logits step by step"):
        make_engine(made.path, Forgetful)


def test_nothing_beside_the_checked_files_is_read(made: Family, make_engine: EngineMaker, tmp_path: Path):
    """An index goes after the one file, as transformers has it; an adapter that lies there it would put into the base."""
    path = tmp_path / "model-cache/org/model"
    shutil.copytree(made.path, path)
    tensors = load_file(path / "model.safetensors")
    zeros = {key: torch.zeros_like(tensor) for key, tensor in tensors.items()}
    save_file(zeros, path / "model-00001-of-00001.safetensors")
    where = dict.fromkeys(tensors, "model-00001-of-00001.safetensors")
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    for file in made.adapters["first"].iterdir():
        shutil.copy(file, path)
    assert ask(make_engine(path), 0) == expected(made, "")


def test_loading_tells_how_far_it_is_and_what_is_missing(made: Family, tmp_path: Path):
    path = tmp_path / "model-cache/org/model"
    shutil.copytree(made.path, path)
    shares = []
    TransformersRunner(check_model("org/model", path, tmp_path), torch.device("cpu"), torch.float32, shares.append)
    assert len(shares) > 10
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    tensors = load_file(path / "model.safetensors")
    tensors.pop("model.layers.1.mlp.down_proj.weight")
    save_file(tensors, path / "model.safetensors")
    with pytest.raises(FolderError, match=r"lacks the tensors model.layers.1.mlp.down_proj.weight"):
        TransformersRunner(check_model("org/model", path, tmp_path), torch.device("cpu"), torch.float32)


class FailingOnce(TransformersRunner):
    """After the cache has grown: that of those who came before the guilty one is a step ahead then."""

    failed = False

    def _forward(self, part: Any):
        logits = super()._forward(part)
        if len(part.sequence.tokens) == len(PROMPT) + 3 and not self.failed:
            self.failed = True
            raise RuntimeError("after the cache has grown")
        return logits


def test_a_step_that_failed_half_way_is_run_again_for_the_others(
    made: Family, engine: Engine, make_engine: EngineMaker
):
    failing = make_engine(made.path, FailingOnce)
    assert ask(failing, 0, 6) == ask(engine, 0, 6)
    assert cast("FailingOnce", failing._runner).failed
