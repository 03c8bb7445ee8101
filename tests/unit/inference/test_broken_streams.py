"""A stream that can't go on is seen to be broken by every client: over a real connection, nothing ends it in order."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from starlette.types import ASGIApp

from inference.engine.schedule.scheduler import Slice
from inference.web.connections import connections
from tests.unit.inference.conftest import Families, Family, Rig, RigMaker, Serve


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return families.make(tmp_path_factory.mktemp("broken"), "LlamaConfig", ["q_proj"])


def fail_after(rig: Rig, steps: int) -> None:
    taken: list[int] = []

    def failing(slices: list[Slice]):
        taken.append(len(slices))
        if len(taken) > steps:
            raise RuntimeError("CUDA error: an illegal memory access")
        return rig.runner.run(slices)

    rig.steps.step = failing


def held_after(rig: Rig, steps: int) -> threading.Event:
    """The engine takes so many steps, and no other until the event."""
    go, taken = threading.Event(), list[int]()

    def waiting(slices: list[Slice]):
        taken.append(len(slices))
        if len(taken) > steps:
            assert go.wait(120)
        return rig.runner.run(slices)

    rig.steps.step = waiting
    return go


@contextlib.asynccontextmanager
async def listening(app: ASGIApp) -> AsyncGenerator[str]:
    config = uvicorn.Config(app, "127.0.0.1", 0, http=connections(15), lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)  # sleeps: between two looks
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


BODY: dict[str, Any] = {"model": "base", "prompt": "w5 w6", "max_tokens": 100, "ignore_eos": True, "stream": True}
BODY["stream_options"] = {"include_usage": True}
KEY = {"authorization": "Bearer key"}


async def read_until_broken(url: str, body: dict[str, Any], at_first: Callable[[], None]) -> bytes:
    """What came of a stream, whose end httpx calls a breach of the protocol."""
    read = b""

    async def follow():
        nonlocal read
        async with (
            httpx.AsyncClient(base_url=url, headers=KEY, timeout=60) as client,
            client.stream("POST", "/v1/completions", json=body) as answer,
        ):
            async for part in answer.aiter_bytes():
                if not read:
                    at_first()
                read += part

    with pytest.raises(httpx.RemoteProtocolError):
        await follow()
    return read


def test_a_stream_that_fails_tells_why_and_breaks_the_connection(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama)
    fail_after(rig, 10)

    async def scenario():
        service, app = serve(rig)
        async with listening(app) as url:
            read = await read_until_broken(url, BODY, lambda: None)
        last = read.strip().split(b"\n\n")[-1]
        assert b'"engine_error"' in last
        assert b"RuntimeError in the engine" in last
        assert b"[DONE]" not in read
        assert b'"prompt_tokens"' not in read
        assert service.in_flight == 0

    asyncio.run(scenario())


def test_of_several_answers_one_that_fails_ends_the_stream(llama: Family, make_rig: RigMaker, serve: Serve):
    """The official client raises; nothing of the stream could be taken for a whole answer."""
    rig = make_rig(llama)
    fail_after(rig, 10)

    async def scenario():
        service, app = serve(rig)
        finished: list[str | None] = []

        async def follow(url: str):
            client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0)
            stream = await client.completions.create(
                model="base", prompt="w5 w6", max_tokens=100, n=3, stream=True, extra_body={"ignore_eos": True}
            )
            async for chunk in stream:
                finished.extend(each.finish_reason for each in chunk.choices)

        async with listening(app) as url:
            with pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
                await follow(url)
        assert not any(finished)
        assert service.in_flight == 0

    asyncio.run(scenario())


def test_a_server_that_stops_cuts_off_what_it_cannot_finish(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama)

    async def scenario():
        service, app = serve(rig)
        go = held_after(
            rig, 5
        )  # it would end before it is told to stop, on a machine that does something else just then

        def stops() -> None:
            go.set()
            rig.engine.stop()

        stop = threading.Thread(target=stops)
        async with listening(app) as url:
            read = await read_until_broken(url, {**BODY, "max_tokens": 250, "ignore_eos": True}, stop.start)
        assert b'"draining"' in read
        assert b"[DONE]" not in read
        assert service.in_flight == 0

    asyncio.run(scenario())
