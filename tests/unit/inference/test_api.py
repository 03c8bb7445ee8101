"""From a request's sampling parameters to the engine's: each reaches its own field, and only that one."""

from dataclasses import asdict, fields
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from inference.engine.schedule.sequence import SamplingParams
from inference.messages import ApiError, ChatRequest, CompletionRequest, Sampling, parse, sampling_params

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
PLAIN = {"model": "m", "prompt": "x"}

# What a request says → what the engine gets.
MAPPED = {
    "temperature": [(0, {"temperature": 0.0}), (0.3, {"temperature": 0.3}), (2, {"temperature": 2.0})],
    "top_p": [(0.25, {"top_p": 0.25}), (1, {"top_p": 1.0})],
    "top_k": [(7, {"top_k": 7}), (0, {"top_k": 0}), (-1, {"top_k": 0})],
    "min_p": [(0.125, {"min_p": 0.125}), (0, {"min_p": 0.0}), (1, {"min_p": 1.0})],
    "presence_penalty": [(1.5, {"presence_penalty": 1.5}), (-2, {"presence_penalty": -2.0})],
    "frequency_penalty": [(0.75, {"frequency_penalty": 0.75}), (-2, {"frequency_penalty": -2.0})],
    "repetition_penalty": [(1.25, {"repetition_penalty": 1.25}), (0.5, {"repetition_penalty": 0.5})],
    "seed": [(5, {"seed": 5}), (0, {"seed": 0}), (-3, {"seed": -3})],
    "stop": [("a", {"stop": ("a",)}), (["a", "b c"], {"stop": ("a", "b c")}), ([], {"stop": ()})],
    "logit_bias": [({"3": -100, "49": 1.5}, {"logit_bias": {3: -100.0, 49: 1.5}}), ({}, {"logit_bias": {}})],
    "ignore_eos": [(True, {"ignore_eos": True})],
}
# What is no matter of drawing a token: read elsewhere, or by nobody.
ELSEWHERE = {"model", "stream", "stream_options", "n"}
CACHE = {"prompt_cache_key", "prompt_cache_retention"}
HINTS = {"user", "metadata", "store", "service_tier", "safety_identifier", "prediction", "snippy"} | CACHE
CASES = [(name, given, expected) for name, pairs in MAPPED.items() for given, expected in pairs]


def mapped(kind: type[ChatRequest] | type[CompletionRequest], body: dict[str, Any], **options: Any):
    return sampling_params(parse(kind, orjson.dumps(body)), 9, options.get("logprobs"), 50)


@pytest.mark.parametrize(("name", "given", "expected"), CASES, ids=str)
@pytest.mark.parametrize(("kind", "body"), [(ChatRequest, CHAT), (CompletionRequest, PLAIN)], ids=["chat", "plain"])
def test_a_parameter_reaches_its_field_and_no_other(
    kind: type[ChatRequest] | type[CompletionRequest],
    body: dict[str, Any],
    name: str,
    given: object,
    expected: dict[str, Any],
):
    open_ones = asdict(mapped(kind, body))
    assert asdict(mapped(kind, {**body, name: given})) == {**open_ones, **expected}


def test_what_a_request_leaves_open_or_null_has_the_apis_defaults():
    defaults = SamplingParams(max_tokens=9, temperature=1.0, top_p=1.0)
    nothing = {name: None for name in MAPPED if name != "ignore_eos"}
    for kind, body in ((ChatRequest, CHAT), (CompletionRequest, PLAIN)):
        assert mapped(kind, body) == mapped(kind, {**body, **nothing}) == defaults


def test_length_and_logprobs_are_what_the_caller_worked_out():
    params = mapped(ChatRequest, CHAT, logprobs=4)
    assert (params.max_tokens, params.logprobs) == (9, 4)


