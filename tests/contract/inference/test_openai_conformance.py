"""What the OpenAI API's reference promises, case by case, through the official Python client.

The file asks nothing of ours alone: it runs unchanged against any server that says it speaks this API
(SLIPWAY_TEST_ENDPOINT, SLIPWAY_TEST_KEY, and SLIPWAY_TEST_MODEL where the model has another name). `npm run bench --
conformance` does so with the peers that are installed. conformance.test.mjs holds the same cases for the npm client.
"""

import json
import os
from typing import Any, Literal

import httpx
import openai
import pydantic
import pytest

SHORT = {
    "type": "object",
    "properties": {"answer": {"type": "string", "maxLength": 12}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}
STRUCTURED = {"type": "json_schema", "json_schema": {"name": "short", "schema": SHORT, "strict": True}}
TOOL = {
    "type": "function",
    "function": {"name": "depth", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}},
}
STRICT = {
    "type": "object",
    "properties": {"at": {"type": "string", "maxLength": 8}},
    "required": ["at"],
    "additionalProperties": False,
}
STRICT_TOOL = {"type": "function", "function": {"name": "depth", "parameters": STRICT}}
HELLO = [{"role": "user", "content": "What is a slipway?"}]


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


# The answer's shape


def test_id_object_created_and_model(chat, model):
    answer = chat()
    assert isinstance(answer.id, str)
    assert answer.id
    assert answer.object == "chat.completion"
    assert answer.created > 1_700_000_000
    assert answer.model == model


def test_ids_differ(chat):
    assert chat().id != chat().id


def test_one_choice_with_index_zero(chat):
    answer = chat()
    assert [choice.index for choice in answer.choices] == [0]
    assert answer.choices[0].message.role == "assistant"
    assert isinstance(answer.choices[0].message.content, str)


def test_usage_adds_up(chat):
    usage = chat().usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_logprobs_are_null_unless_asked_for(chat):
    assert chat().choices[0].logprobs is None


# Length


def test_max_tokens_cuts_with_length(chat):
    answer = chat(max_tokens=2)
    assert answer.usage.completion_tokens == 2
    assert answer.choices[0].finish_reason == "length"


def test_max_completion_tokens_is_its_newer_name(chat, client, model):
    answer = client.chat.completions.create(model=model, messages=HELLO, temperature=0, max_completion_tokens=3)
    assert answer.usage.completion_tokens == 3


def test_without_a_limit_the_answer_ends_by_itself(client, model):
    answer = client.chat.completions.create(model=model, messages=HELLO, temperature=0)
    assert answer.choices[0].finish_reason == "stop"


# Sampling


def test_temperature_zero_repeats_itself(chat):
    assert len({chat(max_tokens=12).choices[0].message.content for _ in range(3)}) == 1


def test_a_seed_repeats_itself(chat):
    texts = {chat(temperature=2, seed=5, max_tokens=12).choices[0].message.content for _ in range(3)}
    assert len(texts) == 1


def test_high_temperature_varies(chat):
    texts = {chat(temperature=2, max_tokens=20).choices[0].message.content for _ in range(6)}
    assert len(texts) > 1


def test_a_tiny_top_p_is_greedy(chat):
    greedy = chat(max_tokens=12).choices[0].message.content
    assert chat(temperature=2, top_p=0.0001, max_tokens=12).choices[0].message.content == greedy


def test_logit_bias_bans_a_token(chat):
    first = chat(max_tokens=1, logprobs=True).choices[0].message.content
    ids = {str(n): -100 for n in range(700)}
    assert chat(max_tokens=1, logit_bias=ids).choices[0].message.content != first


def test_presence_and_frequency_penalties_are_taken(chat):
    assert chat(presence_penalty=1.5, frequency_penalty=-1.5).choices[0].finish_reason in {"stop", "length"}


# n


def test_n_gives_n_choices(chat):
    answer = chat(n=3, temperature=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.message.role == "assistant" for choice in answer.choices)


def test_n_counts_every_completion_token(chat):
    answer = chat(n=2, max_tokens=3, temperature=1, logprobs=True)
    assert answer.usage.completion_tokens >= sum(len(choice.logprobs.content) for choice in answer.choices) > 0


def test_n_streams_every_choice(chat):
    chunks = list(chat(n=2, stream=True, max_tokens=4, temperature=1))
    assert {chunk.choices[0].index for chunk in chunks if chunk.choices} == {0, 1}


