"""Limits on a real server: prompts of a million tokens, and an end that does not wait for everybody."""

import contextlib
import signal
import threading
from typing import Any

import httpx
import pytest

from tests.contract.inference.conftest import Endpoint, Sample, Start

MILLION = {
    "messages": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a b " * 500_000}]}),
    "text": ("/v1/completions", {"prompt": "a b " * 500_000}),
    "tokens": ("/v1/completions", {"prompt": [5] * 1_000_000}),
}


@pytest.mark.parametrize("kind", MILLION)
def test_a_prompt_of_a_million_tokens_is_refused_with_numbers(endpoint: Endpoint, sample: Sample, kind: str):
    path, prompt = MILLION[kind]
    drawn = endpoint.metric("slipway_prompt_tokens")
    answer = endpoint.http().post(path, json={"model": sample.base, **prompt})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "context_length_exceeded"
    context, given, *_ = [int(word) for word in error["message"].split() if word.isdecimal()]
    assert context == 2048
    assert 100_000 < given <= 1_000_000  # a text is measured by its length alone: at least so many
    assert endpoint.metric("slipway_prompt_tokens") == drawn


@pytest.mark.parametrize(("number", "n"), [(97, 1), (25, 4)])
def test_more_answers_than_the_queue_ever_holds_are_refused_before_their_prompts_are_read(
    endpoint: Endpoint, sample: Sample, number: int, n: int
):
    """Each of these prompts would be refused too, by its length."""
    body: dict[str, Any] = {"prompt": ["a b " * 5_000] * number, "n": n}
    answer = endpoint.http().post("/v1/completions", json={"model": sample.base, **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "n")
    alone = endpoint.http().post("/v1/completions", json={"model": sample.base, "prompt": body["prompt"][:2]})
    assert (alone.status_code, alone.json()["error"]["code"]) == (400, "context_length_exceeded")


def test_sigterm_cuts_off_what_outlasts_the_grace_and_ends_all_the_same(sample: Sample, start: Start):
    """One sequence runs at a time, and sixty-four wait: they would take far longer than there is time for."""
    body = {"model": sample.base, "prompt": "Who are you?", "n": 8, "max_tokens": 1900, "ignore_eos": True}
    ends: list[str] = []

    def ask(server: Endpoint, stream: bool):
        if stream:
            ends.append(follow(server))
            return
        answer = server.http().post("/v1/completions", json=body)
        told = '"code":"draining"' in answer.text
        whole = told and answer.status_code == 503 and "retry-after" in answer.headers
        ends.append("cut off" if whole else f"{answer.status_code}: {answer.text[:200]}")

    def follow(server: Endpoint) -> str:
        """It says why, and then the connection breaks: nobody takes it for whole."""
        read = ""
        try:
            with server.http().stream("POST", "/v1/completions", json={**body, "stream": True}) as answer:
                for part in answer.iter_text():
                    read += part
        except httpx.RemoteProtocolError:
            return "cut off" if '"code":"draining"' in read and "[DONE]" not in read else read[-200:]
        return f"ended in order: {read[-200:]}"

    with start(sample.mount, SLIPWAY_DRAIN_TIMEOUT="1", SLIPWAY_MAX_RUNNING="1") as server:
        clients = [threading.Thread(target=ask, args=(server, number % 2 == 0)) for number in range(8)]
        for client in clients:
            client.start()
        server.eventually(lambda: server.metric("slipway_in_flight") == 64)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0
        for client in clients:
            client.join(60)
        assert ends == ["cut off"] * 8
        said = server.log.read_text()
        assert "requests were cut off" in said
        assert "Traceback" not in said
        with pytest.raises(httpx.ConnectError):
            server.http().get("/health/live")


def test_a_second_signal_ends_the_server_at_once(sample: Sample, start: Start):
    body = {"model": sample.base, "prompt": ["Who are you?"] * 8, "n": 8, "max_tokens": 1900, "ignore_eos": True}
    with start(sample.mount, SLIPWAY_MAX_RUNNING="1", SLIPWAY_DRAIN_TIMEOUT="240") as server:

        def ask():
            with contextlib.suppress(httpx.TransportError):
                server.http().post("/v1/completions", json=body)

        client = threading.Thread(target=ask)
        client.start()
        server.eventually(lambda: server.metric("slipway_in_flight") == 64)
        server.process.send_signal(signal.SIGTERM)
        server.eventually(lambda: httpx.get(f"{server.url}/health/ready", timeout=60).status_code == 503)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)  # of the 240 s that it would have waited
        client.join(60)
