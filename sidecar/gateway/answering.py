"""Asks the deployed model for one answer, and hears it piece by piece. Never logs a prompt, an answer or the key."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

import httpx

from sidecar.gateway.endpoint import may_be_proxied
from sidecar.words.errors import EndpointError
from sidecar.words.names import ChatFinish
from sidecar.words.text import Text

PATH = "/v1/chat/completions"
SILENCE_SECONDS = 300
"""A server that has many to answer before may be silent for long; ours says meanwhile that it is there."""
STOP_SECONDS = 0.1
MOST_OF_A_PROBLEM = 500
LONGEST_LINE = 4 << 20
"""Characters. What is longer is no event of an answer."""


@dataclass(frozen=True)
class Question:
    """What is asked of which model. What is None is the server's own choice."""

    model: str
    messages: Sequence[Mapping[str, str]]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None

    def body(self) -> dict[str, Any]:
        wished = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
        }
        stated = {name: value for name, value in wished.items() if value is not None}
        return {"model": self.model, "messages": [dict(each) for each in self.messages], **stated}


@dataclass(frozen=True)
class Who:
    """Who answers, as the server says: `model` as it was asked for where the server does not."""

    model: str
    release: str | None
    hash: str | None


@dataclass(frozen=True)
class Piece:
    """`thought`: of what the model thinks before it answers."""

    text: str
    thought: bool


@dataclass(frozen=True)
class Ended:
    """Tokens are None where the server does not count them."""

    finish: ChatFinish
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


Hear = Callable[[Who | Piece], None]


def answer(url: str, key: str | None, question: Question, hear: Hear, stop: threading.Event) -> Ended:
    """Once it is whole, or `stop` is set: then the connection is closed, and the server's place with it. `hear` is called on
    this thread."""
    return asyncio.run(_until_stopped(url, key, question, hear, stop))


async def _until_stopped(url: str, key: str | None, question: Question, hear: Hear, stop: threading.Event) -> Ended:
    asked = asyncio.create_task(_asked(url, key, question, hear))
    while not asked.done():
        await asyncio.wait({asked}, timeout=STOP_SECONDS)
        if stop.is_set():
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                return await asked
            return Ended("stopped")
    return await asked


async def _asked(url: str, key: str | None, question: Question, hear: Hear) -> Ended:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    timeout = httpx.Timeout(10, read=SILENCE_SECONDS)
    body = {**question.body(), "stream": True, "stream_options": {"include_usage": True}}
    began = False
    try:
        async with (
            httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, trust_env=may_be_proxied(url)) as client,
            client.stream("POST", PATH, content=_json(body), headers={"content-type": "application/json"}) as said,
        ):
            if said.status_code != 200:
                raise _refused(url, question.model, said.status_code, await said.aread())
            hear(_who(said, question.model))
            began = True
            return await _heard(url, _events(said), hear)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _broken_off(url, error) if began else _unreached(url, error) from error