def test_no_parameter_is_forgotten_on_either_side():
    """A parameter that is added to the API or to the engine has to be added here too."""
    assert set(MAPPED) | ELSEWHERE | HINTS == set(Sampling.model_fields)
    reached = {field for pairs in MAPPED.values() for _, expected in pairs for field in expected}
    assert reached | {"max_tokens", "logprobs", "grammar", "special", "prompt_logprobs"} == {
        field.name for field in fields(SamplingParams)
    }


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("top_p", 1.1),
        ("top_k", -2),
        ("top_k", 1.5),
        ("min_p", -0.1),
        ("min_p", 1.1),
        ("presence_penalty", 2.1),
        ("frequency_penalty", -2.1),
        ("repetition_penalty", 0),
        ("repetition_penalty", 4.1),
        ("seed", 1.5),
        ("stop", ["a"] * 65),
        ("logit_bias", {"3": 101}),
        ("logit_bias", {"50": 1}),
        ("logit_bias", {"x": 1}),
        ("logit_bias", {"-1": 1}),
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused_by_name(name: str, given: dict[str, Any] | float | list[str]):
    with pytest.raises(ApiError) as caught:
        mapped(ChatRequest, {**CHAT, name: given})
    assert caught.value.status == 400
    assert (caught.value.param or "").split(".")[0] == name


NO_PROMPT = {
    "token": ([5] * 1000 + ["x"], "prompt.1000", "a valid integer"),
    "text": (["x"] * 1000 + [5], "prompt.1000", "a valid string"),
    "tokens": ([[5], [5] * 1000 + ["x"]], "prompt.1.1000", "a valid integer"),
    "list": ([5] * 1000 + [[5]], "prompt.1000", "a valid integer"),
    "number": (5, "prompt", "a valid string or Input should be a valid list"),
    "deep": ([[[5]]], "prompt.0.0", "a valid integer"),
}


@pytest.mark.parametrize(("prompt", "param", "said"), NO_PROMPT.values(), ids=NO_PROMPT)
def test_the_element_that_makes_it_no_prompt_is_named(prompt: int | list[Any], param: str, said: str):
    with pytest.raises(ApiError, match=said) as caught:
        parse(CompletionRequest, orjson.dumps({"model": "m", "prompt": prompt}))
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("prompt", ["x", ["x", "y"], [5, 6], [[5, 6], [7]]], ids=str)
def test_every_kind_of_prompt_stays_what_it_is(prompt: list[Any] | list[int] | list[str] | str):
    assert parse(CompletionRequest, orjson.dumps({"model": "m", "prompt": prompt})).prompt == prompt


WRONG = {
    "image": ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.type"),
    "no content": ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    "many stops": ({"stop": ["a"] * 65}, "stop"),
    "part without its text": ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0"),
    "no stop": ({"stop": ["a", 5]}, "stop.1"),
    "choice": ({"tool_choice": "always"}, "tool_choice"),
    "named": ({"tool_choice": {"type": "function", "function": {"name": 5}}}, "tool_choice.function.name"),
    "switch": ({"chat_template_kwargs": {"tools": [5]}}, "chat_template_kwargs.tools.bool"),
    "audio": ({"modalities": ["text", "audio"]}, "modalities.1"),
    "functions": ({"functions": [{"name": "f"}]}, "functions"),
    "search": ({"web_search_options": {}}, "web_search_options"),
}


@pytest.mark.parametrize(("body", "param"), WRONG.values(), ids=WRONG)
def test_errors_name_the_parameter_as_the_caller_wrote_it(body: dict[str, Any], param: str):
    with pytest.raises(ApiError) as caught:
        parse(ChatRequest, orjson.dumps({**CHAT, **body}))
    assert (caught.value.status, caught.value.param) == (400, param)


MANY = 300_000
BULK = {
    "messages": {"messages": [1] * MANY},
    "empty messages": {"messages": [{}] * MANY},
    "tools": {"tools": [1] * MANY},
    "parameters": {f"p{number}": 1 for number in range(MANY)},
    "biases": {"logit_bias": {str(number): "x" for number in range(MANY)}},
    "stops": {"stop": [5] * MANY},
    "parts": {"messages": [{"role": "user", "content": [5] * MANY}]},
    "prompts": {"prompt": [["x"]] * MANY},
}


@pytest.mark.parametrize("name", BULK)
def test_a_large_wrong_body_makes_no_long_list_of_errors(name: str):
    """Writing one takes seconds, in which nobody's stream goes on."""
    kind, body = (CompletionRequest, PLAIN) if name == "prompts" else (ChatRequest, CHAT)
    with pytest.raises(ApiError) as caught:
        parse(kind, orjson.dumps({**body, **BULK[name]}))
    cause = caught.value.__cause__
    assert caught.value.status == 400
    assert cause is None or (isinstance(cause, ValidationError) and cause.error_count() < 6)


