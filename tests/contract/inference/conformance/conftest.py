"""The OpenAI API's reference, case by case, through the official Python client: what all cases of this folder ask with.

They ask nothing of ours alone: they run unchanged against any server that says it speaks this API
(SLIPWAY_TEST_ENDPOINT, SLIPWAY_TEST_KEY, and SLIPWAY_TEST_MODEL where the model has another name). `npm run bench --
conformance` does so with the peers that are installed. conformance.test.mjs holds the same cases for the npm client.
"""

import os

import pytest

HELLO = [{"role": "user", "content": "What is a slipway?"}]
TOOL = {
    "type": "function",
    "function": {"name": "depth", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}},
}


@pytest.fixture(scope="session")
def client(endpoint):
    return endpoint.openai()


@pytest.fixture(scope="session")
def model(request):
    return os.environ.get("SLIPWAY_TEST_MODEL") or request.getfixturevalue("sample").base


@pytest.fixture(scope="session")
def chat(client, model):
    def create(messages=HELLO, **options):
        return client.chat.completions.create(
            model=model, messages=messages, **{"temperature": 0, "max_tokens": 8, **options}
        )

    return create


@pytest.fixture(scope="session")
def complete(client, model):
    def create(prompt="A ramp on", **options):
        return client.completions.create(model=model, prompt=prompt, **{"temperature": 0, "max_tokens": 4, **options})

    return create


def joined(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
