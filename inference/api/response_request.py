"""Requests of OpenAI's Responses API: what is taken of them, and the chat that they mean. Nothing is kept between two."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from inference.messages import FIRST, MOST_STOPS, ApiError, ChatRequest, Given, Hint, JsonSchema, Strict

ROLES = {"user", "assistant", "system", "developer"}
TEXTS = {"input_text", "output_text", "text"}
KEPT_NOWHERE = "nothing is kept of earlier responses: send the whole conversation in input"


class Format(Strict):
    """Chat's response_format, flat."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    description: str | None = None
    body: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextOptions(Strict):
    format: Format | None = None
    verbosity: Hint = None


class Reasoning(Strict):
    effort: str | None = None
    summary: Hint = None
    generate_summary: Hint = None
    context: Hint = None


class ResponseStreamOptions(Strict):
    include_obfuscation: Hint = None


class FunctionTool(Given):
    """Whatever else a tool says of itself is a note."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def as_chat(self, place: int) -> dict[str, Any]:
        if self.type != "function":
            said = f"the tool {self.type!r} would have to run here; only tools of the type function are taken"
            raise ApiError(400, said, code="unsupported_tool", param=f"tools.{place}")
        return {"type": "function", "function": self.model_dump(exclude={"type"}, exclude_none=True)}


SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed")
SAME = ("model", *SAMPLING, "stream", "parallel_tool_calls", "chat_template_kwargs", "stop", "ignore_eos")
"""What both APIs call the same."""


class NamedFunction(Strict):
    type: Literal["function"]
    name: str


class ResponsesRequest(Strict):
    """What would change the answer and is not listed is refused by name. `store` is a hint: every answer says that it is not."""

    model: str | None = None
    input: str | Annotated[list[dict[str, Any]], Field(min_length=1, fail_fast=True)]
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=4)] | None = None
    seed: int | None = None
    tools: Annotated[list[FunctionTool], FIRST] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedFunction | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    chat_template_kwargs: dict[str, bool | int | float | str] | None = None
    stop: str | Annotated[list[str], Field(max_length=MOST_STOPS, fail_fast=True)] | None = None
    ignore_eos: bool = False
    stream: bool = False
    stream_options: ResponseStreamOptions | None = None
    previous_response_id: str | None = None
    background: Literal[False] | None = None
    truncation: Literal["disabled"] | None = None
    include: list[Literal["reasoning.encrypted_content"]] | None = None
    """Asked for by clients that keep nothing at the server: thoughts are given in words here, and taken back so."""
    metadata: dict[str, str] | None = None
    max_tool_calls: Hint = None  # of built-in tools
    store: Hint = None
    user: Hint = None
    service_tier: Hint = None
    safety_identifier: Hint = None
    prompt_cache_key: Hint = None
    prompt_cache_retention: Hint = None

    def as_chat(self) -> ChatRequest:
        """ApiError where an item of the input is nothing that a model can be given."""
        if self.previous_response_id is not None:
            raise ApiError(400, KEPT_NOWHERE, code="unsupported_parameter", param="previous_response_id")
        given: list[dict[str, Any]] = (
            [{"role": "user", "content": self.input}] if isinstance(self.input, str) else self.input
        )
        messages = messages_of(given)
        if self.instructions is not None:
            messages.insert(0, {"role": "system", "content": self.instructions})
        choice: Any = self.tool_choice
        if isinstance(choice, NamedFunction):
            choice = {"type": "function", "function": {"name": choice.name}}
        return ChatRequest.model_validate(
            {
                **{name: getattr(self, name) for name in SAME},
                "messages": messages,
                "max_completion_tokens": self.max_output_tokens,
                "tools": [tool.as_chat(place) for place, tool in enumerate(self.tools)] if self.tools else None,
                "tool_choice": choice,
                "response_format": self._format(),
                "reasoning_effort": self.reasoning.effort if self.reasoning is not None else None,
            }
        )

    def _format(self) -> dict[str, Any] | None:
        asked = self.text.format if self.text is not None else None
        if asked is None or asked.type != "json_schema":
            return None if asked is None else {"type": asked.type}
        if asked.name is None or asked.body is None:
            said = "a json_schema format needs name and schema"
            raise ApiError(400, said, code="missing_required_parameter", param="text.format")
        schema = JsonSchema.model_validate(
            {"name": asked.name, "description": asked.description, "schema": asked.body, "strict": asked.strict}
        )
        return {"type": "json_schema", "json_schema": schema.model_dump(by_alias=True)}


def messages_of(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chat's messages: what an assistant thought, said and called one after the other is one message there."""
    messages: list[dict[str, Any]] = []
    turn: dict[str, Any] | None = None
    for place, item in enumerate(items):
        kind = item.get("type") or "message"
        if kind == "function_call_output":
            output = text_of(item.get("output"), f"input.{place}.output")
            messages.append({"role": "tool", "tool_call_id": told(item, "call_id", place), "content": output})
            turn = None
            continue
        role = told(item, "role", place) if kind == "message" else "assistant"
        if role not in ROLES:
            raise refused(f"there is no role {role!r}", f"input.{place}.role")
        if role != "assistant":
            messages.append({"role": role, "content": text_of(item.get("content"), f"input.{place}.content")})
            turn = None
            continue
        if turn is None or (kind != "function_call" and turn.keys() & {"content", "tool_calls"}):
            turn = {"role": "assistant"}
            messages.append(turn)
        add(turn, kind, item, place)
    return [each for each in messages if each["role"] != "assistant" or len(each) > 1]


def add(turn: dict[str, Any], kind: str, item: dict[str, Any], place: int) -> None:
    """To what an assistant did in one turn."""
    if kind == "message":
        turn["content"] = text_of(item.get("content"), f"input.{place}.content")
    elif kind == "reasoning":
        if thoughts := thoughts_of(item):
            turn["reasoning_content"] = thoughts
    elif kind == "function_call":
        function = {"name": told(item, "name", place), "arguments": item.get("arguments") or "{}"}
        call = {"id": told(item, "call_id", place), "type": "function", "function": function}
        turn.setdefault("tool_calls", []).append(call)
    else:
        said = (
            KEPT_NOWHERE if kind == "item_reference" else f"an item of the type {kind!r} cannot be given to this model"
        )
        raise refused(said, f"input.{place}")


def thoughts_of(item: dict[str, Any]) -> str:
    """As this server gives them; those that another one has encrypted are nobody's to read."""
    parts = [each for name in ("content", "summary") for each in cast("list[Any]", item.get(name) or [])]
    return "".join(each["text"] for each in parts if isinstance(each, dict) and isinstance(each.get("text"), str))  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType]


def text_of(content: Any, param: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise refused("content is a text or a list of parts", param)
    texts: list[str] = []
    for place, part in enumerate(cast("list[Any]", content)):
        given = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
        kind = given.get("type")
        text = given.get("refusal" if kind == "refusal" else "text")
        if kind not in TEXTS | {"refusal"} or not isinstance(text, str):
            raise refused(f"a part of the type {kind!r} cannot be given to this model; text can", f"{param}.{place}")
        texts.append(text)
    return "".join(texts)


def told(item: dict[str, Any], name: str, place: int) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        param = f"input.{place}.{name}"
        raise ApiError(400, f"missing parameter: {param}", code="missing_required_parameter", param=param)
    return value


def refused(message: str, param: str) -> ApiError:
    return ApiError(400, message, code="invalid_value", param=param)
