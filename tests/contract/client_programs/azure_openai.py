"""OpenAI's Python client for Azure: the key in a header of its own, the model in the path."""

import json
import urllib.parse

import openai
import pydantic
from cells import AFTER_CALL, ASK, KEY, MODEL, PLACE, SENTENCE, TOOL, URL, raised, run, same

VERSION = "2024-10-21"
client = openai.AzureOpenAI(azure_endpoint=URL, api_key=KEY, api_version=VERSION, max_retries=0)
escaped = openai.AzureOpenAI(
    azure_endpoint=URL,
    azure_deployment=urllib.parse.quote(MODEL, safe=""),
    api_key=KEY,
    api_version=VERSION,
    max_retries=0,
)


class Answer(pydantic.BaseModel):
    sure: bool


def chat():
    for each in (client, escaped):
        same(each.chat.completions.create(model=MODEL, messages=ASK).choices[0].message.content, SENTENCE)
    token = openai.AzureOpenAI(azure_endpoint=URL, azure_ad_token=KEY, api_version=VERSION, max_retries=0)
    same(token.chat.completions.create(model=MODEL, messages=ASK).choices[0].message.content, SENTENCE)


def stream():
    chunks = client.chat.completions.create(model=MODEL, messages=ASK, stream=True)
    same("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), SENTENCE)


def tools():
    said = client.chat.completions.create(model=MODEL, messages=ASK, tools=[TOOL], tool_choice="auto").choices[0]
    (call,) = said.message.tool_calls
    same(json.loads(call.function.arguments), {"place": PLACE})
    result = {"role": "tool", "tool_call_id": call.id, "content": "12:04"}
    last = client.chat.completions.create(model=MODEL, messages=[*ASK, said.message, result], tools=[TOOL])
    same(last.choices[0].message.content, AFTER_CALL)


def schema():
    answer = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Answer)
    same(type(answer.choices[0].message.parsed.sure), bool)


def errors():
    wrong = openai.AzureOpenAI(azure_endpoint=URL, api_key="wrong", api_version=VERSION, max_retries=0)
    raised(lambda: wrong.chat.completions.create(model=MODEL, messages=ASK), openai.AuthenticationError)
    missing = raised(lambda: client.chat.completions.create(model="none", messages=ASK), openai.NotFoundError)
    same(missing.code, "model_not_found")


def responses():
    same(client.responses.create(model=MODEL, input="When is high tide?").output_text, SENTENCE)
    plain = openai.OpenAI(base_url=f"{URL}/openai/v1/", api_key=KEY, max_retries=0)
    same(plain.chat.completions.create(model=MODEL, messages=ASK).choices[0].message.content, SENTENCE)
    same([model.id for model in plain.models.list()], [MODEL])


run({"chat": chat, "stream": stream, "tools": tools, "schema": schema, "errors": errors, "responses": responses})
