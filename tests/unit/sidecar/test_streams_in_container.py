"""What the container's supervisor reads of a server's answers, whole or in pieces of no stated length."""

from __future__ import annotations

import asyncio

import pytest

from infra.provision.streams import Reply, ask

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def answered(content: bytes) -> Reply:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        return await ask(("127.0.0.1", port), "GET", "/version", seconds=10)


@pytest.mark.parametrize(
    "content",
    [
        HEAD + b'Content-Length: 10\r\n\r\n{"a": "b"}',
        HEAD + b'\r\n{"a": "b"}',
        CHUNKED + b'1\r\n \r\n1;x=y\r\n \r\n6\r\n{"a": \r\n4\r\n"b"}\r\n0\r\n\r\n',
    ],
)
def test_an_answer_is_read_whole_however_its_end_is_told(content: bytes) -> None:
    """A server writes blanks while it computes a long answer, so that nobody between them ends it."""
    assert asyncio.run(answered(content)).json() == {"a": "b"}


@pytest.mark.parametrize("cut", [b"6\r\n{", b"", b"no number\r\n"])
def test_one_that_breaks_off_is_no_answer(cut: bytes) -> None:
    with pytest.raises((EOFError, ValueError)):
        asyncio.run(answered(CHUNKED + cut))
