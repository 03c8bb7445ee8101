"""How long a client may take to say what it wants: who never finishes the headers of a request is cut off."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 64 << 10  # bytes

LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """uvicorn's own, which waits for the end of the headers for ever and keeps whatever comes until then."""

    header_timeout = 15.0  # seconds
    _deadline: asyncio.TimerHandle | None = None
    _unfinished = 0  # bytes that came since the last request's end, of headers that are not complete
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or self._answering():
            return
        if not self._in_body:  # else it is the rest of a request that was answered already: it is thrown away
            self._unfinished += len(data)
        if self._unfinished > LONGEST_HEAD:
            self._refuse(LARGE)
        elif self._deadline is None:  # uvicorn's own wait for a next request ends with its first byte
            self._wait_for_headers()

    def on_headers_complete(self) -> None:
        self._forget_deadline()
        self._unfinished, self._in_body = 0, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def _wait_for_headers(self) -> None:
        self._deadline = self.loop.call_later(self.header_timeout, self._refuse, LATE)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, answer: bytes) -> None:
        self._forget_deadline()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


def connections(header_timeout: float) -> type[Connection]:
    """The kind of connection that waits so many seconds for a request's headers."""
    return type("Connection", (Connection,), {"header_timeout": header_timeout})
