"""Requests as Microsoft's .NET chat clients send them, and Azure OpenAI's official Python client: what they get."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.contract.dotnet import RECORDED, judge, recorded, send
from tests.contract.inference.conftest import Endpoint, Sample


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded requests are not beside the project")
def test_every_recorded_request_gets_what_its_client_demands(endpoint: Endpoint, sample: Sample):
    rows = recorded()
    assert len(rows) > 100
    with endpoint.http() as client, ThreadPoolExecutor(16) as pool:
        client.timeout = 180  # a hundred answers at once, on a machine that may be busy
        answers = pool.map(lambda row: send(client, row["request"], sample.base), rows)
        for row, answer in zip(rows, answers, strict=True):
            judge(row, answer)


def test_azures_official_client_is_answered_by_base_and_adapter(endpoint: Endpoint, sample: Sample):
    """Its key is in another header, its path names the model, and says more with it."""
    asked = sample.questions[0]
    for name, expected in ((sample.base, asked["base"]), (sample.adapter, asked["adapter"])):
        client = openai.AzureOpenAI(
            azure_endpoint=endpoint.url, azure_deployment=name, api_key=endpoint.key, api_version="2024-10-21"
        )
        messages: Any = [{"role": "user", "content": asked["question"]}]
        answer = client.chat.completions.create(model="anything", messages=messages, temperature=0)
        assert answer.choices[0].message.content == expected
        assert answer.model == name
        streamed = client.chat.completions.create(model=name, messages=messages, temperature=0, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices) == expected


def test_azures_key_must_be_right_as_well(endpoint: Endpoint, sample: Sample):
    client = openai.AzureOpenAI(
        azure_endpoint=endpoint.url, azure_deployment=sample.base, api_key="wrong", api_version="2024-10-21"
    )
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="x", messages=[{"role": "user", "content": "x"}])


def test_without_a_model_the_base_answers_and_says_so(endpoint: Endpoint, sample: Sample):
    asked = sample.questions[0]
    body = {"messages": [{"role": "user", "content": asked["question"]}], "temperature": 0}
    with endpoint.http() as client:
        answer = client.post("/v1/chat/completions", json=body).json()
        assert answer["choices"][0]["message"]["content"] == asked["base"]
        assert answer["model"] == sample.base
        assert client.get("/v1/info").json()["model_name"] == sample.base


def test_each_answer_has_the_callers_id_or_one_of_its_own(endpoint: Endpoint):
    with endpoint.http() as client:
        assert client.get("/v1/models", headers={"x-request-id": "run-7"}).headers["x-request-id"] == "run-7"
        made = [
            client.get("/v1/models", headers={"x-request-id": given}).headers["x-request-id"] for given in ("", "a b")
        ]
        assert len(set(made)) == 2
        assert all(len(each) == 32 for each in made)


def test_more_tokens_than_fit_is_refused_with_what_would_fit(endpoint: Endpoint, sample: Sample):
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 4096}
    with endpoint.http() as client:
        said = client.post("/v1/chat/completions", json=body).json()["error"]["message"]
        fits = int(said.rpartition("at most ")[2].split()[0])
        assert client.post("/v1/chat/completions", json={**body, "max_tokens": fits + 1}).status_code == 400
        assert client.post("/v1/chat/completions", json={**body, "max_tokens": fits}).status_code == 200
