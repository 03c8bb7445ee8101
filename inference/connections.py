"""How long a client may take to say what it wants: who never finishes the headers of a request is cut off."""

import asyncio
from enum import Enum

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

LONGEST_HEAD = 64 << 10  # bytes

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


class Connection(HttpToolsProtocol):
    """uvicorn's own, which waits for the end of the headers for ever and keeps whatever comes until then.

    A request's scope has `slipway.abort`, which drops the connection whether or not the client reads.
    """

    header_timeout = 15.0  # seconds
    _deadline: asyncio.TimerHandle | None = None
    _unfinished = 0  # bytes of headers that are not complete
    _begun = 0  # requests
    _part = Part.NOTHING
    _cycles: tuple[RequestResponseCycle, ...] = ()  # requests that are not answered yet; several when pipelined

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._start_deadline()

    def data_received(self, data: bytes) -> None:
        before, begun = self._part, self._begun
        super().data_received(data)
        if self.transport.is_closing():
            return
        began, change = self._begun - begun, (before, self._part)
        if (began, change) in OF_ONE_HEAD:
            self._unfinished += len(data)
        if self._unfinished > LONGEST_HEAD:
            self._refuse(LARGE)
        elif not self._answering():
            self._wait(before)

    def _wait(self, before: Part) -> None:
        """For the rest of what is being sent, while there is nothing to answer."""
        if before is Part.BODY and self._part is Part.NOTHING:  # as idle as after any answer
            self._forget_deadline()
            wait = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = wait
        elif self._deadline is None:  # uvicorn's own wait for a next request has ended with its first byte
            self._start_deadline()

    def on_message_begin(self) -> None:
        self._part, self._unfinished = Part.HEAD, 0
        self._begun += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._forget_deadline()
        self._part = Part.BODY
        self.scope["slipway.abort"] = self.transport.abort  # pyright: ignore[reportGeneralTypeIssues]
        super().on_headers_complete()
        self._cycles = (*(cycle for cycle in self._cycles if not cycle.response_complete), self.cycle)

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
        if self._part is Part.BODY:  # its request has its answer: another would pass for the next one's
            self._deadline = None
            self.transport.close()
        else:
            self._refuse(LATE)

    def _refuse(self, answer: bytes) -> None:
        self._forget_deadline()
        if not self.transport.is_closing():
            if not self._answering():
                self.transport.write(answer)
            self.transport.close()


def connections(header_timeout: float) -> type[Connection]:
    """The kind of connection that waits so many seconds for a request's headers."""
    return type("Connection", (Connection,), {"header_timeout": header_timeout})
