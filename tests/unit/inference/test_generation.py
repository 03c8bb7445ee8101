"""One call's answers: of the adapter that its prompt was encoded for, ended by the first stop string."""

import asyncio
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Message
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models

from inference.api.completions import respond, text_generation
from inference.api.generation import Generation
from inference.api.writers import TextWriter
from inference.engine.adapters.table import InstalledAdapter
from inference.engine.schedule.sequence import SamplingParams
from inference.engine.text.tokenizer import Tokenizer
from inference.messages import ApiError, CompletionRequest
from inference.service import Service
from tests.unit.inference.conftest import Families, Family, RigMaker, Serve

VOCABULARY = 160  # of the models of these tests


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return families.make(tmp_path_factory.mktemp("generation"), "LlamaConfig", ["q_proj", "v_proj"])


@pytest.fixture(scope="module")
def expected(llama: Family, families: Families) -> dict[str, list[int]]:
    reference = families.reference(llama)
    return {name: reference.generate([5, 6, 7], name, 12) for name in llama.adapters}


async def post(app: ASGIApp, asked: dict[str, Any]):
    """The messages that the server answers a completion with."""
    requests = asyncio.Queue()
    requests.put_nowait({"type": "http.request", "body": json.dumps(asked).encode(), "more_body": False})
    sent = []

    async def send(message: Message):
        sent.append(message)

    headers = [(b"authorization", b"Bearer key"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": headers, "query_string": b""}
    await app({**scope, "http_version": "1.1", "scheme": "http", "root_path": ""}, requests.get, send)
    return sent


async def greedy(service: Service, adapter: InstalledAdapter):
    params = SamplingParams(max_tokens=12, temperature=0.0, ignore_eos=True, logprobs=0)
    with Generation(service, adapter, [[5, 6, 7]], params) as generation:
        return [choice.token async for batch in generation.deltas() for _, delta in batch for choice in delta.choices]


@pytest.mark.parametrize("then", ["replaced", "unloaded"])
def test_the_adapter_may_go_between_encoding_and_asking(
    llama: Family, expected: dict[str, list[int]], make_rig: RigMaker, serve: Serve, tmp_path: Path, then: str
):
    """What was encoded for the first is answered by the first, and its slot is given back only then."""
    rig = make_rig(llama)
    first, second = (tmp_path / name / "adapter" for name in ("one", "two"))
    shutil.copytree(llama.adapters["first"], first)
    shutil.copytree(llama.adapters["second"], second)

    async def scenario():
        service, _ = serve(rig)
        assert service.served is not None
        adapters = service.served.adapters
        before = await asyncio.to_thread(adapters.load, "one", first)
        now = before
        with service.holding("one") as held:
            if then == "replaced":
                now = await asyncio.to_thread(adapters.load, "one", second)
                assert now.digest != before.digest
            else:
                await asyncio.to_thread(adapters.unload, "one")
            assert await greedy(service, held) == expected["first"]
            assert adapters._retired == {before.slot}  # still held by whoever encodes
        while adapters._retired:
            await asyncio.sleep(0)
        if then == "unloaded":
            with pytest.raises(ApiError, match="does not exist"), service.holding("one"):
                pass
            return
        with service.holding("one") as held:
            assert held.digest == now.digest
            assert await greedy(service, held) == expected["second"]

    asyncio.run(scenario())


def test_a_call_that_is_refused_lets_its_adapter_go(llama: Family, make_rig: RigMaker, serve: Serve, tmp_path: Path):
    rig = make_rig(llama)
    path = tmp_path / "one" / "adapter"
    shutil.copytree(llama.adapters["first"], path)

    async def scenario():
        service, app = serve(rig)
        assert service.served is not None
        adapters = service.served.adapters
        loaded = await asyncio.to_thread(adapters.load, "one", path)
        for asked, status in (({"prompt": "w5", "max_tokens": 9999}, 400), ({"prompt": "w5 w6", "max_tokens": 2}, 200)):
            sent = await post(app, {"model": "one", **asked})
            assert sent[0]["status"] == status
            assert adapters._holders == {loaded.slot: 0}

    asyncio.run(scenario())


def test_a_stop_string_that_is_found_at_the_end_only_is_the_reason(
    llama: Family, expected: dict[str, list[int]], make_rig: RigMaker
):
    """Bytes are held back until their run ends: here that is the last token allowed."""
    fast = FastTokenizer(models.WordLevel({f"<0x{n:02X}>": n for n in range(VOCABULARY)}, unk_token="<0x00>"))
    fast.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer = Tokenizer(fast, frozenset(), None, {})
    rig = make_rig(llama, tokenizer=tokenizer)
    text = tokenizer.decode(expected["first"])
    for stop, cut, reason in ((text[4], text[: text.find(text[4])], "stop"), ("never", text, "length")):
        asked = rig.ask([5, 6, 7], "first", max_tokens=12, stop=(stop,))
        assert asked.done.wait(240)
        assert (asked.text, asked.finish) == (cut, reason)


class Watched(TextWriter):
    """Remembers on which thread it wrote."""

    wrote: threading.Thread | None = None

    def whole(self, answers: Any, usage: Any):
        self.wrote = threading.current_thread()
        return super().whole(answers, usage)


def long_answers(tokens: int):
    asked = {"model": "base", "prompt": [5, 6, 7], "max_tokens": tokens, "ignore_eos": True, "temperature": 0}
    return asked | {"n": 8, "logprobs": 5}


@pytest.mark.parametrize("tokens", [20, 100])
def test_long_answers_with_logprobs_are_written_beside_the_streams(
    llama: Family, make_rig: RigMaker, serve: Serve, tokens: int
):
    rig = make_rig(llama)

    async def scenario():
        service, _ = serve(rig)
        asked = CompletionRequest.model_validate(long_answers(tokens))
        with service.holding("base") as base:
            generation, writer = await text_generation(service, base, asked)
            watched = Watched(writer.id, writer.created, writer.model, writer.usage, writer.spell)
            request = Request({"type": "http"}, asyncio.Queue().get)
            await respond(generation, watched, stream=False, request=request)
        assert (watched.wrote is threading.current_thread()) == (tokens == 20)

    asyncio.run(scenario())


@pytest.mark.parametrize("tokens", [20, 100])
def test_long_answers_with_logprobs_say_what_a_stream_of_the_same_says(
    llama: Family, make_rig: RigMaker, serve: Serve, tokens: int
):
    rig = make_rig(llama)

    async def scenario():
        _, app = serve(rig)
        asked = long_answers(tokens)
        answer = await post(app, asked)
        assert answer[0]["status"] == 200
        choices = json.loads(b"".join(each["body"] for each in answer[1:]))["choices"]
        streamed = await post(app, {**asked, "stream": True})
        said: dict[int, list[str]] = {index: [] for index in range(8)}
        for line in b"".join(each["body"] for each in streamed[1:]).split(b"\n\n"):
            if line.startswith(b"data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    said[choice["index"]] += (choice["logprobs"] or {"tokens": []})["tokens"]
        assert {each["index"]: each["logprobs"]["tokens"] for each in choices} == said
        assert all(len(each) == tokens for each in said.values())

    asyncio.run(scenario())
