"""Adapters with embeddings and heads of their own, as PEFT saves them: the same tokens as `PeftModel.generate` in fp32,
in one batch with the base and plain adapters; and what is refused.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.engine.adapters.table import InstalledAdapter
from inference.engine.compute.choice import Attention
from inference.engine.files.adapter import AdapterError
from inference.engine.files.folder import check_adapter
from inference.engine.files.spec import read_spec
from inference.engine.weights.lora import read_lora
from tests.unit.inference.conftest import Families, Family, Reference, RigMaker

TARGETS = ["q_proj", "v_proj", "down_proj"]
ADAPTERS = {  # rows after resizing, modules_to_save, save_embedding_layers
    "embedding": (None, ["embed_tokens"], False),
    "embedding-three-keys": (None, ["embed_tokens"], True),
    "embedding-kept-tied": (None, ["embed_tokens"], "auto"),
    "head": (None, ["lm_head"], True),
    "both": (None, ["embed_tokens", "lm_head"], False),
    "pad": (161, None, "auto"),
    "grown": (166, ["embed_tokens", "lm_head"], True),
    "grown-embedding": (163, ["embed_tokens"], True),
    "shrunk": (150, None, True),
    "shrunk-trained": (140, ["embed_tokens", "lm_head"], True),
    "lora-head": (None, None, False),
    "lora-head-saved": (None, None, "auto"),
    "lora-embedding": (None, None, False),
    "lora-both": (166, None, "auto"),
}
ADDED_TO = {
    "lora-head": ["lm_head"],
    "lora-head-saved": ["lm_head"],
    "lora-embedding": ["embed_tokens"],
    "lora-both": ["embed_tokens", "lm_head"],
}
"""By adapters whose LoRA is on them too."""


def noisy(model: Any):
    """Training would have changed every row of what is saved."""
    for name, parameter in model.named_parameters():
        if "modules_to_save" in name or (
            "original_module" not in name and ("embed_tokens" in name or "lm_head" in name)
        ):
            parameter.data += torch.randn_like(parameter) * 0.3


Adapted = tuple[Family, Reference, dict[str, Any]]
"""A base, its reference, and by the adapter's name the model that PEFT makes."""


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, families: Families) -> Adapted:
    """A base with two plain adapters and one of each kind above, and the model that PEFT makes of each."""
    import transformers  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    from peft import LoraConfig, PeftModel, get_peft_model  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    made = families.make(tmp_path_factory.mktemp("saved"), "LlamaConfig", TARGETS, tie_word_embeddings=request.param)
    references = {}
    for seed, (name, (rows, modules, save)) in enumerate(ADAPTERS.items()):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_pretrained(made.path)
        if rows:
            model.resize_token_embeddings(rows)
        settings = LoraConfig(
            r=3,
            target_modules=[*TARGETS, *ADDED_TO.get(name, [])],
            modules_to_save=modules,
            task_type="CAUSAL_LM",
            init_lora_weights=False,
            ensure_weight_tying=name == "embedding-kept-tied" and request.param,
        )
        adapted = get_peft_model(model, settings)
        if name not in ADDED_TO:  # what LoRA is on is the base's own
            noisy(adapted)
        path = made.path.parents[2] / "adapters" / name
        adapted.save_pretrained(str(path), save_embedding_layers=save)
        fresh = transformers.AutoModelForCausalLM.from_pretrained(made.path)
        if rows:
            fresh.resize_token_embeddings(rows)
        fresh.generation_config.eos_token_id = None
        references[name] = PeftModel.from_pretrained(fresh, str(path)).eval()
        made.adapters[name] = path
    return made, families.reference(made), references


def generate(model: Any, prompt: list[int], number: int):
    ids = torch.tensor([prompt])
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=number,
        min_new_tokens=number,
    )
    return out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("attention", ["dense", "torch"])
