"""From a request of the OpenAI API to its answer, whole or streamed."""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from inference.api.generation import Generation, raise_failure
from inference.api.stream import EventStream, close_on_disconnect, usage_of
from inference.api.tools import CallWriter, Demand, demanded
from inference.api.writers import Answer, ChatWriter, TextWriter
from inference.engine.adapters.table import InstalledAdapter
from inference.engine.engine import Engine
from inference.engine.text.grammar import Grammar, GrammarError, Part
from inference.engine.text.tokenizer import TemplateError, Tokenizer
from inference.messages import ApiError, ChatRequest, CompletionRequest, json_response, parse, sampling_params
from inference.service import Served, Service

IN_HEADERS = "!#$&'()*+,-./:;=?@[]^_`{|}~ "  # what a header's value holds as it is; the rest is percent-encoded
LONG_TEXT = 20_000  # characters from which on encoding is left to a thread
MANY_SPELLINGS = 2_000  # tokens with logprobs from which on writing an answer is
MANY_MESSAGES = 100  # from which on the chat template is


async def chat(service: Service, raw: bytes, request: Request) -> Response:
    """POST /v1/chat/completions."""
    asked = parse(ChatRequest, raw)
    if asked.top_logprobs is not None and not asked.logprobs:
        raise ApiError(400, "top_logprobs needs logprobs", code="invalid_value", param="top_logprobs")
    with service.holding(asked.model) as adapter:
        service.check_queue(asked.n or 1)  # before any work is done for it
        return await respond(*await chat_generation(service, adapter, asked), stream=asked.stream, request=request)


async def chat_generation(
    service: Service, adapter: InstalledAdapter, asked: ChatRequest
) -> tuple[Generation, ChatWriter]:
    """What the adapter is to make of the conversation, and how it is written."""
    served = service.model()
    tokenizer = served.tokenizer(adapter)
    tools = None if asked.tool_choice == "none" else asked.tools
    prompt = await encode_chat(served.engine, tokenizer, [message.plain() for message in asked.messages], tools)
    wanted = asked.max_completion_tokens or asked.max_tokens
    most = room(served, len(prompt), wanted)
    demand = demanded(asked)
    grammar = await grammar_for(served, tokenizer, asked, demand)
    logprobs = (asked.top_logprobs or 0) if asked.logprobs else None
    params = sampling_params(asked, most, logprobs, tokenizer.known, grammar)
    named = (f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), asked.model, usage_wanted(asked))
    spell = tokenizer.spellings.of
    writer = ChatWriter(*named, spell=spell) if demand is None else CallWriter(*named, spell=spell, demand=demand)
    return Generation(service, adapter, [prompt], params, asked.n or 1), writer


async def complete(service: Service, raw: bytes, request: Request) -> Response:
    """POST /v1/completions."""
    asked = parse(CompletionRequest, raw)
    if asked.echo and asked.logprobs is not None:
        raise ApiError(400, "logprobs of an echoed prompt are not given", code="unsupported_parameter", param="echo")
    with service.holding(asked.model) as adapter:
        service.check_queue(len(prompts_of(asked.prompt)) * (asked.n or 1))  # before any work is done for it
        return await respond(*await text_generation(service, adapter, asked), stream=asked.stream, request=request)


async def text_generation(
    service: Service, adapter: InstalledAdapter, asked: CompletionRequest
) -> tuple[Generation, TextWriter]:
    """What the adapter is to make of the prompts, and how it is written."""
    served = service.model()
    tokenizer = served.tokenizer(adapter)
    given = prompts_of(asked.prompt)
    prompts = [each if isinstance(each, list) else await encode_prompt(served, tokenizer, each) for each in given]
    if not prompts or not all(prompts):
        raise ApiError(400, "an empty prompt cannot be completed", code="invalid_value", param="prompt")
    most = min(room(served, len(prompt), asked.max_tokens) for prompt in prompts)
    if any(min(prompt) < 0 or max(prompt) >= tokenizer.known for prompt in prompts):
        raise ApiError(400, "the prompt holds an unknown token", code="invalid_value", param="prompt")
    params = sampling_params(asked, most, asked.logprobs, tokenizer.known)
    texts: list[str] = []
    for each in given if asked.echo else ():
        texts += [each if isinstance(each, str) else tokenizer.decode(each)] * (asked.n or 1)
        await asyncio.sleep(0)  # one of many: the streams have their turn between two
    named = (f"cmpl-{secrets.token_hex(12)}", int(time.time()), asked.model, usage_wanted(asked))
    writer = TextWriter(*named, spell=tokenizer.spellings.of, echo=tuple(texts))
    return Generation(service, adapter, prompts, params, asked.n or 1), writer


def usage_wanted(asked: ChatRequest | CompletionRequest) -> bool:
    return asked.stream_options is not None and asked.stream_options.include_usage


