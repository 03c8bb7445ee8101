"""The OpenAI API's messages: requests validated by name and range, answers, errors, and server-sent events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, cast

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from starlette.responses import Response

from inference.engine.files.generation_config import API_DEFAULTS, SamplingDefaults
from inference.engine.schedule.sequence import SamplingParams
from inference.engine.text.grammar import ANY_OBJECT, Grammar

Probability = Annotated[float, Field(ge=0, le=1)]
Model = TypeVar("Model", bound=BaseModel)
Penalty = Annotated[float, Field(ge=-2, le=2)]
FIRST = Field(fail_fast=True)  # the first wrong element of a list is told: a million errors would take seconds to write
MOST_STOPS = 64
MOST_FIELDS = 50_000  # in all objects of a body together, for the same reason
UNIONS = {
    "prompt",
    "stop",
    "content",
    "input",
    "tool_choice",
}  # fields of several types: errors name the type after the field


WAITS = {429: 2, 500: 1, 503: 5}
"""Seconds after which it may go better, by status. Clients that are told none ask again at once, several times."""


class ApiError(Exception):
    """An answer other than 200, as the API writes it."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after = retry_after

    def response(self) -> Response:
        kind = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}.get(
            self.status, "invalid_request_error" if self.status < 500 else "server_error"
        )
        body = {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
        wait = self.retry_after or WAITS.get(self.status)
        headers = {"retry-after": str(wait)} if wait else None
        return json_response(body, self.status, headers)


class Given(BaseModel):
    """What a client sends: null is what was not given, whatever the field."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, Any]", value)
        return {name: each for name, each in given.items() if each is not None} if None in given.values() else given


class Strict(Given):
    """Whatever is not listed is refused by name."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)


class Part(Given):
    """Of a message's content. A refusal is what an assistant said, so it is text as well."""

    type: Literal["text", "refusal"]
    text: str = ""
    refusal: str = ""

    @model_validator(mode="after")
    def has_its_text(self) -> "Part":
        if self.type not in self.model_fields_set:
            raise ValueError(f"a part of the type {self.type} needs {self.type}")
        return self

    @property
    def said(self) -> str:
        return self.text if self.type == "text" else self.refusal


class Message(Given):
    """One message. Fields that only tools use are passed on to the chat template as they are; what is not known here is a note
    that clients keep for themselves (marks of a cache, ids, names of what made it): it is dropped."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[Part], FIRST] | None = None
    name: str | None = None
    tool_calls: Annotated[list[dict[str, Any]], FIRST] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None

    def plain(self) -> dict[str, Any]:
        """As chat templates read it: content is text, and `developer` is what others call `system`."""
        parts = self.content
        text = "".join(part.said for part in parts) if isinstance(parts, list) else parts
        role = "system" if self.role == "developer" else self.role
        more = self.model_dump(exclude_none=True, include={"name", "tool_call_id"})
        if self.tool_calls:
            more["tool_calls"] = [with_parsed_arguments(call) for call in self.tool_calls]
        if thoughts := self.reasoning_content or self.reasoning:
            more |= dict.fromkeys(("reasoning_content", "reasoning", "thinking"), thoughts)  # each has its templates
        said = text or self.refusal
        return {"role": role, **({} if said is None and self.tool_calls else {"content": said or ""}), **more}


def with_parsed_arguments(call: dict[str, Any]) -> dict[str, Any]:
    """Templates write the arguments as JSON themselves, so they get an object; the API has them as text. Text that is no JSON
    is what a model wrote that was cut off, and stays as it is."""
    function: Any = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):  # pyright: ignore[reportUnknownMemberType]
        return call
    try:
        arguments: Any = orjson.loads(function["arguments"] or "{}")  # pyright: ignore[reportUnknownArgumentType]
    except orjson.JSONDecodeError:
        return call
    return {**call, "function": {**function, "arguments": arguments}}


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False  # padding against listeners: a hint
    continuous_usage_stats: bool = False  # vLLM's; load generators send it with every stream


class JsonSchema(Strict):
    """A schema with a name. Every answer is held to it, whether `strict` is asked for or not."""

    name: Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    body: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    def schema_to_follow(self) -> Mapping[str, Any] | None:
        """The JSON schema that an answer must follow; None when it may say anything. ApiError when there is none to follow."""
        if (self.type == "json_schema") != (self.json_schema is not None):
            wrong = "is missing" if self.json_schema is None else f"does not go with the type {self.type}"
            raise ApiError(400, f"json_schema {wrong}", code="invalid_value", param="response_format.json_schema")
        if self.type == "text":
            return None
        given = self.json_schema.body if self.json_schema is not None else None
        return ANY_OBJECT if given is None else given


Hint = Annotated[None, BeforeValidator(lambda _: None)]
"""A parameter that changes no answer of this server, whatever it says: it is taken, and nothing is made of it."""


class Sampling(Strict):
    """What chat and plain completions have in common. What would change the answer and is not listed is refused by name."""

    model: str | None = None
    """Without one: the base."""
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Probability | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Probability | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=4)] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=MOST_STOPS, fail_fast=True)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    ignore_eos: bool = False
    user: Hint = None
    metadata: Hint = None
    store: Hint = None
    service_tier: Hint = None
    safety_identifier: Hint = None
    prompt_cache_key: Hint = None
    prompt_cache_retention: Hint = None
    prediction: Hint = None
    snippy: Hint = None


class FunctionName(Strict):
    name: str


class NamedTool(Strict):
    type: Literal["function"]
    function: FunctionName


class ChatRequest(Sampling):
    messages: Annotated[list[Message], Field(min_length=1, fail_fast=True)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[dict[str, Any]], FIRST] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    modalities: list[Literal["text"]] | None = None
    verbosity: Hint = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, bool | int | float | str] | None = None

    @property
    def switches(self) -> dict[str, bool | int | float | str]:
        """What the chat template is told besides the messages. `reasoning_effort` counts where no switch says otherwise."""
        effort = self.reasoning_effort
        told: dict[str, bool | int | float | str] = {} if effort is None else {"reasoning_effort": effort}
        if effort == "none":
            told["enable_thinking"] = False
        return told | (self.chat_template_kwargs or {})


Tokens = Annotated[list[int], FIRST]


class CompletionRequest(Sampling):
    prompt: str | Annotated[list[str], FIRST] | Tokens | Annotated[list[Tokens], FIRST]
    max_tokens: Annotated[int, Field(ge=1)] | None = 16
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: bool = False
    best_of: Literal[1] | None = None
    suffix: Literal[""] | None = None


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer."""

    prompt: int
    completion: int
    cached: int

    def body(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }


def parse(model: type[Model], raw: bytes) -> Model:
    """Validates a body; the first thing wrong becomes a 400 that names the parameter."""
    try:
        value: Any = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from error
    if not isinstance(value, dict):
        raise ApiError(400, "the body must be a JSON object", code="invalid_json")
    if len(raw) > MOST_FIELDS and more_fields(value, MOST_FIELDS):
        raise ApiError(400, f"the body holds more than {MOST_FIELDS} fields", code="invalid_value")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise refusal(error) from error


def more_fields(value: Any, than: int) -> bool:
    """Whether all objects in a value, and lists of them, hold more fields and elements than that."""
    number = 0
    inside: list[Any] = [value]
    while inside and number <= than:
        each = inside.pop()
        number += len(each)
        parts: Iterable[Any] = cast("dict[str, Any]", each).values() if isinstance(each, dict) else each
        # Lists of texts and numbers are long and harmless; their validation ends at the first other element.
        inside += [part for part in parts if isinstance(part, dict) or (isinstance(part, list) and nested(part))]
    return number > than


def nested(part: Any) -> bool:
    """Whether a list holds objects or lists, going by its first element."""
    return bool(part) and isinstance(part[0], dict | list)


def refusal(error: ValidationError) -> ApiError:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    first = errors[0]
    path = first["loc"]
    union = next((index for index, part in enumerate(path) if part in UNIONS), None)
    if union is not None:
        # Of the types that the field may have, the one that fitted furthest was meant.
        field = path[: union + 1]
        tried = [each for each in errors if each["loc"][: union + 1] == field]
        first = max(tried, key=depth)
        path = (*field, *first["loc"][union + 2 :])
        if depth(first) == depth(tried[0]):
            first["msg"] = " or ".join(dict.fromkeys(each["msg"] for each in tried if depth(each) == depth(first)))
    name = ".".join(map(str, path)) or None
    if first["type"] == "extra_forbidden":
        return ApiError(400, f"unsupported parameter: {name}", code="unsupported_parameter", param=name)
    if first["type"] == "missing":
        return ApiError(400, f"missing parameter: {name}", code="missing_required_parameter", param=name)
    return ApiError(400, f"invalid value for {name}: {first['msg']}", code="invalid_value", param=name)


def depth(error: ErrorDetails) -> tuple[int, int, bool]:
    """How far validation came: levels, elements, and at least the right type."""
    path = error["loc"]
    return len(path), sum(part for part in path if isinstance(part, int)), not error["type"].endswith("_type")


def sampling_params(
    request: Sampling,
    most: int,
    logprobs: int | None,
    vocabulary: int,
    grammar: Grammar | None = None,
    *,
    defaults: SamplingDefaults = API_DEFAULTS,
) -> SamplingParams:
    """The engine's parameters; what a request leaves open has the defaults."""
    bias: dict[int, float] = {}
    for token, value in (request.logit_bias or {}).items():
        if not token.isdecimal() or len(token) > 12 or int(token) >= vocabulary:
            raise ApiError(
                400, f"logit_bias names the unknown token {token!r}", code="invalid_value", param="logit_bias"
            )
        bias[int(token)] = value
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    return SamplingParams(
        max_tokens=most,
        temperature=defaults.temperature if request.temperature is None else request.temperature,
        top_p=defaults.top_p if request.top_p is None else request.top_p,
        top_k=defaults.top_k if request.top_k is None else max(request.top_k, 0),
        min_p=defaults.min_p if request.min_p is None else request.min_p,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        repetition_penalty=request.repetition_penalty or defaults.repetition_penalty,
        seed=request.seed,
        logit_bias=bias,
        stop=tuple(text for text in stop if text),
        ignore_eos=request.ignore_eos,
        logprobs=logprobs,
        grammar=grammar,
    )


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")


def event(body: Any) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
