"""How answers are written: chat and plain completions, whole and as events."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import orjson

from inference.api import Usage, event
from inference.engine.engine import Delta
from inference.engine.sequence import Choice
from inference.generation import raise_failure


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
                "message": self.message(answer),
                "logprobs": self._logprobs(answer.choices),
                "finish_reason": self.finish(answer.finish),
            }
            for index, answer in enumerate(answers)
        ]
        return self._body("chat.completion", choices) | {"usage": usage.body()}

    def message(self, answer: Answer) -> dict[str, Any]:
        return {"role": "assistant", "content": answer.text, "refusal": None}

    def finish(self, reason: str | None) -> str | None:
        """How the API calls the engine's reason for ending."""
        return reason

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
    echo: tuple[str, ...] = ()  # what stands before each answer, where the prompt is to be given back
    _offsets: dict[int, int] = field(default_factory=dict[int, int])

    def whole(self, answers: list[Answer], usage: Usage) -> dict[str, Any]:
        choices = [
            {
                "index": index,
                "text": (self.echo[index] if self.echo else "") + answer.text,
                "logprobs": self._logprobs(index, answer.choices),
                "finish_reason": answer.finish,
            }
            for index, answer in enumerate(answers)
        ]
        return self._body(choices) | {"usage": usage.body()}

    def opening(self, index: int) -> bytes:
        return self._event(index, Delta(self.echo[index], ())) if self.echo else b""

    def part(self, index: int, delta: Delta) -> bytes:
        raise_failure(delta)
        return self._event(index, delta)

    def _event(self, index: int, delta: Delta) -> bytes:
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
