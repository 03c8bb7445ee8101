"""The OpenAI API's reference, case by case, through the official Python client: what all cases of this folder ask with.

They ask nothing of ours alone: they run unchanged against any server that says it speaks this API
(SLIPWAY_TEST_ENDPOINT, SLIPWAY_TEST_KEY, and SLIPWAY_TEST_MODEL where the model has another name). `npm run bench --
conformance` does so with the peers that are installed. conformance.test.mjs holds the same cases for the npm client.
"""

import os
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.contract.inference.conftest import Endpoint

Ask = Callable[..., Any]
"""Asks with the options given, and has the client's own object for an answer."""

HELLO: list[Any] = [{"role": "user", "content": "What is a slipway?"}]
TOOL = {
    "type": "function",
    "function": {"name": "depth", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}},
}


@pytest.fixture(scope="session")
def client(endpoint: Endpoint) -> openai.OpenAI:
    return endpoint.openai()


@pytest.fixture(scope="session")
def model(request: pytest.FixtureRequest) -> str:
    return os.environ.get("SLIPWAY_TEST_MODEL") or request.getfixturevalue("sample").base


@pytest.fixture(scope="session")
def chat(client: openai.OpenAI, model: str) -> Ask:
    def create(messages: Any = HELLO, **options: Any):
        given: dict[str, Any] = {"temperature": 0, "max_tokens": 8, **options}
        return client.chat.completions.create(model=model, messages=messages, **given)

    return create


@pytest.fixture(scope="session")
def complete(client: openai.OpenAI, model: str) -> Ask:
    def create(prompt: str = "A ramp on", **options: Any):
        given: dict[str, Any] = {"temperature": 0, "max_tokens": 4, **options}
        return client.completions.create(model=model, prompt=prompt, **given)

    return create


def joined(chunks: Any):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
