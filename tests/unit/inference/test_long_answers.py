"""An answer that is not streamed and takes long: the connection is kept by white space, and a failure is never an answer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import openai
import pytest

from inference.engine.schedule.scheduler import Slice
from tests.unit.inference.conftest import Families, Family, Rig, RigMaker, Serve
from tests.unit.inference.test_broken_streams import KEY, listening

BODY: dict[str, Any] = {"model": "base", "prompt": "w5 w6", "max_tokens": 5, "ignore_eos": True}
SOON = {"begin_after": 0.2, "keep_alive": 0.1}


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return families.make(tmp_path_factory.mktemp("long"), "LlamaConfig", ["q_proj"])


def held(rig: Rig, *, fails: bool = False) -> threading.Event:
    """The engine takes no step until the event; then it goes on, or fails."""
    go = threading.Event()

    def waiting(slices: list[Slice]):
        assert go.wait(120)
        if fails:
            raise RuntimeError("CUDA error: an illegal memory access")
        return rig.runner.run(slices)

    rig.steps.step = waiting
    return go


async def read(url: str, at_space: threading.Event) -> tuple[int, str, bytes, Exception | None]:
    """What came, and what broke it off; the engine goes on once white space has come."""
    got = b""
    async with (
        httpx.AsyncClient(base_url=url, headers=KEY, timeout=60) as client,
        client.stream("POST", "/v1/completions", json=BODY) as answer,
    ):
        try:
            async for part in answer.aiter_bytes():
                got += part
                if len(got) >= 2:
                    at_space.set()
        except httpx.RemoteProtocolError as error:
            return answer.status_code, answer.headers["content-type"], got, error
        return answer.status_code, answer.headers["content-type"], got, None


def test_white_space_keeps_the_connection_until_the_document_is_there(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama)
    go = held(rig)

    async def scenario():
        service, app = serve(rig, **SOON)
        async with listening(app) as url:
            status, kind, got, broken = await read(url, go)
            assert (status, kind, broken) == (200, "application/json", None)
            assert got.startswith(b"  ")
            assert httpx.Response(200, content=got).json()["choices"][0]["finish_reason"] == "length"
            assert service.in_flight == 0
            again = held(rig)
            client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="key", max_retries=0)
            asking = asyncio.create_task(client.completions.create(model="base", prompt="w5 w6", max_tokens=5))
            asyncio.get_running_loop().call_later(0.6, again.set)
            assert (await asking).choices[0].finish_reason in {"length", "stop"}

    asyncio.run(scenario())


def test_one_that_fails_by_then_tells_why_and_breaks_the_connection(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama)
    go = held(rig, fails=True)

    async def scenario():
        service, app = serve(rig, **SOON)
        async with listening(app) as url:
            status, _, got, broken = await read(url, go)
        assert status == 200  # it was told before
        assert b'"engine_error"' in got
        assert broken is not None
        assert service.in_flight == 0

    asyncio.run(scenario())


def test_one_that_is_there_in_time_has_its_status_and_length(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama)
    held(rig, fails=True).set()

    async def scenario():
        _, app = serve(rig, begin_after=30)
        async with listening(app) as url, httpx.AsyncClient(base_url=url, headers=KEY, timeout=60) as client:
            answer = await client.post("/v1/completions", json=BODY)
            assert answer.status_code == 500
            assert int(answer.headers["content-length"]) == len(answer.content)

    asyncio.run(scenario())


def test_a_client_that_leaves_meanwhile_frees_its_place(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama)
    go = held(rig)

    async def scenario():
        service, app = serve(rig, **SOON)
        async with listening(app) as url:
            async with (
                httpx.AsyncClient(base_url=url, headers=KEY, timeout=60) as client,
                client.stream("POST", "/v1/completions", json=BODY) as answer,
            ):
                async for _ in answer.aiter_bytes():
                    break
                assert service.in_flight == 1
            async with asyncio.timeout(120):
                await service.idle.wait()
            go.set()

    asyncio.run(scenario())
