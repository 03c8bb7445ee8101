"""The ingress of a container app: plain HTTP/1.1 in, the chosen replica behind it, byte for byte as it streams."""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import h11

from sidecar.localcloud.core.fields import Json, member
from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.runtime.configuration import configuration_of
from sidecar.localcloud.runtime.replicas import Replica

_CHUNK = 65536
# A request line and headers longer than this are refused, as Envoy refuses them.
_HEAD_LIMIT = 60 * 1024
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
NO_UPSTREAM = Refusal(503, "no healthy upstream")
CONNECT_FAILED = Refusal(
    503, "upstream connect error or disconnect/reset before headers. reset reason: connection failure"
)
RESET = Refusal(503, "upstream connect error or disconnect/reset before headers. reset reason: connection termination")
BAD_ANSWER = Refusal(502, "upstream connect error or disconnect/reset before headers. reset reason: protocol error")
TIMED_OUT = Refusal(504, "upstream request timeout")


class Place(Protocol):
    """What an ingress has around it."""

    @property
    def ingress_host(self) -> str: ...
    @property
    def settings(self) -> Settings: ...


class Behind(Protocol):
    """What an ingress needs of the app behind it."""

    @property
    def around(self) -> Place: ...
    @property
    def resource(self) -> Resource | None: ...
    @property
    def replicas(self) -> Mapping[str, list[Replica]]: ...
    def is_active(self, revision: str) -> bool: ...
    def routes(self) -> Mapping[str, int]: ...
    def wake(self) -> None: ...


