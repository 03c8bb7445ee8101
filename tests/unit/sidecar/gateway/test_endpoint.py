"""What goes out to an endpoint: never the key through a proxy in plain text, never an endless wait for a stranger."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from sidecar.gateway.endpoint import ELSEWHERE_SECONDS, NOT_ASKED, Endpoint, status_without_key


class Listener:
    """A server on this machine that keeps what it hears and answers byte by byte."""

    def __init__(self, answer: bytes, pause: float = 0) -> None:
        self.heard = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._ended = threading.Event()
        threading.Thread(target=self._serve, args=(answer, pause), daemon=True).start()

    def _serve(self, answer: bytes, pause: float) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.heard += connection.recv(65536)
                for byte in answer:
                    if self._ended.wait(pause):
                        return
                    try:
                        connection.sendall(bytes([byte]))
                    except OSError:
                        break

    def close(self) -> None:
        self._ended.set()
        self._socket.close()


@pytest.fixture
def dripping() -> Iterator[Listener]:
    listener = Listener(b"HTTP/1.1 200 OK\r\nX-Endless: " + b"x" * 1000, pause=1)
    yield listener
    listener.close()


@pytest.fixture
def proxy() -> Iterator[Listener]:
    listener = Listener(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    yield listener
    listener.close()


def test_a_stranger_that_drips_is_not_waited_for(dripping: Listener) -> None:
    began = time.monotonic()
    assert status_without_key(f"http://127.0.0.1:{dripping.port}") is None
    assert time.monotonic() - began < 12 * ELSEWHERE_SECONDS  # of the thousand seconds that the answer would take
    assert b"uthorization" not in dripping.heard


@pytest.mark.parametrize(
    "url", [f"http://{'a' * 70}.example", "http://xn--a", "http://[::1", "http://127.0.0.1:1", "ftp://x"]
)
def test_what_can_not_be_asked_is_nothing_that_answers(url: str) -> None:
    assert status_without_key(url) is None


def test_the_local_clouds_key_goes_through_no_proxy(proxy: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Endpoint("http://127.0.0.1:1", "a-key-to-look-for") as endpoint:
        endpoint.phase()
    assert proxy.heard == b""


def test_a_success_that_is_not_our_servers_says_nothing_of_a_model() -> None:
    """A captive portal, a proxy's page and another server answer 200 to everything."""
    for body in (b"<html>Welcome</html>", b"{}", b'{"status": "ok"}', b"[]"):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        listener = Listener(head.encode() + body)
        try:
            with Endpoint(f"http://127.0.0.1:{listener.port}", None, 5) as endpoint:
                assert endpoint.phase() == NOT_ASKED
                assert endpoint.version() is None
        finally:
            listener.close()