def test_a_large_right_body_is_taken():
    talk = {"model": "m", "messages": [CHAT["messages"][0]] * 10_000, "tools": [{"a": list(range(200_000))}]}
    assert len(parse(ChatRequest, orjson.dumps(talk)).messages) == 10_000


@pytest.mark.parametrize("token", ["50", "-1", "9" * 5000, "x", ""])
def test_a_bias_of_a_token_that_is_none_is_refused(token: str):
    with pytest.raises(ApiError, match="unknown token") as caught:
        mapped(ChatRequest, {**CHAT, "logit_bias": {token: 1}})
    assert (caught.value.status, caught.value.param) == (400, "logit_bias")


@pytest.mark.parametrize("kind", [ChatRequest, CompletionRequest])
def test_null_is_what_was_not_given_whatever_its_name(kind: type[ChatRequest] | type[CompletionRequest]):
    body = CHAT if kind is ChatRequest else PLAIN
    nothing = {name: None for name in (*kind.model_fields, "functions", "audio", "no_such_thing") if name not in body}
    assert parse(kind, orjson.dumps({**body, **nothing})) == parse(kind, orjson.dumps(body))


HINTED = {
    "store": True,
    "service_tier": "flex",
    "verbosity": "medium",
    "metadata": {"purpose": {"a": 1}},
    "prediction": {"type": "content", "content": "x"},
    "modalities": ["text"],
    "prompt_cache_retention": "24h",
    "snippy": {"enabled": False},
    "user": "someone",
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
}


@pytest.mark.parametrize("name", HINTED)
def test_a_hint_that_changes_nothing_is_taken(name: str):
    assert mapped(ChatRequest, {**CHAT, name: HINTED[name]}) == mapped(ChatRequest, CHAT)


def plain(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    asked = parse(ChatRequest, orjson.dumps({"model": "m", "messages": messages}))
    return [message.plain() for message in asked.messages]


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def test_what_clients_keep_on_messages_for_themselves_is_dropped():
    """The SDK's own message given back, with all its nulls; marks of editors; a list of calls that is empty."""
    own = {"role": "assistant", "content": "At noon.", "refusal": None, "annotations": [], "audio": None}
    own |= {"function_call": None, "tool_calls": None, "copilot_cache_control": {"type": "ephemeral"}, "id": "m1"}
    assert plain(own) == [{"role": "assistant", "content": "At noon."}]
    assert plain({"role": "assistant", "content": "", "tool_calls": []}) == [{"role": "assistant", "content": ""}]
    marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    assert plain({"role": "user", "content": [marked], "type": "text"}) == [{"role": "user", "content": "x"}]


def test_a_refusal_is_text_that_an_assistant_said():
    assert plain({"role": "assistant", "content": None, "refusal": "No."})[0]["content"] == "No."
    part = {"type": "refusal", "refusal": "No."}
    assert plain({"role": "assistant", "content": [part]})[0]["content"] == "No."


def test_a_calls_arguments_are_an_object_where_they_are_json_and_stay_where_they_are_not():
    cut = {**CALL, "function": {"name": "f", "arguments": '{"a": '}}
    whole, broken = plain({"role": "assistant", "content": None, "tool_calls": [CALL, cut]})[0]["tool_calls"]
    assert whole["function"]["arguments"] == {"a": 1}
    assert broken["function"]["arguments"] == '{"a": '


def test_effort_none_switches_thinking_off_unless_a_switch_says_otherwise():
    def switches(**more: object) -> dict[str, Any]:
        return dict(parse(ChatRequest, orjson.dumps({**CHAT, **more})).switches)

    assert switches() == {}
    assert switches(reasoning_effort="none") == {"reasoning_effort": "none", "enable_thinking": False}
    assert switches(reasoning_effort="none", chat_template_kwargs={"enable_thinking": True})["enable_thinking"] is True


def test_errors_that_may_pass_say_when_to_ask_again():
    for status in (429, 500, 503):
        assert int(ApiError(status, "x", code="c").response().headers["retry-after"]) > 0
    assert "retry-after" not in ApiError(400, "x").response().headers
