"""Connections that never finish the headers or the body of a request are cut off; the others are not affected."""

import contextlib
import json
import socket
import time
from collections.abc import Generator
from typing import Any

import httpx
import pytest

from tests.contract.inference.conftest import Endpoint, Sample, Started, started


@pytest.fixture(scope="module")
def impatient(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Generator[Started]:
    limits = {f"SLIPWAY_{each}_TIMEOUT": "1" for each in ("HEADER", "BODY", "SEND")}
    with started(sample.mount, tmp_path_factory.mktemp("impatient"), {**limits, "SLIPWAY_IDLE_TIMEOUT": "3"}) as server:
        yield server


def connect(server: Endpoint) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=120)


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


HEAD = b"GET /health/live HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    "said", [b"", b"GET /health/live HTTP/1.1\r\n", HEAD + b"x: y", b"\r\n"], ids=["nothing", "line", "header", "empty"]
)
def test_headers_that_never_end_are_cut_off(impatient: Started, said: bytes):
    with connect(impatient) as connection:
        connection.sendall(said)
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_one_byte_at_a_time_does_not_help(impatient: Started):
    with connect(impatient) as connection:
        connection.sendall(HEAD)
        connection.settimeout(0.2)
        answer = b""
        while not answer:
            connection.sendall(b"a")
            try:
                answer = connection.recv(1 << 16)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_second_request_on_the_connection_is_waited_for_no_longer(impatient: Started):
    with connect(impatient) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        connection.sendall(HEAD)
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_a_connection_waits_for_its_next_request_as_long_as_is_stated(impatient: Started):
    """Longer than for a head, and so than the ingress keeps it, by default: who closes first must not be the server."""
    with connect(impatient) as connection:
        began = time.monotonic()
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert everything(connection) == b""
        assert time.monotonic() - began > 2.9


@pytest.mark.parametrize("trickles", [False, True], ids=["silent", "trickling"])
def test_a_body_that_does_not_arrive_in_time_is_a_408(impatient: Started, trickles: bool):
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {impatient.key}\r\n"
    with connect(impatient) as connection:
        began = time.monotonic()
        connection.sendall(head.encode() + b'content-length: 100000\r\n\r\n{"prompt": "')
        connection.settimeout(0.2 if trickles else 120)
        answer = b""
        while b"did not arrive" not in answer:
            try:
                answer += connection.recv(1 << 16)
            except TimeoutError:
                connection.sendall(b"a")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not arrive within 1 s" in answer
    assert time.monotonic() - began > 0.9  # it was given its time


