"""16-bit formats: the logprobs of every token against fp32, beside transformers' own error in the same format.

Where a prompt is read and where tokens are decoded; on the CPU's path and, in fp16, on the T4's (torch operations on pages).
"""

import random

import pytest
import torch

from inference.engine.compute.choice import Attention
from tests.unit.inference.conftest import Families, Family, Reference, RigMaker
from tests.unit.inference.test_oracle import FAMILIES

PATHS = [(torch.bfloat16, "dense"), (torch.float16, "dense"), (torch.float16, "torch")]
NAMES = ("llama-mha-biases-linear", "phi3-longrope", "qwen3", "mistral-window", "qwen2-yarn")


@pytest.fixture(scope="module", params=NAMES)
def family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, families: Families
) -> tuple[Family, Reference]:
    kind, targets, config = FAMILIES[request.param]
    made = families.make(tmp_path_factory.mktemp(request.param), kind, targets, **config)
    return made, families.reference(made)


@pytest.mark.parametrize("adapter", ["", "second"], ids=["base", "adapter"])
@pytest.mark.parametrize(("dtype", "attention"), PATHS, ids=str)
def test_logprobs_are_no_worse_than_the_references_own(
    family: tuple[Family, Reference],
    families: Families,
    make_rig: RigMaker,
    dtype: torch.dtype,
    attention: Attention,
    adapter: str,
):
    """Both are given the tokens that ours drew. Errors at single places are much a matter of chance: their mean is compared."""
    made, reference = family
    rig = make_rig(made, dtype=dtype, attention=attention)
    chance = random.Random(7)
    prompts = [[chance.randrange(3, 160) for _ in range(40)] for _ in range(24)]
    wholes = [rig.ask(prompt, adapter, max_tokens=7, logprobs=160) for prompt in prompts]
    cuts = [
        [rig.ask(prompt[:length], adapter, max_tokens=1, logprobs=160) for length in chance.sample(range(2, 40), 4)]
        for prompt in prompts
    ]
    for request in [*wholes, *(cut for some in cuts for cut in some)]:
        assert request.done.wait(240)
    texts = [whole.prompt + whole.tokens for whole in wholes]
    exact = reference.scores(texts, adapter).log_softmax(-1)
    half = families.reference(made, dtype).scores(texts, adapter).log_softmax(-1)
    errors = {"reading": [], "decoding": []}
    for whole, some, right, theirs in zip(wholes, cuts, exact, half, strict=True):
        for request in (whole, *some):
            choices = [choice for delta in request.deltas for choice in delta.choices]
            for place, choice in enumerate(choices, start=len(request.prompt) - 1):
                ours = torch.empty(160, dtype=torch.float64)
                for token, logprob in choice.top:
                    ours[token] = logprob
                part = errors["reading" if place == len(request.prompt) - 1 else "decoding"]
                part.append([float((found - right[place]).norm()) for found in (ours, theirs[place])])
    for part, both in errors.items():
        ours, theirs = torch.tensor(both).mean(0).tolist()
        assert 0 < ours <= 1.1 * theirs, part
