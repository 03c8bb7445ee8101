"""Chat completions through the official `openai` client: what the fine-tuned model and its base really answer."""

import asyncio
import json
from typing import Any

import openai
import pytest

from tests.contract.inference.conftest import Endpoint, Sample


def ask(endpoint: Endpoint, model: str, *messages: Any, **options: Any):
    roles = ["user", "assistant"]
    written: Any = [m if isinstance(m, dict) else {"role": roles[i % 2], "content": m} for i, m in enumerate(messages)]
    return endpoint.openai().chat.completions.create(model=model, messages=written, temperature=0, **options)


def text(answer: Any) -> str:
    return answer.choices[0].message.content


@pytest.mark.parametrize("index", range(6))
def test_base_and_adapter_each_give_their_own_answer(endpoint: Endpoint, sample: Sample, index: int):
    asked = sample.questions[index]
    assert text(ask(endpoint, sample.base, asked["question"])) == asked["base"]
    assert text(ask(endpoint, sample.adapter, asked["question"])) == asked["adapter"]


def test_the_answer_says_why_it_ended_and_what_it_cost(endpoint: Endpoint, sample: Sample):
    answer = ask(endpoint, sample.base, sample.questions[0]["question"])
    assert answer.object == "chat.completion"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.role == "assistant"
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_cut_answer_ends_with_length(endpoint: Endpoint, sample: Sample):
    answer = ask(endpoint, sample.base, sample.questions[0]["question"], max_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3
    assert sample.questions[0]["base"].startswith(text(answer))


def test_the_system_prompt_is_honoured(endpoint: Endpoint, sample: Sample):
    asked = sample.questions[1]
    shout = {"role": "system", "content": sample.loud}
    user = {"role": "user", "content": asked["question"]}
    assert text(ask(endpoint, sample.base, shout, user)) == asked["base"].upper()
    assert text(ask(endpoint, sample.adapter, shout, user)) == asked["adapter"].upper()
    calm = {"role": "system", "content": sample.system}
    assert text(ask(endpoint, sample.adapter, calm, user)) == asked["adapter"]


def test_the_history_is_honoured(endpoint: Endpoint, sample: Sample):
    for first in sample.questions[:3]:
        answer = ask(endpoint, sample.adapter, first["question"], first["adapter"], sample.recall)
        assert text(answer) == sample.recalled[first["question"]]


def test_streamed_text_equals_the_unstreamed(endpoint: Endpoint, sample: Sample):
    asked = sample.questions[2]
    chunks = list(ask(endpoint, sample.adapter, asked["question"], stream=True, stream_options={"include_usage": True}))
    parts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(parts) == asked["adapter"]
    assert len(parts) > 3
    assert chunks[0].choices[0].delta.role == "assistant"
    ends = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert ends == ["stop"]
    assert chunks[-1].choices == []
    whole = ask(endpoint, sample.adapter, asked["question"])
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_a_stream_ends_with_done(endpoint: Endpoint, sample: Sample):
    body = {"model": sample.base, "messages": [{"role": "user", "content": "Who are you?"}], "stream": True}
    with endpoint.http().stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines)


def test_models_lists_base_and_adapter(endpoint: Endpoint, sample: Sample):
    models: dict[str, Any] = {model.id: model for model in endpoint.openai().models.list()}
    assert set(models) == {sample.base, sample.adapter}
    assert models[sample.adapter].parent == sample.base
    assert endpoint.openai().models.retrieve(sample.base).id == sample.base


def test_an_unknown_model_is_a_404_that_lists_the_known_ones(endpoint: Endpoint, sample: Sample):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(endpoint, "no-such-adapter", "Who are you?")
    assert sample.base in caught.value.message
    assert sample.adapter in caught.value.message
    assert caught.value.code == "model_not_found"


