"""LlamaIndex's model for servers that speak OpenAI's API."""

import typing

import openai
import pydantic
from cells import AFTER_CALL, KEY, MODEL, PLACE, SENTENCE, URL, one_of, raised, run, same
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


def model(**more: typing.Any):
    usual = {"api_base": f"{URL}/v1", "api_key": KEY, "model": MODEL, "max_retries": 0, "is_chat_model": True}
    return OpenAILike(**{**usual, "is_function_calling_model": True, "context_window": 16384, **more})


def get_tide(place: str) -> str:
    """When high tide is at a place."""
    return f"12:04 at {place}"


class Answer(pydantic.BaseModel):
    tide: typing.Literal["high", "low"]


asked = [ChatMessage(role=MessageRole.USER, content="When is high tide?")]


def chat():
    same(model().chat(asked).message.content, SENTENCE)
    same(bool(model(is_chat_model=False).complete("When is high tide?").text), True)


def stream():
    same("".join(part.delta or "" for part in model().stream_chat(asked)), SENTENCE)


def tools():
    tool = FunctionTool.from_defaults(get_tide)
    said = model().chat_with_tools([tool], chat_history=asked)
    (call,) = model().get_tool_calls_from_response(said)
    same(call.tool_kwargs, {"place": PLACE})
    result = ChatMessage(
        role=MessageRole.TOOL, content="12:04", additional_kwargs={"tool_call_id": call.tool_id, "name": "get_tide"}
    )
    last = model().chat_with_tools([tool], chat_history=[*asked, said.message, result])
    same(last.message.content, AFTER_CALL)


def schema():
    structured = model(should_use_structured_outputs=True).as_structured_llm(Answer)
    one_of(structured.chat(asked).raw.tide, "high", "low")


def errors():
    raised(lambda: model(api_key="wrong").chat(asked), openai.AuthenticationError)
    raised(lambda: model(model="none").chat(asked), openai.NotFoundError)


run({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "errors": errors})
