"""Connections that never finish the headers or the body of a request are cut off; the others are not affected."""

import socket
import time

import httpx
import pytest


@pytest.fixture(scope="module")
def impatient(sample, tmp_path_factory):
    from tests.contract.inference.conftest import started

    limits = {"SLIPWAY_HEADER_TIMEOUT": "1", "SLIPWAY_BODY_TIMEOUT": "1"}
    with started(sample.mount, tmp_path_factory.mktemp("impatient"), limits) as server:
        yield server


def connect(server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=20)


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
def test_headers_that_never_end_are_cut_off(impatient, said):
    with connect(impatient) as connection:
        connection.sendall(said)
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_one_byte_at_a_time_does_not_help(impatient):
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


def test_a_second_request_on_the_connection_is_waited_for_no_longer(impatient):
    with connect(impatient) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        connection.sendall(HEAD)
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("trickles", [False, True], ids=["silent", "trickling"])
def test_a_body_that_does_not_arrive_in_time_is_a_408(impatient, trickles):
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {impatient.key}\r\n"
    with connect(impatient) as connection:
        connection.sendall(head.encode() + b'content-length: 100000\r\n\r\n{"prompt": "')
        began = time.monotonic()
        connection.settimeout(0.2 if trickles else 20)
        answer = b""
        while b"did not arrive" not in answer:
            try:
                answer += connection.recv(1 << 16)
            except TimeoutError:
                connection.sendall(b"a")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not arrive within 1 s" in answer
    assert time.monotonic() - began > 0.9  # it was given its time


def test_a_body_that_trickles_after_the_answer_is_cut_off(impatient):
    with connect(impatient) as connection:
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{")
        answer = b""
        while b"invalid_api_key" not in answer:
            answer += connection.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 401 ")
        connection.sendall(b" ")
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_headers_without_end_are_refused_by_their_size(impatient):
    with connect(impatient) as connection:
        connection.sendall(HEAD + b"x: " + b"y" * (80 << 10))
        assert everything(connection).startswith(b"HTTP/1.1 431 ")


def test_an_idle_connection_is_kept(impatient):
    """What is between two requests is uvicorn's own, longer wait."""
    with connect(impatient) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        connection.settimeout(2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(20)
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_a_long_answer_beside_many_such_connections_is_whole(impatient, sample):
    slow = [connect(impatient) for _ in range(50)]
    body = {
        "model": sample.base,
        "messages": [{"role": "user", "content": "Who are you?"}],
        "stream": True,
        "ignore_eos": True,
        "max_tokens": 1500,
    }
    began = time.monotonic()
    with impatient.http().stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert time.monotonic() - began > 1  # longer than the wait for headers, which must not end it
    assert lines[-1] == "data: [DONE]"
    for connection in slow:
        assert everything(connection).startswith(b"HTTP/1.1 408 ")
        connection.close()