def _json(body: Mapping[str, Any]) -> bytes:
    """What can be no character of any text (half of a surrogate pair) is put aside, as a browser does."""
    return json.dumps(body, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _who(said: httpx.Response, asked: str) -> Who:
    model = said.headers.get("x-slipway-model")
    release, adapter = said.headers.get("x-slipway-release"), said.headers.get("x-slipway-adapter-hash")
    return Who(asked if model is None else unquote(model), release or None, adapter or None)


async def _events(said: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The data of each event. Lines end with a line feed here: other separators are part of what is said."""
    rest = ""
    async for text in said.aiter_text():
        *lines, rest = (rest + text).split("\n")
        if len(rest) > LONGEST_LINE:
            raise _not_understood(str(said.url))
        for line in lines:
            field, _, value = line.rstrip("\r").partition(":")
            if field != "data" or value.strip() == "[DONE]":
                continue
            yield _document(str(said.url), value)


def _document(url: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise _not_understood(url) from None  # not with its words: they may be an answer's
    if not isinstance(found, dict):
        raise _not_understood(url)
    return cast("dict[str, Any]", found)


async def _heard(url: str, events: AsyncIterator[dict[str, Any]], hear: Hear) -> Ended:
    reason: str | None = None
    usage: dict[str, Any] = {}
    async for event in events:
        if event.get("error"):
            raise EndpointError(
                Text("The server ended the answer: {problem}", problem=_problem(event)),
                Text("Ask again; AI Toolkit: Show logs tells more."),
                code="AnswerFailed",
            )
        usage = event.get("usage") or usage
        for choice in cast("list[dict[str, Any]]", event.get("choices") or []):
            delta = cast("dict[str, Any]", choice.get("delta") or {})
            for name, thought in (("reasoning_content", True), ("content", False)):
                if isinstance(text := delta.get(name), str) and text:
                    hear(Piece(text, thought))
            reason = choice.get("finish_reason") or reason
    if reason is None:
        raise _broken_off(url, None)
    return Ended("length" if reason == "length" else "stop", _count(usage, "prompt"), _count(usage, "completion"))


def _count(usage: Mapping[str, Any], of: str) -> int | None:
    found = usage.get(f"{of}_tokens")
    return found if isinstance(found, int) else None


def _problem(document: Mapping[str, Any]) -> str:
    """The server's own words."""
    error = document.get("error")
    said = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
    return str(said or "?")[:MOST_OF_A_PROBLEM]


def _refused(url: str, model: str, status: int, body: bytes) -> EndpointError:
    try:
        found: Any = json.loads(body)
    except ValueError:
        found = None
    document = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    error = document.get("error")
    code = str(cast("dict[str, Any]", error).get("code") or "") if isinstance(error, dict) else ""
    if status in (401, 403):
        return EndpointError(
            Text("The endpoint does not take the app's API key ({status}).", status=status),
            Text(
                "Where the key was changed a moment ago, ask again; else AI Toolkit: Why is it not ready? tells more."
            ),
            code="KeyRefused",
        )
    if status == 404 and document:
        return EndpointError(
            Text("No model {model} answers there.", model=model),
            Text("Look again: the list then shows the models that do."),
            code="ModelNotFound",
        )
    if code == "context_length_exceeded":
        return EndpointError(
            Text("It does not fit: {problem}", problem=_problem(document)),
            Text("Begin a new conversation, or ask for fewer tokens."),
            code="TooLong",
        )
    if status in (400, 413, 422) and document:
        return EndpointError(
            Text("The server refuses this: {problem}", problem=_problem(document)),
            Text("Change what it names, then ask again."),
            code="Refused",
        )
    if status in (429, 503) and document:
        return EndpointError(
            Text("The server can't take it now: {problem}", problem=_problem(document)),
            Text("Ask again in a moment."),
            code="Busy",
        )
    return EndpointError(
        Text("The endpoint {url} answered {status} to {path}.", url=url, status=status, path=PATH),
        Text("Look at its status, then try again."),
        code=f"Endpoint{status}",
    )


def _unreached(url: str, error: Exception) -> EndpointError:
    return EndpointError(
        Text("The endpoint {url} did not answer ({problem}).", url=url, problem=type(error).__name__),
        Text("Look at its status, then try again."),
        code="EndpointUnreachable",
    )


def _broken_off(url: str, error: Exception | None) -> EndpointError:
    problem = "end of stream" if error is None else type(error).__name__
    return EndpointError(
        Text("The answer broke off: the connection to {url} ended ({problem}).", url=url, problem=problem),
        Text("What was answered so far stands. Regenerate asks again."),
        code="BrokeOff",
    )


def _not_understood(url: str) -> EndpointError:
    return EndpointError(
        Text("What {url} answers is no stream of an OpenAI-compatible server.", url=url),
        Text("Look which server runs there: AI Toolkit: Show logs."),
        code="NotUnderstood",
    )
