"""How chat answers are written whose text holds more than what is said: thoughts, and calls that nobody demanded."""

from dataclasses import dataclass, field
from typing import Any

from inference.api.generation import raise_failure
from inference.api.readings import Begin, Call, Reading
from inference.api.writers import Answer, ChatWriter
from inference.engine.engine import Delta


@dataclass(eq=False, kw_only=True)
class ReadingWriter(ChatWriter):
    begin: Begin
    _readings: dict[int, Reading] = field(default_factory=dict[int, Reading])

    def message(self, answer: Answer) -> dict[str, Any]:
        thoughts, pieces = self.begin().push(answer.text, True)
        calls = [piece for piece in pieces if isinstance(piece, Call)]
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        more: dict[str, Any] = {"reasoning_content": thoughts} if thoughts else {}
        if calls:
            more["tool_calls"] = [written(call) for call in calls]
        return {"role": "assistant", "content": text or (None if calls else ""), "refusal": None, **more}

    def finish(self, reason: str | None, message: dict[str, Any]) -> str | None:
        return "tool_calls" if reason == "stop" and message.get("tool_calls") else reason

    def part(self, index: int, delta: Delta) -> bytes:
        raise_failure(delta)
        reading = self._readings.get(index)
        if reading is None:
            reading = self._readings[index] = self.begin()
        before = reading.number
        thoughts, pieces = reading.push(delta.text, delta.finish is not None)
        told = [self._event(index, {"reasoning_content": thoughts})] if thoughts else []
        for piece in pieces:
            if isinstance(piece, str):
                told.append(self._text(index, piece))
            else:
                told.append(self._event(index, {"tool_calls": [{"index": before, **written(piece)}]}))
                before += 1
        if delta.finish or delta.choices:
            reason = "tool_calls" if delta.finish == "stop" and reading.number else delta.finish
            told.append(self._event(index, {}, delta.choices, reason))
        return b"".join(told)


def written(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
