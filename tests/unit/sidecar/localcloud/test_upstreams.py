"""The ingress's connections to a replica: used again while both sides may, and never after one has ended."""

import asyncio
from collections.abc import Awaitable, Callable

import h11

from sidecar.localcloud.runtime.upstreams import Upstream, Upstreams

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LONG = 60.0


class Server:
    """A replica on this machine: answers each request on a connection with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *problem: object) -> None:
        for writer in self.writers:
            writer.close()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while await reader.read(4096):
            writer.write(self._answer)


async def asked(upstreams: Upstreams, port: int) -> Upstream:
    """A connection on which one request was answered."""
    upstream = await upstreams.take(port)
    request = h11.Request(method="GET", target="/", headers=[("host", "replica")])
    upstream.writer.write(upstream.http.send(request) or b"")
    upstream.writer.write(upstream.http.send(h11.EndOfMessage()) or b"")
    while not isinstance(event := upstream.http.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            upstream.http.receive_data(await upstream.reader.read(4096))
    upstreams.give_back(upstream)
    return upstream


def play(scene: Callable[[Server], Awaitable[None]], answer: bytes = ANSWER) -> None:
    async def whole() -> None:
        async with asyncio.timeout(120), Server(answer) as server:
            await scene(server)

    asyncio.run(whole())


async def until_closed(upstream: Upstream) -> None:
    while not upstream.writer.is_closing():
        await asyncio.sleep(0)


def test_a_connection_is_used_again_the_last_used_first():
    async def scene(server: Server) -> None:
        upstreams = Upstreams(LONG)
        first = await asked(upstreams, server.port)
        assert await asked(upstreams, server.port) is first
        other = await upstreams.take(server.port)
        beside = await asked(upstreams, server.port)
        assert other is first
        assert beside is not first, "one request at a time"
        upstreams.end()
        assert beside.writer.is_closing()
        assert not other.writer.is_closing(), "its request goes on"
        upstreams.give_back(other)
        assert other.writer.is_closing(), "nothing was answered on it"

    play(scene)


def test_one_that_the_replica_closes_or_that_nobody_uses_is_closed_and_not_used_again():
    async def scene(server: Server) -> None:
        upstreams = Upstreams(LONG)
        first = await asked(upstreams, server.port)
        server.writers[0].close()
        await until_closed(first)
        second = await asked(upstreams, server.port)
        assert second is not first
        server.writers[1].write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        await until_closed(second)
        upstreams.end()
        soon = Upstreams(0.05)
        await until_closed(await asked(soon, server.port))
        assert await asked(soon, server.port)
        soon.end()

    play(scene)


def test_connection_close_is_honoured():
    async def scene(server: Server) -> None:
        upstreams = Upstreams(LONG)
        assert (await asked(upstreams, server.port)).writer.is_closing()

    play(scene, ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def test_a_connection_to_another_port_is_not_used():
    async def scene(server: Server) -> None:
        upstreams = Upstreams(LONG)
        first = await asked(upstreams, server.port)
        async with Server(ANSWER) as other:
            assert (await asked(upstreams, other.port)).port == other.port
            assert first.writer.is_closing()
            upstreams.end()

    play(scene)
