"""From a request of the OpenAI API to its answer, whole or streamed."""

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from inference.api.generation import Generation
from inference.api.reading_writer import ReadingWriter
from inference.api.readings import MARKS, THINK, THOUGHT, Begin, CallScanner, Reading, ThoughtSplitter
from inference.api.stream import EventStream, Writer, close_on_disconnect
from inference.api.tools import CallWriter, Demand, demanded, read_tool
from inference.api.whole import LongAnswer, document
from inference.api.writers import ChatWriter, TextWriter
from inference.engine.adapters.table import InstalledAdapter
from inference.engine.engine import Engine
from inference.engine.text.grammar import Grammar, GrammarError, Part
from inference.engine.text.tokenizer import TemplateError, Tokenizer
from inference.messages import ApiError, ChatRequest, CompletionRequest, parse, sampling_params
from inference.service import Served, Service

IN_HEADERS = "!#$&'()*+,-./:;=?@[]^_`{|}~ "  # what a header's value holds as it is; the rest is percent-encoded
LONG_TEXT = 20_000  # characters from which on encoding is left to a thread
MANY_MESSAGES = 100  # from which on the chat template is
NO_SWITCHES: Mapping[str, Any] = {}


async def chat(service: Service, raw: bytes, request: Request) -> Response:
    """POST /v1/chat/completions, and Azure's path, which names the model in the place of the body."""
    asked = parse(ChatRequest, raw)
    if "model" in request.path_params:
        asked = asked.model_copy(update={"model": request.path_params["model"]})
    if asked.top_logprobs is not None and not asked.logprobs:
        raise ApiError(400, "top_logprobs needs logprobs", code="invalid_value", param="top_logprobs")
    with service.holding(asked.model) as adapter:
        service.check_queue(asked.n or 1)  # before any work is done for it
        plan = await plan_chat(service, adapter, asked)
        return await respond(plan.generation, chat_writer(asked, plan), stream=asked.stream, request=request)


@dataclass(frozen=True)
class ChatPlan:
    """What an adapter is to make of a conversation, and how its text is read: as a demanded call, by `begin`, or as it is."""

    generation: Generation
    tokenizer: Tokenizer
    demand: Demand | None
    begin: Begin | None


def chat_writer(asked: ChatRequest, plan: ChatPlan) -> ChatWriter:
    named = (f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), plan.generation.adapter.name, usage_wanted(asked))
    logprobs = plan.generation.params.logprobs is not None
    spelt: Any = {"spell": plan.tokenizer.spellings.of, "logprobs": logprobs}
    if plan.demand is not None:
        return CallWriter(*named, **spelt, demand=plan.demand)
    if plan.begin is not None:
        return ReadingWriter(*named, **spelt, begin=plan.begin)
    return ChatWriter(*named, **spelt)


async def plan_chat(service: Service, adapter: InstalledAdapter, asked: ChatRequest) -> ChatPlan:
    served = service.model()
    tokenizer = served.tokenizer(adapter)
    tools = None if asked.tool_choice == "none" else asked.tools
    text = await render_chat(tokenizer, [message.plain() for message in asked.messages], tools, asked.switches)
    prompt = await encode_rendered(served.engine, tokenizer, text)
    wanted = asked.max_completion_tokens or asked.max_tokens
    most = room(service, len(prompt), wanted)
    demand = demanded(asked)
    grammar = await grammar_for(served, tokenizer, asked, demand)
    logprobs = (asked.top_logprobs or 0) if asked.logprobs else None
    params = sampling_params(asked, most, logprobs, tokenizer.known, grammar, defaults=served.sampling)
    begin = reading_for(tokenizer, asked, tools, text) if demand is None and grammar is None else None
    if begin is not None:
        params = replace(params, special=begin().hidden is not None)
    return ChatPlan(Generation(service, adapter, [prompt], params, asked.n or 1), tokenizer, demand, begin)


def reading_for(
    tokenizer: Tokenizer, asked: ChatRequest, tools: list[dict[str, Any]] | None, prompt: str
) -> Begin | None:
    """How the text of an answer is to be read; None where all of it is what the model says."""
    template = tokenizer.template_for(tools)
    form = template.call_form if template is not None and tools else None
    thinks = template is not None and template.thinks
    if form is None and not thinks:
        return None
    marks = {part for mark in MARKS[form] for part in (mark.start, mark.end)} if form is not None else set[str]()
    marks |= {THINK, THOUGHT} if thinks else set()
    hidden: re.Pattern[str] | None = None
    if special := marks & tokenizer.special_texts:
        others = sorted(tokenizer.special_texts - special, key=len, reverse=True)
        hidden = re.compile("|".join(map(re.escape, others)) or r"(?!)")
    names = {tool.name for tool in map(read_tool, tools)} if tools and form is not None else set[str]()
    opened = prompt.rstrip().endswith(THINK)

    def begin() -> Reading:
        thoughts = ThoughtSplitter(opened) if thinks else None
        scanner = CallScanner(form, names) if form is not None else None
        return Reading(thoughts, scanner, hidden, one=asked.parallel_tool_calls is False)

    return begin


