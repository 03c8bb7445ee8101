"""A server's turn in a container whose releases are exchanged: when it accepts, and how it leaves without losing a request."""

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

import uvicorn

from inference.channel import Channel
from inference.room import measured
from inference.service import Service
from inference.web.connections import Connection

log = logging.getLogger(__name__)

LOOK = 0.02  # seconds between two looks at which connections are idle
FIRST_LOOK = 0.1  # after it accepts no more: what it had accepted by then is seen
SUPERVISOR_GONE = 70


class Handover:
    """Obeys the supervisor. Until it is told to accept, the server is reached by its private socket alone."""

    def __init__(self, listener: uvicorn.Server, service: Service) -> None:
        self._listener = listener
        self._service = service
        self._accepting: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._may_load = threading.Event()
        orders = {
            "accept": self._accept,
            "connections": self._adopt,
            "leave": self._leave,
            "measure": self._measure,
            "load": self._load,
        }
        settings = service.settings
        self._channel = Channel(settings.supervisor, orders, gone)
        if settings.held:
            service.before_loading = self._hold
        self._channel.say(
            "hello", pid=os.getpid(), host=settings.host, port=settings.port, drain=settings.drain_timeout
        )

    def _hold(self) -> None:
        """On the loader's thread: what costs seconds and no memory of the model's is done while another server still answers."""
        self._service.loop.call_soon_threadsafe(self._channel.say, "prepared")
        self._may_load.wait()

    def _load(self, said: Mapping[str, Any], descriptors: list[int]) -> None:
        self._may_load.set()

    def _accept(self, said: Mapping[str, Any], descriptors: list[int]) -> None:
        self._begin(self._start_accepting(socket.socket(fileno=descriptors[0])))

    async def _start_accepting(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        loop, config = asyncio.get_running_loop(), self._listener.config
        server = await loop.create_server(self._protocol, sock=listening, backlog=config.backlog)
        self._accepting.append(server)
        self._listener.servers.append(server)  # so that it is closed with the others
        log.info("accepting requests")
        self._channel.say("accepting")

    def _adopt(self, said: Mapping[str, Any], descriptors: list[int]) -> None:
        for descriptor in descriptors:
            self._begin(self._go_on_with(socket.socket(fileno=descriptor)))

    async def _go_on_with(self, connection: socket.socket) -> None:
        """As after any answer: its next request may be there already, or come later, or never."""
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # the client has gone meanwhile
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self._protocol(idle=True), connection)

    def _leave(self, said: Mapping[str, Any], descriptors: list[int]) -> None:
        self._begin(self._finish(float(said["within"])))

    async def _finish(self, seconds: float) -> None:
        """Accepts no more, answers what it has, gives every connection away as soon as it is idle, then ends."""
        loop, service = asyncio.get_running_loop(), self._service
        service.leaving = True
        for server in self._accepting:
            server.close()
        self._channel.say("left")
        log.info("leaving: another release takes over")
        deadline = loop.time() + seconds
        await asyncio.sleep(FIRST_LOOK)
        while self._give_away() and loop.time() < deadline:
            await asyncio.sleep(LOOK)
        if service.in_flight:
            log.warning("%d requests were cut off", service.in_flight)
            if service.served is not None:  # its last word to each of them is an error that says so
                await asyncio.to_thread(service.served.engine.stop)
        self._listener.should_exit = True

    def _give_away(self) -> bool:
        """Whether there is still something to wait for."""
        connections = cast("set[Connection]", self._listener.server_state.connections)
        public = [each for each in connections if not each.is_private]
        given = [each.give_up() for each in public if each.at_rest]
        if given:
            with contextlib.suppress(OSError):  # the supervisor is gone, and so is the container
                self._channel.say("connections", given)
            for each in given:
                os.close(each)
        return any(each.holds for each in public)

    def _measure(self, said: Mapping[str, Any], descriptors: list[int]) -> None:
        self._begin(self._say_room())

    async def _say_room(self) -> None:
        room = await asyncio.to_thread(measured, self._service)
        self._channel.say("memory", fits=room.fits, why=room.why)

    def _protocol(self, _loop: asyncio.AbstractEventLoop | None = None, *, idle: bool = False) -> asyncio.Protocol:
        listener = self._listener
        make: Callable[..., Connection] = listener.config.http_protocol_class  # pyright: ignore[reportAssignmentType]
        made = make(
            config=listener.config, server_state=listener.server_state, app_state=listener.lifespan.state, _loop=_loop
        )
        made.begins_idle = idle
        return made

    def _begin(self, doing: Any) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def gone() -> None:
    """Without its supervisor there is no container."""
    log.error("the container's supervisor has ended: so does this server")
    logging.shutdown()
    os._exit(SUPERVISOR_GONE)
