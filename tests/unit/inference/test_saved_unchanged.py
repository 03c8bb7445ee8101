"""Embeddings and heads that PEFT saved only since a vocabulary had another size: they cost nothing, and tokens stay PEFT's."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from tokenizers import AddedToken

from inference.engine.adapters.tokenizer import AdapterTokenizers
from inference.engine.compute.choice import Attention
from inference.engine.files.added_tokens import only_fills_up
from inference.engine.files.folder import check_adapter, check_model
from inference.engine.files.spec import read_spec
from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import SamplingParams, Sequence
from inference.engine.text.tokenizer import load_tokenizer
from inference.engine.weights.lora import Lora, read_lora
from tests.unit.inference.conftest import VOCABULARY, Families, Family, RigMaker, word_tokenizer

TARGETS = ["q_proj", "v_proj", "down_proj"]
PROMPT = [5, 9, 31, 77, 12]
World = tuple[Family, dict[str, Any]]
"""A base with an adapter of each size, and the models that PEFT makes of them."""
SIZES = {"padded": VOCABULARY + 1, "shrunk": 150, "grown": VOCABULARY + 4}


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, families: Families) -> World:
    import peft  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    import transformers  # noqa: PLC0415  (as above)

    made = families.make(tmp_path_factory.mktemp("sizes"), "LlamaConfig", TARGETS, tie_word_embeddings=request.param)
    auto: Any = transformers.AutoModelForCausalLM
    kinds: Any = peft
    models: dict[str, Any] = {}
    for name, rows in SIZES.items():
        torch.manual_seed(rows)
        model = auto.from_pretrained(made.path)
        model.resize_token_embeddings(rows)
        adapted = kinds.get_peft_model(model, kinds.LoraConfig(r=3, target_modules=TARGETS, init_lora_weights=False))
        made.adapters[name] = path = made.path.parents[2] / "adapters" / name
        adapted.save_pretrained(str(path), save_embedding_layers=True)
        models[name] = adapted.eval()
        models[name].generation_config.eos_token_id = None
    fill_up(made.adapters["padded"], "[PAD]")
    fill_up(made.adapters["grown"], "[PAD]", "<|im_start|>")
    return made, models


def fill_up(folder: Path, pad: str, *others: str) -> None:
    """A tokenizer beside an adapter, as it is saved with the token that fills up batches, and perhaps with others."""
    fast = word_tokenizer(VOCABULARY).fast
    fast.add_special_tokens([AddedToken(token) for token in (pad, *others)])
    fast.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": pad}))


def should(model: Any, number: int, never: list[int]) -> list[int]:
    ids = torch.tensor([PROMPT])
    asked = {"do_sample": False, "max_new_tokens": number, "suppress_tokens": never or None}
    return model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **asked)[0, len(PROMPT) :].tolist()


def read(made: Family, name: str) -> Lora:
    mount = made.path.parents[2]
    base = check_model("test/model", made.path, mount)
    adapter = check_adapter(name, made.adapters[name], mount)
    return read_lora(adapter, read_spec(base.config), torch.float32, torch.device("cpu"), base.tensors)


@pytest.mark.parametrize("attention", ["dense", "torch"])
def test_tokens_equal_peft_and_decoding_stays_on_the_fast_path(
    world: World, make_rig: RigMaker, attention: Attention, monkeypatch: pytest.MonkeyPatch
):
    made, models = world
    rig = make_rig(made, attention=attention)
    fast: list[int] = []
    if rig.runner.gpu is not None:
        path = rig.runner.gpu.decode
        run = path.run
        monkeypatch.setattr(
            path, "run", lambda parts: (fast.append(len(parts)), run(parts))[1]
        )  # patched: it is counted
    asked = {name: rig.ask(PROMPT, name, max_tokens=12) for name in ("padded", "shrunk")}
    for name, request in asked.items():
        assert request.done.wait(240)
        assert request.tokens == should(models[name], 12, [VOCABULARY] if name == "padded" else []), name
    assert (sum(fast) > 15) == (rig.runner.gpu is not None)


def test_no_token_is_drawn_that_the_model_lacks(world: World, make_rig: RigMaker):
    """Drawn, and where nothing but the likeliest is asked for: the base's own head would have its tokens."""
    made, models = world
    rig = make_rig(made, attention="torch")
    drawn = rig.ask(PROMPT, "shrunk", max_tokens=60, seed=2, temperature=50.0)
    likeliest = rig.ask(PROMPT, "shrunk", max_tokens=12, logprobs=None)
    assert drawn.done.wait(240)
    assert likeliest.done.wait(240)
    assert max(drawn.tokens) < 150
    assert likeliest.text == "".join(f"w{token}" for token in should(models["shrunk"], 12, []))