# Stop


def test_a_stop_string_ends_the_answer_and_is_not_in_it(chat):
    whole = chat(max_tokens=30).choices[0].message.content
    stop = whole[6:9]
    answer = chat(max_tokens=30, stop=stop)
    assert answer.choices[0].message.content == whole[: whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


def test_several_stop_strings(chat):
    whole = chat(max_tokens=30).choices[0].message.content
    answer = chat(max_tokens=30, stop=["never-there", whole[4:6]])
    assert answer.choices[0].message.content == whole[: whole.index(whole[4:6])]


def test_a_stop_string_works_in_a_stream(chat):
    whole = chat(max_tokens=30).choices[0].message.content
    chunks = list(chat(max_tokens=30, stop=whole[6:9], stream=True))
    assert joined(chunks) == whole[: whole.index(whole[6:9])]
    assert chunks[-1].choices[0].finish_reason == "stop"


# Streaming


def test_chunks_share_an_id_and_are_chunks(chat):
    chunks = list(chat(stream=True))
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}


def test_the_first_chunk_has_the_role(chat):
    assert next(iter(chat(stream=True))).choices[0].delta.role == "assistant"


def test_only_the_last_chunk_has_a_finish_reason(chat):
    reasons = [chunk.choices[0].finish_reason for chunk in chat(stream=True)]
    assert all(reason is None for reason in reasons[:-1])
    assert reasons[-1] == "length"


def test_a_stream_says_what_the_whole_says(chat):
    assert joined(chat(stream=True, max_tokens=20)) == chat(max_tokens=20).choices[0].message.content


def test_a_stream_has_no_usage_unless_asked_for(chat):
    assert all(chunk.usage is None for chunk in chat(stream=True))


def test_include_usage_adds_a_last_chunk_without_choices(chat):
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == chat().usage.total_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_stream_is_event_stream_and_ends_with_done(endpoint, model):
    body = {"model": model, "messages": HELLO, "stream": True, "max_tokens": 3}
    with endpoint.http().stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    assert all(json.loads(event[6:])["choices"] is not None for event in events[:-1])


def test_the_streaming_helper_of_the_client_works(client, model):
    with client.chat.completions.stream(model=model, messages=HELLO, temperature=0) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content


# Logprobs


def test_logprobs_cover_every_token(chat):
    answer = chat(logprobs=True, max_tokens=5)
    content = answer.choices[0].logprobs.content
    assert "".join(token.token for token in content) == answer.choices[0].message.content
    assert all(token.logprob <= 0 for token in content)
    assert bytes(b for token in content for b in token.bytes).decode() == answer.choices[0].message.content


def test_top_logprobs_are_sorted_and_hold_the_greedy_token(chat):
    for token in chat(logprobs=True, top_logprobs=4, max_tokens=3).choices[0].logprobs.content:
        values = [top.logprob for top in token.top_logprobs]
        assert len(values) == 4
        assert values == sorted(values, reverse=True)
        assert token.token == token.top_logprobs[0].token


def test_logprobs_stream_too(chat):
    chunks = list(chat(logprobs=True, stream=True, max_tokens=4))
    assert sum(len(c.choices[0].logprobs.content) for c in chunks if c.choices and c.choices[0].logprobs) == 4


def test_a_seeded_draw_repeats_with_logprobs(chat):
    options = {"temperature": 1, "seed": 3, "logprobs": True, "top_logprobs": 2, "max_tokens": 6}
    once, again = (chat(**options).choices[0].logprobs.content for _ in range(2))
    assert [token.token for token in once] == [token.token for token in again]


# Structured output


def is_short(choice) -> bool:
    """Whether an answer follows the schema, or was cut while it did."""
    if choice.finish_reason == "length":
        return choice.message.content.lstrip().startswith("{")
    said = json.loads(choice.message.content)
    return set(said) == {"answer", "sure"} and isinstance(said["answer"], str) and isinstance(said["sure"], bool)


def test_a_json_schema_is_followed(chat):
    choice = chat(response_format=STRUCTURED, max_tokens=300).choices[0]
    assert is_short(choice)
    assert choice.message.refusal is None


def test_a_json_schema_is_followed_when_drawn(chat):
    assert all(map(is_short, chat(response_format=STRUCTURED, max_tokens=300, temperature=1, seed=1, n=3).choices))


