"""The fallback runner: adapters that only PEFT computes give PEFT's tokens, and none of them changes the base."""

import json
import shutil
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.engine.adapters import AdapterError, InstalledAdapter
from inference.engine.block_manager import BlockManager
from inference.engine.engine import BatchingEngine
from inference.engine.fallback import TransformersRunner
from inference.engine.folder import check_adapter, check_model
from inference.engine.scheduler import Limits
from inference.engine.sequence import SamplingParams

SPLIT = ["q_proj", "v_proj", "down_proj"]
PROMPT = [5, 9, 31, 77, 12]


def more_adapters(made):
    """Beside plain LoRA: DoRA, and a head of its own."""
    import transformers
    from peft import LoraConfig, get_peft_model

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
def made(tmp_path_factory, families):
    made = families.make(tmp_path_factory.mktemp("fallback"), "LlamaConfig", SPLIT)
    more_adapters(made)
    return made


@pytest.fixture
def engine(made, words):
    folder = check_model("test/model", made.path, made.path.parents[2])
    runner = TransformersRunner(folder, torch.device("cpu"), torch.float32)

    def deliver(events):
        for sink, delta in events:
            sink(delta)

    engine = BatchingEngine(runner, words, BlockManager(256, 4), Limits(), 256, deliver)
    yield engine
    engine.stop()


def install(engine, made, slot, name):
    engine.install(slot, check_adapter(name, made.adapters[name], made.path.parents[2]))


def ask(engine, slot, number=12):
    import threading

    done, tokens = threading.Event(), []

    def sink(delta):
        tokens.extend(choice.token for choice in delta.choices)
        if delta.finish:
            done.set()

    params = SamplingParams(max_tokens=number, temperature=0.0, ignore_eos=True, logprobs=0)
    engine.submit(PROMPT, params, InstalledAdapter("x", slot, slot, "", None), sink)
    assert done.wait(60)
    return tokens


def expected(made, name, number=12):
    import transformers
    from peft import PeftModel

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(made.path)
    model.generation_config.eos_token_id = None
    if name:
        model = PeftModel.from_pretrained(model, str(made.adapters[name]))
    ids = torch.tensor([PROMPT])
    mask = torch.ones_like(ids)
    out = model.eval().generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=number)
    return out[0, len(PROMPT) :].tolist()


def test_adapters_that_only_peft_computes_give_its_tokens(made, engine):
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
def test_what_does_not_fit_is_refused_and_leaves_nothing_behind(made, engine, tmp_path, change, config, said, before):
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


def test_a_step_that_failed_half_way_is_run_again_for_the_others(made, engine, monkeypatch):
    """The cache of those that came before the guilty one is a step ahead then."""
    alone = ask(engine, 0, 6)
    forward, failed = TransformersRunner._forward, []

    def failing(self, part):
        logits = forward(self, part)
        if len(part.sequence.tokens) == len(PROMPT) + 3 and not failed:
            failed.append(part)
            raise RuntimeError("after the cache has grown")
        return logits

    monkeypatch.setattr(TransformersRunner, "_forward", failing)
    assert ask(engine, 0, 6) == alone
    assert failed
