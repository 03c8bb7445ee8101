"""The chat page's place in the server: prepared after the API is up, shut off from what Gradio would open beside it."""

import asyncio
import logging
from contextlib import AsyncExitStack

from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.messages import ApiError
from inference.service import Service
from inference.web import whole_turn
from inference.web.pages import notice_page
from inference.web.stubless import without_stubs
from inference.web.whole_turn import TURN

log = logging.getLogger(__name__)

# Gradio's routes that the page needs. Everything else is shut: files, uploads, proxying, monitoring, run history.
PAGES = {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"}
FOLDERS = ("/assets/", "/static/", "/svelte/")
CALLS = (
    "/gradio_api/info",
    "/gradio_api/queue/",
    "/gradio_api/run/",  # the page's own steps that need no queue: emptying the input, adding the message
    "/gradio_api/call/",
    "/gradio_api/cancel",
    "/gradio_api/app_id",
)
HEARTBEAT = "/gradio_api/heartbeat/"
CALLS_END = ("/gradio_api/startup-events", "/gradio_api/reset")

# Nothing may be loaded from, or sent to, anywhere but this endpoint. Gradio's own scripts are inline and evaluate templates.
POLICY = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    b"frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)


class ChatPage:
    """An ASGI app: Gradio's once it is there, a notice until then."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._app: ASGIApp | None = None
        self._failed = ""
        self._lifespan = AsyncExitStack()

    def prepare(self) -> None:
        """Runs on the loader's thread: importing Gradio takes seconds."""
        try:
            with without_stubs():
                from inference.web.chat_page import chat_app  # noqa: PLC0415  (Gradio takes seconds: the API is up before)

            app, lifespan = chat_app(self._service)
        except ApiError as error:  # it is stopping, or the engine has failed, before the page was made
            self._failed = str(error)
            log.info("no chat page: %s", error)
            return
        except (ImportError, RuntimeError, ValueError, TypeError, AttributeError, OSError) as error:
            self._failed = f"{type(error).__name__}: {error}"
            log.exception("the chat page cannot be shown; the API is not affected")
            return

        async def open_page() -> None:
            await self._lifespan.enter_async_context(lifespan)
            self._app = app
            log.info("the chat page is ready")

        asyncio.run_coroutine_threadsafe(open_page(), self._service.loop)

    async def close(self) -> None:
        await self._lifespan.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(HEARTBEAT):
            # Gradio would keep this request open as long as the page is: an idle page must not keep a replica awake.
            await Response(b"data: ALIVE\n\n", media_type="text/event-stream")(scope, receive, send)
            return
        if not allowed(scope["path"]):
            await ApiError(404, f"there is no {scope['path']}", code="unknown_url").response()(scope, receive, send)
            return
        if self._app is None:
            await self._notice(scope["path"])(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message["headers"] if pair[0].lower() != b"content-security-policy"]
                message = {**message, "headers": [*headers, (b"content-security-policy", POLICY)]}
            await send(message)

        most = self._service.settings.max_body
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > most:
            too_large = ApiError(413, f"the body is larger than {most} bytes", code="request_too_large")
            await too_large.response()(scope, receive, send)
            return
        size = 0

        async def bounded() -> Message:
            """A body that does not say its length ends where it is too long, as if its client had gone."""
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return message if size <= most else {"type": "http.disconnect"}

        if scope["path"] == TURN and scope["method"] == "POST":
            await self._turn(self._app, scope, bounded, guarded)
            return
        await self._app(scope, bounded, guarded)

    async def _turn(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await whole_turn.answer(app, scope, body, receive, send)

    def _notice(self, path: str) -> Response:
        if path != "/":
            return ApiError(503, "the chat page is not ready", code="not_ready", retry_after=3).response()
        readiness = self._service.readiness
        if self._failed or readiness.status == "failed":
            return HTMLResponse(
                notice_page("The chat is not available", escape(self._failed or readiness.detail), 0), 503
            )
        told = "Preparing the chat page." if readiness.status == "ready" else f"Loading: {escape(readiness.phase)}."
        return HTMLResponse(notice_page("One moment", told, 3), headers={"cache-control": "no-store"})


def allowed(path: str) -> bool:
    return path in PAGES or path.startswith(FOLDERS) or path.startswith(CALLS) or path.rstrip("/") in CALLS_END


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