def prompts_of(given: str | list[str] | list[int] | list[list[int]]) -> list[str | list[int]]:
    """The API takes a text, several, the tokens of one, or those of several."""
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [cast("list[int]", given)]
    return cast("list[str | list[int]]", given)


async def encode_prompt(served: Served, tokenizer: Tokenizer, text: str) -> list[int]:
    tokens = await encode(served.engine, tokenizer, tokenizer.encode_prompt, text)
    await asyncio.sleep(0)  # one of many: the streams have their turn between two
    return tokens


async def grammar_for(
    served: Served, tokenizer: Tokenizer, asked: ChatRequest, demand: Demand | None
) -> Grammar | None:
    """What the answer must follow, compiled beside the event loop. A demanded call goes before a format of the content."""
    schema = asked.response_format.schema_to_follow() if asked.response_format is not None else None
    if demand is not None:
        param, parts = "tools", demand.parts
    elif schema is not None:
        param, parts = "response_format", [Part(schema)]
    else:
        return None
    if asked.ignore_eos:
        raise ApiError(400, f"ignore_eos does not go with {param}", code="invalid_value", param="ignore_eos")
    grammars = served.grammars.of(tokenizer)
    try:
        return await asyncio.get_running_loop().run_in_executor(grammars.worker, grammars.compile, parts)
    except GrammarError as error:
        raise ApiError(400, f"{param} cannot be followed: {error}", code="invalid_value", param=param) from error


async def encode_chat(
    engine: Engine, tokenizer: Tokenizer, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None
) -> list[int]:
    try:
        if len(messages) < MANY_MESSAGES:
            text = tokenizer.render(messages, tools)
        else:
            text = await asyncio.to_thread(tokenizer.render, messages, tools)
    except TemplateError as error:
        raise ApiError(400, str(error), code="invalid_value", param="messages") from error
    tokens = await encode(engine, tokenizer, tokenizer.encode, text)
    if not tokens:
        message = "the model's chat template makes an empty prompt of these messages"
        raise ApiError(400, message, code="invalid_value", param="messages")
    return tokens


async def encode(engine: Engine, tokenizer: Tokenizer, encoder: Callable[[str], list[int]], text: str) -> list[int]:
    """Tokens of a text; one that cannot fit is refused by its length alone, for encoding it would take much memory."""
    least = len(text) // tokenizer.longest
    if least > engine.context:
        raise too_long(engine.context, f"{least} or more")
    tokens = encoder(text) if len(text) < LONG_TEXT else await asyncio.to_thread(encoder, text)
    foreign = next((token for token in tokens if token >= tokenizer.vocabulary), None)
    if foreign is not None:
        said = f"{tokenizer.spellings.of(foreign).text!r}, which is in the tokenizer but not in the model"
        raise ApiError(400, f"the prompt holds the token {foreign}: {said}", code="invalid_value", param="prompt")
    return tokens


def room(served: Served, prompt: int, wanted: int | None) -> int:
    """How many tokens may be generated; 400 with the numbers when the prompt and the wish do not fit the context."""
    context = served.engine.context
    if prompt + (wanted or 1) > context:
        raise too_long(context, f"{prompt} and {wanted} are to be generated" if wanted else str(prompt))
    return wanted or context - prompt


def too_long(context: int, prompt: str) -> ApiError:
    message = f"the context holds {context} tokens, but the prompt has {prompt}"
    return ApiError(400, message, code="context_length_exceeded", param="messages")


async def respond(
    generation: Generation, writer: ChatWriter | TextWriter, *, stream: bool, request: Request
) -> Response:
    """Starts the generation. It ends here, but a stream takes it along and ends it when it has been sent."""
    headers = {"x-slipway-model": quote(writer.model, safe=IN_HEADERS)}
    if generation.adapter.digest:
        headers["x-slipway-adapter-hash"] = generation.adapter.digest
    with ExitStack() as lifetime:
        lifetime.enter_context(generation)
        if stream:
            return EventStream(generation, writer, headers, lifetime.pop_all())
        watcher = asyncio.create_task(close_on_disconnect(request.receive, generation))
        lifetime.callback(watcher.cancel)
        answers = await collect(generation)
        spellings = sum(len(answer.choices) for answer in answers) * (2 + (generation.params.logprobs or 0))
        if spellings < MANY_SPELLINGS:
            return json_response(writer.whole(answers, usage_of(generation)), headers=headers)
        body = await asyncio.to_thread(writer.whole, answers, usage_of(generation))
        return await asyncio.to_thread(json_response, body, headers=headers)


async def collect(generation: Generation) -> list[Answer]:
    answers = [Answer() for _ in range(generation.answers)]
    async for batch in generation.deltas():
        for index, delta in batch:
            raise_failure(delta)
            answers[index].add(delta)
    if any(answer.finish is None for answer in answers):
        raise ApiError(499, "the client went away")
    return answers
