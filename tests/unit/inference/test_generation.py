"""One call's answers: of the adapter that its prompt was encoded for, ended by the first stop string."""

import asyncio
import json
import shutil

import pytest
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models

from inference.api import ApiError
from inference.engine.sequence import SamplingParams
from inference.engine.tokenizer import Tokenizer
from inference.generation import Generation

VOCABULARY = 160  # of the models of these tests


@pytest.fixture(scope="module")
def llama(families, tmp_path_factory):
    return families.make(tmp_path_factory.mktemp("generation"), "LlamaConfig", ["q_proj", "v_proj"])


@pytest.fixture(scope="module")
def expected(llama, families):
    reference = families.reference(llama)
    return {name: reference.generate([5, 6, 7], name, 12) for name in llama.adapters}


async def greedy(service, adapter):
    params = SamplingParams(max_tokens=12, temperature=0.0, ignore_eos=True, logprobs=0)
    with Generation(service, adapter, [[5, 6, 7]], params) as generation:
        return [choice.token async for batch in generation.deltas() for _, delta in batch for choice in delta.choices]


@pytest.mark.parametrize("then", ["replaced", "unloaded"])
def test_the_adapter_may_go_between_encoding_and_asking(llama, expected, make_rig, serve, tmp_path, then):
    """What was encoded for the first is answered by the first, and its slot is given back only then."""
    rig = make_rig(llama)
    first, second = (tmp_path / name / "adapter" for name in ("one", "two"))
    shutil.copytree(llama.adapters["first"], first)
    shutil.copytree(llama.adapters["second"], second)

    async def scenario():
        service, _ = serve(rig)
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


def test_a_call_that_is_refused_lets_its_adapter_go(llama, make_rig, serve, tmp_path):
    rig = make_rig(llama)
    path = tmp_path / "one" / "adapter"
    shutil.copytree(llama.adapters["first"], path)

    async def scenario():
        service, app = serve(rig)
        adapters = service.served.adapters
        loaded = await asyncio.to_thread(adapters.load, "one", path)
        for asked, status in (({"prompt": "w5", "max_tokens": 9999}, 400), ({"prompt": "w5 w6", "max_tokens": 2}, 200)):
            requests = asyncio.Queue()
            body = json.dumps({"model": "one", **asked}).encode()
            requests.put_nowait({"type": "http.request", "body": body, "more_body": False})
            sent = []

            async def send(message, sent=sent):
                sent.append(message)

            headers = [(b"authorization", b"Bearer key"), (b"content-type", b"application/json")]
            scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": headers}
            more = {"query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": ""}
            await app({**scope, **more}, requests.get, send)
            assert sent[0]["status"] == status
            assert adapters._holders == {loaded.slot: 0}

    asyncio.run(scenario())


def test_a_stop_string_that_is_found_at_the_end_only_is_the_reason(llama, expected, make_rig):
    """Bytes are held back until their run ends: here that is the last token allowed."""
    fast = FastTokenizer(models.WordLevel({f"<0x{n:02X}>": n for n in range(VOCABULARY)}, unk_token="<0x00>"))
    fast.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer = Tokenizer(fast, frozenset(), None, {})
    rig = make_rig(llama, tokenizer=tokenizer)
    text = tokenizer.decode(expected["first"])
    for stop, cut, reason in ((text[4], text[: text.find(text[4])], "stop"), ("never", text, "length")):
        asked = rig.ask([5, 6, 7], "first", max_tokens=12, stop=(stop,))
        assert asked.done.wait(30)
        assert (asked.text, asked.finish) == (cut, reason)
