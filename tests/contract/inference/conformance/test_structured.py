"""Answers that follow a schema, and tools that are called."""

import json
from typing import Any, Literal

import openai
import pydantic

from tests.contract.inference.conformance.conftest import HELLO, TOOL, Ask, joined

SHORT = {
    "type": "object",
    "properties": {"answer": {"type": "string", "maxLength": 12}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}
STRUCTURED = {"type": "json_schema", "json_schema": {"name": "short", "schema": SHORT, "strict": True}}
STRICT = {
    "type": "object",
    "properties": {"at": {"type": "string", "maxLength": 8}},
    "required": ["at"],
    "additionalProperties": False,
}
STRICT_TOOL = {"type": "function", "function": {"name": "depth", "parameters": STRICT}}


# Structured output


def is_short(choice: Any) -> bool:
    """Whether an answer follows the schema, or was cut while it did."""
    if choice.finish_reason == "length":
        return choice.message.content.lstrip().startswith("{")
    said = json.loads(choice.message.content)
    return set(said) == {"answer", "sure"} and isinstance(said["answer"], str) and isinstance(said["sure"], bool)


def test_a_json_schema_is_followed(chat: Ask):
    choice = chat(response_format=STRUCTURED, max_tokens=300).choices[0]
    assert is_short(choice)
    assert choice.message.refusal is None


def test_a_json_schema_is_followed_when_drawn(chat: Ask):
    assert all(map(is_short, chat(response_format=STRUCTURED, max_tokens=300, temperature=1, seed=1, n=3).choices))


def test_a_json_schema_is_followed_in_a_stream(chat: Ask):
    whole = chat(response_format=STRUCTURED, max_tokens=300).choices[0].message.content
    assert joined(chat(response_format=STRUCTURED, max_tokens=300, stream=True)) == whole


def test_a_cut_structured_answer_ends_with_length(chat: Ask):
    assert chat(response_format=STRUCTURED, max_tokens=3).choices[0].finish_reason == "length"


def test_parse_gives_an_object_of_the_given_class(client: openai.OpenAI, model: str):
    class Verdict(pydantic.BaseModel):
        kind: Literal["boat", "ramp"]
        certain: bool

    asked: dict[str, Any] = {"model": model, "messages": HELLO, "temperature": 0, "max_tokens": 200}
    try:
        parsed = client.chat.completions.parse(**asked, response_format=Verdict).choices[0].message.parsed
    except openai.LengthFinishReasonError as error:  # what the client makes of an answer that was cut
        parsed = (error.completion.choices[0].message.content or "").lstrip().startswith("{")
    assert parsed is True or isinstance(parsed, Verdict)


def test_json_object_begins_an_object(chat: Ask):
    messages = [{"role": "user", "content": "What is a slipway? Answer as JSON."}]
    answer = chat(messages, response_format={"type": "json_object"}, max_tokens=200)
    text = answer.choices[0].message.content
    assert text.lstrip().startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


def test_the_format_text_changes_nothing(chat: Ask):
    assert chat(response_format={"type": "text"}).choices[0].message.content == chat().choices[0].message.content


# Tools


def test_tools_may_be_offered_and_not_be_used(chat: Ask):
    choice = chat(tools=[TOOL], tool_choice="none").choices[0]
    assert not choice.message.tool_calls
    assert choice.message.content


def test_a_named_tool_is_called(chat: Ask):
    named = {"type": "function", "function": {"name": "depth"}}
    message = chat(tools=[STRICT_TOOL], tool_choice=named, max_tokens=200).choices[0].message
    (call,) = message.tool_calls
    assert (call.type, call.function.name) == ("function", "depth")
    assert call.id
    assert set(json.loads(call.function.arguments)) == {"at"}


def test_a_required_tool_is_called(chat: Ask):
    other = {"type": "function", "function": {"name": "tide", "parameters": STRICT}}
    choice = chat(tools=[STRICT_TOOL, other], tool_choice="required", max_tokens=300).choices[0]
    assert choice.finish_reason == "tool_calls"
    for call in choice.message.tool_calls:
        assert call.function.name in {"depth", "tide"}
        assert set(json.loads(call.function.arguments)) == {"at"}


def test_a_called_tool_streams(chat: Ask):
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
