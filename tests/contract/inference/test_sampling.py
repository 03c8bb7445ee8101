"""Sampling parameters over HTTP: what each does to the answer (how they are mapped: tests/unit/inference/test_api.py)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.inference.conftest import Endpoint, Sample

PROMPTS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "What is a slipway?"}]},
    "/v1/completions": {"prompt": "A ramp on"},
}
WILD = {"temperature": 1.5, "n": 4, "seed": 1}


@pytest.fixture(params=PROMPTS)
def ask(request: pytest.FixtureRequest, endpoint: Endpoint, sample: Sample) -> Callable[..., list[str]]:
    """Answers that go on beyond the model's own end, where it has learnt nothing: they repeat, and chance has its say."""

    def answers(**options: Any):
        body = {"model": sample.base, "ignore_eos": True, "max_tokens": 30, **PROMPTS[request.param], **options}
        answer = endpoint.http().post(request.param, json=body)
        assert answer.status_code == 200, answer.text
        return [each.get("text") or each["message"]["content"] for each in answer.json()["choices"]]

    return answers


def test_the_narrowest_choice_is_the_greedy_one_at_any_temperature(ask: Callable[..., list[str]]):
    (greedy,) = ask(temperature=0)
    assert greedy not in ask(**WILD)
    for narrow in ({"top_k": 1}, {"min_p": 1}, {"top_p": 0.001}):
        assert set(ask(**WILD, **narrow)) == {greedy}


@pytest.mark.parametrize("ask", ["/v1/chat/completions"], indirect=True)
def test_penalties_change_an_answer_that_repeats_itself(ask: Callable[..., list[str]]):
    (greedy,) = ask(temperature=0, max_tokens=60)
    for penalty in ({"repetition_penalty": 4}, {"presence_penalty": 2}, {"frequency_penalty": 2}):
        (penalised,) = ask(temperature=0, max_tokens=60, **penalty)
        assert len(set(penalised.split())) > len(set(greedy.split()))
