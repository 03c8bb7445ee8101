"""How answers are written: chat and plain completions, whole and as events."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from inference.api.generation import raise_failure
from inference.engine.engine import Delta
from inference.engine.schedule.sequence import Choice
from inference.engine.text.spelling import Spelling
from inference.messages import DONE, ApiError, Usage, event


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


def failure(error: ApiError) -> bytes:
    """A stream's last event, where it fails."""
    return event({"error": {"message": error.message, "type": "server_error", "code": error.code, "param": None}})


class Spell(Protocol):
    """Says a token; `first` as the first of an answer."""

    def __call__(self, token: int, first: bool = False) -> Spelling: ...


@dataclass(eq=False)
class Told:
    """How much of one answer's tokens has been told: characters, and the bytes of one that is not whole yet."""

    first: bool = True
    characters: int = 0
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def take(self, spelling: Spelling) -> int:
        """The place of the token in the answer's text."""
        place = self.characters
        if spelling.written:
            self.first = False
            self.characters += len(self._decoder.decode(spelling.data))
        return place


@dataclass(eq=False)
class ChatWriter:
    """How chat answers are written. Streamed events are prefabricated but for their text."""

    id: str
    created: int
    model: str
    usage: bool
    spell: Spell
    logprobs: bool = False
    """Whether they were asked for: then an answer without a token has an empty list of them."""
    _told: dict[int, Told] = field(default_factory=dict[int, Told])
    _frames: dict[int, tuple[bytes, bytes]] = field(default_factory=dict[int, tuple[bytes, bytes]])

    def whole(self, answers: list[Answer], usage: Usage) -> dict[str, Any]:
        choices: list[dict[str, Any]] = []
        for index, answer in enumerate(answers):
            message = self.message(answer)
            choices.append(
                {
                    "index": index,
                    "message": message,
                    "logprobs": self._logprobs(index, answer.choices, whole=self.logprobs),
                    "finish_reason": self.finish(answer.finish, message),
                }
            )
        return self._body("chat.completion", choices) | {"usage": usage.body()}

    def message(self, answer: Answer) -> dict[str, Any]:
        return {"role": "assistant", "content": answer.text, "refusal": None}

    def finish(self, reason: str | None, message: dict[str, Any]) -> str | None:
        """How the API calls the engine's reason for ending a message."""
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

    def ending(self, usage: Usage) -> bytes:
        return (event(self._body("chat.completion.chunk", []) | {"usage": usage.body()}) if self.usage else b"") + DONE

    def failed(self, error: ApiError) -> bytes:
        return failure(error)

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
            "logprobs": self._logprobs(index, choices),
            "finish_reason": finish,
        }
        return event(self._body("chat.completion.chunk", [choice]) | ({"usage": None} if self.usage else {}))

    def _body(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}

    def _logprobs(self, index: int, choices: Sequence[Choice], *, whole: bool = False) -> dict[str, Any] | None:
        if not choices and not whole:
            return None
        told = self._told.setdefault(index, Told())
        content: list[dict[str, Any]] = []
        for choice in choices:
            first, spelling = told.first, self.spell(choice.token, told.first)
            told.take(spelling)
            top = [entry(self.spell(token, first), logprob) for token, logprob in choice.top]
            content.append(entry(spelling, choice.logprob) | {"top_logprobs": top})
        return {"content": content, "refusal": None}


def entry(spelling: Spelling, logprob: float | None) -> dict[str, Any]:
    return {"token": spelling.text, "logprob": logprob, "bytes": spelling.values}


@dataclass(eq=False)
class TextWriter:
    """How plain completions are written."""

    id: str
    created: int
    model: str
    usage: bool
    spell: Spell
    logprobs: bool = False
    echo: tuple[str, ...] = ()  # what stands before each answer, where the prompt is to be given back
    _told: dict[int, Told] = field(default_factory=dict[int, Told])

    def whole(self, answers: list[Answer], usage: Usage) -> dict[str, Any]:
        choices = [
            {
                "index": index,
                "text": (self.echo[index] if self.echo else "") + answer.text,
                "logprobs": self._logprobs(index, answer.choices, whole=self.logprobs),
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
            "logprobs": self._logprobs(index, delta.choices),
            "finish_reason": delta.finish,
        }
        return event(self._body([choice]) | ({"usage": None} if self.usage else {}))

    def ending(self, usage: Usage) -> bytes:
        return (event(self._body([]) | {"usage": usage.body()}) if self.usage else b"") + DONE

    def failed(self, error: ApiError) -> bytes:
        return failure(error)

    def _body(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _logprobs(self, index: int, choices: Sequence[Choice], *, whole: bool = False) -> dict[str, Any] | None:
        if not choices and not whole:
            return None
        told = self._told.setdefault(index, Told())
        tokens: list[str] = []
        tops: list[dict[str, float]] = []
        places: list[int] = []
        for choice in choices:
            top: dict[str, float] = {}
            for token, logprob in choice.top:  # the likeliest first: of two that say the same it is the one told
                top.setdefault(self.spell(token, told.first).text, logprob)
            spelling = self.spell(choice.token, told.first)
            tops.append(top)
            tokens.append(spelling.text)
            places.append(told.take(spelling))
        return {
            "tokens": tokens,
            "token_logprobs": [choice.logprob for choice in choices],
            "top_logprobs": tops,
            "text_offset": places,
        }