def test_numbers_that_are_no_longer_finite_are_no_token_there_either(world: World, make_rig: RigMaker):
    made, _ = world
    rig = make_rig(made, attention="torch")
    rig.runner.weights.norm.fill_(torch.nan)
    asked = rig.ask(PROMPT, "shrunk", max_tokens=4, logprobs=None)
    assert asked.done.wait(240)
    assert asked.finish == "error"
    # Beside it, as a decoding step computes it: the prompt's step alone ends the request above.
    runner, path = rig.runner, rig.runner.gpu
    assert path is not None
    sequence = Sequence(
        9, [5, 9], 2, SamplingParams(4, temperature=0.0), rig.installed["shrunk"].slot, salt=0, random=Random(1)
    )
    sequence.blocks.extend([1])
    (choice,) = runner._decode(path.decode, [Slice(sequence, 1, 1, True)])
    assert choice.error


def test_only_what_the_base_lacks_is_held(world: World):
    made, _ = world
    assert read(made, "padded").saved is None
    shrunk = read(made, "shrunk").saved
    assert shrunk is not None
    assert (shrunk.is_whole, shrunk.vocabulary) == (False, 150)
    grown = read(made, "grown").saved
    assert grown is not None
    assert (grown.is_whole, grown.vocabulary) == (True, VOCABULARY + 4)


def test_the_token_that_fills_up_is_not_read(world: World):
    made, _ = world
    mount = made.path.parents[2]
    base = load_tokenizer(made.path, {"vocab_size": VOCABULARY})
    tokenizers = AdapterTokenizers(base, made.path, mount)
    padded = tokenizers.of(check_adapter("padded", made.adapters["padded"], mount))
    assert padded.vocabulary == VOCABULARY
    assert padded.known == VOCABULARY
    assert tokenizers.of(check_adapter("grown", made.adapters["grown"], mount)).vocabulary == VOCABULARY + 4


@pytest.mark.parametrize(
    ("settings", "tokenizer", "fills"),
    [
        ({"pad_token": "[PAD]", "added_tokens_decoder": {"160": {"content": "[PAD]"}}}, None, True),
        ({"pad_token": {"content": "[PAD]"}}, {"added_tokens": [{"id": 160, "content": "[PAD]"}]}, True),
        ({"pad_token": "[PAD]", "added_tokens_decoder": {"161": {"content": "<|im_end|>"}}}, None, False),
        ({"pad_token": "[PAD]"}, {"added_tokens": [], "model": {"vocab": {"a": 0, "new": 160}}}, False),
        ({"pad_token": "[PAD]"}, {"model": {"vocab": [["piece", -1.0]] * 161}}, False),
        ({"eos_token": "</s>"}, {"added_tokens": []}, False),
        ({}, None, False),
    ],
)
def test_a_folder_tells_whether_its_new_tokens_say_something(
    settings: dict[str, Any], tokenizer: dict[str, Any] | None, fills: bool, tmp_path: Path
):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    if tokenizer is not None:
        (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert only_fills_up(tmp_path, 160) == fills
