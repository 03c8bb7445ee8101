"""The same greedy tokens as `PeftModel.generate` in fp32: every family, every rope type, base and adapters mixed in one
batch, under random arrivals, small chunks, few blocks and shared prefixes.
"""

import random
from typing import Any

import pytest
import torch

from inference.engine.compute.choice import Attention
from inference.engine.weights.ranks import MAX_RANK
from tests.unit.inference.conftest import Families, Family, Reference, Rig, RigMaker

SPLIT = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0, 1.1, 1.3],
    "long_factor": [1.5, 3.0, 9.0],
    "partial_rotary_factor": 0.75,
    "original_max_position_embeddings": 64,
}
FAMILIES = {
    "llama": ("LlamaConfig", SPLIT, {"tie_word_embeddings": True}),
    "llama-mha-biases-linear": (
        "LlamaConfig",
        SPLIT,
        {
            "num_key_value_heads": 6,
            "attention_bias": True,
            "mlp_bias": True,
            "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0},
        },
    ),
    "llama-llama3": (
        "LlamaConfig",
        SPLIT,
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ),
    "llama-dynamic": (
        "LlamaConfig",
        SPLIT,
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}},
    ),
    "mistral-window": ("MistralConfig", SPLIT, {"sliding_window": 24, "head_dim": 8}),
    "phi3-window": ("Phi3Config", FUSED, {"num_key_value_heads": 6, "sliding_window": 40}),
    "phi3-longrope": ("Phi3Config", FUSED, {"rope_parameters": LONG, "original_max_position_embeddings": 64}),
    "qwen2-yarn": (
        "Qwen2Config",
        SPLIT,
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ),
    "qwen2-window": (
        "Qwen2Config",
        SPLIT,
        {"use_sliding_window": True, "sliding_window": 20, "max_window_layers": 1, "tie_word_embeddings": True},
    ),
    "qwen3": ("Qwen3Config", SPLIT, {"head_dim": 12}),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, families: Families
) -> tuple[Family, Reference]:
    kind, targets, config = FAMILIES[request.param]
    made = families.make(tmp_path_factory.mktemp(request.param), kind, targets, **config)
    return made, families.reference(made)


def random_requests(seed: int, number: int, longest: int):
    """Prompts of which some share a beginning, each for the base or one of the adapters."""
    chance = random.Random(seed)
    shared = [chance.randrange(3, 160) for _ in range(40)]
    for _ in range(number):
        own = [chance.randrange(3, 160) for _ in range(chance.randrange(1, longest))]
        prompt = shared[: chance.choice([0, 0, 8, 17, 40])] + own
        yield prompt, chance.choice(["", "first", "second"]), chance.randrange(2, 24)


@pytest.fixture
def threads(request: pytest.FixtureRequest):
    """That the engine, which is made later, computes with; `npm test` gives a process one."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ({"blocks": 256, "block_size": 4}, 2),
        ({"blocks": 40, "block_size": 4, "tokens": 24, "prefill": 5, "sequences": 5}, 1),
    ],
    ids=["plenty", "short-of-everything"],
    indirect=["threads"],
)
@pytest.mark.usefixtures("threads")
def test_tokens_equal_the_reference(family: tuple[Family, Reference], make_rig: RigMaker, settings: dict[str, Any]):
    made, reference = family
    rig = make_rig(made, **settings)
    chance = random.Random(5)
    asked = []
    for prompt, adapter, number in random_requests(3, 14, 60):
        asked.append((rig.ask(prompt, adapter, max_tokens=number), adapter))
        if chance.random() < 0.4:  # arrivals in bursts: sometimes the engine is let run before the next one comes
            asked[chance.randrange(len(asked))][0].done.wait(240)
    for request, adapter in asked:
        assert request.done.wait(240)
        assert request.tokens == reference.generate(request.prompt, adapter, request.params.max_tokens)
    if settings["blocks"] == 40:
        assert rig.engine.gauges().preemptions > 0
    assert_hits_equal(rig, reference)
    assert rig.engine.gauges().blocks_used == 0


def assert_hits_equal(rig: Rig, reference: Reference):
    """Whatever ran before: a prompt whose first half was just computed is read from there, and gives the same tokens."""
    chance = random.Random(8)
    first, second, other = ([chance.randrange(3, 160) for _ in range(20)] for _ in range(3))
    for adapter in ("", "second"):
        fresh = rig.ask(first + second, adapter, max_tokens=1)
        assert fresh.done.wait(240)
        again = rig.ask(first + other, adapter, max_tokens=4)
        assert again.done.wait(240)
        assert (fresh.deltas[-1].cached, again.deltas[-1].cached) == (0, 20)  # and nothing of another adapter's
        assert again.tokens == reference.generate(again.prompt, adapter, 4)


def test_a_prompt_beyond_the_original_length_equals_the_reference(family: tuple[Family, Reference], make_rig: RigMaker):
    made, reference = family
    rig = make_rig(made)
    prompt = [random.Random(9).randrange(3, 160) for _ in range(120)]
    for adapter in ("", "second"):
        request = rig.ask(prompt, adapter, max_tokens=20)
        assert request.done.wait(240)
        assert request.tokens == reference.generate(prompt, adapter, 20)


def test_logprobs_equal_log_softmax(family: tuple[Family, Reference], make_rig: RigMaker):
    made, reference = family
    rig = make_rig(made)
    prompt = [7, 30, 99, 12]
    request = rig.ask(prompt, max_tokens=4, logprobs=5)
    assert request.done.wait(240)
    scores = reference.scores([prompt + request.tokens])[0]
    choices = [choice for delta in request.deltas for choice in delta.choices]
    for place, choice in enumerate(choices, start=len(prompt) - 1):
        expected = torch.log_softmax(scores[place], dim=-1)
        assert choice.logprob == pytest.approx(float(expected[choice.token]), abs=1e-4)
        assert [token for token, _ in choice.top] == expected.topk(5).indices.tolist()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, families: Families) -> tuple[Family, Reference]:
    """A family with one adapter more, of the largest rank that is served."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    from transformers import AutoModelForCausalLM  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    kind, targets, config = FAMILIES["qwen3"]
    made = families.make(tmp_path_factory.mktemp("large"), kind, targets, **config)
    reference = families.reference(made)
    settings = LoraConfig(
        r=MAX_RANK, lora_alpha=2 * MAX_RANK, target_modules=targets, task_type="CAUSAL_LM", init_lora_weights=False
    )
    made.adapters["largest"] = made.adapters["first"].with_name("largest")
    fresh = AutoModelForCausalLM.from_pretrained(made.path)
    get_peft_model(fresh, settings).save_pretrained(str(made.adapters["largest"]), save_embedding_layers=False)
    reference.model.load_adapter(made.adapters["largest"], adapter_name="largest")
    return made, reference


@pytest.mark.parametrize("attention", ["dense", "torch"])
def test_an_adapter_of_the_largest_rank_equals_the_reference_beside_smaller_ones(
    large: tuple[Family, Reference], make_rig: RigMaker, attention: Attention
):
    made, reference = large
    rig = make_rig(made, attention=attention)
    asked = {
        (name, first): rig.ask(list(range(first, first + 12)), name, max_tokens=8)
        for name in rig.installed
        for first in (5, 70)
    }
    for (name, _), request in asked.items():
        assert request.done.wait(240)
        assert request.tokens == reference.generate(request.prompt, name, 8)
    assert asked["largest", 5].tokens != asked["", 5].tokens
