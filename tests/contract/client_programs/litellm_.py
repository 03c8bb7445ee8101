"""LiteLLM, which proxies and many agents stand on."""

import json
import typing

import litellm
import pydantic
from cells import AFTER_CALL, ASK, KEY, MODEL, PLACE, SENTENCE, TOOL, URL, one_of, raised, run, same

litellm.suppress_debug_info = True
given = {"model": f"openai/{MODEL}", "api_base": f"{URL}/v1", "api_key": KEY, "num_retries": 0, "max_retries": 0}


class Answer(pydantic.BaseModel):
    tide: typing.Literal["high", "low"]


def chat():
    same(litellm.completion(**given, messages=ASK).choices[0].message.content, SENTENCE)
    azure = {**given, "model": f"azure/{MODEL}", "api_base": URL, "api_version": "2024-10-21"}
    same(litellm.completion(**azure, messages=ASK).choices[0].message.content, SENTENCE)


def stream():
    chunks = litellm.completion(**given, messages=ASK, stream=True, stream_options={"include_usage": True})
    same("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), SENTENCE)


def tools():
    said = litellm.completion(**given, messages=ASK, tools=[TOOL]).choices[0].message
    (call,) = said.tool_calls
    same(json.loads(call.function.arguments), {"place": PLACE})
    result = {"role": "tool", "tool_call_id": call.id, "name": "get_tide", "content": "12:04"}
    last = litellm.completion(**given, messages=[*ASK, said, result], tools=[TOOL])
    same(last.choices[0].message.content, AFTER_CALL)


def schema():
    said = litellm.completion(**given, messages=ASK, response_format=Answer).choices[0].message.content
    one_of(Answer.model_validate_json(said).tide, "high", "low")


def errors():
    raised(lambda: litellm.completion(**{**given, "api_key": "no"}, messages=ASK), litellm.AuthenticationError)
    raised(lambda: litellm.completion(**{**given, "model": "openai/none"}, messages=ASK), litellm.NotFoundError)
    raised(lambda: litellm.completion(**given, messages=ASK, temperature=9), litellm.BadRequestError)


def responses():
    said = litellm.responses(**given, input="When is high tide?")
    same(said.output[0].content[0].text, SENTENCE)


run({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "errors": errors, "responses": responses})
