"""How likely a given text is: the prompt's own tokens with the logprobs that transformers computes, in one batch with others."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
import pytest
import torch

from tests.unit.inference.conftest import Families, Family, Reference, RigMaker, Serve

KEY = {"authorization": "Bearer key"}


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return families.make(tmp_path_factory.mktemp("likelihood"), "LlamaConfig", ["q_proj", "v_proj"])


@pytest.fixture(scope="module")
def reference(llama: Family, families: Families) -> Reference:
    return families.reference(llama)


@pytest.mark.parametrize(
    "settings",
    [{"blocks": 256}, {"blocks": 40, "tokens": 24, "prefill": 5, "sequences": 4}],
    ids=["plenty", "short-of-everything"],
)
def test_a_prompts_logprobs_equal_the_reference(
    llama: Family, reference: Reference, make_rig: RigMaker, settings: dict[str, Any]
):
    """Also where it comes in small parts, begins again for want of blocks, and begins as another one did."""
    rig = make_rig(llama, block_size=4, **settings)
    chance = random.Random(3)
    shared = [chance.randrange(3, 160) for _ in range(24)]
    asked, others = [], []
    for number in range(8):
        prompt = [*shared, *(chance.randrange(3, 160) for _ in range(number * 3 + 1))]
        adapter = ("", "first")[number % 2]
        asked.append((adapter, rig.ask(prompt, adapter, max_tokens=3, logprobs=2, prompt_logprobs=2)))
        others.append(rig.ask(prompt, adapter, max_tokens=20))
    for adapter, request in asked:
        assert request.done.wait(240)
        choices = [choice for delta in request.deltas for choice in delta.choices]
        assert [choice.token for choice in choices[: len(request.prompt)]] == request.prompt
        assert choices[0].logprob is None
        tokens = [choice.token for choice in choices]
        expected = torch.log_softmax(reference.scores([tokens], adapter)[0], dim=-1)
        for place, choice in enumerate(choices[1:]):
            assert choice.logprob == pytest.approx(float(expected[place, choice.token]), abs=2e-3)
            assert [token for token, _ in choice.top] == expected[place].topk(2).indices.tolist()
    assert all(other.done.wait(240) for other in others)
    assert rig.engine.gauges().blocks_used == 0


def test_the_api_gives_them_with_an_echo(llama: Family, make_rig: RigMaker, serve: Serve):
    """As lm-evaluation-harness asks for each choice of a question."""
    rig = make_rig(llama)

    async def scenario():
        _, app = serve(rig)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=KEY) as client:
            body = {"prompt": ["w5 w6 w7", "w9 w5"], "max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0}
            answer = (await client.post("/v1/completions", json=body)).json()
            for choice, words in zip(answer["choices"], (["w5", "w6", "w7"], ["w9", "w5"]), strict=True):
                told = choice["logprobs"]
                assert [token.strip() for token in told["tokens"][: len(words)]] == words
                assert told["token_logprobs"][0] is None
                assert all(value <= 0 for value in told["token_logprobs"][1:])
                assert len(told["tokens"]) == len(told["top_logprobs"]) == len(words) + 1
                assert told["text_offset"][0] == 0
                assert told["text_offset"] == sorted(told["text_offset"])
            without = (await client.post("/v1/completions", json={**body, "logprobs": None})).json()
            assert [each["text"] for each in without["choices"]] == [each["text"] for each in answer["choices"]]

    asyncio.run(scenario())
