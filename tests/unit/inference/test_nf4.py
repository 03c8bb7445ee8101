"""4-bit weights: the tokens of a model whose matrices were rounded to nf4 by plain arithmetic, in a fraction of the memory."""

import copy
import random
from typing import Any

import pytest
import torch

from inference.engine.weights.nf4 import Nf4Error, check
from tests.unit.inference.conftest import Families, Family, Reference, Rig, RigMaker

SPLIT = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
SHAPE = {"hidden_size": 128, "intermediate_size": 192, "num_attention_heads": 8, "num_key_value_heads": 4}
FAMILIES = {
    "llama-tied-biased": ("LlamaConfig", SPLIT, {"tie_word_embeddings": True, "attention_bias": True}),
    "phi3": ("Phi3Config", FUSED, {}),
    "qwen3": ("Qwen3Config", SPLIT, {"head_dim": 16}),
}
# The 16 numbers of nf4, from the paper on QLoRA (arXiv 2305.14314, appendix E).
CODE = torch.tensor(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
        *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725),
        *(0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941),
        *(0.7229568362236023, 1.0),
    ]
)


def rounded(weight: torch.Tensor):
    """Each block of 64 by its largest magnitude, each number to the nearest of the 16."""
    blocks = weight.reshape(-1, 64)
    scale = blocks.abs().amax(dim=1, keepdim=True)
    nearest = (blocks / scale).unsqueeze(-1).sub(CODE).abs().argmin(dim=-1)
    return (CODE[nearest] * scale).reshape(weight.shape)


@pytest.fixture(scope="module", params=FAMILIES)
def family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, families: Families
) -> tuple[Family, Reference]:
    kind, targets, config = FAMILIES[request.param]
    made = families.make(tmp_path_factory.mktemp(request.param), kind, targets, **SHAPE, **config)
    quantised = copy.copy(made)
    quantised.reference = copy.deepcopy(made.reference)
    for name, parameter in quantised.reference.named_parameters():
        if name.endswith("_proj.weight"):
            parameter.data = rounded(parameter.data)
    return made, families.reference(quantised)


def test_tokens_equal_those_of_rounded_weights(family: tuple[Family, Reference], make_rig: RigMaker):
    made, reference = family
    rig = make_rig(made, packing="nf4")
    chance = random.Random(4)
    asked = []
    for number in range(9):
        adapter = ("", "first", "second")[number % 3]
        prompt = [chance.randrange(3, 160) for _ in range(chance.randrange(1, 40))]
        asked.append((adapter, rig.ask(prompt, adapter, max_tokens=14)))
    for adapter, request in asked:
        assert request.done.wait(240)
        assert request.tokens == reference.generate(request.prompt, adapter, 14)


def test_transformers_rounds_the_same_matrices_to_the_same_numbers(family: tuple[Family, Reference]):
    """As adapters are trained, with `BitsAndBytesConfig`. Its products are not compared: on a CPU they are in bfloat16."""
    from bitsandbytes.functional import dequantize_4bit  # noqa: PLC0415  (loads in seconds; only who needs it waits)
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    made, _ = family
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    theirs = AutoModelForCausalLM.from_pretrained(
        made.path, quantization_config=config, device_map="cpu", dtype=torch.float32
    )
    for name, weight in made.reference.named_parameters():
        other: Any = theirs.get_parameter(name)  # bitsandbytes gives its own kind a quant_state
        if name.endswith("_proj.weight"):
            assert torch.equal(dequantize_4bit(other.data, other.quant_state), rounded(weight.data)), name
        else:
            assert torch.equal(other, weight), name


def test_the_matrices_take_a_seventh_of_their_memory(family: tuple[Family, Reference], make_rig: RigMaker):
    made, _ = family

    def bytes_of(rig: Rig):
        layers = rig.runner.weights.layers
        return sum(getattr(each, name).nbytes for each in layers for name in ("qkv", "output", "gate_up", "down"))

    whole, small = bytes_of(make_rig(made)), bytes_of(make_rig(made, packing="nf4"))
    assert small < whole / 6.5  # 4 bits and a 32-bit scale for each 64, of 32


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(Nf4Error, match="does not work on meta; only on cpu and cuda"):
        check(torch.device("meta"), 128, 128, 128)
    with pytest.raises(Nf4Error, match="multiples of 64; this model's have 80"):
        check(torch.device("cpu"), 128, 80, 128)