async def complete(service: Service, raw: bytes, request: Request) -> Response:
    """POST /v1/completions, and Azure's path."""
    asked = parse(CompletionRequest, raw)
    if "model" in request.path_params:
        asked = asked.model_copy(update={"model": request.path_params["model"]})
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
    most = min(room(service, len(prompt), asked.max_tokens) for prompt in prompts)
    if any(min(prompt) < 0 or max(prompt) >= tokenizer.known for prompt in prompts):
        raise ApiError(400, "the prompt holds an unknown token", code="invalid_value", param="prompt")
    params = sampling_params(asked, most, asked.logprobs, tokenizer.known, defaults=served.sampling)
    if asked.echo and asked.logprobs is not None:
        if served.engine.kind != "slipway":
            said = "logprobs of an echoed prompt are not given for a model that transformers serves"
            raise ApiError(400, said, code="unsupported_parameter", param="echo")
        params = replace(params, prompt_logprobs=asked.logprobs)
    texts: list[str] = []
    for each in given if asked.echo else ():
        texts += [each if isinstance(each, str) else tokenizer.decode(each)] * (asked.n or 1)
        await asyncio.sleep(0)  # one of many: the streams have their turn between two
    named = (f"cmpl-{secrets.token_hex(12)}", int(time.time()), adapter.name, usage_wanted(asked))
    told = asked.logprobs is not None
    writer = TextWriter(*named, spell=tokenizer.spellings.of, logprobs=told, echo=tuple(texts))
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
    engine: Engine,
    tokenizer: Tokenizer,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]] | None,
    switches: Mapping[str, Any] = NO_SWITCHES,
) -> list[int]:
    return await encode_rendered(engine, tokenizer, await render_chat(tokenizer, messages, tools, switches))


async def render_chat(
    tokenizer: Tokenizer,
    messages: list[dict[str, Any]],
    tools: list[dict[str, Any]] | None,
    switches: Mapping[str, Any] = NO_SWITCHES,
) -> str:
    try:
        if len(messages) < MANY_MESSAGES:
            return tokenizer.render(messages, tools, switches)
        return await asyncio.to_thread(tokenizer.render, messages, tools, switches)
    except TemplateError as error:
        raise ApiError(400, str(error), code="invalid_value", param="messages") from error


async def encode_rendered(engine: Engine, tokenizer: Tokenizer, text: str) -> list[int]:
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


def room(service: Service, prompt: int, wanted: int | None) -> int:
    """How many tokens may be generated; 400 with the numbers when the prompt and the wish do not fit the context, unless a
    setting has it that what fits is meant."""
    context = service.model().engine.context
    if service.settings.clamp_tokens and wanted is not None and prompt < context:
        return min(wanted, context - prompt)
    if prompt + (wanted or 1) > context:
        fits = f"; at most {context - prompt} fit" if prompt < context else ""
        raise too_long(context, f"{prompt} and {wanted} are to be generated{fits}" if wanted else str(prompt))
    return wanted or context - prompt


def too_long(context: int, prompt: str) -> ApiError:
    message = f"the context holds {context} tokens, but the prompt has {prompt}"
    return ApiError(400, message, code="context_length_exceeded", param="messages")


async def respond(generation: Generation, writer: Writer, *, stream: bool, request: Request) -> Response:
    """Starts the generation. It ends here, but what is still being sent takes it along and ends it when it has been."""
    headers = {"x-slipway-model": quote(writer.model, safe=IN_HEADERS)}
    if generation.adapter.digest:
        headers["x-slipway-adapter-hash"] = generation.adapter.digest
    if release := generation.service.settings.release:
        headers["x-slipway-release"] = release
    with ExitStack() as lifetime:
        lifetime.enter_context(generation)
        if stream:
            return EventStream(generation, writer, headers, lifetime.pop_all())
        watcher = asyncio.create_task(close_on_disconnect(request.receive, generation))
        lifetime.callback(watcher.cancel)
        writing = asyncio.create_task(document(generation, writer))
        lifetime.callback(writing.cancel)
        if not (await asyncio.wait({writing}, timeout=generation.service.settings.begin_after))[0]:
            return LongAnswer(writing, generation, headers, watcher, lifetime.pop_all())
        return Response(writing.result(), 200, headers, "application/json")