def test_a_body_that_trickles_after_the_answer_is_cut_off(impatient: Started):
    with connect(impatient) as connection:
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{")
        answer = b""
        while b"invalid_api_key" not in answer:
            answer += connection.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 401 ")
        connection.sendall(b" ")
        assert everything(connection) == b""  # another answer would pass for the next request's


def test_the_rest_of_a_body_after_the_answer_leaves_the_connection_usable(impatient: Started):
    """However large, and however much of it comes at a time; then the connection is as idle as any other."""
    rest = 200_000
    with connect(impatient) as connection:
        connection.sendall(f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {rest}\r\n\r\n".encode())
        answer = b""
        while b"invalid_api_key" not in answer:
            answer += connection.recv(1 << 16)
        connection.sendall(b" " * rest)
        connection.settimeout(2)  # longer than headers may take
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_a_large_request_that_comes_at_once_is_no_large_head(impatient: Started, sample: Sample):
    body = b'{"model": "%s", "prompt": "%s", "max_tokens": 1}' % (sample.base.encode(), b"a" * 100_000)
    head = f"POST /v1/completions HTTP/1.1\r\nauthorization: Bearer {impatient.key}\r\nhost: x\r\n"
    with connect(impatient) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = b""
        while b"context_length_exceeded" not in answer:
            part = connection.recv(1 << 16)
            assert part
            answer += part


def stream_of(sample: Sample, server: Endpoint, **more: Any) -> bytes:
    said = [{"role": "user", "content": "Who are you?"}]
    asked = {"model": sample.base, "messages": said, "stream": True, "ignore_eos": True, "max_tokens": 1500, **more}
    body = json.dumps(asked).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


MUCH = {"logprobs": True, "top_logprobs": 20, "n": 8, "max_tokens": 400}  # megabytes: more than the buffers hold


def test_a_client_that_reads_late_gets_the_whole_stream(endpoint: Endpoint, sample: Sample):
    """The server's buffers are full for a while: what is written meanwhile waits for the client."""
    if not isinstance(endpoint, Started):
        pytest.skip("the buffers on the way to another machine are not known")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(120)
        connection.connect(("127.0.0.1", httpx.URL(endpoint.url).port))
        connection.sendall(stream_of(sample, endpoint, **MUCH, stream_options={"include_usage": True}))
        endpoint.eventually(lambda: endpoint.metric("slipway_in_flight") == 8)
        endpoint.eventually(lambda: endpoint.metric("slipway_running") == 0)
        assert endpoint.metric("slipway_in_flight") == 8  # all is made, not all is taken
        got = b""
        while not got.endswith(b"0\r\n\r\n"):
            part = connection.recv(1 << 20)
            assert part
            got += part
    text = b"".join(dechunked(got.partition(b"\r\n\r\n")[2])).decode()
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert chunks[-1]["usage"]["completion_tokens"] == 3200
    told = [choice["logprobs"]["content"] for chunk in chunks for choice in chunk["choices"] if choice["logprobs"]]
    assert sum(map(len, told)) == 3200


def dechunked(body: bytes):
    """The parts of a body in HTTP's chunked coding."""
    while body:
        size, _, body = body.partition(b"\r\n")
        yield body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]


def test_a_client_that_does_not_read_is_cut_off(impatient: Started, sample: Sample):
    """It would hold its place for as long as the connection lives."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", httpx.URL(impatient.url).port))
        connection.sendall(stream_of(sample, impatient, **MUCH))
        impatient.eventually(lambda: impatient.metric("slipway_in_flight") > 0)
        impatient.eventually(lambda: impatient.metric("slipway_in_flight") == 0)
        assert b"did not read its stream for 1 s" in impatient.log.read_bytes()
        with contextlib.suppress(ConnectionError):
            assert b"[DONE]" not in everything(connection)
    assert b"Exception in ASGI" not in impatient.log.read_bytes()
    assert b"without completing response" not in impatient.log.read_bytes()


@pytest.mark.parametrize("stream", [True, False])
def test_whoever_leaves_with_several_requests_under_way_ends_them_all(impatient: Started, sample: Sample, stream: bool):
    """The second is sent before the first is answered: the server hears of it while the first runs."""
    before = impatient.metric("slipway_cancelled_total")
    with connect(impatient) as connection:
        connection.sendall(stream_of(sample, impatient, stream=stream))
        impatient.eventually(lambda: impatient.metric("slipway_running") == 1)
        connection.sendall(stream_of(sample, impatient))
        connection.sendall(stream_of(sample, impatient))
        impatient.eventually(lambda: impatient.metric("slipway_generated_tokens") > 0)
    impatient.eventually(lambda: impatient.metric("slipway_cancelled_total") == before + 1)
    assert impatient.metric("slipway_in_flight") == 0


def test_trailers_without_end_are_cut_off(impatient: Started):
    """What follows a body in chunks is headers too; and whoever sends them needs no key."""
    head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    with connect(impatient) as connection:
        connection.sendall(head + b"1\r\n{\r\n0\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 401 ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 4 << 20:
                connection.sendall(b"x: " + b"y" * (16 << 10) + b"\r\n")
                sent += 16 << 10
        with contextlib.suppress(ConnectionError):
            assert b"431" not in everything(connection)
        assert sent < 4 << 20


@pytest.mark.parametrize("wish", ["h2c", "websocket"])
def test_a_wish_for_another_protocol_loses_no_body(impatient: Started, sample: Sample, wish: str):
    """Java's client, for one, wishes for HTTP/2 with its requests."""
    asked = stream_of(sample, impatient, stream=False, max_tokens=1)
    wished = f"\r\nConnection: Upgrade\r\nUpgrade: {wish}\r\nhost: x\r\n".encode()
    with connect(impatient) as connection:
        for _ in range(2):
            connection.sendall(asked.replace(b"\r\nhost: x\r\n", wished))
            answer = connection.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 200 ")
            while b'"usage"' not in answer:
                answer += connection.recv(1 << 16)


def test_a_stray_line_end_after_an_answer_brings_no_other(impatient: Started):
    with connect(impatient) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"\r\n")
        connection.settimeout(2)  # longer than headers may take
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_headers_without_end_are_refused_by_their_size(impatient: Started):
    with connect(impatient) as connection:
        connection.sendall(HEAD + b"x: " + b"y" * (80 << 10))
        assert everything(connection).startswith(b"HTTP/1.1 431 ")


def test_an_idle_connection_is_kept(impatient: Started):
    """What is between two requests is uvicorn's own, longer wait."""
    with connect(impatient) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        connection.settimeout(2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(120)
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_a_long_answer_beside_many_such_connections_is_whole(impatient: Started, sample: Sample):
    said = [{"role": "user", "content": "Who are you?"}]
    body = {"model": sample.base, "messages": said, "stream": True, "ignore_eos": True, "max_tokens": 1500}
    took, answers = 0.0, 0
    while took < 1.5:  # longer than the wait for headers, which must not end it: so many answers as that takes here
        answers = 2 * answers or 1
        slow = [connect(impatient) for _ in range(50)]
        began = time.monotonic()
        with impatient.http().stream("POST", "/v1/chat/completions", json={**body, "n": answers}) as answer:
            lines = [line for line in answer.iter_lines() if line]
        took = time.monotonic() - began
        assert lines[-1] == "data: [DONE]"
        for connection in slow:
            assert everything(connection).startswith(b"HTTP/1.1 408 ")
            connection.close()
