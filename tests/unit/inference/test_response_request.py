"""What the input of a response means as a chat."""

from __future__ import annotations

from typing import Any

import pytest

from inference.api.response_request import ResponsesRequest, messages_of

CALL = {"type": "function_call", "call_id": "a1", "name": "f", "arguments": "{}", "id": "fc_1", "status": "completed"}
CALLED = {"id": "a1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OUTPUT = {"type": "function_call_output", "call_id": "a1", "output": "21"}
RESULT = {"role": "tool", "tool_call_id": "a1", "content": "21"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes", "annotations": []}]}


@pytest.mark.parametrize(
    ("items", "messages"),
    [
        ([{"role": "user", "content": "x"}], [{"role": "user", "content": "x"}]),
        (
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": t} for t in "ab"]}],
            [{"role": "user", "content": "ab"}],
        ),
        ([CALL, OUTPUT], [{"role": "assistant", "tool_calls": [CALLED]}, RESULT]),
        (
            [THOUGHT, SAID, CALL, CALL, OUTPUT, OUTPUT],
            [
                {
                    "role": "assistant",
                    "reasoning_content": "Hm.",
                    "content": "Yes",
                    "tool_calls": [CALLED, CALLED],
                },
                RESULT,
                RESULT,
            ],
        ),
        ([CALL, OUTPUT, CALL, OUTPUT], [{"role": "assistant", "tool_calls": [CALLED]}, RESULT] * 2),
        ([SAID, SAID], [{"role": "assistant", "content": "Yes"}] * 2),
        ([CALL, SAID], [{"role": "assistant", "tool_calls": [CALLED]}, {"role": "assistant", "content": "Yes"}]),
        ([{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}, SAID], [
            {"role": "assistant", "content": "Yes"}
        ]),
        ([{**OUTPUT, "output": [{"type": "input_text", "text": "21"}]}], [RESULT]),
        ([{"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}], [
            {"role": "assistant", "content": "No"}
        ]),
    ],
)  # fmt: skip
def test_items_become_messages(items: list[dict[str, Any]], messages: list[dict[str, Any]]):
    assert messages_of(items) == messages


def test_what_is_asked_reaches_the_chat():
    asked = ResponsesRequest.model_validate(
        {
            "model": "m",
            "input": "x",
            "instructions": "Be brief.",
            "max_output_tokens": 5,
            "temperature": 0.5,
            "reasoning": {"effort": "none", "summary": "auto"},
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {}, "strict": None}],
            "tool_choice": {"type": "function", "name": "f"},
            "parallel_tool_calls": False,
            "text": {"format": {"type": "json_object"}, "verbosity": "low"},
            "store": True,
            "include": ["reasoning.encrypted_content"],
            "stream": None,
        }
    ).as_chat()
    assert [message.plain() for message in asked.messages] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "x"},
    ]
    assert (asked.max_completion_tokens, asked.temperature, asked.parallel_tool_calls) == (5, 0.5, False)
    assert asked.switches == {"reasoning_effort": "none", "enable_thinking": False}
    assert asked.tools == [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}]
    assert asked.tool_choice is not None
    assert asked.response_format is not None
    assert asked.response_format.type == "json_object"
