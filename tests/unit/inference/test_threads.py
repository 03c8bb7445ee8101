"""The engine's thread and the event loop: one wake-up a step, liveness without the engine, and a start without heavy imports."""

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from inference.engine.engine import Engine
from tests.unit.inference.conftest import Families, Family, RigMaker, Serve

ROOT = Path(__file__).resolve().parents[3]
KEY = {"authorization": "Bearer key"}
HEAVY = {"torch", "transformers", "gradio", "peft", "bitsandbytes", "triton"}


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often the engine's thread wakes it."""

    wakeups = 0

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any):
        self.wakeups += threading.current_thread().name == "engine"
        return super().call_soon_threadsafe(*args, **kwargs)


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return families.make(tmp_path_factory.mktemp("threads"), "LlamaConfig", ["q_proj"])


def body(**more: Any):
    return {"model": "base", "prompt": "w5 w6 w7", "ignore_eos": True, "max_tokens": 30, "temperature": 0, **more}


def client(app: ASGIApp):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=KEY, timeout=60)


class Held:
    """Keeps the engine's thread between two steps, as the installation of an adapter does, until it may go on."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._entered, self.go_on = threading.Event(), threading.Event()

    async def __aenter__(self):
        self._waiting = asyncio.create_task(asyncio.to_thread(self._engine._between_steps, self._hold))
        await asyncio.to_thread(self._entered.wait, 60)
        return self

    async def __aexit__(self, *error: Any):
        self.go_on.set()
        await self._waiting

    def _hold(self):
        self._entered.set()
        assert self.go_on.wait(240)


def test_a_step_wakes_the_event_loop_once_however_many_answers_it_brings(
    llama: Family, make_rig: RigMaker, serve: Serve
):
    rig = make_rig(llama)

    async def scenario():
        service, app = serve(rig)
        async with client(app) as http:
            async with Held(rig.engine):
                posts = [http.post("/v1/completions", json=body(stream=number % 2 == 0)) for number in range(12)]
                asked = asyncio.gather(*posts)
                while service.in_flight < 12:
                    await asyncio.sleep(0)
            return await asked

    loop = CountingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        answers = runner.run(scenario())
    assert [answer.status_code for answer in answers] == [200] * 12
    assert sum(answer.text.count('"text":"w') for answer in answers[::2]) == 6 * 30  # each token was an event
    assert (rig.engine.gauges().steps, loop.wakeups) == (30, 30)


def test_liveness_and_readiness_do_not_wait_for_the_engine(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama)

    async def scenario():
        _, app = serve(rig)
        async with client(app) as http:
            async with Held(rig.engine):
                waiting = asyncio.create_task(http.post("/v1/completions", json=body()))
                for path in ("/health/live", "/health/ready", "/version", "/metrics", "/v1/models"):
                    assert (await http.get(path)).status_code == 200
                assert rig.engine.gauges().steps == 0
                assert not waiting.done()
            assert (await waiting).status_code == 200

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_the_server_is_imported_without_what_takes_seconds():
    script = (
        "import json, sys, inference.server; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    imported = set(json.loads(done.stdout))
    assert {"inference", "starlette", "uvicorn"} <= imported
    assert imported & HEAVY == set()
