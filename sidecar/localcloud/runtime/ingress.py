"""The ingress of a container app: its ports, and which replica gets a request, as soon as one is ready."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import h11

from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.core.state import Resource
from sidecar.localcloud.runtime.configuration import AppRecord
from sidecar.localcloud.runtime.connections import NOT_FOUND, TIMED_OUT, Connection, Door, Reached, Refused
from sidecar.localcloud.runtime.replicas import Replica
from sidecar.localcloud.runtime.upstreams import CHUNK


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
    def record(self) -> AppRecord | None: ...
    @property
    def replicas(self) -> Mapping[str, list[Replica]]: ...
    def active(self) -> Sequence[Resource]: ...
    def is_active(self, revision: str) -> bool: ...
    def routes(self) -> Mapping[str, int]: ...
    def wake(self) -> None: ...


class Ingress:
    """One listening port for the app, one for each label and active revision; requests in flight counted by revision."""

    def __init__(self, app: Behind) -> None:
        self.in_flight: dict[str, int] = {}
        self.last_request = time.monotonic()
        self._app = app
        self._servers: dict[Door, asyncio.Server] = {}
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """`host:port`, as the app's fqdn."""
        app = self._app.record
        return f"{self._app.around.ingress_host}:{app.port}" if app else ""

    async def listen(self) -> None:
        """Opens the ports that the app's configuration asks for, and closes the others."""
        wanted = self._wanted_ports()
        for door in [door for door in self._servers if door not in wanted]:
            self._servers.pop(door).close()
        for door, port in wanted.items():
            if door not in self._servers:
                host = self._app.around.ingress_host
                self._servers[door] = await asyncio.start_server(
                    lambda reader, writer, door=door: self._connected(reader, writer, door), host, port, limit=CHUNK
                )

    async def stop(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers = {}
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _wanted_ports(self) -> dict[Door, int]:
        app = self._app.record
        if app is None or app.port is None:
            return {}
        if app.configuration.ingress is None:
            return {Door(): app.port}  # its name leads nowhere, and Azure's edge still answers: 404
        revisions = {
            Door(revision=each.name): port for each in self._app.active() if (port := each.private.get("port"))
        }
        labels = {Door(label=name): port for name, port in app.label_ports.items()}
        return {Door(): app.port, **labels, **revisions}

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: Door) -> None:
        task = asyncio.current_task()
        if task:
            self._connections.add(task)
        try:
            times = self._app.around.settings.times
            await Connection(self.turn, times.bound(times.ingress_idle), reader, writer, door).serve()
        except (ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            pass  # the client went away, or the app is being stopped: nobody is left to answer
        finally:
            if task:
                self._connections.discard(task)
            writer.close()

    @contextlib.asynccontextmanager
    async def turn(self, door: Door) -> AsyncGenerator[Reached]:
        """A ready replica for one request; as long as none is ready, the request is held."""
        self.last_request = time.monotonic()
        held = _Held(self._choose(door))
        self._count(held.revision, 1)
        self._app.wake()
        replica: Replica | None = None
        try:
            replica = await self._ready_replica(door, held)
            replica.in_flight += 1
            yield Reached(replica.port_for(self._target_port()), replica.upstreams)
        finally:
            self._count(held.revision, -1)
            self.last_request = time.monotonic()
            if replica:
                replica.in_flight -= 1

    def _count(self, revision: str, change: int) -> None:
        self.in_flight[revision] = self.in_flight.get(revision, 0) + change

    def _target_port(self) -> int | None:
        app = self._app.record
        return app.target_port if app else None

    def _choose(self, door: Door) -> str:
        app = self._app.record
        if app is None or app.stopped or app.configuration.ingress is None:
            raise Refused(NOT_FOUND)
        if door.revision:
            if not self._app.is_active(door.revision):
                raise Refused(NOT_FOUND)
            return door.revision
        if door.label:
            named = [entry for entry in app.configuration.traffic if entry.label == door.label]
            chosen = named[0].revision if named else None
            if not named or (chosen and not self._app.is_active(chosen)):
                raise Refused(NOT_FOUND)
            if chosen:
                return chosen
        weights = self._app.routes()
        if not weights:
            raise Refused(NOT_FOUND)
        return random.choices(list(weights), list(weights.values()))[0]  # noqa: S311 - traffic split, not a secret

    async def _ready_replica(self, door: Door, held: "_Held") -> Replica:
        """Held, not refused: a request is answered when a replica is ready, by whichever revision then serves."""
        times = self._app.around.settings.times
        held_until = time.monotonic() + times.bound(times.ingress_idle)
        while True:
            ready = [replica for replica in self._app.replicas.get(held.revision, []) if replica.ready]
            if ready:
                least = min(replica.in_flight for replica in ready)
                # Of those with as little to do any may be asked: the first one each time would hide the others.
                return random.choice([each for each in ready if each.in_flight == least])  # noqa: S311 - not a secret
            if time.monotonic() > held_until:
                raise Refused(TIMED_OUT)
            await asyncio.sleep(0.05)
            routed = self._choose(door)  # stopped, deactivated or routed elsewhere meanwhile
            if routed != held.revision and not self._keeps_its_share(door, held.revision):
                self._count(held.revision, -1)
                held.revision = routed
                self._count(held.revision, 1)
                self._app.wake()

    def _keeps_its_share(self, door: Door, revision: str) -> bool:
        """Whether requests still go to this revision, beside others that the weights name."""
        return door == Door() and self._app.routes().get(revision, 0) > 0


@dataclass
class _Held:
    """Which revision a request waits for."""

    revision: str