def test_tokens_equal_peft_in_a_mixed_batch(world: Adapted, make_rig: RigMaker, attention: Attention):
    made, plain, references = world
    rig = make_rig(made, tokens=200, prefill=7, attention=attention)
    chance = random.Random(11)
    shared = [chance.randrange(3, 140) for _ in range(20)]
    asked = [(name, rig.ask([*shared, 7], name, max_tokens=12)) for name in ["", "first", *ADAPTERS]]
    for _ in range(2):
        for name in ["", "first", "second", *ADAPTERS]:
            rows = (ADAPTERS[name][0] if name in ADAPTERS else 0) or 160
            prompt = [chance.randrange(3, rows) for _ in range(chance.randrange(2, 30))]
            asked.append((name, rig.ask(prompt, name, max_tokens=12)))
    for name, request in asked:
        assert request.done.wait(240)
        expected = (
            generate(references[name], request.prompt, 12)
            if name in references
            else plain.generate(request.prompt, name, 12)
        )
        assert request.tokens == expected, name
    assert rig.engine.gauges().blocks_used == 0


def test_no_token_is_drawn_that_the_model_lacks(world: Adapted, make_rig: RigMaker):
    made, _, _ = world
    rig = make_rig(made)
    wild: dict[str, Any] = {"temperature": 50.0, "max_tokens": 120, "seed": 3, "logprobs": 20}
    asked = {name: rig.ask([5, 9], name, **wild) for name in ("", "grown", "shrunk-trained", "grown-embedding")}
    for request in asked.values():
        assert request.done.wait(240)
        assert request.finish == "length"
    drawn = {name: set(request.tokens) for name, request in asked.items()}
    assert max(drawn["shrunk-trained"]) < 140 <= max(drawn[""]) < 160 <= max(drawn["grown"]) < 166


def test_penalties_and_biases_reach_the_added_tokens(world: Adapted, make_rig: RigMaker):
    made, _, _ = world
    rig = make_rig(made)
    biased = rig.ask([5, 165], "grown", max_tokens=3, logit_bias={165: 100.0}, repetition_penalty=1.1)
    other = rig.ask([5, 9], "shrunk", max_tokens=3, logit_bias={149: 100.0}, frequency_penalty=0.5)
    assert biased.done.wait(240)
    assert other.done.wait(240)
    assert biased.tokens == [165] * 3
    assert other.tokens == [149] * 3


def test_the_base_stays_bit_identical_beside_them(world: Adapted, make_rig: RigMaker):
    made, _, _ = world
    rig = make_rig(made)
    ask: dict[str, Any] = {"max_tokens": 10, "logprobs": 5}

    def base():
        request = rig.ask([8, 30, 61], **ask)
        assert request.done.wait(240)
        return [choice for delta in request.deltas for choice in delta.choices]

    before = base()
    for slot, name in enumerate(ADAPTERS, start=20):
        folder = check_adapter(name, made.adapters[name], made.path.parents[2])
        rig.engine.install(slot, folder)
        request = rig.ask([8, 30, 61], name, **ask)
        assert request.done.wait(240)
        rig.engine.remove(slot)
        assert base() == before


@pytest.mark.parametrize("seed", range(3))
def test_the_base_stays_bit_identical_in_whatever_order_they_come_and_go(
    world: Adapted, make_rig: RigMaker, tmp_path: Path, seed: int
):
    """Several at once, in slots that others had before, and one between them that is refused."""
    made, plain, references = world
    mount = made.path.parents[2]
    rig = make_rig(made)
    shutil.copytree(made.adapters["both"], tmp_path / "broken")
    tensors = load_file(tmp_path / "broken" / "adapter_model.safetensors")
    tensors.popitem()
    save_file(tensors, tmp_path / "broken" / "adapter_model.safetensors")
    chance, there = random.Random(seed), dict.fromkeys(range(20, 24), "")
    before = None
    for _ in range(24):
        slot = chance.choice(list(there))
        if chance.random() < 0.2:
            with pytest.raises(AdapterError):
                rig.engine.install(slot, check_adapter("broken", tmp_path / "broken", tmp_path))
        elif there[slot]:
            rig.engine.remove(slot)
            there[slot] = ""
        else:
            there[slot] = chance.choice(list(ADAPTERS))
            rig.engine.install(slot, check_adapter(there[slot], made.adapters[there[slot]], mount))
        request = rig.ask([8, 30, 61], max_tokens=6, logprobs=5)
        assert request.done.wait(240)
        now = [choice for delta in request.deltas for choice in delta.choices]
        before = before or now
        assert now == before
    assert [choice.token for choice in before or []] == plain.generate([8, 30, 61], "", 6)
    for slot, name in there.items():
        if name:
            rig.installed["chosen"] = InstalledAdapter("chosen", slot, slot, "", None)
            asked = rig.ask([8, 30, 61], "chosen", max_tokens=6)
            assert asked.done.wait(240)
            assert asked.tokens == generate(references[name], [8, 30, 61], 6)


