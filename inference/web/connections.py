"""How long a client may take to say what it wants: who never finishes the headers of a request is cut off."""

import asyncio
import os
import re
import socket
from enum import Enum
from typing import cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from inference.carried import carried

LONGEST_HEAD = 64 << 10  # bytes

MOST_QUEUED = 16  # requests that wait for the answer of one before; more are not read

LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Part(Enum):
    """What the client is sending."""

    NOTHING = "nothing"
    HEAD = "head"
    BODY = "body"


# Requests that began in some data, and what was sent before and after it, where all of it is of one head.
OF_ONE_HEAD = {
    (0, (Part.NOTHING, Part.NOTHING)),  # line ends before it
    (1, (Part.NOTHING, Part.HEAD)),
    (0, (Part.HEAD, Part.HEAD)),
}


UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


def without_upgrade(data: bytes) -> bytes:
    """A head's beginning whose wish for another protocol, which we speak none of, is not heard: the parser would take what
    follows for that protocol's, and the request's body would be lost. Some clients wish for HTTP/2 with every request."""
    head, end, rest = data.partition(b"\r\n\r\n")
    return UPGRADE.sub(b"\r\nnot-now:", head) + end + rest


class Connection(HttpToolsProtocol):
    """uvicorn's own, which waits for the end of the headers for ever and keeps whatever comes until then.

    A request carries the way to drop its connection.
    """

    header_timeout = 15.0  # seconds
    begins_idle = False
    """Whether another server has answered requests on it before: it may wait as long as after any answer."""
    _deadline: asyncio.TimerHandle | None = None
    _unfinished = 0  # bytes of headers, or of what follows a body, that are not complete
    _begun = 0  # requests
    _part = Part.NOTHING
    _body_came = False  # with the last data
    _cycles: tuple[RequestResponseCycle, ...] = ()  # requests that are not answered yet; several when pipelined

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        if self.begins_idle:
            wait = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = wait
        else:
            self._start_deadline()

    @property
    def is_private(self) -> bool:
        """Whether it came over the socket that only this container's supervisor knows."""
        own: socket.socket = self.transport.get_extra_info("socket")
        return own.family == socket.AF_UNIX

    @property
    def at_rest(self) -> bool:
        """Nothing of a request has come that is not answered, and all of the answer has gone."""
        busy = self._answering() or bool(self.pipeline) or self._part is not Part.NOTHING
        return not busy and not self.transport.is_closing() and self.transport.get_write_buffer_size() == 0

    @property
    def holds(self) -> bool:
        """Whether a server that leaves waits for it. Streams of the chat page last as long as the page is open."""
        if self.transport.is_closing() and self.transport.get_write_buffer_size() == 0:
            return False
        if not self._answering():
            return True
        return self.scope["path"].startswith(("/v1/", "/openai/")) or not self.cycle.response_started

    def give_up(self) -> int:
        """A descriptor for the connection, on which nothing is read here any more. Only at rest."""
        own: socket.socket = self.transport.get_extra_info("socket")
        kept = os.dup(own.fileno())
        self._forget_deadline()
        self._unset_keepalive_if_required()
        self.transport.abort()
        return kept

    def data_received(self, data: bytes) -> None:
        before, begun, self._body_came = self._part, self._begun, False
        super().data_received(without_upgrade(data) if before is Part.NOTHING else data)
        if self.transport.is_closing():
            return
        began, change = self._begun - begun, (before, self._part)
        trailers = change == (Part.BODY, Part.BODY) and not self._body_came
        if trailers or (began, change) in OF_ONE_HEAD:
            self._unfinished += len(data)
        if self._unfinished > LONGEST_HEAD:
            self._refuse(LARGE)
        elif not self._answering():
            self._wait(before)

    def _wait(self, before: Part) -> None:
        """For the rest of what is being sent, while there is nothing to answer."""
        if self._part is Part.NOTHING and self._cycles:  # as idle as after any answer
            self._forget_deadline()
            wait = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = wait
            return
        if before is Part.BODY and self._part is Part.HEAD:  # what ran was for the body
            self._forget_deadline()
        if self._deadline is None:  # uvicorn's own wait for a next request has ended with its first byte
            self._start_deadline()

    def on_message_begin(self) -> None:
        self._part, self._unfinished = Part.HEAD, 0
        self._begun += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._forget_deadline()
        self._part = Part.BODY
        ours = carried(cast("Scope", self.scope))
        ours.abort, ours.drop = self.transport.abort, self.transport.close
        super().on_headers_complete()
        self._cycles = (*(cycle for cycle in self._cycles if not cycle.response_complete), self.cycle)
        if 0 < len(self.pipeline) < MOST_QUEUED:
            self.flow.resume_reading()  # uvicorn would not, and not notice either that the client leaves

    def on_body(self, body: bytes) -> None:
        self._body_came, self._unfinished = True, 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._part, self._unfinished = Part.NOTHING, 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)
        for cycle in self._cycles:  # uvicorn tells the last one only
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.header_timeout, self._give_up)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._refuse(LATE)

    def _refuse(self, answer: bytes) -> None:
        self._forget_deadline()
        if not self.transport.is_closing():
            if not self._answering() and self._part is not Part.BODY:  # else it would pass for another's answer
                self.transport.write(answer)
            self.transport.close()


def connections(header_timeout: float) -> type[Connection]:
    """The kind of connection that waits so many seconds for a request's headers."""
    return type("Connection", (Connection,), {"header_timeout": header_timeout})
