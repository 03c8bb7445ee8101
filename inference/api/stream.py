"""Answers as server-sent events: written from the engine's wake-up itself, without waking a task for each token."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from inference.api.generation import Generation
from inference.api.writers import Answer
from inference.carried import Carried, carried
from inference.engine.engine import Delta
from inference.messages import KEEP_ALIVE, ApiError, Usage

log = logging.getLogger(__name__)


class Writer(Protocol):
    """How an answer is written; each method gives whole events."""

    @property
    def model(self) -> str: ...
    def whole(self, answers: list[Answer], usage: Usage) -> dict[str, Any]: ...
    def opening(self, index: int) -> bytes: ...
    def part(self, index: int, delta: Delta) -> bytes: ...
    def ending(self, usage: Usage) -> bytes: ...
    def failed(self, error: ApiError) -> bytes: ...


PIECE = 64 << 10  # bytes that are handed on at a time to a client that does not keep up


class Pipe:
    """A response's body, written from plain callbacks: at once while the client keeps up, by `drain` when it does not.

    The server's `send` is stepped by hand. It almost never has to wait; when it does, what it waits for is kept, and what
    is written meanwhile is joined into one message.
    """

    def __init__(self, send: Send, stalled: Callable[[], None], patience: float) -> None:
        self._send = send
        self._stalled = stalled
        self._patience = patience  # seconds
        self._sending: Generator[Any, Any, None] | None = None
        self._wait: asyncio.Future[Any] | None = None
        self._rest: deque[bytes] = deque()

    def write(self, data: bytes, *, last: bool = False) -> None:
        """`last` only when everything before has been taken."""
        if self._sending is not None:
            self._rest.append(data)
            return
        sending = self._send({"type": "http.response.body", "body": data, "more_body": not last}).__await__()
        try:
            self._wait = next(sending)
        except StopIteration:
            return
        self._sending = sending
        self._stalled()

    async def drain(self) -> None:
        """Waits until everything written has been taken; StalledError when a piece of it is not for too long."""
        while self._sending is not None:
            sending = self._sending
            try:
                while True:
                    if self._wait is None:
                        await asyncio.sleep(0)
                    elif (await asyncio.wait((self._wait,), timeout=self._patience))[1]:
                        raise StalledError
                    self._wait = next(sending)
            except StopIteration:
                self._sending = None
            while self._rest and self._sending is None:
                self.write(self._piece())

    def _piece(self) -> bytes:
        parts, size = [self._rest.popleft()], 0
        while self._rest and (size := size + len(parts[-1])) < PIECE:
            parts.append(self._rest.popleft())
        return b"".join(parts)

    def close(self) -> None:
        """Lets go of a message that was never taken."""
        if self._sending is not None:
            self._sending.close()


class StalledError(Exception):
    """The client does not read what it asked for."""


class EventStream(Response):
    """Sends deltas as server-sent events; a client that goes away ends the generation at once. `lifetime` is the generation's,
    which has begun, and ends with the stream."""

    def __init__(self, generation: Generation, writer: Writer, headers: dict[str, str], lifetime: ExitStack) -> None:
        super().__init__(
            None, 200, {"cache-control": "no-cache", "x-accel-buffering": "no", **headers}, "text/event-stream"
        )
        del self.headers["content-length"]
        self._generation = generation
        self._writer = writer
        self._lifetime = lifetime
        self._due = asyncio.Event()  # the task has something to do: the pipe is stalled, or the generation is over
        self._written = 0.0  # when the last event was, by the loop's clock
        self._error: Exception | None = None
        self._failed = False  # its last event says why

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        generation, writer = self._generation, self._writer
        watcher = asyncio.create_task(close_on_disconnect(receive, generation))
        # The layers between us and the server look at the start of a response only: bodies go past them.
        pipe = Pipe(carried(scope).send or send, self._due.set, generation.service.settings.send_timeout)
        try:
            await self._start(send)
            self._written = generation.service.loop.time()
            pipe.write(b"".join(writer.opening(index) for index in range(generation.answers)))
            self._follow(pipe)
            while not (generation.over or self._failed) and self._error is None:
                await self._wait(pipe)
                await pipe.drain()
            if self._error is not None:
                raise self._error
            if self._failed:
                await self._break_off(pipe, carried(scope), watcher)
            elif not generation.closed:
                await pipe.drain()
                pipe.write(writer.ending(usage_of(generation)), last=True)
                await pipe.drain()
        except StalledError:
            log.warning(
                "a client did not read its stream for %.0f s: cut off", generation.service.settings.send_timeout
            )
            carried(scope).abort()
            await watcher
        finally:
            watcher.cancel()
            self._lifetime.close()
            pipe.close()

    async def _break_off(self, pipe: Pipe, connection: Carried, watcher: asyncio.Task[None]) -> None:
        """After the event that says why. Clients that do not know it would take a cut answer for a whole one: no usage, no
        `[DONE]`, no end of the body, so that every one of them sees a broken connection."""
        await pipe.drain()
        connection.drop()
        if not (await asyncio.wait({watcher}, timeout=self._generation.service.settings.send_timeout))[0]:
            raise StalledError

    async def _start(self, send: Send) -> None:
        """The status and headers; the answer before it on the connection may not have been read yet."""
        try:
            async with asyncio.timeout(self._generation.service.settings.send_timeout):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        except TimeoutError as error:
            raise StalledError from error

    def _follow(self, pipe: Pipe) -> None:
        part, write, now = self._writer.part, pipe.write, self._generation.service.loop.time

        def take(index: int, delta: Delta) -> None:
            self._written = now()
            if self._failed:
                return  # of several answers another one; what it says could not be told from a whole one's end
            try:
                write(part(index, delta))
            except ApiError as error:
                self._failed = True
                write(self._writer.failed(error))
                self._due.set()
            except Exception as error:  # noqa: BLE001  (the task raises it: whoever calls hands out other streams too)
                self._error = error
                self._due.set()

        self._generation.follow(take, self._due.set)

    async def _wait(self, pipe: Pipe) -> None:
        """Until the task is needed; says that it lives when nothing was sent for a while."""
        service = self._generation.service
        silence = service.settings.keep_alive
        try:
            async with asyncio.timeout_at(self._written + silence):
                await self._due.wait()
        except TimeoutError:
            now = service.loop.time()
            if now >= self._written + silence:
                self._written = now
                pipe.write(KEEP_ALIVE)
        self._due.clear()


async def close_on_disconnect(receive: Receive, generation: Generation) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            generation.close()
            return


def usage_of(generation: Generation) -> Usage:
    return Usage(generation.prompt_tokens, generation.completion_tokens, generation.cached_tokens)