def changed(
    world: Adapted, tmp_path: Path, name: str, change: Callable[[dict[str, torch.Tensor]], object], **config: Any
):
    """A copy of an adapter with other tensors or settings, read as the engine would."""
    made, _, _ = world
    path = tmp_path / "mount" / name
    shutil.copytree(made.adapters[name], path)
    tensors = load_file(path / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, path / "adapter_model.safetensors")
    written = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps(written | config))
    spec = read_spec(json.loads((made.path / "config.json").read_text()))
    folder = check_adapter(name, path, tmp_path)
    return read_lora(folder, spec, torch.float32, torch.device("cpu"))


EMBEDDING = "base_model.model.model.embed_tokens.weight"
HEAD = "base_model.model.lm_head.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t[EMBEDDING].__setitem__((3, 4), float("nan")), "embed_tokens is not finite"),
        (lambda t: t[HEAD].__setitem__((0, 0), float("inf")), "lm_head is not finite"),
        (lambda t: t.__setitem__(HEAD, torch.ones(160, 47)), r"lm_head has the shape \(160, 47\)"),
        (lambda t: t.__setitem__(EMBEDDING, torch.ones(48)), r"embed_tokens has the shape \(48,\)"),
        (lambda t: t.__setitem__(EMBEDDING, torch.ones(0, 48)), r"embed_tokens has the shape \(0, 48\)"),
        (lambda t: t.__setitem__(HEAD, torch.ones(161, 48)), "draws 161 tokens, but only 160"),
        (lambda t: t.__setitem__(EMBEDDING, torch.ones(160, 48, dtype=torch.int8)), "embed_tokens holds I8"),
        (lambda t: t.__setitem__("base_model.model.model.norm.weight", torch.ones(48)), "no place for: .*norm"),
        (lambda t: t.__setitem__(HEAD, torch.ones((1 << 20) + 1, 48, dtype=torch.bfloat16)), "at most 1048576 tokens"),
    ],
)
def test_whole_modules_that_do_not_fit_are_refused_by_name(
    world: Adapted, tmp_path: Path, change: Callable[..., Any], said: str
):
    with pytest.raises(AdapterError, match=said):
        changed(world, tmp_path, "both", change)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"modules_to_save": ["embed_tokens", "norm"]}, "replaces the whole modules norm; only embed_tokens"),
        ({"modules_to_save": ["model.layers.0.mlp"]}, "replaces the whole modules model.layers.0.mlp"),
        ({"trainable_token_indices": [3, 4]}, "uses trainable_token_indices"),
        ({"use_dora": True}, "uses use_dora"),
        ({"layer_replication": [[0, 2], [1, 3]]}, "uses layer_replication"),
        ({"init_lora_weights": "pissa_niter_16"}, "pissa_niter_16, which changes the base's weights"),
    ],
)
def test_what_changes_the_arithmetic_is_refused_by_name(
    world: Adapted, tmp_path: Path, config: dict[str, Any], said: str
):
    with pytest.raises(AdapterError, match=said):
        changed(world, tmp_path, "both", lambda tensors: None, **config)


def test_the_same_tensors_without_a_change_are_taken(world: Adapted, tmp_path: Path):
    assert changed(world, tmp_path, "both", lambda tensors: None).saved is not None
