"""LangChain's chat model for OpenAI's API."""

import typing

import openai
import pydantic
from cells import AFTER_CALL, KEY, MODEL, PLACE, SENTENCE, URL, one_of, raised, run, same
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


def model(**more: typing.Any):
    return ChatOpenAI(**{"base_url": f"{URL}/v1", "api_key": KEY, "model": MODEL, "max_retries": 0, **more})


@tool
def get_tide(place: str) -> str:
    """When high tide is at a place."""
    return f"12:04 at {place}"


class Answer(pydantic.BaseModel):
    tide: typing.Literal["high", "low"]


def chat():
    same(model().invoke("When is high tide?").content, SENTENCE)


def stream():
    chunks = list(model(stream_usage=True).stream("When is high tide?"))
    same("".join(chunk.content for chunk in chunks), SENTENCE)
    same(sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata) > 0, True)


def tools():
    bound = model().bind_tools([get_tide])
    asked = [HumanMessage("When is high tide?")]
    said = bound.invoke(asked)
    (call,) = said.tool_calls
    same(call["args"], {"place": PLACE})
    asked += [said, ToolMessage(get_tide.invoke(call["args"]), tool_call_id=call["id"])]
    same(bound.invoke(asked).content, AFTER_CALL)
    streamed = None
    for chunk in bound.stream("When is high tide?"):
        streamed = chunk if streamed is None else streamed + chunk
    same(streamed.tool_calls[0]["args"], {"place": PLACE})


def schema():
    for method in ("json_schema", "function_calling"):
        one_of(model().with_structured_output(Answer, method=method).invoke("When?").tide, "high", "low")


def errors():
    raised(lambda: model(api_key="wrong").invoke("x"), openai.AuthenticationError)
    raised(lambda: model(model="none").invoke("x"), openai.NotFoundError)
    raised(lambda: model(temperature=9).invoke("x"), openai.BadRequestError)


def responses():
    same(model(use_responses_api=True).invoke("When is high tide?").text, SENTENCE)
    said = model(use_responses_api=True).bind_tools([get_tide]).invoke("When is high tide?")
    same(said.tool_calls[0]["args"], {"place": PLACE})


run({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "errors": errors, "responses": responses})
