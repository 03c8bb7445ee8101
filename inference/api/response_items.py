"""A response's items: made of what a model's text turns out to be, and the events that tell of it as it grows."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from inference.api.readings import Begin, Call
from inference.api.tools import CallReader, Demand

Status = Literal["in_progress", "completed", "incomplete"]
Event = dict[str, Any]


@dataclass(frozen=True)
class Thought:
    text: str


@dataclass(frozen=True)
class CallBegun:
    id: str
    name: str


@dataclass(frozen=True)
class Arguments:
    """The next part of the call that has begun."""

    text: str


Piece = str | Thought | CallBegun | Arguments
Puller = Callable[[str, str | None], list[Piece]]
"""Takes the next text of an answer, and the reason why it ends; gives what is certain by then."""


def all_said(text: str, finish: str | None) -> list[Piece]:
    return [text] if text else []


def reading(begin: Begin) -> Puller:
    """Thoughts, and calls of the model's own accord."""
    read = begin()

    def pull(text: str, finish: str | None) -> list[Piece]:
        thoughts, found = read.push(text, finish is not None)
        pieces: list[Piece] = [Thought(thoughts)] if thoughts else []
        for each in found:
            pieces += [CallBegun(each.id, each.name), Arguments(each.arguments)] if isinstance(each, Call) else [each]
        return pieces

    return pull


def demanded_call(demand: Demand) -> Puller:
    reader = CallReader(demand)
    begun = False

    def pull(text: str, finish: str | None) -> list[Piece]:
        nonlocal begun
        arguments = reader.read(text, finish)
        pieces: list[Piece] = []
        if reader.name and not begun:
            begun = True
            pieces.append(CallBegun(reader.id, reader.name))
        return [*pieces, Arguments(arguments)] if arguments else pieces

    return pull


PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


@dataclass(eq=False)
class Item:
    """`kind`: as the API calls it. Its text is what is said, thought, or given as arguments."""

    kind: Literal["message", "reasoning", "function_call"]
    index: int
    name: str = ""
    call_id: str = ""
    parts: list[str] = field(default_factory=list[str])
    status: Status = "in_progress"
    id: str = ""

    def __post_init__(self) -> None:
        self.id = f"{PREFIXES[self.kind]}_{secrets.token_hex(12)}"

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @property
    def part(self) -> dict[str, Any]:
        """Of its content."""
        if self.kind == "reasoning":
            return {"type": "reasoning_text", "text": self.text}
        return {"type": "output_text", "text": self.text, "annotations": [], "logprobs": []}

    def body(self) -> dict[str, Any]:
        said: dict[str, Any] = {"id": self.id, "type": self.kind, "status": self.status}
        if self.kind == "function_call":
            return {**said, "call_id": self.call_id, "name": self.name, "arguments": self.text}
        content = [self.part] if self.parts else []
        if self.kind == "reasoning":
            return {**said, "summary": [], "content": content}
        return {**said, "role": "assistant", "content": content}

    def event(self, kind: str, **more: Any) -> Event:
        return {"type": f"response.{kind}", "item_id": self.id, "output_index": self.index, **more}


DELTAS = {"message": "output_text", "reasoning": "reasoning_text", "function_call": "function_call_arguments"}


@dataclass(eq=False)
class Items:
    """An answer's items; the last one grows."""

    done: list[Item] = field(default_factory=list[Item])
    _open: Item | None = None

    def take(self, pieces: Sequence[Piece]) -> list[Event]:
        events: list[Event] = []
        for piece in pieces:
            events += self._take(piece)
        return events

    def close(self, status: Status = "completed") -> list[Event]:
        """No more of the last one."""
        item, self._open = self._open, None
        if item is None:
            return []
        item.status = status
        self.done.append(item)
        kind = DELTAS[item.kind]
        ended: list[Event] = []
        if item.kind == "function_call":
            ended.append(item.event(f"{kind}.done", name=item.name, arguments=item.text))
        else:
            more: dict[str, Any] = {"logprobs": []} if item.kind == "message" else {}
            ended.append(item.event(f"{kind}.done", content_index=0, text=item.text, **more))
            ended.append(item.event("content_part.done", content_index=0, part=item.part))
        return [*ended, {"type": "response.output_item.done", "output_index": item.index, "item": item.body()}]

    def _take(self, piece: Piece) -> list[Event]:
        if isinstance(piece, CallBegun):
            return self._begin("function_call", piece.name, piece.id)
        if isinstance(piece, Arguments):
            assert self._open is not None
            return self._grow(self._open, piece.text)
        kind = "reasoning" if isinstance(piece, Thought) else "message"
        events = [] if self._open is not None and self._open.kind == kind else self._begin(kind)
        assert self._open is not None
        return [*events, *self._grow(self._open, piece.text if isinstance(piece, Thought) else piece)]

    def _begin(
        self, kind: Literal["message", "reasoning", "function_call"], name: str = "", call_id: str = ""
    ) -> list[Event]:
        events = self.close()
        item = self._open = Item(kind, len(self.done), name, call_id)
        events.append({"type": "response.output_item.added", "output_index": item.index, "item": item.body()})
        if kind != "function_call":
            events.append(item.event("content_part.added", content_index=0, part=item.part))
        return events

    @staticmethod
    def _grow(item: Item, text: str) -> list[Event]:
        item.parts.append(text)
        more: dict[str, Any] = {} if item.kind == "function_call" else {"content_index": 0}
        if item.kind == "message":
            more["logprobs"] = []
        return [item.event(f"{DELTAS[item.kind]}.delta", delta=text, **more)]
