"""What may be asked, what is refused and how, and which models there are."""

from typing import Any

import httpx
import openai
import pytest

from tests.contract.inference.conformance.conftest import HELLO, TOOL, Ask
from tests.contract.inference.conftest import Endpoint

# Messages


def test_content_may_come_in_parts(chat: Ask):
    parts = [{"type": "text", "text": "What is a slipway?"}]
    assert chat([{"role": "user", "content": parts}]).choices[0].message.content == chat().choices[0].message.content


def test_developer_is_system(chat: Ask):
    asked = [{"role": "developer", "content": "Be brief."}, *HELLO]
    same = [{"role": "system", "content": "Be brief."}, *HELLO]
    assert chat(asked).choices[0].message.content == chat(same).choices[0].message.content


def test_history_counts_towards_the_prompt(chat: Ask):
    longer = [*HELLO, {"role": "assistant", "content": "A ramp."}, {"role": "user", "content": "Why?"}]
    assert chat(longer).usage.prompt_tokens > chat().usage.prompt_tokens


def test_tools_and_tool_messages_are_taken(chat: Ask):
    call = {"id": "1", "type": "function", "function": {"name": "depth", "arguments": "{}"}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "7"},
    ]
    assert chat(messages, tools=[TOOL]).choices[0].finish_reason in {"stop", "length"}


def test_a_user_label_is_taken(chat: Ask):
    assert chat(user="somebody").choices


# Errors


def refused(call: Any, kind: type[openai.APIError], **options: Any):
    with pytest.raises(kind) as caught:
        call(**options)
    body: Any = caught.value.body
    assert {"message", "type", "param", "code"} <= set(body)
    return body


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"frequency_penalty": -2.5}, "frequency_penalty"),
        ({"stop": [5]}, "stop"),
        ({"logit_bias": {"5": 101}}, "logit_bias"),
        ({"response_format": {"type": "yaml"}}, "response_format"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages"),
        ({"messages": []}, "messages"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_out_of_range_is_a_400_that_names_the_parameter(chat: Ask, options: dict[str, Any], param: str):
    body = refused(chat, openai.BadRequestError, **options)
    assert param in f"{body['param']} {body['message']}"


def test_a_bad_request_is_an_invalid_request_error(chat: Ask):
    assert refused(chat, openai.BadRequestError, temperature=-1)["type"] == "invalid_request_error"


def test_a_missing_parameter_is_a_400(endpoint: Endpoint, model: str):
    answer = endpoint.http().post("/v1/chat/completions", json={"model": model})
    assert answer.status_code == 400
    assert "messages" in answer.json()["error"]["message"]


def test_an_unknown_model_is_a_404(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError, match="nobody/nothing"):
        client.chat.completions.create(model="nobody/nothing", messages=HELLO)


def test_a_missing_key_is_a_401(endpoint: Endpoint, model: str):
    answer = httpx.post(f"{endpoint.url}/v1/chat/completions", json={"model": model, "messages": HELLO}, timeout=60)
    assert answer.status_code == 401
    assert answer.json()["error"]["message"]


def test_a_wrong_key_is_an_authentication_error(endpoint: Endpoint):
    with pytest.raises(openai.AuthenticationError):
        endpoint.openai("wrong").models.list()


def test_broken_json_is_a_400(endpoint: Endpoint):
    answer = endpoint.http().post("/v1/chat/completions", content=b"{")
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_too_long_a_prompt_is_refused(chat: Ask):
    body = refused(chat, openai.BadRequestError, messages=[{"role": "user", "content": "far too long " * 320}])
    assert "context" in body["message"]


def test_an_unknown_route_is_a_404(endpoint: Endpoint):
    answer = endpoint.http().post("/v1/no/such/route", json={})
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_the_wrong_method_is_refused(endpoint: Endpoint):
    assert endpoint.http().get("/v1/chat/completions").status_code in {404, 405}


# Models


def test_models_are_listed(client: openai.OpenAI, model: str):
    models = client.models.list()
    assert model in {one.id for one in models}
    assert {one.object for one in models} == {"model"}


def test_a_model_is_retrieved_by_its_name(client: openai.OpenAI, model: str):
    assert client.models.retrieve(model).id == model


def test_an_unknown_model_is_not_retrieved(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody/nothing")
