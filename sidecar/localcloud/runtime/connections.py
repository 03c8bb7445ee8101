"""A client's connection to an ingress: plain HTTP/1.1 in, the chosen replica behind it, byte for byte as it streams."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import h11

from sidecar.localcloud.runtime.upstreams import CHUNK, HEAD_LIMIT, Upstream, Upstreams

_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"}


@dataclass(frozen=True)
class Refusal:
    """What the ingress answers by itself."""

    status: int
    text: str


class Refused(Exception):
    """There is no replica to ask, or it did not answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


NOT_FOUND = Refusal(404, "Error 404 - This Container App is stopped or does not exist.")
_RESET = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
CONNECT_FAILED = Refusal(
    503,
    _RESET + "remote connection failure, transport failure reason: delayed connect error: Connection refused",
)
RESET = Refusal(503, _RESET + "connection termination")
BAD_ANSWER = Refusal(502, "upstream connect error or disconnect/reset before headers. reset reason: protocol error")
TIMED_OUT = Refusal(504, "stream timeout")


@dataclass(frozen=True)
class Door:
    """What a port, or a host name, leads to: the app as a whole, the revision behind a label, or one revision alone."""

    label: str = ""
    revision: str = ""


@dataclass(frozen=True)
class Reached:
    """A ready replica, for one request. `port` None: it does not listen on the port that it is asked on."""

    port: int | None
    upstreams: Upstreams


Turn = Callable[[Door], AbstractAsyncContextManager[Reached]]