def test_a_wrong_key_is_refused(endpoint: Endpoint, sample: Sample):
    with pytest.raises(openai.AuthenticationError):
        endpoint.openai("wrong").models.list()
    with pytest.raises(openai.AuthenticationError):
        endpoint.openai("wrong").chat.completions.create(model=sample.base, messages=[{"role": "user", "content": "x"}])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("path", "prompt"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Who are you?"}]}),
        ("/v1/completions", {"prompt": "Who are you?"}),
    ],
    ids=["chat", "plain"],
)
def test_every_answer_names_its_model_and_the_adapters_hash(
    endpoint: Endpoint, sample: Sample, path: str, prompt: dict[str, Any], stream: bool
):
    version = endpoint.http().get("/version").json()
    hashes: dict[str, str | None] = {adapter["name"]: adapter["hash"] for adapter in version["adapters"]}
    assert list(hashes) == [sample.adapter]
    assert len(version["baseHash"]) == 64
    hashes[sample.base] = None
    for model, digest in hashes.items():
        body = {"model": model, "max_tokens": 8, "ignore_eos": True, "stream": stream, **prompt}
        answer = endpoint.http().post(path, json=body)
        assert answer.status_code == 200
        assert answer.headers["x-slipway-model"] == model
        assert answer.headers.get("x-slipway-adapter-hash") == digest
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
        assert len(events) > 1 if stream else not events
        assert {json.loads(part)["model"] for part in events or [answer.text]} == {model}


def test_mixed_requests_at_once_each_get_their_own_model(endpoint: Endpoint, sample: Sample):
    async def everything() -> None:
        client = openai.AsyncOpenAI(base_url=f"{endpoint.url}/v1", api_key=endpoint.key, max_retries=0)
        cases = [(model, asked) for asked in sample.questions for model in ("base", "adapter")] * 2

        async def one(which: str, asked: dict[str, str]):
            answer = await client.chat.completions.create(
                model=getattr(sample, which), messages=[{"role": "user", "content": asked["question"]}], temperature=0
            )
            assert answer.choices[0].message.content == asked[which]

        await asyncio.gather(*(one(which, asked) for which, asked in cases))
        await client.close()

    asyncio.run(everything())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"temperature": 3}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 99}, "n"),
        ({"stop": ["a"] * 65}, "stop"),
        ({"frequency_penalty": 5}, "frequency_penalty"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
        ({"functions": []}, "functions"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
        ({"no_such_parameter": 1}, "no_such_parameter"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    endpoint: Endpoint, sample: Sample, change: dict[str, Any], named: str
):
    body = {"model": sample.base, "messages": [{"role": "user", "content": "x"}], **change}
    answer = endpoint.http().post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert named in error["param"]
    assert error["type"] == "invalid_request_error"


def test_a_prompt_beyond_the_context_is_a_400_with_the_numbers(endpoint: Endpoint, sample: Sample):
    with pytest.raises(openai.BadRequestError, match=r"context holds 2048 tokens, but the prompt has \d+"):
        ask(endpoint, sample.base, "word " * 3000)


def test_embeddings_are_refused_clearly(endpoint: Endpoint, sample: Sample):
    with pytest.raises(openai.BadRequestError, match="embeddings"):
        endpoint.openai().embeddings.create(model=sample.base, input="x")


def test_errors_have_the_codes_that_clients_know(endpoint: Endpoint, sample: Sample):
    long: Any = [{"role": "user", "content": "far too long " * 2000}]
    with pytest.raises(openai.BadRequestError) as caught:
        endpoint.openai().chat.completions.create(model=sample.base, messages=long)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
    with pytest.raises(openai.AuthenticationError) as caught:
        endpoint.openai("wrong").models.list()
    assert caught.value.code == "invalid_api_key"
    answer = ask(endpoint, sample.base, "Who are you?", max_tokens=1)
    assert answer.id.startswith("chatcmpl-")


def test_cached_tokens_are_part_of_the_prompt_however_many_answers_there_are(endpoint: Endpoint, sample: Sample):
    question = "Tell me about the harbour. " * 12
    for least in (0, 0.5):
        usage = ask(endpoint, sample.base, question, n=4, max_tokens=2).usage
        assert least * usage.prompt_tokens <= usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens
