"""OpenAI's agents, by the Responses API (their default) and by chat."""

import typing

import agents
import openai
import pydantic
from cells import AFTER_CALL, KEY, MODEL, SENTENCE, URL, one_of, raised, run, same

agents.set_tracing_disabled(True)
called: list[str] = []


def models(key: str = KEY, name: str = MODEL):
    client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=0)
    return [
        agents.OpenAIResponsesModel(model=name, openai_client=client),
        agents.OpenAIChatCompletionsModel(model=name, openai_client=client),
    ]


@agents.function_tool
def get_tide(place: str) -> str:
    """When high tide is at a place."""
    called.append(place)
    return f"12:04 at {place}"


class Answer(pydantic.BaseModel):
    tide: typing.Literal["high", "low"]


def agent(model: typing.Any, **more: typing.Any):
    return agents.Agent(name="Tides", instructions="Be brief.", model=model, **more)


async def chat():
    for model in models():
        same((await agents.Runner.run(agent(model), "When is high tide?")).final_output, SENTENCE)


async def stream():
    for model in models():
        running = agents.Runner.run_streamed(agent(model), "When is high tide?")
        parts = [
            event.data.delta
            async for event in running.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
        same(("".join(parts), running.final_output), (SENTENCE, SENTENCE))


async def tools():
    for model in models():
        for streamed in (False, True):
            called.clear()
            able = agent(model, tools=[get_tide])
            if streamed:
                running = agents.Runner.run_streamed(able, "When is high tide?")
                async for _ in running.stream_events():
                    pass
                said = running.final_output
            else:
                said = (await agents.Runner.run(able, "When is high tide?")).final_output
            same((said, called), (AFTER_CALL, ["Brest"]))


async def schema():
    for model in models():
        done = await agents.Runner.run(agent(model, output_type=Answer), "When is high tide?")
        one_of(done.final_output.tide, "high", "low")


def errors():
    for model in models(key="wrong"):
        raised(lambda model=model: agents.Runner.run(agent(model), "x"), openai.AuthenticationError)
    for model in models(name="none"):
        raised(lambda model=model: agents.Runner.run(agent(model), "x"), openai.NotFoundError)


async def session():
    """A second turn, with what the first one left."""
    for model in models():
        able = agent(model, tools=[get_tide])
        first = await agents.Runner.run(able, "When is high tide?")
        again = await agents.Runner.run(agent(model), [*first.to_input_list(), {"role": "user", "content": "Sure?"}])
        same(again.final_output, SENTENCE)


run({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "errors": errors, "session": session})
