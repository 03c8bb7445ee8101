"""What a model writes of its own accord, as the official client gets it: calls, thoughts, and text, whole and streamed.

The model is scripted: its tokens are those of a given text, special ones among them. All else is the server's own."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import openai
import pytest
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers

from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import Choice
from inference.engine.text.chat_template import compile_template
from inference.engine.text.tokenizer import Tokenizer
from tests.unit.inference.conftest import Families, Family, Rig, RigMaker, Serve

TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "get_tide", "parameters": {"type": "object", "properties": {}}}}
]
CHAT = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
FORMS = {
    "tags": (
        CHAT + "{{ tools | tojson }}<tool_call>",
        '<tool_call>\n{"name": "get_tide", "arguments": {"a": 1}}\n</tool_call>',
    ),
    "mistral": (CHAT + "{{ tools | tojson }}[TOOL_CALLS]", '[TOOL_CALLS][{"name": "get_tide", "arguments": {"a": 1}}]'),
    "llama": (CHAT + "{{ tools | tojson }}ipython", '{"name": "get_tide", "parameters": {"a": 1}}'),
    "told in words": (CHAT, '<tool_call>{"name": "get_tide", "arguments": {"a": 1}}</tool_call>'),
}


def tokenizer_with(template: str) -> Tokenizer:
    """Byte by byte; what calls stand behind in some families is a special token, which is usually no text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    fast = FastTokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens(["<|end|>", "[TOOL_CALLS]", "<|other|>"])
    end = fast.token_to_id("<|end|>")
    assert end is not None
    return Tokenizer(fast, frozenset({end}), compile_template(template), {})


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    folder = tmp_path_factory.mktemp("calls")
    return families.make(folder, "LlamaConfig", ["q_proj"], vocab_size=288, max_position_embeddings=1024)


def say(rig: Rig, tokenizer: Tokenizer, text: str) -> None:
    """Whatever is asked, the model says this."""
    script = tokenizer.encode(f"{text}<|end|>")

    def step(slices: list[Slice]) -> list[Choice]:
        rig.runner.run(slices)
        return [Choice(script[each.sequence.generated]) for each in slices if each.last]

    rig.steps.step = step


async def asked(app: Any, **body: Any) -> tuple[Any, list[Any]]:
    """The whole message and its reason, and the chunks of the same as a stream."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        given_client: Any = http
        client = openai.AsyncOpenAI(base_url="http://test/v1", api_key="key", max_retries=0, http_client=given_client)
        given: dict[str, Any] = {
            "model": "base",
            "messages": [{"role": "user", "content": "When?"}],
            "max_tokens": 300,
            **body,
        }
        whole = await client.chat.completions.create(**given)
        stream = await client.chat.completions.create(**given, stream=True)
        return whole.choices[0], [chunk.choices[0] async for chunk in stream]


def joined(chunks: list[Any], name: str) -> str:
    return "".join(getattr(chunk.delta, name, None) or "" for chunk in chunks)


@pytest.mark.parametrize("form", FORMS)
def test_a_call_of_the_models_own_accord_is_a_call(llama: Family, make_rig: RigMaker, serve: Serve, form: str):
    template, written = FORMS[form]
    tokenizer = tokenizer_with(template)
    rig = make_rig(llama, tokenizer=tokenizer, blocks=1024)
    say(rig, tokenizer, written)

    async def scenario():
        _, app = serve(rig)
        whole, chunks = await asked(app, tools=TOOLS)
        (call,) = whole.message.tool_calls
        assert (call.type, call.function.name, call.function.arguments) == ("function", "get_tide", '{"a": 1}')
        assert whole.message.content is None
        assert whole.finish_reason == "tool_calls"
        (streamed,) = [each for chunk in chunks for each in chunk.delta.tool_calls or []]
        assert (streamed.index, streamed.function.name, streamed.function.arguments) == (0, "get_tide", '{"a": 1}')
        assert joined(chunks, "content") == ""
        assert chunks[-1].finish_reason == "tool_calls"
        without, _ = await asked(app, tools=TOOLS, tool_choice="none")
        assert without.message.tool_calls is None
        assert "get_tide" in without.message.content
        assert without.finish_reason == "stop"

    asyncio.run(scenario())


def test_text_beside_a_call_stays_and_other_special_tokens_are_no_text(llama: Family, make_rig: RigMaker, serve: Serve):
    tokenizer = tokenizer_with(FORMS["mistral"][0])
    rig = make_rig(llama, tokenizer=tokenizer, blocks=1024)
    say(rig, tokenizer, f"I will look.<|other|> {FORMS['mistral'][1]}")

    async def scenario():
        _, app = serve(rig)
        whole, chunks = await asked(app, tools=TOOLS)
        assert whole.message.content == joined(chunks, "content") == "I will look."
        assert len(whole.message.tool_calls) == 1
        plainly, _ = await asked(app)
        assert plainly.message.tool_calls is None
        assert plainly.message.content.startswith('I will look. [{"name"')

    asyncio.run(scenario())


@pytest.mark.parametrize("opened", [False, True], ids=["by the model", "by the prompt"])
def test_thoughts_are_told_apart(llama: Family, make_rig: RigMaker, serve: Serve, opened: bool):
    tokenizer = tokenizer_with(CHAT + "{# </think> #}" + ("<think>\n" if opened else ""))
    rig = make_rig(llama, tokenizer=tokenizer, blocks=1024)
    say(rig, tokenizer, ("" if opened else "<think>\n") + "Tides…\n</think>\n\nAt noon.")

    async def scenario():
        _, app = serve(rig)
        whole, chunks = await asked(app)
        assert whole.message.content == joined(chunks, "content") == "At noon."
        assert whole.message.reasoning_content == joined(chunks, "reasoning_content") == "Tides…"
        assert whole.finish_reason == chunks[-1].finish_reason == "stop"

    asyncio.run(scenario())


def test_a_refused_tool_is_named(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama, tokenizer=tokenizer_with(CHAT), blocks=1024)

    async def scenario():
        _, app = serve(rig)
        with pytest.raises(openai.BadRequestError, match="type function"):
            await asked(app, tools=[{"type": "web_search"}])

    asyncio.run(scenario())
