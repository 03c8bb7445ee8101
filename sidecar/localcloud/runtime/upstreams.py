"""The ingress's connections to one replica: kept open after an answer and used again, as Envoy does."""

import asyncio
from collections.abc import Awaitable

import h11

CHUNK = 65536
# A request line and headers longer than this are refused, as Envoy refuses them.
HEAD_LIMIT = 60 * 1024


class Upstream:
    """One connection: a request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self.reader = reader
        self.writer = writer
        self.port = port
        self.http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)

    @property
    def reusable(self) -> bool:
        """Both sides have ended well, neither has said `Connection: close`, and nothing has come that nobody asked for."""
        done = self.http.our_state is h11.DONE and self.http.their_state is h11.DONE
        return done and self.http.trailing_data == (b"", False) and not self.writer.is_closing()

    def close(self) -> None:
        self.writer.close()


class Upstreams:
    """Those that no request is on; the one that was used last is used first. The replica is not asked before a request goes out
    on one: where it closes in just that moment, the request is lost, as it is behind Envoy."""

    def __init__(self, idle: float) -> None:
        """`idle`: seconds after which an unused one is closed."""
        self._idle = idle
        self._waiting: list[tuple[Upstream, asyncio.Task[None]]] = []
        self._ended = False

    async def take(self, port: int) -> Upstream:
        """A connection to `port` for one request. Raises OSError where nothing listens there."""
        while self._waiting:
            upstream, watch = self._waiting.pop()
            if watch.done():
                continue
            watch.cancel()
            await asyncio.wait({watch})  # two can't read at once
            if upstream.port == port and not upstream.reader.at_eof():
                upstream.http.start_next_cycle()
                return upstream
            upstream.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=CHUNK)
        return Upstream(reader, writer, port)

    def give_back(self, upstream: Upstream) -> None:
        """Kept where another request may go out on it, else closed."""
        if self._ended or not upstream.reusable:
            upstream.close()
            return
        watch = asyncio.create_task(self._watch(upstream))
        self._waiting.append((upstream, watch))
        watch.add_done_callback(self._forget)

    def end(self) -> None:
        """The replica is to get no more requests: what is unused is closed now, the rest after its answer."""
        self._ended = True
        for upstream, watch in self._waiting:
            watch.cancel()
            upstream.close()
        self._waiting = []

    async def _watch(self, upstream: Upstream) -> None:
        """Ends, with the connection, when the replica closes it, says something unasked, or nobody has used it for long."""
        await _within(self._idle, upstream.reader.read(1))
        upstream.close()

    def _forget(self, watch: "asyncio.Task[None]") -> None:
        self._waiting = [each for each in self._waiting if each[1] is not watch]


async def _within(seconds: float, reading: Awaitable[bytes]) -> None:
    """Waits for it; a connection that breaks has ended as well as one that is closed."""
    try:
        async with asyncio.timeout(seconds):
            await reading
    except (TimeoutError, OSError):
        return
