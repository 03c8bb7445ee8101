"""Tool calls that a request demands: what the model must write for them, and the calls read back out of what it wrote."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from inference.api.generation import raise_failure
from inference.api.readings import new_id
from inference.api.writers import Answer, ChatWriter
from inference.engine.engine import Delta
from inference.engine.text.grammar import Part
from inference.messages import ApiError, ChatRequest, NamedTool

NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True)
class Demand:
    """Which call must come. Several tools are told apart by what comes before the arguments, and `after` ends them."""

    names: Mapping[str, str]  # by what comes before the arguments
    after: str
    finish: str
    parts: Sequence[Part]


def demanded(asked: ChatRequest) -> Demand | None:
    """The call that `tool_choice` demands; None where the model is free to answer as it likes."""
    if asked.tool_choice in {None, "auto", "none"}:
        return None
    tools = [read_tool(tool) for tool in asked.tools or []]
    schemas = {tool.name: tool for tool in tools}
    if isinstance(asked.tool_choice, NamedTool):
        name = asked.tool_choice.function.name
        if name not in schemas:
            raise refused(f"tool_choice names {name!r}, which is none of the tools", "tool_choice")
        return Demand({"": name}, "", "stop", [schemas[name].part()])
    if not schemas:
        raise refused("tool_choice needs tools", "tool_choice")
    before = {f'{{"name": "{name}", "arguments": ': name for name in schemas}
    parts = [schemas[name].part(text, "}") for text, name in before.items()]
    return Demand(before, "}", "tool_calls", parts)


@dataclass(frozen=True)
class Tool:
    """A function that may be called. `strict`: whether all of its schema must be held to, or as much as can be."""

    name: str
    schema: Mapping[str, Any]
    strict: bool

    def part(self, before: str = "", after: str = "") -> Part:
        return Part(self.schema, before, after, lenient=not self.strict)


def read_tool(tool: Mapping[str, Any]) -> Tool:
    function: Any = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise refused("every tool needs the type function and a function", "tools")
    given = cast("dict[str, Any]", function)
    name, schema = given.get("name"), given.get("parameters") or NO_PARAMETERS
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise refused(f"a tool's name must match {NAME.pattern}", "tools")
    if not isinstance(schema, Mapping):
        raise refused(f"the parameters of {name} must be a JSON schema", "tools")
    return Tool(name, cast("Mapping[str, Any]", schema), bool(given.get("strict")))


def refused(message: str, param: str) -> ApiError:
    return ApiError(400, message, code="invalid_value", param=param)


@dataclass(eq=False)
class CallReader:
    """Reads one call out of an answer's text as it grows."""

    demand: Demand
    id: str = field(default_factory=new_id)
    name: str = ""
    _held: str = ""

    def read(self, text: str, finish: str | None) -> str:
        """The arguments that are certain now. `name` is set from the first time that there are any."""
        self._held += text
        if not self.name:
            before = next((before for before in self.demand.names if self._held.startswith(before)), None)
            if before is None:
                return ""
            self.name = self.demand.names[before]
            self._held = self._held[len(before) :]
        keep = len(self.demand.after)
        if finish is not None:
            keep = keep if finish == "stop" and self._held.endswith(self.demand.after) else 0
        certain = self._held[: len(self._held) - keep]
        self._held = self._held[len(certain) :]
        return certain


@dataclass(eq=False, kw_only=True)
class CallWriter(ChatWriter):
    """How answers that are one demanded call are written."""

    demand: Demand
    _readers: dict[int, CallReader] = field(default_factory=dict[int, CallReader])

    def message(self, answer: Answer) -> dict[str, Any]:
        reader = CallReader(self.demand)
        arguments = reader.read(answer.text, answer.finish)
        calls = [self._call(reader, arguments)] if reader.name else []
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}

    def finish(self, reason: str | None, message: dict[str, Any]) -> str | None:
        return self._reason(reason)

    def _reason(self, reason: str | None) -> str | None:
        return self.demand.finish if reason == "stop" else reason

    def opening(self, index: int) -> bytes:
        return self._event(index, {"role": "assistant", "content": None})

    def part(self, index: int, delta: Delta) -> bytes:
        raise_failure(delta)
        reader = self._readers.setdefault(index, CallReader(self.demand))
        known = bool(reader.name)
        arguments = reader.read(delta.text, delta.finish)
        call: dict[str, Any] = {}
        if reader.name and not known:
            call = {"index": 0, **self._call(reader, arguments)}
        elif arguments:
            call = {"index": 0, "function": {"arguments": arguments}}
        if not (call or delta.choices or delta.finish):
            return b""
        return self._event(index, {"tool_calls": [call]} if call else {}, delta.choices, self._reason(delta.finish))

    def _call(self, reader: CallReader, arguments: str) -> dict[str, Any]:
        return {"id": reader.id, "type": "function", "function": {"name": reader.name, "arguments": arguments}}
