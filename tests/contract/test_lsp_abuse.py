"""What no client should send, over stdio: each gets the error that JSON-RPC has for it, and the next request its answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
LAST = 999


class Pipe:
    """Bytes to a real process, and its answers in order."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "SLIPWAY_STATE": str(home)},
        )
        self.send(framed({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"capabilities": {}}}))
        assert self.until(0)[-1]["result"]["serverInfo"]["name"] == "slipway"
        self.send(framed({"jsonrpc": "2.0", "method": "initialized", "params": {}}))

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def until(self, number: int) -> list[dict[str, Any]]:
        """What is answered up to this number; it fails at the end of the pipe. The suite's own limit ends what hangs."""
        found: list[dict[str, Any]] = []
        while not found or found[-1].get("id") != number:
            found.append(self._message())
        return found

    def _message(self) -> dict[str, Any]:
        out = self.process.stdout
        assert out is not None
        length = 0
        while (line := out.readline()).strip():
            name, _, value = line.decode().partition(":")
            length = int(value) if name.lower() == "content-length" else length
        assert line, "the process has ended"
        return json.loads(out.read(length))


def framed(message: object) -> bytes:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def request(method: object, params: object = None, number: object = 1) -> bytes:
    return framed({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    """One process for all of it: what one row breaks, the next would meet."""
    made = Pipe(tmp_path_factory.mktemp("state"))
    yield made
    made.process.kill()
    made.process.wait()


def answers(pipe: Pipe, data: bytes) -> list[tuple[object, object]]:
    """Number and error code of each answer to what was sent, the process's own notifications left out; a good request that
    follows is answered every time."""
    pipe.send(data + request("slipway/workspace", {"folder": "/"}, LAST))
    *told, last = pipe.until(LAST)
    assert last["result"]["provisioned"] is False
    return [(each["id"], each["error"]["code"]) for each in told if "error" in each]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(framed(b"{ this is none"), [(None, PARSE_ERROR)], id="malformed JSON"),
        pytest.param(framed(b'{"jsonrpc": "2.0", "id": 1, "meth\xff\xfe": 1}'), [(None, PARSE_ERROR)], id="invalid UTF-8"),
        pytest.param(framed(b"[" * 100_000), [(None, PARSE_ERROR)], id="brackets too deep"),
        pytest.param(framed(b""), [(None, PARSE_ERROR)], id="an empty body"),
        pytest.param(b"Content-Length: many\r\n\r\n{}", [], id="a header that is no number"),
        pytest.param(b"Content-Length: -5\r\n\r\n{}", [], id="a negative length"),
        pytest.param(b"Content-Length: 99999999999\r\n\r\n", [(None, INVALID_REQUEST)], id="a length that nobody sends"),
        pytest.param(b"hello\x00\xff\n\r\nworld ", [], id="garbage between messages"),
        pytest.param(b"X-Other: 1\r\n" + request("slipway/nothing"), [(1, METHOD_NOT_FOUND)], id="an unknown header"),
        pytest.param(request("slipway/nothing"), [(1, METHOD_NOT_FOUND)], id="an unknown method of ours"),
        pytest.param(request("textDocument/nothing"), [(1, METHOD_NOT_FOUND)], id="an unknown method of LSP's"),
        pytest.param(framed({"jsonrpc": "2.0", "method": "slipway/nothing"}), [], id="an unknown notification"),
        pytest.param(framed([]), [(None, INVALID_REQUEST)], id="a batch"),
        pytest.param(framed(7), [(None, INVALID_REQUEST)], id="no object"),
        pytest.param(framed({"id": 1, "method": "slipway/workspace"}), [(1, INVALID_REQUEST)], id="no version"),
        pytest.param(framed({"jsonrpc": "1.0", "id": 1, "method": "x"}), [(1, INVALID_REQUEST)], id="another version"),
        pytest.param(request(7), [(1, INVALID_REQUEST)], id="a method that is a number"),
        pytest.param(request("slipway/workspace", number={}), [(None, INVALID_REQUEST)], id="a number that is an object"),
        pytest.param(request("slipway/workspace", 7), [(1, INVALID_PARAMS)], id="parameters that are a number"),
        pytest.param(request("slipway/workspace", [1]), [(1, INVALID_PARAMS)], id="parameters that are a list"),
        pytest.param(request("textDocument/hover", 7), [(1, INVALID_PARAMS)], id="LSP's parameters that are a number"),
        pytest.param(
            request("textDocument/hover", {"textDocument": {"uri": 7}, "position": "here"}),
            [(1, INVALID_PARAMS)],
            id="LSP's parameters of wrong types",
        ),
        pytest.param(framed({"jsonrpc": "2.0", "id": 77, "result": 1}), [], id="an answer to nothing"),
        pytest.param(framed({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 77}}), [], id="a cancel of nothing"),
        pytest.param(framed({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": 7}), [], id="a cancel that is none"),
    ],
)  # fmt: skip
def test_it_is_answered_as_the_protocol_has_it_and_the_next_one_too(
    pipe: Pipe, data: bytes, expected: list[tuple[object, object]]
) -> None:
    assert answers(pipe, data) == expected


def test_ten_megabytes_are_read_and_refused_by_the_field(pipe: Pipe) -> None:
    assert answers(pipe, request("slipway/workspace", {"folder": "/", "more": "x" * 10_000_000})) == [
        (1, INVALID_PARAMS)
    ]


def test_ten_megabytes_of_an_open_file_are_told_as_too_long(pipe: Pipe, tmp_path: Path) -> None:
    uri = (tmp_path / "infra" / "inference.config.json").as_uri()
    text = '{"a": "' + "x" * 10_000_000 + '"}'
    document = {"uri": uri, "languageId": "json", "version": 1, "text": text}
    opened = framed({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": document}})
    pipe.send(opened + request("slipway/workspace", {"folder": "/"}, LAST))
    (told,) = [each["params"] for each in pipe.until(LAST) if each.get("method") == "textDocument/publishDiagnostics"]
    assert [each["code"] for each in told["diagnostics"]] == ["TooLong"]


def test_what_is_cancelled_at_once_is_answered_once(pipe: Pipe) -> None:
    cancel = framed({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 5}})
    pipe.send(
        request("slipway/workspace", {"folder": "/"}, 5) + cancel + request("slipway/workspace", {"folder": "/"}, LAST)
    )
    told = [each for each in pipe.until(LAST) if each.get("id") == 5]
    if not told:
        told = [each for each in pipe.until(5) if each.get("id") == 5]
    assert len(told) == 1


def test_after_a_shutdown_a_request_is_refused_and_the_end_of_the_pipe_ends_the_process(tmp_path: Path) -> None:
    pipe = Pipe(tmp_path)
    pipe.send(request("shutdown", None, 7) + request("slipway/workspace", {"folder": "/"}, 8))
    assert pipe.until(8)[-1]["error"]["code"] == INVALID_REQUEST
    assert pipe.process.stdin is not None
    pipe.process.stdin.close()  # in the middle of no message: nothing is left to wait for
    assert pipe.process.wait(timeout=120) == 0
