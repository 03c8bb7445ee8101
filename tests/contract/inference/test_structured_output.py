"""Structured output of the real server: schemas through the official client, streamed and whole, and what is refused."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal

import openai
import pytest
from pydantic import BaseModel, Field

from tests.contract.inference.conftest import Endpoint, Sample, Start

ASK: Any = [{"role": "user", "content": "What is a slipway?"}]


class Lock(BaseModel):
    width: Annotated[int, Field(ge=1, le=99)]
    open: bool


class Harbour(BaseModel):
    """A shape with optional, nested and repeated parts, as people write them."""

    name: Annotated[str, Field(max_length=10)]
    depth: Annotated[float, Field(ge=0, le=40, multiple_of=0.5)]
    kind: Literal["river", "sea"]
    tags: Annotated[list[Annotated[str, Field(max_length=4)]], Field(max_length=2)]
    lock: Lock | None


SHORT = {
    "type": "object",
    "properties": {"answer": {"type": "string", "maxLength": 20}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}


def asked(schema: dict[str, Any] = SHORT, **more: Any):
    return {"type": "json_schema", "json_schema": {"name": "short", "schema": schema, "strict": True, **more}}


def create(endpoint: Endpoint, sample: Sample, **options: Any):
    given: Any = {"model": sample.base, "messages": ASK, "max_tokens": 400, "response_format": asked(), **options}
    return endpoint.openai().chat.completions.create(**given)


@pytest.mark.parametrize("temperature", [0, 1])
def test_parse_gives_an_object_of_the_model(endpoint: Endpoint, sample: Sample, temperature: int):
    def one(seed: int):
        return endpoint.openai().chat.completions.parse(
            model=sample.adapter,
            messages=ASK,
            response_format=Harbour,
            temperature=temperature,
            seed=seed,
            max_tokens=1500,
        )

    for answer in map(one, range(4)):
        assert answer.choices[0].finish_reason == "stop"
        assert isinstance(answer.choices[0].message.parsed, Harbour)


def test_short_schemas_are_always_finished(endpoint: Endpoint, sample: Sample):
    for model in (sample.base, sample.adapter):
        for choice in create(endpoint, sample, model=model, n=4, seed=3, temperature=1.5).choices:
            assert choice.finish_reason == "stop"
            said = json.loads(choice.message.content)
            assert set(said) == {"answer", "sure"}
            assert len(said["answer"]) <= 20
            assert isinstance(said["sure"], bool)


def test_a_stream_says_the_same(endpoint: Endpoint, sample: Sample):
    whole = create(endpoint, sample, temperature=0).choices[0].message.content
    chunks = list(create(endpoint, sample, temperature=0, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_logprobs_cover_the_answer(endpoint: Endpoint, sample: Sample):
    choice = create(endpoint, sample, temperature=0, logprobs=True, top_logprobs=2).choices[0]
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content


def test_json_object_gives_an_object(endpoint: Endpoint, sample: Sample):
    answer = create(endpoint, sample, temperature=0, response_format={"type": "json_object"}, max_tokens=600)
    text = answer.choices[0].message.content
    assert text.startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


def test_a_schema_holds_in_its_own_row_only(endpoint: Endpoint, sample: Sample):
    """Free answers beside structured ones are what they are alone."""

    def free(question: dict[str, str]):
        return endpoint.openai().chat.completions.create(
            model=sample.base, messages=[{"role": "user", "content": question["question"]}], temperature=0
        )

    with ThreadPoolExecutor(12) as pool:
        structured = [pool.submit(create, endpoint, sample, seed=seed) for seed in range(6)]
        plain = [pool.submit(free, question) for question in sample.questions[:6]]
        for answer in structured:
            json.loads(answer.result().choices[0].message.content)
        for answer, question in zip(plain, sample.questions, strict=False):
            assert answer.result().choices[0].message.content == question["base"]


@pytest.mark.parametrize(
    ("given", "param", "said"),
    [
        (asked({"not": {}}), "response_format", "not"),
        (asked({"enum": ["x" * 70_000]}), "response_format", "65536"),
        (asked(name="two words"), "response_format.json_schema.name", "pattern"),
        (asked(unknown=1), "response_format.json_schema.unknown", "unsupported"),
        ({"type": "json_schema"}, "response_format.json_schema", "missing"),
        ({"type": "json_object", "json_schema": {"name": "x"}}, "response_format.json_schema", "json_object"),
        ({"type": "yaml"}, "response_format.type", "json_schema"),
        ({}, "response_format.type", "missing"),
    ],
    ids=str,
)
def test_what_cannot_be_followed_is_a_400_that_names_it(
    endpoint: Endpoint, sample: Sample, given: dict[str, Any], param: str, said: str
):
    with pytest.raises(openai.BadRequestError, match=said) as caught:
        create(endpoint, sample, response_format=given)
    assert caught.value.param == param


@pytest.mark.parametrize("field", ["guided_json", "guided_regex", "guided_choice", "structured_outputs"])
def test_the_fields_of_other_servers_are_refused_by_name(endpoint: Endpoint, sample: Sample, field: str):
    with pytest.raises(openai.BadRequestError) as caught:
        create(endpoint, sample, extra_body={field: {}})
    assert caught.value.param == field


def test_ignoring_the_end_does_not_go_with_a_schema(endpoint: Endpoint, sample: Sample):
    with pytest.raises(openai.BadRequestError) as caught:
        create(endpoint, sample, extra_body={"ignore_eos": True})
    assert caught.value.param == "ignore_eos"


def test_plain_completions_have_no_response_format(endpoint: Endpoint, sample: Sample):
    with pytest.raises(openai.BadRequestError) as caught:
        endpoint.openai().completions.create(
            model=sample.base, prompt="A ramp", extra_body={"response_format": asked()}
        )
    assert caught.value.param == "response_format"


def test_the_fallback_engine_follows_schemas_too(sample: Sample, start: Start):
    with start(sample.mount, SLIPWAY_ENGINE="transformers") as server:
        for choice in create(server, sample, n=2, seed=1).choices:
            assert set(json.loads(choice.message.content)) == {"answer", "sure"}


PLACE = {
    "type": "object",
    "properties": {"from": {"$ref": "#/$defs/spot"}, "to": {"$ref": "#/$defs/spot"}},
    "required": ["from", "to"],
    "additionalProperties": False,
    "$defs": {"spot": {"enum": ["pier", "lock"]}},
}
TOOLS = [
    {"type": "function", "function": {"name": "route", "parameters": PLACE}},
    {"type": "function", "function": {"name": "tide"}},
]


def call(endpoint: Endpoint, sample: Sample, **options: Any):
    given = {"tools": TOOLS, "tool_choice": "required", "response_format": None, **options}
    return create(endpoint, sample, **given)


def test_a_demanded_call_follows_its_tools_own_schema(endpoint: Endpoint, sample: Sample):
    seen = set()
    for choice in call(endpoint, sample, n=8, seed=1, temperature=2).choices:
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
        (made,) = choice.message.tool_calls
        arguments = json.loads(made.function.arguments)
        seen.add(made.function.name)
        if made.function.name == "route":
            assert set(arguments) == {"from", "to"}
            assert set(arguments.values()) <= {"pier", "lock"}
        else:
            assert (made.function.name, arguments) == ("tide", {})
    assert seen <= {"route", "tide"}


def test_a_demanded_call_streams_the_same(endpoint: Endpoint, sample: Sample):
    whole = call(endpoint, sample, temperature=0).choices[0].message.tool_calls[0].function
    chunks = list(call(endpoint, sample, temperature=0, stream=True))
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
    assert [part.function.name for part in parts if part.function.name] == [whole.name]
    assert "".join(part.function.arguments or "" for part in parts) == whole.arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert not any(chunk.choices[0].delta.content for chunk in chunks)


def test_a_cut_call_says_so(endpoint: Endpoint, sample: Sample):
    choice = call(endpoint, sample, temperature=0, max_tokens=2).choices[0]
    assert (choice.finish_reason, choice.message.tool_calls) == ("length", [])


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"tool_choice": {"type": "function", "function": {"name": "walk"}}}, "tool_choice"),
        ({"tools": []}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {"name": "two words"}}]}, "tools"),
        ({"tools": [{"type": "retrieval"}]}, "tools"),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "strict": True, "parameters": {"not": {}}}}]},
            "tools",
        ),
    ],
    ids=str,
)
def test_a_call_that_cannot_be_demanded_is_refused(
    endpoint: Endpoint, sample: Sample, options: dict[str, Any], param: str
):
    with pytest.raises(openai.BadRequestError) as caught:
        call(endpoint, sample, **options)
    assert caught.value.param == param


def test_tools_that_the_model_may_use_change_nothing_but_the_prompt(endpoint: Endpoint, sample: Sample):
    """A call that the model makes by itself stays in the text: its form is the model's own."""
    choice = call(endpoint, sample, tool_choice="auto", temperature=0).choices[0]
    assert choice.message.tool_calls is None
    assert choice.message.content