def test_a_json_schema_is_followed_in_a_stream(chat):
    whole = chat(response_format=STRUCTURED, max_tokens=300).choices[0].message.content
    assert joined(chat(response_format=STRUCTURED, max_tokens=300, stream=True)) == whole


def test_a_cut_structured_answer_ends_with_length(chat):
    assert chat(response_format=STRUCTURED, max_tokens=3).choices[0].finish_reason == "length"


def test_parse_gives_an_object_of_the_given_class(client, model):
    class Verdict(pydantic.BaseModel):
        kind: Literal["boat", "ramp"]
        certain: bool

    asked = {"model": model, "messages": HELLO, "temperature": 0, "max_tokens": 200}
    try:
        parsed = client.chat.completions.parse(**asked, response_format=Verdict).choices[0].message.parsed
    except openai.LengthFinishReasonError as error:  # what the client makes of an answer that was cut
        parsed = (error.completion.choices[0].message.content or "").lstrip().startswith("{")
    assert parsed is True or isinstance(parsed, Verdict)


def test_json_object_begins_an_object(chat):
    messages = [{"role": "user", "content": "What is a slipway? Answer as JSON."}]
    answer = chat(messages, response_format={"type": "json_object"}, max_tokens=200)
    text = answer.choices[0].message.content
    assert text.lstrip().startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


def test_the_format_text_changes_nothing(chat):
    assert chat(response_format={"type": "text"}).choices[0].message.content == chat().choices[0].message.content


# Tools


def test_tools_may_be_offered_and_not_be_used(chat):
    choice = chat(tools=[TOOL], tool_choice="none").choices[0]
    assert not choice.message.tool_calls
    assert choice.message.content


def test_a_named_tool_is_called(chat):
    named = {"type": "function", "function": {"name": "depth"}}
    message = chat(tools=[STRICT_TOOL], tool_choice=named, max_tokens=200).choices[0].message
    (call,) = message.tool_calls
    assert (call.type, call.function.name) == ("function", "depth")
    assert call.id
    assert set(json.loads(call.function.arguments)) == {"at"}


def test_a_required_tool_is_called(chat):
    other = {"type": "function", "function": {"name": "tide", "parameters": STRICT}}
    choice = chat(tools=[STRICT_TOOL, other], tool_choice="required", max_tokens=300).choices[0]
    assert choice.finish_reason == "tool_calls"
    for call in choice.message.tool_calls:
        assert call.function.name in {"depth", "tide"}
        assert set(json.loads(call.function.arguments)) == {"at"}


def test_a_called_tool_streams(chat):
    named = {"type": "function", "function": {"name": "depth"}}
    options = {"tools": [STRICT_TOOL], "tool_choice": named, "max_tokens": 200}
    whole = chat(**options).choices[0].message.tool_calls[0]
    calls = [
        call
        for chunk in chat(**options, stream=True)
        for choice in chunk.choices
        for call in choice.delta.tool_calls or []
    ]
    assert calls[0].id
    assert calls[0].function.name == "depth"
    assert {call.index for call in calls} == {0}
    assert "".join(call.function.arguments or "" for call in calls) == whole.function.arguments


# Messages


def test_content_may_come_in_parts(chat):
    parts = [{"type": "text", "text": "What is a slipway?"}]
    assert chat([{"role": "user", "content": parts}]).choices[0].message.content == chat().choices[0].message.content


def test_developer_is_system(chat):
    asked = [{"role": "developer", "content": "Be brief."}, *HELLO]
    same = [{"role": "system", "content": "Be brief."}, *HELLO]
    assert chat(asked).choices[0].message.content == chat(same).choices[0].message.content


def test_history_counts_towards_the_prompt(chat):
    longer = [*HELLO, {"role": "assistant", "content": "A ramp."}, {"role": "user", "content": "Why?"}]
    assert chat(longer).usage.prompt_tokens > chat().usage.prompt_tokens


def test_tools_and_tool_messages_are_taken(chat):
    call = {"id": "1", "type": "function", "function": {"name": "depth", "arguments": "{}"}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "7"},
    ]
    assert chat(messages, tools=[TOOL]).choices[0].finish_reason in {"stop", "length"}


def test_a_user_label_is_taken(chat):
    assert chat(user="somebody").choices


# Errors


