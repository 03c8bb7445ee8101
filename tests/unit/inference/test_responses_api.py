"""The Responses API as the official client reads it: text, thoughts and calls, whole, streamed and given back.

The model is scripted: its tokens are those of a given text. All else is the server's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import openai
import pytest

from inference.engine.schedule.scheduler import Slice
from inference.engine.text.tokenizer import Tokenizer
from tests.unit.inference.conftest import Families, Family, Rig, RigMaker, Serve
from tests.unit.inference.test_broken_streams import KEY, listening
from tests.unit.inference.test_calls_through_the_api import CHAT, FORMS, say, tokenizer_with

TOOLS: list[Any] = [{"type": "function", "name": "get_tide", "parameters": {"type": "object", "properties": {}}}]
THINKING = CHAT + "{# </think> #}" + FORMS["tags"][0].removeprefix(CHAT)


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    folder = tmp_path_factory.mktemp("responses")
    return families.make(folder, "LlamaConfig", ["q_proj"], vocab_size=288, max_position_embeddings=1024)


def scripted(make_rig: RigMaker, llama: Family, template: str, text: str | None) -> tuple[Rig, Tokenizer]:
    tokenizer = tokenizer_with(template)
    rig = make_rig(llama, tokenizer=tokenizer, blocks=1024)
    if text is not None:
        say(rig, tokenizer, text)
    return rig, tokenizer


def through(rig: Rig, serve: Serve, scenario: Callable[[openai.AsyncOpenAI], Awaitable[None]]):
    async def run():
        _, app = serve(rig)
        http: Any = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        await scenario(openai.AsyncOpenAI(base_url="http://test/v1", api_key="key", max_retries=0, http_client=http))

    asyncio.run(run())


async def both(client: openai.AsyncOpenAI, **body: Any) -> tuple[Any, list[Any]]:
    """The whole response, and the events of the same as the client's stream helper gives them."""
    given: dict[str, Any] = {"model": "base", "input": "When?", "max_output_tokens": 300, **body}
    whole = await client.responses.create(**given)
    async with client.responses.stream(**given) as stream:
        return whole, [event async for event in stream]


def texts(events: list[Any], kind: str) -> str:
    return "".join(event.delta for event in events if event.type == f"response.{kind}.delta")


def test_a_text_is_a_message(llama: Family, make_rig: RigMaker, serve: Serve):
    rig, _ = scripted(make_rig, llama, CHAT, "At noon.")

    async def scenario(client: openai.AsyncOpenAI):
        whole, events = await both(client, instructions="Be brief.", metadata={"run": "7"}, store=True)
        assert (whole.output_text, whole.status, whole.model) == ("At noon.", "completed", "base")
        assert (whole.store, whole.previous_response_id, whole.metadata) == (False, None, {"run": "7"})
        assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens > 10
        assert texts(events, "output_text") == "At noon."
        assert [event.sequence_number for event in events] == list(range(len(events)))
        final = events[-1]
        assert final.type == "response.completed"
        assert final.response.output_text == "At noon."
        assert final.response.usage.total_tokens == whole.usage.total_tokens
        assert final.response.id == events[0].response.id != whole.id
        assert [event.type for event in events if "delta" not in event.type] == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]

    through(rig, serve, scenario)


def test_thoughts_and_calls_are_items_of_their_own(llama: Family, make_rig: RigMaker, serve: Serve):
    rig, tokenizer = scripted(make_rig, llama, THINKING, f"<think>\nTides…\n</think>\n\nI look. {FORMS['tags'][1]}")

    async def scenario(client: openai.AsyncOpenAI):
        whole, events = await both(client, tools=TOOLS)
        assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
        thought, message, call = whole.output
        assert thought.content[0].text == texts(events, "reasoning_text") == "Tides…"
        assert whole.usage.output_tokens_details.reasoning_tokens == len(tokenizer.encode("Tides…"))
        assert message.content[0].text == "I look."
        assert (call.name, call.arguments, call.status) == ("get_tide", '{"a": 1}', "completed")
        streamed = events[-1].response.output
        assert [item.type for item in streamed] == [item.type for item in whole.output]
        assert streamed[2].arguments == texts(events, "function_call_arguments") == call.arguments
        again = await client.responses.create(
            model="base",
            input=[
                {"role": "user", "content": "When?"},
                *[item.model_dump() for item in whole.output],  # pyright: ignore[reportArgumentType]
                {"type": "function_call_output", "call_id": call.call_id, "output": "noon"},
            ],
            tools=TOOLS,
        )
        assert again.status == "completed"

    through(rig, serve, scenario)


