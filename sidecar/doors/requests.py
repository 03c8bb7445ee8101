"""The extension's requests: each validated, run in a thread, and answered with its result or a typed failure."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from pydantic import ValidationError
from pygls.exceptions import JsonRpcException

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

READING = ("slipway/preflight", "slipway/plan", "slipway/provision", "slipway/bicepInstall")
"""After these more is known than before, of the cloud or of compilers, also where they fail."""

log = logging.getLogger("slipway")


class Server(Protocol):
    """What is used here of the process that the requests come to."""

    @property
    def protocol(self) -> Any: ...
    @property
    def leaving(self) -> Leaving: ...
    @property
    def editor(self) -> Editor: ...


class Requests:
    """`stops`: the event of each request that runs, by its number; setting it cancels."""

    def __init__(self, server: Server, stops: dict[str | int, threading.Event], environ: Mapping[str, str]) -> None:
        trust_this_machine()  # no other thread goes anywhere before this is there
        self._server = server
        self._stops = stops
        self._running: asyncio.AbstractEventLoop | None = None
        self._settings = settings_from(environ, tokens=self._ask_for_token, say=self._say)

    @property
    def methods(self) -> Iterable[str]:
        return wire.METHODS

    def handler(self, method: str) -> Any:
        async def handle(params: Any) -> Any:
            return await self._serve(method, params)

        return handle

    async def _serve(self, method: str, params: Any) -> Any:
        """Validates, runs the action in a thread, and answers with its result or a typed failure."""
        loop = self._running = asyncio.get_running_loop()
        request = self._server.protocol.msg_id
        stop = self._stops.get(request, threading.Event())
        try:
            message = wire.METHODS[method].params.model_validate(params if params is not None else {})
        except ValidationError as error:
            raise JsonRpcException(_invalid(error), INVALID_PARAMS) from None
        operation = message.operation if isinstance(message, wire.Operation) else ""

        def tell(line: wire.LogLine) -> None:
            loop.call_soon_threadsafe(self._server.protocol.notify, "slipway/logLine", line.model_dump(by_alias=True))

        def answer(part: wire.ChatBegan | wire.ChatText) -> None:
            name = "slipway/chatBegan" if isinstance(part, wire.ChatBegan) else "slipway/chatText"
            loop.call_soon_threadsafe(self._server.protocol.notify, name, part.model_dump(by_alias=True))

        def listen(event: Event) -> None:
            self._show(loop, operation, event)

        context = Context(self._settings, listen, stop, self._server.leaving, tell, answer)
        if request is not None:
            self._stops[request] = stop
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
                self._stops.pop(request, None)
            if method in READING:
                self._server.editor.look_again()
        return result.model_dump(by_alias=True)

    def _show(self, loop: asyncio.AbstractEventLoop, operation: str, event: Event) -> None:
        """From a worker thread: the event as a notification, sent by the loop."""
        text = wire.sentence(event.text)
        if event.kind == "progress":
            message: wire.Message = wire.Progress(operation=operation, text=text, increment=event.increment)
            loop.call_soon_threadsafe(
                self._server.protocol.notify, "slipway/progress", message.model_dump(by_alias=True)
            )
        else:
            message = wire.Log(level=event.level, text=text)
            loop.call_soon_threadsafe(self._server.protocol.notify, "slipway/log", message.model_dump(by_alias=True))

    def _say(self, text: Text) -> None:
        """What the gateway has to say while a session is opened; it is called from worker threads."""
        message = wire.Log(level="info", text=wire.sentence(text)).model_dump(by_alias=True)
        self._loop().call_soon_threadsafe(self._server.protocol.notify, "slipway/log", message)

    def _ask_for_token(
        self, cloud: AzureCloud, scopes: list[str], tenant_id: str | None, claims: str | None, silent: bool
    ) -> tuple[str, int]:
        """From a worker thread: asks VS Code for a token and waits for its answer."""
        params = wire.TokenParams(cloud=cloud, scopes=scopes, tenant_id=tenant_id, claims=claims, silent=silent)

        async def ask() -> Any:
            return await self._server.protocol.send_request_async("slipway/token", params.model_dump(by_alias=True))

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
