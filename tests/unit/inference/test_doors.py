"""What stands before the API: other sites' pages, methods of the front page, lengths that do not fit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from inference.engine.schedule.scheduler import Slice
from inference.engine.schedule.sequence import Choice
from tests.unit.inference.conftest import Families, Family, Rig, RigMaker, Serve

PAGE = "https://app.example"
ASKS = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
KEY = {"authorization": "Bearer key"}
Client = httpx.AsyncClient


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return families.make(tmp_path_factory.mktemp("doors"), "LlamaConfig", ["q_proj"])


def through(rig: Rig, serve: Serve, scenario: Callable[[Client], Awaitable[None]], **settings: Any):
    async def run():
        _, app = serve(rig, **settings)
        async with Client(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            await scenario(client)

    asyncio.run(run())


def allowed(answer: httpx.Response) -> str | None:
    return answer.headers.get("access-control-allow-origin")


def test_other_sites_pages_may_not_call_unless_a_setting_says_so(llama: Family, make_rig: RigMaker, serve: Serve):
    async def scenario(client: Client):
        assert (await client.options("/v1/chat/completions", headers=ASKS)).status_code == 401
        assert allowed(await client.get("/v1/models", headers={**KEY, "origin": PAGE})) is None

    through(make_rig(llama), serve, scenario)


@pytest.mark.parametrize(("origins", "told"), [({PAGE}, PAGE), ({"*"}, "*")], ids=["named", "everybody"])
def test_pages_of_named_sites_call_with_the_key_and_never_with_a_cookie(
    llama: Family, make_rig: RigMaker, serve: Serve, origins: set[str], told: str
):
    async def scenario(client: Client):
        asked = await client.options("/v1/chat/completions", headers=ASKS)
        assert asked.status_code == 204
        assert allowed(asked) == told
        assert asked.headers["access-control-allow-headers"] == "authorization"
        for headers, status in (({**KEY, "origin": PAGE}, 200), ({"origin": PAGE}, 401)):
            answer = await client.get("/v1/models", headers=headers)
            assert (answer.status_code, allowed(answer)) == (status, told)
            assert "x-request-id" in answer.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in answer.headers
        other = await client.options("/v1/models", headers={**ASKS, "origin": "https://other.example"})
        assert (other.status_code == 204) == (told == "*")
        for path in ("/", "/login", "/gradio_api/info"):
            assert allowed(await client.get(path, headers={**KEY, "origin": PAGE})) is None

    through(make_rig(llama), serve, scenario, origins=frozenset(origins))


@pytest.mark.parametrize("headers", [KEY, {}], ids=["with the key", "without"])
def test_the_front_page_takes_no_other_method(llama: Family, make_rig: RigMaker, serve: Serve, headers: dict[str, str]):
    async def scenario(client: Client):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = await client.request(method, "/", headers=headers)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
            assert answer.json()["error"]["code"] == "method_not_allowed"

    through(make_rig(llama), serve, scenario)


@pytest.mark.parametrize("clamps", [False, True])
def test_more_tokens_than_fit_are_refused_or_by_a_setting_taken_for_those(
    llama: Family, make_rig: RigMaker, serve: Serve, clamps: bool
):
    async def scenario(client: Client):
        body: dict[str, Any] = {"prompt": "w5 w6", "max_tokens": 4096, "ignore_eos": True}
        answer = await client.post("/v1/completions", json=body, headers=KEY)
        if not clamps:
            assert answer.status_code == 400
            assert "at most 254 fit" in answer.json()["error"]["message"]
            return
        assert answer.json()["usage"]["completion_tokens"] == 254
        assert answer.json()["choices"][0]["finish_reason"] == "length"
        body["prompt"] = "w5 " * 256
        assert (await client.post("/v1/completions", json=body, headers=KEY)).status_code == 400

    through(make_rig(llama), serve, scenario, clamp_tokens=clamps)


def test_an_answer_that_ends_at_once_has_empty_logprobs(llama: Family, make_rig: RigMaker, serve: Serve):
    rig = make_rig(llama)

    def ending(slices: list[Slice]) -> list[Choice]:
        rig.runner.run(slices)
        return [Choice(2, -0.1) for each in slices if each.last]

    rig.steps.step = ending

    async def scenario(client: Client):
        body: dict[str, Any] = {"prompt": "w5 w6", "logprobs": 1}
        (choice,) = (await client.post("/v1/completions", json=body, headers=KEY)).json()["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("", "stop")
        assert choice["logprobs"] == {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        (plain,) = (await client.post("/v1/completions", json={"prompt": "w5"}, headers=KEY)).json()["choices"]
        assert plain["logprobs"] is None

    through(rig, serve, scenario)
