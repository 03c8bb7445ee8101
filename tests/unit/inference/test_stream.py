"""Streams beside an engine that is held up: the client hears in time that its answer goes on."""

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from inference.api.stream import Pipe, StalledError
from inference.carried import carried
from inference.engine.adapters.table import Adapters
from inference.engine.adapters.watch import Watch
from inference.engine.schedule.scheduler import Slice
from inference.engine.text.tokenizer_grammars import TokenizerGrammars
from inference.messages import KEEP_ALIVE
from inference.server import application
from inference.service import Served, Service
from inference.settings import Settings
from inference.web.chat_mount import ChatPage
from inference.web.gate import Gate
from tests.unit.inference.conftest import Families, Family, Rig, RigMaker, Serve

SILENCE = 1.0


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return families.make(tmp_path_factory.mktemp("stream"), "LlamaConfig", ["q_proj"])


def hold_after(rig: Rig, steps: Any) -> threading.Event:
    """The engine's steps after the first few wait for the event."""
    go, taken = threading.Event(), []

    def holding(slices: list[Slice]):
        taken.append(slices)
        if len(taken) > steps:
            assert go.wait(240)
        return rig.runner.run(slices)

    rig.steps.step = holding
    return go


def test_silence_is_counted_from_the_last_token(llama: Family, make_rig: RigMaker, tmp_path: Path):
    """Also where a token came in the middle of the time after which the client is told."""
    rig = make_rig(llama)
    go = hold_after(rig, 20)

    async def scenario():
        loop = asyncio.get_running_loop()
        service = Service(Settings(api_key="key", mount=tmp_path, keep_alive=SILENCE), loop)
        rig.deliver = service.deliver
        adapters = Adapters(tmp_path, 1, rig.engine.install, rig.engine.remove)
        watch = Watch(adapters, tmp_path, tmp_path / "config.json", 60)
        service.served = Served("base", rig.engine, adapters, TokenizerGrammars(rig.engine.tokenizer), watch)
        service.note("ready", 1.0, "")
        app = application(service, Gate("key"), ChatPage(service))
        asked = {"model": "base", "prompt": "w5 w6", "max_tokens": 40, "ignore_eos": True, "stream": True}
        requests = asyncio.Queue()
        requests.put_nowait({"type": "http.request", "body": json.dumps(asked).encode(), "more_body": False})
        written: list[tuple[float, bytes]] = []

        async def send(message: Message):
            body = message.get("body", b"")
            written.append((loop.time(), body))
            if body.count(KEEP_ALIVE) and not go.is_set():
                go.set()

        headers = [(b"authorization", b"Bearer key"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": headers, "query_string": b""}
        await app({**scope, "http_version": "1.1", "scheme": "http", "root_path": ""}, requests.get, send)
        told = next(index for index, (_, body) in enumerate(written) if body == KEEP_ALIVE)
        silence = written[told][0] - written[told - 1][0]
        assert SILENCE * 0.9 <= silence <= SILENCE * 1.6
        assert b"[DONE]" in written[-1][1]

    asyncio.run(scenario())


PATIENCE = 0.4
MUCH = 2.0  # of it: so that a busy machine does not spend it


def test_a_client_that_reads_slowly_is_waited_for():
    """Each piece of what has gathered has its own time; together they may take longer."""
    taken: list[bytes] = []

    async def scenario():
        loop = asyncio.get_running_loop()

        async def send(message: Message):
            ready = loop.create_future()
            loop.call_later(MUCH / 10, ready.set_result, None)
            await ready
            taken.append(message["body"])

        pipe = Pipe(send, lambda: None, MUCH)
        for number in range(120):
            pipe.write(bytes([number]) * 10_000)
        began = loop.time()
        await pipe.drain()
        assert loop.time() - began > MUCH

    asyncio.run(scenario())
    assert b"".join(taken) == b"".join(bytes([number]) * 10_000 for number in range(120))
    assert max(map(len, taken)) < 80_000


def test_a_client_that_takes_a_piece_and_no_more_is_given_up():
    async def scenario():
        loop = asyncio.get_running_loop()
        taken: list[bytes] = []

        async def send(message: Message):
            if taken:
                await loop.create_future()
            await asyncio.sleep(0)
            taken.append(message["body"])

        pipe = Pipe(send, lambda: None, PATIENCE)
        pipe.write(b"a")
        pipe.write(b"b")
        with pytest.raises(StalledError):
            await pipe.drain()
        pipe.close()
        assert taken == [b"a"]

    asyncio.run(scenario())


@pytest.mark.parametrize("where", ["start", "end"])
def test_a_client_that_stalls_at_the_start_or_the_end_is_cut_off(
    llama: Family, make_rig: RigMaker, serve: Serve, where: str
):
    rig = make_rig(llama)

    async def scenario():
        service, app = serve(rig)
        service.settings = replace(service.settings, send_timeout=PATIENCE)
        asked = {"model": "base", "prompt": "w5 w6", "max_tokens": 4, "ignore_eos": True, "stream": True}
        requests = asyncio.Queue()
        requests.put_nowait({"type": "http.request", "body": json.dumps(asked).encode(), "more_body": False})
        never = asyncio.get_running_loop().create_future()

        async def send(message: Message):
            last = message["type"] == "http.response.body" and not message["more_body"]
            if last if where == "end" else message["type"] == "http.response.start":
                await never

        def abort():
            requests.put_nowait({"type": "http.disconnect"})

        headers = [(b"authorization", b"Bearer key"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": headers, "query_string": b""}
        more = {"http_version": "1.1", "scheme": "http", "root_path": ""}
        carried(scope).abort = abort
        await asyncio.wait_for(app({**scope, **more}, requests.get, send), 30)
        assert service.in_flight == 0

    asyncio.run(scenario())
