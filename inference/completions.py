"""From a request of the OpenAI API to its answer, whole or streamed."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from inference.api import (
    ApiError,
    ChatRequest,
    CompletionRequest,
    Usage,
    event,
    json_response,
    parse,
    sampling_params,
)
from inference.engine.engine import Delta, Engine
from inference.engine.grammar import Grammar, GrammarError
from inference.engine.sequence import Choice
from inference.engine.tokenizer import TemplateError
from inference.generation import Generation, raise_failure
from inference.service import Served, Service
from inference.stream import EventStream, close_on_disconnect, usage_of

LONG_TEXT = 20_000  # characters from which on encoding is left to a thread


async def chat(service: Service, raw: bytes, request: Request) -> Response:
    """POST /v1/chat/completions."""
    asked = parse(ChatRequest, raw)
    served = service.model()
    service.check_model(asked.model)
    if asked.top_logprobs is not None and not asked.logprobs:
        raise ApiError(400, "top_logprobs needs logprobs", code="invalid_value", param="top_logprobs")
    tools = None if asked.tool_choice == "none" else asked.tools
    prompt = await encode_chat(served.engine, [message.plain() for message in asked.messages], tools)
    wanted = asked.max_completion_tokens or asked.max_tokens
    most = room(served, len(prompt), wanted)
    vocabulary = served.engine.tokenizer.fast.get_vocab_size()
    grammar = await grammar_for(served, asked)
    params = sampling_params(asked, most, (asked.top_logprobs or 0) if asked.logprobs else None, vocabulary, grammar)
    generation = Generation(service, asked.model, [prompt], params, asked.n or 1)
    usage = asked.stream_options is not None and asked.stream_options.include_usage
    shape = ChatShape(f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), asked.model, usage)
    return await respond(generation, shape, stream=asked.stream, request=request)


async def complete(service: Service, raw: bytes, request: Request) -> Response:
    """POST /v1/completions."""
    asked = parse(CompletionRequest, raw)
    served = service.model()
    service.check_model(asked.model)
    tokenizer = served.engine.tokenizer
    vocabulary = tokenizer.fast.get_vocab_size()
    prompts: list[list[int]] = []
    for text in [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt:
        if isinstance(text, str):
            prompts.append(await encode(served.engine, tokenizer.encode_prompt, text))
    if not prompts and isinstance(asked.prompt, list):
        prompts = [[token for token in asked.prompt if isinstance(token, int)]]
    if not all(prompts):
        raise ApiError(400, "an empty prompt cannot be completed", code="invalid_value", param="prompt")
    if any(not 0 <= token < vocabulary for prompt in prompts for token in prompt):
        raise ApiError(400, "the prompt holds an unknown token", code="invalid_value", param="prompt")
    most = min(room(served, len(prompt), asked.max_tokens) for prompt in prompts)
    params = sampling_params(asked, most, asked.logprobs, vocabulary)
    generation = Generation(service, asked.model, prompts, params, asked.n or 1)
    usage = asked.stream_options is not None and asked.stream_options.include_usage
    shape = TextShape(f"cmpl-{secrets.token_hex(12)}", int(time.time()), asked.model, usage)
    return await respond(generation, shape, stream=asked.stream, request=request)


async def grammar_for(served: Served, asked: ChatRequest) -> Grammar | None:
    """What the answer must follow, compiled beside the event loop."""
    schema = asked.response_format.schema_to_follow() if asked.response_format is not None else None
    if schema is None:
        return None
    if asked.ignore_eos:
        raise ApiError(400, "ignore_eos does not go with a response_format", code="invalid_value", param="ignore_eos")
    grammars = served.grammars
    try:
        return await asyncio.get_running_loop().run_in_executor(grammars.worker, grammars.compile, schema)
    except GrammarError as error:
        said = f"this response_format cannot be followed: {error}"
        raise ApiError(400, said, code="invalid_value", param="response_format") from error


async def encode_chat(engine: Engine, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> list[int]:
    try:
        return await encode(engine, engine.tokenizer.encode, engine.tokenizer.render(messages, tools))
    except TemplateError as error:
        raise ApiError(400, str(error), code="invalid_value", param="messages") from error


async def encode(engine: Engine, encoder: Callable[[str], list[int]], text: str) -> list[int]:
    """Tokens of a text; one that cannot fit is refused by its length alone, for encoding it would take much memory."""
    least = len(text) // engine.tokenizer.longest
    if least > engine.context:
        raise too_long(engine.context, f"{least} or more")
    return encoder(text) if len(text) < LONG_TEXT else await asyncio.to_thread(encoder, text)


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
    generation: Generation, shape: "ChatShape | TextShape", *, stream: bool, request: Request
) -> Response:
    shape.decode = generation.service.model().engine.tokenizer.token_text
    generation.__enter__()
    headers = {"x-slipway-model": shape.model}
    if generation.adapter_hash:
        headers["x-slipway-adapter-hash"] = generation.adapter_hash
    if stream:
        return EventStream(generation, shape, headers)
    watcher = asyncio.create_task(close_on_disconnect(request.receive, generation))
    try:
        return json_response(await whole(generation, shape), headers=headers)
    finally:
        watcher.cancel()
        generation.close()


async def whole(generation: Generation, shape: "ChatShape | TextShape") -> dict[str, Any]:
    answers = [Answer() for _ in range(generation.answers)]
    async for batch in generation.deltas():
        for index, delta in batch:
            raise_failure(delta)
            answers[index].add(delta)
    if any(answer.finish is None for answer in answers):
        raise ApiError(499, "the client went away")
    return shape.whole(answers, usage_of(generation))


@dataclass(eq=False)
class Answer:
    """One answer while it is collected."""

    parts: list[str] = field(default_factory=list[str])
    choices: list[Choice] = field(default_factory=list[Choice])
    finish: str | None = None

    def add(self, delta: Delta) -> None:
        self.parts.append(delta.text)
        self.choices.extend(delta.choices)
        self.finish = delta.finish or self.finish

    @property
    def text(self) -> str:
        return "".join(self.parts)


def undecodable(token: int) -> str:
    return f"<{token}>"


@dataclass(eq=False)
class ChatShape:
    """How chat answers are written. Streamed events are prefabricated but for their text."""

    id: str
    created: int
    model: str
    usage: bool
    decode: Callable[[int], str] = undecodable
    _frames: dict[int, tuple[bytes, bytes]] = field(default_factory=dict[int, tuple[bytes, bytes]])

    def whole(self, answers: list[Answer], usage: Usage) -> dict[str, Any]:
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": self._logprobs(answer.choices),
                "finish_reason": answer.finish,
            }
            for index, answer in enumerate(answers)
        ]
        return self._body("chat.completion", choices) | {"usage": usage.body()}

    def opening(self, index: int) -> bytes:
        return self._event(index, {"role": "assistant", "content": ""})

    def part(self, index: int, delta: Delta) -> bytes:
        raise_failure(delta)
        if delta.choices:
            return self._event(index, {"content": delta.text}, delta.choices, delta.finish)
        if delta.finish:
            text = self._text(index, delta.text) if delta.text else b""
            return text + self._event(index, {}, finish=delta.finish)
        return self._text(index, delta.text)

    def usage_event(self, usage: Usage) -> bytes:
        return event(self._body("chat.completion.chunk", []) | {"usage": usage.body()})

    def _text(self, index: int, text: str) -> bytes:
        frame = self._frames.get(index)
        if frame is None:
            before, _, after = self._event(index, {"content": "\x00"}).partition(b'"\\u0000"')
            frame = self._frames[index] = (before, after)
        return frame[0] + orjson.dumps(text) + frame[1]

    def _event(
        self, index: int, delta: dict[str, Any], choices: tuple[Choice, ...] = (), finish: str | None = None
    ) -> bytes:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": self._logprobs(list(choices)) if choices else None,
            "finish_reason": finish,
        }
        return event(self._body("chat.completion.chunk", [choice]) | ({"usage": None} if self.usage else {}))

    def _body(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}

    def _logprobs(self, choices: list[Choice]) -> dict[str, Any] | None:
        if not choices:
            return None
        content = [
            self._entry(choice.token, choice.logprob)
            | {"top_logprobs": [self._entry(token, logprob) for token, logprob in choice.top]}
            for choice in choices
        ]
        return {"content": content, "refusal": None}

    def _entry(self, token: int, logprob: float | None) -> dict[str, Any]:
        text = self.decode(token)
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


@dataclass(eq=False)
class TextShape:
    """How plain completions are written."""

    id: str
    created: int
    model: str
    usage: bool
    decode: Callable[[int], str] = undecodable
    _offsets: dict[int, int] = field(default_factory=dict[int, int])

    def whole(self, answers: list[Answer], usage: Usage) -> dict[str, Any]:
        choices = [
            {
                "index": index,
                "text": answer.text,
                "logprobs": self._logprobs(index, answer.choices),
                "finish_reason": answer.finish,
            }
            for index, answer in enumerate(answers)
        ]
        return self._body(choices) | {"usage": usage.body()}

    def opening(self, index: int) -> bytes:
        return b""

    def part(self, index: int, delta: Delta) -> bytes:
        raise_failure(delta)
        choice = {
            "index": index,
            "text": delta.text,
            "logprobs": self._logprobs(index, list(delta.choices)),
            "finish_reason": delta.finish,
        }
        return event(self._body([choice]) | ({"usage": None} if self.usage else {}))

    def usage_event(self, usage: Usage) -> bytes:
        return event(self._body([]) | {"usage": usage.body()})

    def _body(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _logprobs(self, index: int, choices: list[Choice]) -> dict[str, Any] | None:
        if not choices:
            return None
        tokens = [self.decode(choice.token) for choice in choices]
        offsets = list(accumulate(map(len, tokens), initial=self._offsets.get(index, 0)))
        self._offsets[index] = offsets.pop()
        return {
            "tokens": tokens,
            "token_logprobs": [choice.logprob for choice in choices],
            "top_logprobs": [{self.decode(token): logprob for token, logprob in choice.top} for choice in choices],
            "text_offset": offsets,
        }
