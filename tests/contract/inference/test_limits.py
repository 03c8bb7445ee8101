"""Limits on a real server: prompts of a million tokens, and an end that does not wait for everybody."""

import signal
import threading

import httpx
import pytest

MILLION = {
    "messages": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a b " * 500_000}]}),
    "text": ("/v1/completions", {"prompt": "a b " * 500_000}),
    "tokens": ("/v1/completions", {"prompt": [5] * 1_000_000}),
}


@pytest.mark.parametrize("kind", MILLION)
def test_a_prompt_of_a_million_tokens_is_refused_with_numbers(endpoint, sample, kind):
    path, prompt = MILLION[kind]
    drawn = endpoint.metric("slipway_prompt_tokens")
    answer = endpoint.http().post(path, json={"model": sample.base, **prompt}, timeout=10)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "context_length_exceeded"
    context, given, *_ = [int(word) for word in error["message"].split() if word.isdecimal()]
    assert context == 2048
    assert 100_000 < given <= 1_000_000  # a text is measured by its length alone: at least so many
    assert endpoint.metric("slipway_prompt_tokens") == drawn


def test_sigterm_cuts_off_what_outlasts_the_grace_and_ends_all_the_same(sample, start):
    """One sequence runs at a time, and sixty-four wait: they would take far longer than there is time for."""
    body = {"model": sample.base, "prompt": "Who are you?", "n": 8, "max_tokens": 1900, "ignore_eos": True}
    ends: list[str] = []

    def ask(server, stream):
        try:
            answer = server.http().post("/v1/completions", json={**body, "stream": stream})
        except httpx.TransportError as error:
            ends.append(type(error).__name__)
            return
        whole = "[DONE]" in answer.text if stream else answer.status_code == 200
        ends.append("whole" if whole else f"cut off with {answer.status_code}")

    with start(sample.mount, SLIPWAY_DRAIN_TIMEOUT="1", SLIPWAY_MAX_RUNNING="1") as server:
        clients = [threading.Thread(target=ask, args=(server, number % 2 == 0)) for number in range(8)]
        for client in clients:
            client.start()
        server.eventually(lambda: server.metric("slipway_in_flight") == 64)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(40) == 0
        for client in clients:
            client.join(20)
        assert len(ends) == 8
        assert ends.count("whole") < 8
        assert "requests were cut off" in server.log.read_text()
        with pytest.raises(httpx.ConnectError):
            server.http().get("/health/live")