def test_a_demanded_call_follows_its_schema(llama: Family, make_rig: RigMaker, serve: Serve):
    rig, _ = scripted(make_rig, llama, CHAT, None)
    schema = {"type": "object", "properties": {"high": {"type": "boolean"}}, "required": ["high"]}
    tools = [{**TOOLS[0], "parameters": {**schema, "additionalProperties": False}, "strict": True}]

    async def scenario(client: openai.AsyncOpenAI):
        for choice in ("required", {"type": "function", "name": "get_tide"}):
            whole, events = await both(client, tools=tools, tool_choice=choice)
            (call,) = whole.output
            assert json.loads(call.arguments)["high"] in {True, False}
            assert events[-1].response.output[0].arguments == texts(events, "function_call_arguments")

    through(rig, serve, scenario)


def test_a_format_is_followed(llama: Family, make_rig: RigMaker, serve: Serve):
    rig, _ = scripted(make_rig, llama, CHAT, None)
    schema = {"type": "object", "properties": {"high": {"enum": ["yes"]}}, "required": ["high"]}
    form = {"type": "json_schema", "name": "tide", "schema": {**schema, "additionalProperties": False}}

    async def scenario(client: openai.AsyncOpenAI):
        whole, events = await both(client, text={"format": form})
        for text in (whole.output_text, texts(events, "output_text")):
            assert json.loads(text) == {"high": "yes"}
        assert whole.text.format.name == "tide"
        with pytest.raises(openai.BadRequestError, match=r"response_format|text\.format") as refused:
            await both(client, text={"format": {**form, "schema": {"type": "object", "minProperties": "x"}}})
        assert refused.value.param == "text.format"

    through(rig, serve, scenario)


def test_a_cut_answer_is_incomplete(llama: Family, make_rig: RigMaker, serve: Serve):
    rig, _ = scripted(make_rig, llama, CHAT, "At noon, or soon after.")

    async def scenario(client: openai.AsyncOpenAI):
        whole, events = await both(client, max_output_tokens=4)
        assert (whole.status, whole.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert (whole.output_text, whole.output[0].status) == ("At n", "incomplete")
        assert events[-1].type == "response.incomplete"

    through(rig, serve, scenario)


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "send the whole conversation"),
        ({"tools": [{"type": "web_search"}]}, "tools.0", "'web_search' would have to run here"),
        ({"conversation": "conv_1"}, "conversation", "unsupported parameter"),
        ({"background": True}, "background", "invalid value"),
        ({"truncation": "auto"}, "truncation", "invalid value"),
        ({"include": ["message.output_text.logprobs"]}, "include.0", "invalid value"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0", "send the whole conversation"),
        ({"input": [{"type": "computer_call"}]}, "input.0", "'computer_call' cannot be given"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input.0.content.0", "'input_image'"),
        ({"input": [{"type": "function_call", "name": "x"}]}, "input.0.call_id", "missing"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input.0.role", "no role 'robot'"),
        ({"input": 7}, "input", "invalid value"),
        ({"input": []}, "input", "invalid value"),
        ({"max_output_tokens": 5000}, "input", "at most"),
        ({"tool_choice": "required"}, "tool_choice", "needs tools"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format", "needs name and schema"),
    ],
    ids=lambda given: str(given)[:40],
)
def test_what_is_not_done_here_is_refused_by_name(
    llama: Family, make_rig: RigMaker, serve: Serve, body: dict[str, Any], param: str, said: str
):
    rig, _ = scripted(make_rig, llama, CHAT, "x")

    async def scenario(client: openai.AsyncOpenAI):
        given: Any = {"model": "base", "input": "x", **body}
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(**given)
        assert refused.value.param == param
        assert said in refused.value.message
        with pytest.raises(openai.NotFoundError, match="nothing is kept"):
            await client.responses.retrieve("resp_1")

    through(rig, serve, scenario)


def test_a_stream_that_fails_says_so_and_breaks(llama: Family, make_rig: RigMaker, serve: Serve):
    rig, tokenizer = scripted(make_rig, llama, CHAT, "At noon.")
    step = rig.steps.step

    def failing(slices: list[Slice]):
        if slices[0].sequence.generated > 3:
            raise RuntimeError("CUDA error: an illegal memory access")
        return step(slices)

    rig.steps.step = failing
    assert tokenizer is not None

    async def scenario():
        service, app = serve(rig)
        async with listening(app) as url, httpx.AsyncClient(base_url=url, headers=KEY, timeout=60) as client:
            read = b""

            async def follow():
                nonlocal read
                body = {"model": "base", "input": "x", "stream": True}
                async with client.stream("POST", "/v1/responses", json=body) as answer:
                    async for part in answer.aiter_bytes():
                        read += part

            with pytest.raises(httpx.RemoteProtocolError):
                await follow()
        assert b"event: response.failed" in read
        assert b"RuntimeError in the engine" in read
        assert b"response.completed" not in read
        assert service.in_flight == 0

    asyncio.run(scenario())