class Ingress:
    """One listening port for the app, one for each label; requests in flight counted by revision."""

    def __init__(self, app: Behind) -> None:
        self.in_flight: dict[str, int] = {}
        self.last_request = time.monotonic()
        self._app = app
        self._servers: dict[str, asyncio.Server] = {}
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """`host:port`, as the app's fqdn."""
        app = self._app.resource
        return f"{self._app.around.ingress_host}:{app.private.get('port')}" if app else ""

    async def listen(self) -> None:
        """Opens the ports that the app's configuration asks for, and closes the others."""
        wanted = self._wanted_ports()
        for label in [label for label in self._servers if label not in wanted]:
            self._servers.pop(label).close()
        for label, port in wanted.items():
            if label not in self._servers:
                host = self._app.around.ingress_host
                self._servers[label] = await asyncio.start_server(
                    lambda reader, writer, label=label: self._connected(reader, writer, label), host, port, limit=_CHUNK
                )

    async def stop(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers = {}
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _wanted_ports(self) -> dict[str, int]:
        app = self._app.resource
        if app is None or configuration_of(app.properties["configuration"]).ingress is None:
            return {}
        labels: Json = member(app.private, "labelPorts")
        return {"": app.private["port"], **labels}

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, label: str) -> None:
        task = asyncio.current_task()
        if task:
            self._connections.add(task)
        try:
            await _Connection(self, self._app, reader, writer, label).serve()
        except (ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            pass  # the client went away, or the app is being stopped: nobody is left to answer
        finally:
            if task:
                self._connections.discard(task)
            writer.close()

    @contextlib.asynccontextmanager
    async def turn(self, label: str) -> AsyncGenerator[Replica]:
        """A ready replica for one request; a request to a revision without any is held while one starts."""
        self.last_request = time.monotonic()
        revision = self._choose(label)
        self.in_flight[revision] = self.in_flight.get(revision, 0) + 1
        self._app.wake()
        replica: Replica | None = None
        try:
            replica = await self._ready_replica(revision)
            replica.in_flight += 1
            yield replica
        finally:
            self.in_flight[revision] -= 1
            self.last_request = time.monotonic()
            if replica:
                replica.in_flight -= 1

    def _choose(self, label: str) -> str:
        app = self._app.resource
        if app is None or app.private.get("stopped"):
            raise Refused(NOT_FOUND)
        if label:
            ingress = configuration_of(app.properties["configuration"]).ingress
            named = [entry for entry in (ingress.traffic if ingress else ()) if entry.label == label]
            chosen = named[0].revision if named else None
            if not named or (chosen and not self._app.is_active(chosen)):
                raise Refused(NOT_FOUND)
            if chosen:
                return chosen
        weights = self._app.routes()
        if not weights:
            raise Refused(NOT_FOUND)
        return random.choices(list(weights), list(weights.values()))[0]  # noqa: S311 - traffic split, not a secret

    async def _ready_replica(self, revision: str) -> Replica:
        held_until = time.monotonic() + self._app.around.settings.times.cold_start
        # Replicas that exist and are not ready: Envoy has no healthy upstream and says so. None at all: a cold start.
        cold = not self._app.replicas.get(revision)
        while True:
            ready = [replica for replica in self._app.replicas.get(revision, []) if replica.ready]
            if ready:
                return min(ready, key=lambda replica: replica.in_flight)
            if not cold:
                raise Refused(NO_UPSTREAM)
            if time.monotonic() > held_until:
                raise Refused(TIMED_OUT)
            app = self._app.resource
            if app is None or app.private.get("stopped"):
                raise Refused(NOT_FOUND)
            await asyncio.sleep(0.05)


class _Connection:
    """One client's connection: requests one after the other."""

    def __init__(
        self,
        ingress: Ingress,
        app: Behind,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        label: str,
    ) -> None:
        self._ingress = ingress
        self._idle = app.around.settings.times.ingress_idle
        self._reader = reader
        self._writer = writer
        self._label = label
        self._client = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_LIMIT)

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
                data = await self._reader.read(_CHUNK)
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
                data = await self._reader.read(_CHUNK)
                if not data:
                    return
                self._client.receive_data(data)
            else:
                return
        if data := await self._reader.read(_CHUNK):
            # The next request came early: it waits for its turn, and so does noticing that the client left.
            self._client.receive_data(data)
            await asyncio.Event().wait()

    async def _answer(self, request: h11.Request, body: "asyncio.Queue[bytes | None]") -> bool:
        """True when the connection can be used for another request."""
        try:
            async with self._ingress.turn(self._label or _label_of(request)) as replica:
                return await self._forward(request, body, replica)
        except Refused as refused:
            await self._refuse(refused.refusal)
            return False
        except h11.LocalProtocolError:
            return False

    async def _forward(self, request: h11.Request, body: "asyncio.Queue[bytes | None]", replica: Replica) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", replica.port, limit=_CHUNK)
        except OSError as problem:
            raise Refused(CONNECT_FAILED) from problem
        upstream = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_LIMIT)
        try:
            writer.write(upstream.send(self._forwarded(request)) or b"")
            sending = asyncio.create_task(_send_body(upstream, writer, body))
            try:
                return await self._relay(upstream, reader)
            finally:
                await _cancelled(sending)
        finally:
            writer.close()

    def _forwarded(self, request: h11.Request) -> h11.Request:
        kept = [(name, value) for name, value in request.headers if name not in _HOP]
        peer = str((self._writer.get_extra_info("peername") or ("",))[0])
        added = [
            (b"x-forwarded-for", peer.encode()),
            (b"x-forwarded-proto", b"http"),
            (b"x-envoy-external-address", peer.encode()),
            (b"x-request-id", uuid.uuid4().hex.encode()),
            (b"connection", b"close"),
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
                        data = await reader.read(_CHUNK)
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


def _label_of(request: h11.Request) -> str:
    """The label in a host name like ACA's `app---label.domain`; empty where it names none."""
    host = next((value for name, value in request.headers if name == b"host"), b"").decode("latin-1")
    return host.partition(".")[0].partition("---")[2].lower()


async def _send_body(
    upstream: h11.Connection, writer: asyncio.StreamWriter, body: "asyncio.Queue[bytes | None]"
) -> None:
    # A replica that answers before it has read everything closes its side: what it answered is still relayed.
    with contextlib.suppress(ConnectionError, h11.LocalProtocolError):
        while (data := await body.get()) is not None:
            writer.write(upstream.send(h11.Data(data=data)) or b"")
            await writer.drain()
        writer.write(upstream.send(h11.EndOfMessage()) or b"")
        await writer.drain()


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
