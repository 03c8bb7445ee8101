"""What the model reads: tools through its chat template, as transformers renders them, and the tokens of texts."""

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.inference.conftest import Endpoint, Sample, started

TEMPLATE = """{{ bos_token }}{%- if tools %}Tools: {% for tool in tools %}{{ tool | tojson }}
{% endfor %}{%- endif %}{%- for message in messages %}<{{ message.role }}>{{ message.content }}
{%- for call in message.tool_calls or [] %}{{ call.function.name }}({{ call.function.arguments | tojson }}){% endfor %}
{%- if message.tool_call_id %}[{{ message.tool_call_id }}]{% endif %}{%- endfor %}
{%- if add_generation_prompt %}<assistant>{% endif %}"""

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather “now” in a place, <b>é</b>",
            "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
        },
    },
    {"type": "function", "function": {"name": "time"}},
]
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Zürich"}'}}
TALK = [
    {"role": "developer", "content": "Be short."},
    {"role": "user", "content": [{"type": "text", "text": "How is "}, {"type": "text", "text": "it?"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "wet"},
]
# The same as chat templates know it: their own names and types.
AS_TEMPLATES_READ_IT = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "How is it?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{**CALL, "function": {"name": "weather", "arguments": {"place": "Zürich"}}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "wet"},
]


@pytest.fixture(scope="module")
def mount(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's base, with a template that reads tools."""
    mount = tmp_path_factory.mktemp("tools")
    base = mount / "model-cache" / sample.base
    shutil.copytree(sample.mount / "model-cache" / sample.base, base)
    (base / "chat_template.jinja").write_text(TEMPLATE)
    return mount


@pytest.fixture(scope="module")
def reference(mount: Path, sample: Sample) -> Any:
    """transformers' tokenizer of the same folder."""
    import transformers  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    return transformers.AutoTokenizer.from_pretrained(mount / "model-cache" / sample.base)


@pytest.fixture(scope="module")
def server(mount: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Endpoint]:
    with started(mount, tmp_path_factory.mktemp("server"), {}) as server:
        yield server


@pytest.mark.parametrize("tools", [None, TOOLS], ids=["without-tools", "with-tools"])
def test_the_chat_template_gets_messages_and_tools(
    server: Endpoint, sample: Sample, reference: Any, tools: list[Any] | None
):
    """The tokens are transformers' own, and a chat reads exactly these."""
    ids = reference.apply_chat_template(
        AS_TEMPLATES_READ_IT, tools=tools, tokenize=True, add_generation_prompt=True, return_dict=True
    )["input_ids"]
    asked = {"model": sample.base, "messages": TALK, **({"tools": tools} if tools else {})}
    told = server.http().post("/tokenize", json=asked).json()
    assert told["tokens"] == ids
    assert told["count"] == len(ids)
    answer = server.http().post("/v1/chat/completions", json={**asked, "max_tokens": 1}).json()
    assert answer["usage"]["prompt_tokens"] == len(ids)


def test_tools_that_are_not_to_be_called_are_not_read(server: Endpoint, sample: Sample):
    """`tool_choice: none`; `auto` and nothing are the same."""

    def length(**more: Any):
        asked = {"model": sample.base, "messages": TALK[:2], "max_tokens": 1, **more}
        return server.http().post("/v1/chat/completions", json=asked).json()["usage"]["prompt_tokens"]

    assert length(tools=TOOLS, tool_choice="none") == length() < length(tools=TOOLS)
    assert length(tools=TOOLS, tool_choice="auto") == length(tools=TOOLS)


def test_a_text_becomes_tokens_and_a_text_again(server: Endpoint, sample: Sample, reference: Any):
    for text in ("Who are you?", "né 🐈 <b>", " two  spaces ", ""):
        told = server.http().post("/tokenize", json={"model": sample.base, "prompt": text, "add_special_tokens": False})
        assert told.json() == {
            "tokens": reference.encode(text, add_special_tokens=False),
            "count": len(told.json()["tokens"]),
            "max_model_len": 2048,
        }
        back = server.http().post("/detokenize", json={"tokens": told.json()["tokens"]})
        assert back.json() == {"prompt": text}


def test_special_tokens_go_before_a_prompt_unless_they_are_not_wanted(server: Endpoint, sample: Sample, reference: Any):
    def tokens(**more: Any):
        return server.http().post("/tokenize", json={"prompt": "Who", **more}).json()["tokens"]

    assert tokens() == tokens(add_special_tokens=True) == reference.encode("Who")
    assert tokens(add_special_tokens=False) == reference.encode("Who", add_special_tokens=False)
    asked = {"model": sample.base, "prompt": "Who", "max_tokens": 1}
    answer = server.http().post("/v1/completions", json=asked).json()
    assert answer["usage"]["prompt_tokens"] == len(tokens())


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("/tokenize", {}, "give either prompt or messages"),
        ("/tokenize", {"prompt": "a", "messages": TALK}, "give either prompt or messages"),
        ("/tokenize", {"messages": [{"role": "nobody", "content": "x"}]}, "messages.0.role"),
        ("/tokenize", {"prompt": "a", "other": 1}, "other"),
        ("/tokenize", {"prompt": "a", "model": "nobody"}, "the model 'nobody' does not exist; there are: "),
        ("/detokenize", {"tokens": [-1]}, "tokens must lie between 0 and"),
        ("/detokenize", {"tokens": [1 << 20]}, "tokens must lie between 0 and"),
        ("/detokenize", {"tokens": [1] * 2049}, "at most 2048 tokens"),
        ("/detokenize", {"tokens": [1], "model": "nobody"}, "the model 'nobody' does not exist; there are: "),
        ("/v1/completions", {"prompt": "a", "model": "nobody"}, "the model 'nobody' does not exist; there are: "),
    ],
)
def test_what_cannot_be_told_is_said(server: Endpoint, sample: Sample, path: str, asked: dict[str, Any], said: str):
    answer = server.http().post(path, json=asked)
    assert answer.status_code == (404 if asked.get("model") == "nobody" else 400)
    message = answer.json()["error"]["message"]
    assert said in message
    if answer.status_code == 404:
        assert message.endswith(sample.base)
