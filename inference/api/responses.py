"""OpenAI's Responses API, stateless: text, thoughts and function calls, whole or streamed."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from inference.api.completions import ChatPlan, plan_chat, respond
from inference.api.generation import raise_failure
from inference.api.response_items import Event, Items, Puller, all_said, demanded_call, reading
from inference.api.response_request import KEPT_NOWHERE, ResponsesRequest
from inference.api.writers import Answer
from inference.engine.engine import Delta
from inference.messages import ApiError, Usage, parse, refusal
from inference.service import Service

NAMES = {"messages": "input", "response_format": "text.format", "max_completion_tokens": "max_output_tokens"}
"""What chat's parameters are called here."""


async def create(service: Service, raw: bytes, request: Request) -> Response:
    """POST /v1/responses."""
    asked = parse(ResponsesRequest, raw)
    try:
        chat = asked.as_chat()
        with service.holding(chat.model) as adapter:
            service.check_queue(1)  # before any work is done for it
            plan = await plan_chat(service, adapter, chat)
            return await respond(plan.generation, writer_for(asked, plan), stream=chat.stream, request=request)
    except ValidationError as error:  # a field's own rule of chat's, as of a schema's name
        raise renamed(refusal(error)) from error
    except ApiError as error:
        raise renamed(error) from error


async def kept(request: Request) -> Response:
    """Whatever is asked of a response that was given before."""
    raise ApiError(404, KEPT_NOWHERE, code="response_not_found")


def renamed(error: ApiError) -> ApiError:
    first, dot, rest = (error.param or "").partition(".")
    if first not in NAMES:
        return error
    return ApiError(
        error.status, error.message, code=error.code, param=NAMES[first] + dot + rest, retry_after=error.retry_after
    )


def puller(plan: ChatPlan) -> Puller:
    if plan.demand is not None:
        return demanded_call(plan.demand)
    return all_said if plan.begin is None else reading(plan.begin)


def writer_for(asked: ResponsesRequest, plan: ChatPlan) -> "ResponseWriter":
    params = plan.generation.params
    choice: Any = asked.tool_choice or "auto"
    text = asked.text.format if asked.text is not None else None
    given: dict[str, Any] = {
        "background": False,
        "error": None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": asked.metadata or {},
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {"effort": asked.reasoning.effort if asked.reasoning else None, "summary": None},
        "store": False,
        "temperature": params.temperature,
        "text": {"format": {"type": "text"} if text is None else text.model_dump(by_alias=True, exclude_none=True)},
        "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
        "tools": [{"parameters": None, "strict": None, **tool.model_dump()} for tool in asked.tools or []],
        "top_p": params.top_p,
        "truncation": "disabled",
    }
    encode = plan.tokenizer.encode
    return ResponseWriter(plan.generation.adapter.name, given, puller(plan), lambda said: len(encode(said)))


@dataclass(eq=False)
class ResponseWriter:
    """How a response is written. Whole and streamed it is made of the same items."""

    model: str
    given: dict[str, Any]
    """What every body says of the request."""
    pull: Puller
    count: Callable[[str], int]
    """Tokens of a text."""
    usage: bool = True
    id: str = field(default_factory=lambda: f"resp_{secrets.token_hex(16)}")
    created: int = field(default_factory=lambda: int(time.time()))
    _items: Items = field(default_factory=Items)
    _finish: str | None = None
    _number: int = 0
    """Of events so far."""

    def whole(self, answers: list[Answer], usage: Usage) -> dict[str, Any]:
        (answer,) = answers
        self._take(answer.text, answer.finish)
        return self._ended(usage)

    def opening(self, index: int) -> bytes:
        begun = self._body("in_progress")
        return self._written([{"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")])

    def part(self, index: int, delta: Delta) -> bytes:
        raise_failure(delta)
        return self._written(self._take(delta.text, delta.finish))

    def ending(self, usage: Usage) -> bytes:
        body = self._ended(usage)
        return self._written([{"type": f"response.{body['status']}", "response": body}])

    def failed(self, error: ApiError) -> bytes:
        body = self._body("failed") | {"error": {"code": "server_error", "message": error.message}}
        return self._written([{"type": "response.failed", "response": body}])

    def _take(self, text: str, finish: str | None) -> list[Event]:
        events = self._items.take(self.pull(text, finish))
        if finish is not None:
            self._finish = finish
            events += self._items.close("incomplete" if finish == "length" else "completed")
        return events

    def _ended(self, usage: Usage) -> dict[str, Any]:
        thoughts = sum(self.count(item.text) for item in self._items.done if item.kind == "reasoning")
        cut = self._finish == "length"
        return self._body("incomplete" if cut else "completed") | {
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": {
                "input_tokens": usage.prompt,
                "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
                "output_tokens": usage.completion,
                "output_tokens_details": {"reasoning_tokens": min(thoughts, usage.completion)},
                "total_tokens": usage.prompt + usage.completion,
            },
        }

    def _body(self, status: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": self.model,
            "output": [item.body() for item in self._items.done],
            "incomplete_details": None,
            "usage": None,
            **self.given,
        }

    def _written(self, events: list[Event]) -> bytes:
        written: list[bytes] = []
        for each in events:
            body = {**each, "sequence_number": self._number}
            self._number += 1
            written.append(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), orjson.dumps(body)))
        return b"".join(written)
