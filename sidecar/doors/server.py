"""The JSON-RPC door (pygls): the process that a window talks to. What its first answer does not need is loaded behind."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO

from lsprotocol import converters
from lsprotocol import types as lsp
from pygls.io_ import StdoutWriter
from pygls.lsp.server import LanguageServer
from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, JsonRPCResponseMessage, LanguageServerProtocol

from sidecar import __version__
from sidecar.core.journal import Leaving
from sidecar.doors.editor import Editor
from sidecar.doors.frames import INVALID_REQUEST, Frames, Unreadable, message_in
from sidecar.words.names import ALIVE

LEAVE_SECONDS = 30
"""After the window has gone: for what may not be left half done."""

OURS = "slipway/"

log = logging.getLogger("slipway")


def serve(environ: Mapping[str, str]) -> None:
    """Speaks JSON-RPC on stdin and stdout until the client ends it. Nothing else may write to stdout: it goes to stderr."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # pygls logs whole messages, tokens and keys included, at info and on failure
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    # What the SDKs have to say is in the error that they raise; their log would say it twice, with a trace.
    logging.getLogger("azure").propagate = False
    logging.getLogger("azure").addHandler(logging.NullHandler())
    stdout = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server = Sidecar(environ)
    server.speak(stdout)
    server.leaving.leave(LEAVE_SECONDS)


class _Protocol(LanguageServerProtocol):
    """Cancelling sets the request's stop event: the action itself answers, and says what came of it."""

    def __init__(self, server: Any, converter: Any) -> None:
        super().__init__(server, converter)
        self.stops: dict[str | int, threading.Event] = {}

    def _handle_cancel_notification(self, msg_id: str | int) -> None:
        stop = self.stops.get(msg_id)
        if stop is not None:
            stop.set()

    def _get_handler(self, feature_name: str) -> Any:
        server: Any = self._server
        if not feature_name.startswith(OURS) or feature_name == ALIVE or server.loaded:
            return super()._get_handler(feature_name)
        known = super()._get_handler

        async def later(params: Any) -> Any:
            """What is typed meanwhile is judged at once, and what is cancelled meanwhile is cancelled."""
            number = self.msg_id
            if number is not None:
                self.stops[number] = threading.Event()
            try:
                await asyncio.to_thread(server.load)
                return await known(feature_name)(params)
            finally:
                if number is not None:
                    self.stops.pop(number, None)

        return later

    def take(self, body: bytes) -> None:
        """Raises Unreadable."""
        message: Any = message_in(body, self.structure_message)
        if self._shutdown and getattr(message, "method", "exit") != lsp.EXIT and hasattr(message, "id"):
            raise Unreadable(INVALID_REQUEST, "the server is shutting down", message.id)
        self.handle_message(message)

    def refuse(self, problem: Unreadable) -> None:
        """Written out: lsprotocol leaves out a number that is null, which JSON-RPC has where none can be told."""
        if not problem.notifies:
            error = {"code": problem.code, "message": str(problem)}
            self._send_data({"jsonrpc": "2.0", "id": problem.number, "error": error})


class Sidecar(LanguageServer):
    """The server process: one per window."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  (pygls leaves *args untyped)
            "slipway",
            __version__,
            lsp.TextDocumentSyncKind.Incremental,
            protocol_cls=_Protocol,
            converter_factory=_converter,
            max_workers=4,
        )
        self.leaving = Leaving()
        self._environ = environ
        self._loading = threading.Lock()
        self.loaded = False
        self.editor = Editor(self, environ)

        def initialized(_: Any) -> None:
            self._follow()

        def alive(_: Any) -> None:
            """Answered by the loop itself, whatever the actions are at."""

        self.feature(lsp.INITIALIZED)(initialized)
        self.feature(ALIVE)(alive)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Failures are answers to requests, shown by whoever asked; nothing pops up by itself."""
        log.debug("%s: %s", source, type(error).__name__)

    def speak(self, stdout: BinaryIO) -> None:
        """Until the client ends it, or has gone."""
        self.protocol.set_writer(StdoutWriter(stdout))
        try:
            asyncio.run(self._listen(Frames(sys.stdin.buffer, self.thread_pool)))
        except (BrokenPipeError, KeyboardInterrupt, SystemExit):
            pass  # the client has gone, or wants this end
        finally:
            self.shutdown()

    async def _listen(self, frames: Frames) -> None:
        spoken = self._spoken
        while True:
            try:
                body = await frames.body()
                if body is None:
                    return
                spoken.take(body)
            except Unreadable as problem:
                spoken.refuse(problem)

    @property
    def _spoken(self) -> _Protocol:
        assert isinstance(self.protocol, _Protocol)
        return self.protocol

    def _follow(self) -> None:
        """The client has its answer: what the next ones need is loaded while it thinks."""
        threading.Thread(target=self.load, name="load", daemon=True).start()

    def load(self) -> None:
        """What answers the extension's own requests; once."""
        with self._loading:
            if self.loaded:
                return
            from sidecar.doors.requests import Requests  # noqa: PLC0415  (most of the program: the first answer needs none of it)

            requests = Requests(self, self._spoken.stops, self._environ)
            for method in requests.methods:
                self.feature(method)(requests.handler(method))
            self.loaded = True


def _converter() -> Any:
    """Our own messages stay plain JSON, to be validated by pydantic; LSP's are structured as usual."""
    converter = converters.get_converter()

    def plain(message: Any, kind: Any) -> Any:
        given = dict(message)
        if kind is not JsonRPCResponseMessage:
            given.setdefault("params", None)
        return kind(**given)

    for kind in (JsonRPCRequestMessage, JsonRPCNotification, JsonRPCResponseMessage):
        converter.register_structure_hook(kind, plain)
    return converter
