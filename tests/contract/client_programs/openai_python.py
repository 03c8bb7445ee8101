"""OpenAI's Python client."""

import enum
import json

import openai
import pydantic
from cells import AFTER_CALL, ASK, KEY, MODEL, PLACE, SENTENCE, TOOL, URL, one_of, raised, run, same

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)


class Tide(enum.Enum):
    HIGH = "high"
    LOW = "low"


class Answer(pydantic.BaseModel):
    tide: Tide
    sure: bool


def chat():
    answer = client.chat.completions.create(model=MODEL, messages=ASK)
    same(answer.choices[0].message.content, SENTENCE)
    again = client.chat.completions.create(
        model=MODEL, messages=[*ASK, answer.choices[0].message.model_dump(), {"role": "user", "content": "Sure?"}]
    )
    same(again.choices[0].message.content, SENTENCE)


def stream():
    with client.chat.completions.stream(model=MODEL, messages=ASK, stream_options={"include_usage": True}) as events:
        parts = [event.delta for event in events if event.type == "content.delta"]
        final = events.get_final_completion()
    same("".join(parts), SENTENCE)
    same(final.choices[0].finish_reason, "stop")
    same(final.usage.completion_tokens > 0, True)


def tools():
    for streamed in (False, True):
        if streamed:
            with client.chat.completions.stream(model=MODEL, messages=ASK, tools=[TOOL]) as events:
                said = events.get_final_completion().choices[0]
        else:
            said = client.chat.completions.create(model=MODEL, messages=ASK, tools=[TOOL]).choices[0]
        same(said.finish_reason, "tool_calls")
        (call,) = said.message.tool_calls
        same(json.loads(call.function.arguments), {"place": PLACE})
        result = {"role": "tool", "tool_call_id": call.id, "content": "12:04"}
        history = [*ASK, said.message.model_dump(), result]
        last = client.chat.completions.create(model=MODEL, messages=history, tools=[TOOL])
        same(last.choices[0].message.content, AFTER_CALL)


def schema():
    answer = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Answer)
    one_of(answer.choices[0].message.parsed.tide, Tide.HIGH, Tide.LOW)


def errors():
    wrong = openai.OpenAI(base_url=f"{URL}/v1", api_key="wrong", max_retries=0)
    raised(lambda: wrong.models.list(), openai.AuthenticationError)
    missing = raised(lambda: client.chat.completions.create(model="no-such-model", messages=ASK), openai.NotFoundError)
    same((missing.code, MODEL in missing.message), ("model_not_found", True))
    bad = raised(
        lambda: client.chat.completions.create(model=MODEL, messages=ASK, temperature=9), openai.BadRequestError
    )
    same((bad.param, bad.type), ("temperature", "invalid_request_error"))


def responses():
    answer = client.responses.create(model=MODEL, input="When is high tide?", instructions="Be brief.")
    same(answer.output_text, SENTENCE)
    tool = {"type": "function", **TOOL["function"]}
    with client.responses.stream(model=MODEL, input=ASK, tools=[tool]) as events:
        final = events.get_final_response()
    (call,) = final.output
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "12:04"}
    last = client.responses.create(model=MODEL, input=[*ASK, call.model_dump(), result], tools=[tool])
    same(last.output_text, AFTER_CALL)
    parsed = client.responses.parse(model=MODEL, input=ASK, text_format=Answer)
    one_of(parsed.output_parsed.tide, Tide.HIGH, Tide.LOW)
    raised(
        lambda: client.responses.create(model=MODEL, input="x", previous_response_id=answer.id), openai.BadRequestError
    )


run({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "errors": errors, "responses": responses})
