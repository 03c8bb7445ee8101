"""The JSON-RPC door (pygls): binds each request of the wire to its action, in a thread, with cancellation and typed errors."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from lsprotocol import converters
from lsprotocol.types import TextDocumentSyncKind
from pydantic import ValidationError
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, JsonRPCResponseMessage, LanguageServerProtocol

from sidecar import __version__
from sidecar.core.journal import Event, Leaving
from sidecar.doors.editor import Editor
from sidecar.gateway.session import settings_from
from sidecar.gateway.trust import trust_this_machine
from sidecar.wire import protocol as wire
from sidecar.words.errors import NotSignedIn, SlipwayError
from sidecar.words.names import AzureCloud
from sidecar.words.text import Text
from sidecar.workflows.context import Context
from sidecar.workflows.operating import EVERY_ACTION

INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

READING = ("slipway/preflight", "slipway/plan", "slipway/provision")
"""After these more is known of the cloud than before, also where they fail."""

LEAVE_SECONDS = 30
"""After the window has gone: for what may not be left half done."""

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
    trust_this_machine()
    server = Sidecar(environ)
    server.start_io(stdout=stdout)
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


class Sidecar(LanguageServer):
    """The server process: one per window."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  (pygls leaves *args untyped)
            "slipway",
            __version__,
            TextDocumentSyncKind.Incremental,
            protocol_cls=_Protocol,
            converter_factory=_converter,
            max_workers=4,
        )
        self.leaving = Leaving()
        self._running: asyncio.AbstractEventLoop | None = None
        self._settings = settings_from(environ, tokens=self._ask_for_token, say=self._say)
        for method in wire.METHODS:
            self.feature(method)(self._handler(method))
        self._editor = Editor(self, self._settings)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Failures are answers to requests, shown by whoever asked; nothing pops up by itself."""
        log.debug("%s: %s", source, type(error).__name__)

    def _handler(self, method: str) -> Any:
        async def handle(params: Any) -> Any:
            return await self._serve(method, params)

        return handle

    async def _serve(self, method: str, params: Any) -> Any:
        """Validates, runs the action in a thread, and answers with its result or a typed failure."""
        loop = self._running = asyncio.get_running_loop()
        spoken = self.protocol
        assert isinstance(spoken, _Protocol)
        request = spoken.msg_id
        stop = threading.Event()
        try:
            message = wire.METHODS[method].params.model_validate(params if params is not None else {})
        except ValidationError as error:
            raise JsonRpcException(_invalid(error), INVALID_PARAMS) from None
        operation = message.operation if isinstance(message, wire.Operation) else ""

        def tell(line: wire.LogLine) -> None:
            loop.call_soon_threadsafe(self.protocol.notify, "slipway/logLine", line.model_dump(by_alias=True))

        def answer(part: wire.ChatBegan | wire.ChatText) -> None:
            name = "slipway/chatBegan" if isinstance(part, wire.ChatBegan) else "slipway/chatText"
            loop.call_soon_threadsafe(self.protocol.notify, name, part.model_dump(by_alias=True))

        def listen(event: Event) -> None:
            self._show(loop, operation, event)

        context = Context(self._settings, listen, stop, self.leaving, tell, answer)
        if request is not None:
            spoken.stops[request] = stop
        try:
            result = await _in_thread(lambda: EVERY_ACTION[method](message, context))
        except SlipwayError as error:
            data = wire.failure(error).model_dump(by_alias=True)
            raise JsonRpcException(str(error), wire.USER_ERROR, data) from error
        except Exception as error:  # the outermost handler: whatever it is, the client gets an answer
            log.exception("%s failed", method)
            raise JsonRpcException(f"{type(error).__name__}: {error}", INTERNAL_ERROR) from error
        finally:
            if request is not None:
                spoken.stops.pop(request, None)
            if method in READING:
                self._editor.look_again()
        return result.model_dump(by_alias=True)

    def _show(self, loop: asyncio.AbstractEventLoop, operation: str, event: Event) -> None:
        """From a worker thread: the event as a notification, sent by the loop."""
        text = wire.sentence(event.text)
        if event.kind == "progress":
            message: wire.Message = wire.Progress(operation=operation, text=text, increment=event.increment)
            loop.call_soon_threadsafe(self.protocol.notify, "slipway/progress", message.model_dump(by_alias=True))
        else:
            message = wire.Log(level=event.level, text=text)
            loop.call_soon_threadsafe(self.protocol.notify, "slipway/log", message.model_dump(by_alias=True))

    def _say(self, text: Text) -> None:
        """What the gateway has to say while a session is opened; it is called from worker threads."""
        message = wire.Log(level="info", text=wire.sentence(text)).model_dump(by_alias=True)
        self._loop().call_soon_threadsafe(self.protocol.notify, "slipway/log", message)

    def _ask_for_token(
        self, cloud: AzureCloud, scopes: list[str], tenant_id: str | None, claims: str | None, silent: bool
    ) -> tuple[str, int]:
        """From a worker thread: asks VS Code for a token and waits for its answer."""
        params = wire.TokenParams(cloud=cloud, scopes=scopes, tenant_id=tenant_id, claims=claims, silent=silent)

        async def ask() -> Any:
            return await self.protocol.send_request_async("slipway/token", params.model_dump(by_alias=True))

        try:
            answer = asyncio.run_coroutine_threadsafe(ask(), self._loop()).result()
        except JsonRpcException as error:
            raise NotSignedIn(
                Text("You are not signed in to Azure."), Text("Sign in when a command asks you to, or run it again.")
            ) from error
        token = wire.Token.model_validate(answer)
        return token.token, token.expires_on

    def _loop(self) -> asyncio.AbstractEventLoop:
        assert self._running is not None, "actions run only while the loop does"
        return self._running


def _invalid(error: ValidationError) -> str:
    """Names the field: unknown ones are refused like wrong ones."""
    first = error.errors()[0]
    place = ".".join(str(each) for each in first["loc"]) or "params"
    return f"{place}: {first['msg']}"


async def _in_thread(action: Callable[[], wire.Message]) -> wire.Message:
    """Runs an action in a thread that never holds the process back: when the window closes, the process ends at once.

    What the action had begun goes on in the cloud, and the next run finds it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[wire.Message] = loop.create_future()

    def settle(result: wire.Message | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        elif result is not None:
            done.set_result(result)

    def run() -> None:
        try:
            result = action()
        except Exception as error:  # noqa: BLE001  (raised again where the action is awaited)
            loop.call_soon_threadsafe(settle, None, error)
        else:
            loop.call_soon_threadsafe(settle, result, None)

    threading.Thread(target=run, name="action", daemon=True).start()
    return await done


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
