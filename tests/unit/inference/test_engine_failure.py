"""An engine that dies for good: nobody waits for ever, and the server says that it must be restarted."""

import asyncio
import threading

import httpx
import pytest

from inference.engine.files.adapter import AdapterError
from inference.engine.schedule.scheduler import Slice
from tests.unit.inference.conftest import Families, Family, Rig, RigMaker, Serve

KEY = {"authorization": "Bearer key"}


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return families.make(tmp_path_factory.mktemp("failure"), "LlamaConfig", ["q_proj"])


def break_for_good(rig: Rig) -> threading.Event:
    """From the next step after the event is set on, no batch can be run, nor its parts, and no request is to blame. No long
    answer is whole before."""
    broken, steps = threading.Event(), list[int]()

    def failing(slices: list[Slice]):
        steps.append(len(slices))
        if len(steps) > 20:
            assert broken.wait(240)
        if broken.is_set():
            raise AttributeError("there are no weights")
        return rig.runner.run(slices)

    rig.steps.step = failing
    return broken


def test_everybody_who_waits_or_comes_later_gets_an_error(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama, sequences=2)
    broken = break_for_good(rig)
    asked = [rig.ask([9, 8, number], max_tokens=200) for number in range(6)]  # two run, four wait
    broken.set()
    for request in asked:
        assert request.done.wait(240)
        assert request.finish == "error"
        assert "the engine has failed" in request.deltas[-1].error
    assert "AttributeError" in rig.engine.failure
    late = rig.ask([9, 8], max_tokens=5)
    assert late.done.wait(240)
    assert late.finish == "error"
    rig.engine.cancel(asked[0].number)
    rig.engine.remove(1)  # an adapter's swap comes back too


def test_who_failed_just_before_the_engine_did_is_told_as_well(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama)
    begun = threading.Event()

    def failing(slices: list[Slice]):
        begun.wait(240)
        if len(slices) > 1:
            raise RuntimeError("the batch")
        if slices[0].sequence.tokens[2] == 1:
            raise RuntimeError("this one")
        if slices[0].sequence.tokens[2] == 2:
            raise AttributeError("the engine")
        return rig.runner.run(slices)

    rig.steps.step = failing
    asked = [rig.ask([9, 8, number], max_tokens=5) for number in (0, 1, 2)]
    begun.set()
    for request in asked:
        assert request.done.wait(240)
    assert [request.finish for request in asked[1:]] == ["error", "error"]
    assert rig.engine.failure.startswith("AttributeError")


def test_an_adapter_that_comes_after_the_end_is_refused(llama: Family, make_rig: RigMaker):
    rig = make_rig(llama)
    rig.engine.stop()
    with pytest.raises(AdapterError, match="stopping"):
        rig.engine.remove(1)


def test_the_server_says_so_and_asks_to_be_restarted(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama)
    broken = break_for_good(rig)

    async def scenario():
        service, app = serve(rig)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:

            async def status(path: str):
                return (await client.get(path, headers=KEY)).status_code

            body = {"model": "base", "prompt": "w5 w6", "max_tokens": 200, "ignore_eos": True}
            assert [await status(path) for path in ("/health/live", "/health/ready")] == [200, 200]
            waiting = asyncio.create_task(client.post("/v1/completions", json=body, headers=KEY))
            while not service.in_flight:
                await asyncio.sleep(0)
            broken.set()
            whole = await waiting
            assert whole.status_code == 500
            assert whole.json()["error"]["code"] == "engine_error"
            assert await status("/health/live") == 503
            ready = await client.get("/health/ready", headers=KEY)
            assert (ready.status_code, ready.json()["phase"]) == (503, "failed")
            assert "the engine has failed" in ready.json()["detail"]
            refused = await client.post("/v1/completions", json=body, headers=KEY)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
            assert await status("/metrics") == 200
            assert service.in_flight == 0

    asyncio.run(scenario())
