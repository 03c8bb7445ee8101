"""Semantic Kernel, whose functions the model calls."""

import typing

import openai
import pydantic
from cells import AFTER_CALL, KEY, MODEL, SENTENCE, URL, one_of, raised, run, same
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import ChatHistory
from semantic_kernel.exceptions import ServiceResponseException
from semantic_kernel.functions import kernel_function

called: list[str] = []


def service(key: str = KEY, model: str = MODEL):
    client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=0)
    return OpenAIChatCompletion(ai_model_id=model, async_client=client, service_id="tides")


def asked() -> ChatHistory:
    history = ChatHistory()
    history.add_user_message("When is high tide?")
    return history


class Tides:
    @kernel_function(name="get_tide", description="When high tide is at a place")
    def get_tide(self, place: str) -> str:
        called.append(place)
        return f"12:04 at {place}"


class Answer(pydantic.BaseModel):
    tide: typing.Literal["high", "low"]


def settings(**more: typing.Any):
    return OpenAIChatPromptExecutionSettings(**more)


async def chat():
    same(str(await service().get_chat_message_content(asked(), settings())), SENTENCE)


async def stream():
    parts = [str(part) async for part in service().get_streaming_chat_message_content(asked(), settings())]
    same("".join(parts), SENTENCE)


async def tools():
    kernel = Kernel()
    kernel.add_plugin(Tides(), plugin_name="tides")
    free = settings(function_choice_behavior=FunctionChoiceBehavior.Auto())
    for streamed in (False, True):
        called.clear()
        if streamed:
            parts = [
                str(part) async for part in service().get_streaming_chat_message_content(asked(), free, kernel=kernel)
            ]
            said = "".join(parts)
        else:
            said = str(await service().get_chat_message_content(asked(), free, kernel=kernel))
        same((said, called), (AFTER_CALL, ["Brest"]))


async def schema():
    said = await service().get_chat_message_content(asked(), settings(response_format=Answer))
    one_of(Answer.model_validate_json(str(said)).tide, "high", "low")


def errors():
    for wrong in (service(key="wrong"), service(model="none")):
        raised(lambda wrong=wrong: wrong.get_chat_message_content(asked(), settings()), ServiceResponseException)


run({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "errors": errors})