def refused(call, kind, **options):
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
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"logit_bias": {"5": 101}}, "logit_bias"),
        ({"response_format": {"type": "yaml"}}, "response_format"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages"),
        ({"messages": []}, "messages"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_out_of_range_is_a_400_that_names_the_parameter(chat, options, param):
    body = refused(chat, openai.BadRequestError, **options)
    assert param in f"{body['param']} {body['message']}"


def test_a_bad_request_is_an_invalid_request_error(chat):
    assert refused(chat, openai.BadRequestError, temperature=-1)["type"] == "invalid_request_error"


def test_a_missing_parameter_is_a_400(endpoint, model):
    answer = endpoint.http().post("/v1/chat/completions", json={"model": model})
    assert answer.status_code == 400
    assert "messages" in answer.json()["error"]["message"]


def test_an_unknown_model_is_a_404(client):
    with pytest.raises(openai.NotFoundError, match="nobody/nothing"):
        client.chat.completions.create(model="nobody/nothing", messages=HELLO)


def test_a_missing_key_is_a_401(endpoint, model):
    answer = httpx.post(f"{endpoint.url}/v1/chat/completions", json={"model": model, "messages": HELLO})
    assert answer.status_code == 401
    assert answer.json()["error"]["message"]


def test_a_wrong_key_is_an_authentication_error(endpoint):
    with pytest.raises(openai.AuthenticationError):
        endpoint.openai("wrong").models.list()


def test_broken_json_is_a_400(endpoint):
    answer = endpoint.http().post("/v1/chat/completions", content=b"{")
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_too_long_a_prompt_is_refused(chat):
    body = refused(chat, openai.BadRequestError, messages=[{"role": "user", "content": "far too long " * 320}])
    assert "context" in body["message"]


def test_an_unknown_route_is_a_404(endpoint):
    answer = endpoint.http().post("/v1/no/such/route", json={})
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_the_wrong_method_is_refused(endpoint):
    assert endpoint.http().get("/v1/chat/completions").status_code in {404, 405}


# Models


def test_models_are_listed(client, model):
    models = client.models.list()
    assert model in {one.id for one in models}
    assert {one.object for one in models} == {"model"}


def test_a_model_is_retrieved_by_its_name(client, model):
    assert client.models.retrieve(model).id == model


def test_an_unknown_model_is_not_retrieved(client):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody/nothing")


# Plain completions


def test_a_completion_has_its_shape(complete):
    answer = complete()
    assert answer.object == "text_completion"
    assert answer.id
    assert answer.usage.completion_tokens == 4
    assert answer.choices[0].finish_reason == "length"


def test_several_prompts_are_completed_in_their_order(complete):
    both = complete(prompt=["A ramp on", "The sea is"])
    assert [choice.index for choice in both.choices] == [0, 1]
    assert both.choices[1].text == complete(prompt="The sea is").choices[0].text


def test_a_prompt_may_be_tokens(complete):
    answer = complete(prompt=[300, 301, 302])
    assert answer.usage.prompt_tokens == 3
    assert isinstance(answer.choices[0].text, str)


def test_prompts_of_tokens_may_be_several(complete):
    both = complete(prompt=[[300, 301, 302], [303]])
    assert [choice.index for choice in both.choices] == [0, 1]
    assert both.choices[0].text == complete(prompt=[300, 301, 302]).choices[0].text


def test_n_completions_of_each_prompt(complete):
    answer = complete(prompt=["A ramp on", "The sea is"], n=2, temperature=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]


def test_echo_gives_the_prompt_back_too(complete):
    assert complete(echo=True).choices[0].text == "A ramp on" + complete().choices[0].text


def test_a_completion_has_sixteen_tokens_at_most_unless_more_are_asked_for(client, model):
    answer = client.completions.create(model=model, prompt="A ramp on", temperature=0)
    assert answer.usage.completion_tokens <= 16


def test_a_stop_string_ends_a_completion(complete):
    whole = complete(max_tokens=20).choices[0].text
    answer = complete(max_tokens=20, stop=whole[4:7])
    assert answer.choices[0].text == whole[: whole.index(whole[4:7])]
    assert answer.choices[0].finish_reason == "stop"


def test_completions_stream(complete):
    chunks = list(complete(stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == complete().choices[0].text


def test_completion_logprobs(complete):
    logprobs = complete(logprobs=2).choices[0].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == 4
    assert logprobs.text_offset[0] == 0
    assert logprobs.text_offset == sorted(logprobs.text_offset)
    assert all(len(top) == 2 for top in logprobs.top_logprobs)


def test_completion_usage_in_a_stream(complete):
    chunks = list(complete(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 4
