"""A model's chat template: compiled where it can do no harm, asked how it takes tools, and helped where it takes none."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, NoReturn, cast

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

Message = Mapping[str, Any]
Way = Literal["variable", "message", "text"]
CallForm = Literal["tags", "mistral", "llama", "phi"]
"""How a model writes a call: between `<tool_call>` tags; after `[TOOL_CALLS]`; as bare JSON or after `<|python_tag|>`; after
`functools` or between `<|tool_call|>` tags."""
FORMS: tuple[tuple[str, CallForm], ...] = (
    ("[TOOL_CALLS]", "mistral"),
    ("<tool_call>", "tags"),
    ("<|python_tag|>", "llama"),
    ("ipython", "llama"),
    ("<|tool|>", "phi"),
    ("functools", "phi"),
)
"""What a template says that knows the form; the first that is found counts."""
PROBE = "slipway_probe"


@dataclass(frozen=True, eq=False)
class ChatTemplate:
    """`source` as it is published."""

    source: str
    _compiled: jinja2.Template

    def render(self, **variables: Any) -> str:
        """Raises whatever a template can."""
        return self._compiled.render(**variables)

    @cached_property
    def takes_tools(self) -> Way:
        """Tried out: as the variable that most read, as a text in the system message (Phi-4-mini), or not at all: then they
        have to be told in words."""
        tool = {"type": "function", "function": {"name": PROBE, "description": PROBE, "parameters": {"type": "object"}}}
        user = {"role": "user", "content": "x"}
        if self._says_probe([user], [tool]):
            return "variable"
        if self._says_probe([{"role": "system", "content": "x", "tools": PROBE}, user], None):
            return "message"
        # One that can't be rendered without functions is made for them, whatever it says of them.
        return "variable" if self._renders([user], [tool]) and not self._renders([user], None) else "text"

    @cached_property
    def takes_system(self) -> bool:
        """Whether what a system message says is in the prompt: some templates refuse one, some drop it."""
        return self._says_probe([{"role": "system", "content": PROBE}, {"role": "user", "content": "x"}], None)

    @property
    def call_form(self) -> CallForm | None:
        """None where nobody knows how its model writes a call."""
        if self.takes_tools == "text":
            return "tags"
        return next((form for mark, form in FORMS if mark in self.source), None)

    @property
    def thinks(self) -> bool:
        """Whether its model writes down its thoughts, between tags, before it answers."""
        return "</think>" in self.source

    def _says_probe(self, messages: Sequence[Message], tools: Sequence[Any] | None) -> bool:
        return PROBE in (self._tried(messages, tools) or "")

    def _renders(self, messages: Sequence[Message], tools: Sequence[Any] | None) -> bool:
        return self._tried(messages, tools) is not None

    def _tried(self, messages: Sequence[Message], tools: Sequence[Any] | None) -> str | None:
        """None where it refuses."""
        try:
            return self.render(messages=messages, tools=tools, add_generation_prompt=True)
        except Exception:  # noqa: BLE001  (a template comes with the model, and can raise whatever Python can)
            return None


def compile_template(source: str | None) -> ChatTemplate | None:
    """Compiles in a sandbox: a template comes with the model and is not to be trusted."""
    if source is None:
        return None
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Spoken])
    offered: dict[str, Any] = {"raise_exception": refuse, "strftime_now": now}
    environment.globals.update(offered)
    environment.filters["tojson"] = to_json
    return ChatTemplate(source, environment.from_string(source))


class Spoken(Extension):
    """`{% generation %}` … `{% endgeneration %}` marks what the assistant says, for training. Here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012  (Jinja's own form)

    def parse(self, parser: Parser) -> list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Not Jinja's own, which escapes for HTML. Templates give these parameters by position or by name."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


ASKED = """You may call these functions, each described as JSON:
{functions}
To call one, write this and nothing after it, with the function's name and its arguments as JSON:
<tool_call>
{{"name": "…", "arguments": {{…}}}}
</tool_call>"""


def in_system_message(messages: Sequence[Message], tools: Sequence[Any]) -> list[Message]:
    """The functions as a text on the system message, where the template reads them there. It knows no calls, so these are
    written as its model writes them."""
    told = json.dumps([bare(tool) for tool in tools], ensure_ascii=False)
    written = [
        with_calls(message, lambda calls: f"<|tool_call|>{to_json(calls)}<|/tool_call|>") for message in messages
    ]
    first, *rest = written or [{}]
    if first.get("role") == "system":
        return [{**first, "tools": told}, *rest]
    return [{"role": "system", "content": "", "tools": told}, *written]


def in_words(messages: Sequence[Message], tools: Sequence[Any] | None) -> list[Message]:
    """A conversation for a template that knows neither functions nor calls: all of it as text, in the form that most models
    were trained on."""
    plainly = [spoken(message) for message in messages]
    if not tools:
        return plainly
    told = ASKED.format(functions="\n".join(json.dumps(bare(tool), ensure_ascii=False) for tool in tools))
    first, *rest = plainly or [{}]
    if first.get("role") == "system":
        return [{**first, "content": "\n\n".join(part for part in (first.get("content"), told) if part)}, *rest]
    return [{"role": "system", "content": told}, *plainly]


def spoken(message: Message) -> Message:
    """A message with calls, or with what came of one, as a text."""
    if message.get("role") == "tool":
        return {"role": "user", "content": f"<tool_response>\n{message.get('content') or ''}\n</tool_response>"}
    return with_calls(message, lambda calls: "\n".join(f"<tool_call>\n{to_json(call)}\n</tool_call>" for call in calls))


def with_calls(message: Message, write: Callable[[list[Any]], str]) -> Message:
    """A message whose calls, if it has any, stand in its text."""
    calls = cast("list[Any]", message.get("tool_calls") or [])
    if not calls:
        return message
    parts = (message.get("content"), write([bare(call) for call in calls]))
    return {"role": "assistant", "content": "\n".join(part for part in parts if part)}


def bare(tool: Any) -> Any:
    """What stands inside `{"type": "function", "function": …}`."""
    return tool.get("function", tool) if isinstance(tool, Mapping) else tool  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def in_first_user_message(messages: Sequence[Message]) -> list[Message]:
    """For templates that refuse a system message: it goes before what the user says first."""
    first, *rest = messages or [{}]
    if first.get("role") != "system" or not rest or rest[0].get("role") != "user":
        return list(messages)
    return [{**rest[0], "content": f"{first.get('content')}\n\n{rest[0].get('content')}"}, *rest[1:]]