class Connection:
    """One client's connection: requests one after the other."""

    def __init__(
        self,
        turn: Turn,
        idle: float,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        door: Door,
    ) -> None:
        self._turn = turn
        self._idle = idle
        self._reader = reader
        self._writer = writer
        self._door = door
        self._client = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)

    async def serve(self) -> None:
        while True:
            try:
                request = await self._next_request()
            except h11.RemoteProtocolError as problem:
                await self._refuse(Refusal(problem.error_status_hint, "Bad Request"))
                return
            if request is None:
                return
            body: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=16)
            work = asyncio.create_task(self._answer(request, body))
            client = asyncio.create_task(self._read_client(body))
            try:
                await asyncio.wait({work, client}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    return  # the client is gone: the replica's connection is closed with the task
                if not work.result():
                    return
            finally:
                await _cancelled(work)
                await _cancelled(client)
            if self._client.our_state is not h11.DONE or self._client.their_state is not h11.DONE:
                return
            self._client.start_next_cycle()

    async def _next_request(self) -> h11.Request | None:
        while True:
            event = self._client.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is h11.NEED_DATA:
                data = await self._reader.read(CHUNK)
                if not data and self._client.trailing_data[0] == b"":
                    return None
                self._client.receive_data(data)
            else:
                return None

    async def _read_client(self, body: "asyncio.Queue[bytes | None]") -> None:
        """Feeds `body` (None at its end); returns when the client has gone away."""
        while True:
            if self._client.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            event = self._client.next_event()
            if isinstance(event, h11.Data):
                await body.put(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                await body.put(None)
                break
            elif event is h11.NEED_DATA:
                data = await self._reader.read(CHUNK)
                if not data:
                    return
                self._client.receive_data(data)
            else:
                return
        if data := await self._reader.read(CHUNK):
            # The next request came early: it waits for its turn, and so does noticing that the client left.
            self._client.receive_data(data)
            await asyncio.Event().wait()

    async def _answer(self, request: h11.Request, body: "asyncio.Queue[bytes | None]") -> bool:
        """True when the connection can be used for another request."""
        try:
            door = self._door if self._door != Door() else _door_of(request)
            async with self._turn(door) as reached:
                return await self._forward(request, body, reached)
        except Refused as refused:
            await self._refuse(refused.refusal)
            return False
        except h11.LocalProtocolError:
            return False

    async def _forward(self, request: h11.Request, body: "asyncio.Queue[bytes | None]", reached: Reached) -> bool:
        if reached.port is None:
            raise Refused(CONNECT_FAILED)
        try:
            upstream = await reached.upstreams.take(reached.port)
        except OSError as problem:
            raise Refused(CONNECT_FAILED) from problem
        try:
            upstream.writer.write(upstream.http.send(self._forwarded(request)) or b"")
            sending = asyncio.create_task(_send_body(upstream, body))
            try:
                return await self._relay(upstream.http, upstream.reader)
            finally:
                await _cancelled(sending)
        finally:
            # One whose request or answer was left unfinished is closed there.
            reached.upstreams.give_back(upstream)

    def _forwarded(self, request: h11.Request) -> h11.Request:
        kept = [(name, value) for name, value in request.headers if name not in _HOP]
        peer = str((self._writer.get_extra_info("peername") or ("",))[0])
        added = [
            (b"x-forwarded-for", peer.encode()),
            (b"x-forwarded-proto", b"http"),
            (b"x-envoy-external-address", peer.encode()),
            (b"x-request-id", uuid.uuid4().hex.encode()),
        ]
        names = {name for name, _ in added}
        headers = [(name, value) for name, value in kept if name not in names] + added
        return h11.Request(method=request.method, target=request.target, headers=headers)

    async def _relay(self, upstream: h11.Connection, reader: asyncio.StreamReader) -> bool:
        """Passes the answer on as it comes; a silence longer than the idle limit ends it, as ACA does."""
        begun = ended = False
        while True:
            try:
                event = upstream.next_event()
            except h11.RemoteProtocolError as problem:
                if begun:
                    self._writer.transport.abort()
                    return False
                raise Refused(RESET if ended else BAD_ANSWER) from problem
            if event is h11.NEED_DATA:
                try:
                    async with asyncio.timeout(self._idle):
                        data = await reader.read(CHUNK)
                    ended = not data
                    upstream.receive_data(data)
                except TimeoutError as silence:
                    if begun:
                        self._writer.transport.abort()
                        return False
                    raise Refused(TIMED_OUT) from silence
                except OSError as problem:
                    if begun:
                        self._writer.transport.abort()
                        return False
                    raise Refused(RESET) from problem
            elif isinstance(event, h11.InformationalResponse):
                continue
            elif isinstance(event, h11.Response):
                begun = True
                headers = [(name, value) for name, value in event.headers if name not in _HOP | {b"transfer-encoding"}]
                await self._send(h11.Response(status_code=event.status_code, headers=headers, reason=event.reason))
            elif isinstance(event, h11.Data):
                await self._send(h11.Data(data=bytes(event.data)))
            elif isinstance(event, h11.EndOfMessage):
                await self._send(h11.EndOfMessage())
                return True
            else:
                raise Refused(RESET)

    async def _refuse(self, refusal: Refusal) -> None:
        """An answer of the ingress itself; the connection ends with it."""
        if self._client.our_state is h11.IDLE or self._client.our_state is h11.SEND_RESPONSE:
            text = refusal.text.encode()
            headers = [
                ("content-type", "text/plain"),
                ("content-length", str(len(text))),
                ("connection", "close"),
                ("server", "envoy"),
            ]
            with contextlib.suppress(h11.LocalProtocolError, ConnectionError):
                await self._send(h11.Response(status_code=refusal.status, headers=headers))
                await self._send(h11.Data(data=text))
                await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        data = self._client.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()


def _door_of(request: h11.Request) -> Door:
    """What a host name like ACA's `app---label.domain` or `app--suffix.domain` leads to; the app where it names neither."""
    host = next((value for name, value in request.headers if name == b"host"), b"").decode("latin-1")
    first = host.partition(".")[0].lower()
    label = first.partition("---")[2]
    if label:
        return Door(label=label)
    return Door(revision=first) if "--" in first else Door()


async def _send_body(upstream: Upstream, body: "asyncio.Queue[bytes | None]") -> None:
    # A replica that answers before it has read everything closes its side: what it answered is still relayed.
    with contextlib.suppress(ConnectionError, h11.LocalProtocolError):
        while (data := await body.get()) is not None:
            upstream.writer.write(upstream.http.send(h11.Data(data=data)) or b"")
            await upstream.writer.drain()
        upstream.writer.write(upstream.http.send(h11.EndOfMessage()) or b"")
        await upstream.writer.drain()


async def _cancelled(task: "asyncio.Task[Any]") -> None:
    """Ends a task and waits until it has ended; how it ended matters to nobody any more."""
    task.cancel()
    await asyncio.wait({task})
    if (
        not task.cancelled()
        and (problem := task.exception())
        and not isinstance(problem, ConnectionError | h11.ProtocolError)
    ):
        raise problem
