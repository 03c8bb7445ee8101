"""Chat completions: the shape of an answer, its length, sampling, stops, streams and log probabilities."""

import json

import openai

from tests.contract.inference.conformance.conftest import HELLO, Ask, joined
from tests.contract.inference.conftest import Endpoint

# The answer's shape


def test_id_object_created_and_model(chat: Ask, model: str):
    answer = chat()
    assert isinstance(answer.id, str)
    assert answer.id
    assert answer.object == "chat.completion"
    assert answer.created > 1_700_000_000
    assert answer.model == model


def test_ids_differ(chat: Ask):
    assert chat().id != chat().id


def test_one_choice_with_index_zero(chat: Ask):
    answer = chat()
    assert [choice.index for choice in answer.choices] == [0]
    assert answer.choices[0].message.role == "assistant"
    assert isinstance(answer.choices[0].message.content, str)


def test_usage_adds_up(chat: Ask):
    usage = chat().usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_logprobs_are_null_unless_asked_for(chat: Ask):
    assert chat().choices[0].logprobs is None


# Length


def test_max_tokens_cuts_with_length(chat: Ask):
    answer = chat(max_tokens=2)
    assert answer.usage.completion_tokens == 2
    assert answer.choices[0].finish_reason == "length"


def test_max_completion_tokens_is_its_newer_name(chat: Ask, client: openai.OpenAI, model: str):
    answer = client.chat.completions.create(model=model, messages=HELLO, temperature=0, max_completion_tokens=3)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_without_a_limit_the_answer_ends_by_itself(client: openai.OpenAI, model: str):
    answer = client.chat.completions.create(model=model, messages=HELLO, temperature=0)
    assert answer.choices[0].finish_reason == "stop"


# Sampling


def test_temperature_zero_repeats_itself(chat: Ask):
    assert len({chat(max_tokens=12).choices[0].message.content for _ in range(3)}) == 1


def test_a_seed_repeats_itself(chat: Ask):
    texts = {chat(temperature=2, seed=5, max_tokens=12).choices[0].message.content for _ in range(3)}
    assert len(texts) == 1


def test_high_temperature_varies(chat: Ask):
    texts = {chat(temperature=2, max_tokens=20).choices[0].message.content for _ in range(6)}
    assert len(texts) > 1


def test_a_tiny_top_p_is_greedy(chat: Ask):
    greedy = chat(max_tokens=12).choices[0].message.content
    assert chat(temperature=2, top_p=0.0001, max_tokens=12).choices[0].message.content == greedy


def test_logit_bias_bans_a_token(chat: Ask):
    first = chat(max_tokens=1, logprobs=True).choices[0].message.content
    ids = {str(n): -100 for n in range(700)}
    assert chat(max_tokens=1, logit_bias=ids).choices[0].message.content != first


def test_presence_and_frequency_penalties_are_taken(chat: Ask):
    assert chat(presence_penalty=1.5, frequency_penalty=-1.5).choices[0].finish_reason in {"stop", "length"}


# n


def test_n_gives_n_choices(chat: Ask):
    answer = chat(n=3, temperature=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.message.role == "assistant" for choice in answer.choices)


def test_n_counts_every_completion_token(chat: Ask):
    answer = chat(n=2, max_tokens=3, temperature=1, logprobs=True)
    assert answer.usage.completion_tokens >= sum(len(choice.logprobs.content) for choice in answer.choices) > 0


def test_n_streams_every_choice(chat: Ask):
    chunks = list(chat(n=2, stream=True, max_tokens=4, temperature=1))
    assert {chunk.choices[0].index for chunk in chunks if chunk.choices} == {0, 1}


# Stop


def test_a_stop_string_ends_the_answer_and_is_not_in_it(chat: Ask):
    whole = chat(max_tokens=30).choices[0].message.content
    stop = whole[6:9]
    answer = chat(max_tokens=30, stop=stop)
    assert answer.choices[0].message.content == whole[: whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


def test_several_stop_strings(chat: Ask):
    whole = chat(max_tokens=30).choices[0].message.content
    answer = chat(max_tokens=30, stop=["never-there", whole[4:6]])
    assert answer.choices[0].message.content == whole[: whole.index(whole[4:6])]


def test_a_stop_string_works_in_a_stream(chat: Ask):
    whole = chat(max_tokens=30).choices[0].message.content
    chunks = list(chat(max_tokens=30, stop=whole[6:9], stream=True))
    assert joined(chunks) == whole[: whole.index(whole[6:9])]
    assert chunks[-1].choices[0].finish_reason == "stop"


# Streaming


def test_chunks_share_an_id_and_are_chunks(chat: Ask):
    chunks = list(chat(stream=True))
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}


def test_the_first_chunk_has_the_role(chat: Ask):
    assert next(iter(chat(stream=True))).choices[0].delta.role == "assistant"


def test_only_the_last_chunk_has_a_finish_reason(chat: Ask):
    reasons = [chunk.choices[0].finish_reason for chunk in chat(stream=True)]
    assert all(reason is None for reason in reasons[:-1])
    assert reasons[-1] == "length"


def test_a_stream_says_what_the_whole_says(chat: Ask):
    assert joined(chat(stream=True, max_tokens=20)) == chat(max_tokens=20).choices[0].message.content


def test_a_stream_has_no_usage_unless_asked_for(chat: Ask):
    assert all(chunk.usage is None for chunk in chat(stream=True))


def test_include_usage_adds_a_last_chunk_without_choices(chat: Ask):
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == chat().usage.total_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_stream_is_event_stream_and_ends_with_done(endpoint: Endpoint, model: str):
    body = {"model": model, "messages": HELLO, "stream": True, "max_tokens": 3}
    with endpoint.http().stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    assert all(json.loads(event[6:])["choices"] is not None for event in events[:-1])


def test_the_streaming_helper_of_the_client_works(client: openai.OpenAI, model: str):
    with client.chat.completions.stream(model=model, messages=HELLO, temperature=0) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content


# Logprobs


def test_logprobs_cover_every_token(chat: Ask):
    answer = chat(logprobs=True, max_tokens=5)
    content = answer.choices[0].logprobs.content
    assert "".join(token.token for token in content) == answer.choices[0].message.content
    assert all(token.logprob <= 0 for token in content)
    assert bytes(b for token in content for b in token.bytes).decode() == answer.choices[0].message.content


def test_top_logprobs_are_sorted_and_hold_the_greedy_token(chat: Ask):
    for token in chat(logprobs=True, top_logprobs=4, max_tokens=3).choices[0].logprobs.content:
        values = [top.logprob for top in token.top_logprobs]
        assert len(values) == 4
        assert values == sorted(values, reverse=True)
        assert token.token == token.top_logprobs[0].token


def test_logprobs_stream_too(chat: Ask):
    chunks = list(chat(logprobs=True, stream=True, max_tokens=4))
    assert sum(len(c.choices[0].logprobs.content) for c in chunks if c.choices and c.choices[0].logprobs) == 4


def test_a_seeded_draw_repeats_with_logprobs(chat: Ask):
    options = {"temperature": 1, "seed": 3, "logprobs": True, "top_logprobs": 2, "max_tokens": 6}
    once, again = (chat(**options).choices[0].logprobs.content for _ in range(2))
    assert [token.token for token in once] == [token.token for token in again]
