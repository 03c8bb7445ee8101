"""What runs in the container: the server that serves, the one that is tried, the socket that outlives both, and every end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket

from infra.provision.releases import say
from infra.provision.server_process import Release, ServerProcess
from infra.provision.streams import listening

MOST_SECONDS = 240.0  # for which a request may run: the ingress's own limit
ANSWER_SECONDS = 5.0  # for a server's word on the channel
LISTENER = "127.0.0.1"


class Container:
    def __init__(self, script: str, control: str) -> None:
        self.running: ServerProcess | None = None
        self.tried: ServerProcess | None = None
        self.pausing = False
        """Whether an exchange in turn is under way: nobody accepts, and requests wait."""
        self.ending = False
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """What this container ends with."""
        self.port = (os.environ.get("SLIPWAY_BIND_HOST", ""), int(os.environ.get("CONTAINER_APP_PORT", "7860")))
        self.doorkeeper: asyncio.AbstractServer | None = None
        """Who answers on the port until the first server accepts."""
        self.own = (self.port[0] if self.port[0] not in ("", "0.0.0.0") else LISTENER, self.port[1])  # noqa: S104
        """Where the port is from in here."""
        self.replica = os.environ.get("CONTAINER_APP_REPLICA_NAME", "")
        self._script = script
        self._control = control
        self._servers: list[ServerProcess] = []
        self._socket: socket.socket | None = None
        self._held: list[int] = []
        """Connections that no server has at the moment; what clients send on them waits."""

    def watch(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)

    # Servers

    async def is_open(self) -> bool:
        """Whether somebody listens where requests come."""
        if self._socket is None:
            try:
                _, writer = await asyncio.open_connection(*self.own)
            except OSError:
                return False
            writer.close()
        return True

    def launch(self, release: Release, *, remembered: bool, held: bool = False) -> ServerProcess:
        server = ServerProcess(release, self.own, self.heard)
        self._servers.append(server)
        server.start(self._script, self._control, remembered=remembered, held=held)
        return server

    def serve(self, release: Release) -> None:
        """The first server: it accepts as soon as it says that it can, and tells by itself that it is not ready."""
        self.running = self.launch(release, remembered=False)

    def heard(self, server: ServerProcess, word: str, descriptors: list[int]) -> None:
        if word == "hello" and server is self.running and not self.ending:
            self.let_accept(server)
        if descriptors:
            self.hand_on(server, descriptors)

    def let_accept(self, server: ServerProcess) -> None:
        try:
            port = self.socket(server.wants)
        except OSError as error:
            say(f"failed: nobody can listen on port {server.wants[1]}: {error}")
            self.give_up()
            return
        with contextlib.suppress(OSError):  # it has ended: that is seen
            server.tell("accept", [port.fileno()])

    async def accepting(self, server: ServerProcess) -> None:
        """The server accepts from now on, also what waited. OSError, EOFError or TimeoutError where it does not."""
        server.tell("accept", [self.socket(server.wants).fileno()])
        await server.word("accepting", ANSWER_SECONDS)
        self.running, self.tried = server, None
        server.says_as = ""
        if self.doorkeeper is not None:
            self.doorkeeper.close()
            self.doorkeeper = None
        held, self._held = self._held, []
        self.hand_on(None, held)

    def hand_on(self, giver: ServerProcess | None, connections: list[int]) -> None:
        """Idle connections go to who accepts; where nobody does, they wait here."""
        taker = self.running
        if not connections:
            return
        if taker is None or taker is giver:
            self._held += connections
            return
        try:
            taker.tell("connections", connections)
        except OSError:
            say(f"{len(connections)} idle connections are closed: the server that was to take them has ended")
        for each in connections:
            os.close(each)

    async def leave(self, server: ServerProcess, seconds: float) -> None:
        """It accepts no more once this returns, finishes what it has, and gives its idle connections away."""
        with contextlib.suppress(OSError, EOFError):  # it has ended: it accepts no more
            server.tell("leave", within=seconds)
            try:
                await server.word("left", ANSWER_SECONDS)
            except TimeoutError:
                say("the former server does not answer: it is ended")
                server.signal_group(signal.SIGKILL)

    async def ended(self, server: ServerProcess, seconds: float) -> None:
        """Returns when its process is no more; killed after that time."""
        await asyncio.wait([server.ends], timeout=seconds)
        if not server.ended:
            say(f"the former server has not ended within {seconds:.0f} s: it is killed")
            server.signal_group(signal.SIGKILL)
        await asyncio.wait([server.ends])

    async def all_former_ended(self) -> None:
        for server in [each for each in self._servers if each not in (self.running, self.tried)]:
            await self.ended(server, MOST_SECONDS)

    async def drop(self, server: ServerProcess) -> None:
        server.signal_group(signal.SIGKILL)
        await asyncio.wait([server.ends])
        self.tried = None if self.tried is server else self.tried

    # The port

    def socket(self, wanted: tuple[str, int]) -> socket.socket:
        """Bound only when a server asks for it: one that is not ours binds it itself."""
        if self._socket is None:
            self._socket = listening(*wanted)
        return self._socket

    # Ends

    def reap(self) -> None:
        """Whatever has ended, orphans too: this is the container's first process."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self.buried(found[0], os.waitstatus_to_exitcode(found[1]))

    def buried(self, pid: int, code: int) -> None:
        for server in [each for each in self._servers if each.pid == pid]:
            self._servers.remove(server)
            server.has_ended(code if code >= 0 else 128 - code)
            if not self.ending:
                server.signal_group(signal.SIGKILL)  # what it began ends with it
            if server is self.running:
                self.finish(server)

    def finish(self, server: ServerProcess) -> None:
        """The server that serves has ended by itself, or was told to: so does the container, as it did."""
        if self.tried is not None:
            self.tried.signal_group(signal.SIGKILL)
        if not self.code.done():
            self.code.set_result(server.ends.result())

    def give_up(self) -> None:
        """Nothing serves and nothing will: the platform starts the container anew."""
        if not self.code.done():
            self.code.set_result(1)

    def end(self) -> None:
        """SIGTERM: handed on once; the servers finish what they have."""
        if self.ending:
            return
        self.ending = True
        if self._socket is not None:
            self._socket.close()  # the server's own descriptor is the last
        if self.tried is not None:
            self.tried.signal_group(signal.SIGKILL)
        for server in self._servers:
            server.terminate()
        if self.running is None and not self.code.done():
            self.code.set_result(0)

    async def quiet(self) -> None:
        """Until nothing is left of the servers that were told to end: a shell may go before what it runs."""
        left = [*self._servers, *(server for server in (self.running,) if server is not None)]
        while self.ending and any(server.has_group() for server in left):
            await asyncio.sleep(0.05)
