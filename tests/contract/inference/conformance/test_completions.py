"""Plain completions."""

import openai

from tests.contract.inference.conformance.conftest import Ask


def test_a_completion_has_its_shape(complete: Ask):
    answer = complete()
    assert answer.object == "text_completion"
    assert answer.id
    assert answer.usage.completion_tokens == 4
    assert answer.choices[0].finish_reason == "length"


def test_several_prompts_are_completed_in_their_order(complete: Ask):
    both = complete(prompt=["A ramp on", "The sea is"])
    assert [choice.index for choice in both.choices] == [0, 1]
    assert both.choices[1].text == complete(prompt="The sea is").choices[0].text


def test_a_prompt_may_be_tokens(complete: Ask):
    answer = complete(prompt=[300, 301, 302])
    assert answer.usage.prompt_tokens == 3
    assert isinstance(answer.choices[0].text, str)


def test_prompts_of_tokens_may_be_several(complete: Ask):
    both = complete(prompt=[[300, 301, 302], [303]])
    assert [choice.index for choice in both.choices] == [0, 1]
    assert both.choices[0].text == complete(prompt=[300, 301, 302]).choices[0].text


def test_n_completions_of_each_prompt(complete: Ask):
    answer = complete(prompt=["A ramp on", "The sea is"], n=2, temperature=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]


def test_echo_gives_the_prompt_back_too(complete: Ask):
    assert complete(echo=True).choices[0].text == "A ramp on" + complete().choices[0].text


def test_a_completion_has_sixteen_tokens_at_most_unless_more_are_asked_for(client: openai.OpenAI, model: str):
    answer = client.completions.create(model=model, prompt="A ramp on", temperature=0)
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 16


def test_a_stop_string_ends_a_completion(complete: Ask):
    whole = complete(max_tokens=20).choices[0].text
    answer = complete(max_tokens=20, stop=whole[4:7])
    assert answer.choices[0].text == whole[: whole.index(whole[4:7])]
    assert answer.choices[0].finish_reason == "stop"


def test_completions_stream(complete: Ask):
    chunks = list(complete(stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == complete().choices[0].text


def test_completion_logprobs(complete: Ask):
    logprobs = complete(logprobs=2).choices[0].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == 4
    assert logprobs.text_offset[0] == 0
    assert logprobs.text_offset == sorted(logprobs.text_offset)
    assert all(len(top) == 2 for top in logprobs.top_logprobs)


def test_completion_usage_in_a_stream(complete: Ask):
    chunks = list(complete(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 4


def test_echo_with_logprobs_tells_how_likely_the_prompt_was(complete: Ask):
    choice = complete(echo=True, logprobs=1, max_tokens=2).choices[0]
    told = choice.logprobs
    assert "".join(told.tokens) == choice.text
    assert told.token_logprobs[0] is None
    assert all(value <= 0 for value in told.token_logprobs[1:])
    assert all(
        choice.text[place:].startswith(token) for place, token in zip(told.text_offset, told.tokens, strict=True)
    )
