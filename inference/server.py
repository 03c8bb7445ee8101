"""The server: its routes, who may use them, health, and how it starts and stops."""

import asyncio
import contextlib
import logging
import math
import re
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import cast

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from inference.api import completions, models, responses
from inference.body import read_body
from inference.carried import carried
from inference.gpu_metrics import families
from inference.messages import ApiError, json_response
from inference.service import Served, Service
from inference.settings import Settings
from inference.web.chat_mount import ChatPage
from inference.web.connections import connections
from inference.web.control import PREFIX, Control
from inference.web.cors import Cors
from inference.web.gate import Gate, gate_for
from inference.web.handover import Handover
from inference.web.login import DOORS, NO_KEY, front_page

log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]
Handler = Callable[[Service, bytes, Request], Awaitable[Response]]


LAST_WORD = 10.0
"""Seconds for which a server that cannot load its model still says why, to whoever asks its readiness."""


TRY_AGAIN = 75
"""The exit code of a start that failed of what may pass, as sendmail's EX_TEMPFAIL."""


async def serve(settings: Settings, leaving: Callable[[int], None] = lambda _: None) -> int:
    """Listens at once, loads in the background, and on SIGTERM finishes what it has begun. `leaving` is called with the exit
    code when nothing is left to be answered.

    A model that cannot be loaded ends the process with 1, or with TRY_AGAIN where a restart may mend it: only a container that
    ends shows as a failure outside."""
    loop = asyncio.get_running_loop()
    service = Service(settings, loop)
    page = ChatPage(service)
    listener = Listener(
        configuration(application(service, gate_for(settings.api_key, settings.previous_key), page), settings), service
    )
    draining: set[asyncio.Task[None]] = set()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, lambda: draining.add(asyncio.create_task(drain(service, listener))))
    if not settings.api_key:
        log.error("no API key: set the secret SLIPWAY_API_KEY; until then everything but health answers 503")

    def end() -> None:
        listener.should_exit = True

    def give_up() -> None:  # called on the loader's thread
        with contextlib.suppress(RuntimeError):  # the loop has ended: so has the process, nearly
            loop.call_soon_threadsafe(loop.call_later, LAST_WORD, end)

    service.start_loading(load, page.prepare, give_up)
    await listener.serve()
    failed = service.served is None and service.readiness.status == "failed"
    code = 0 if not failed else TRY_AGAIN if service.may_pass else 1
    leaving(code)
    await page.close()
    if service.served is not None:
        await asyncio.to_thread(service.served.watch.stop)
        await asyncio.to_thread(service.served.engine.stop)
    return code


def load(service: Service) -> Served:
    """Runs on the loader's thread."""
    service.note("dependencies", None, "importing torch")
    from inference import loading  # noqa: PLC0415  (torch takes seconds to import: the server listens meanwhile)

    service.before_loading()
    return loading.load(service)


async def drain(service: Service, listener: uvicorn.Server) -> None:
    """No new work; what is under way gets its time; then the listener ends."""
    if service.draining:
        listener.force_exit = listener.should_exit = True
        return
    service.draining = True
    log.info("stopping: %d requests are under way", service.in_flight)
    if service.in_flight:
        try:
            async with asyncio.timeout(service.settings.drain_timeout):
                await service.idle.wait()
        except TimeoutError:
            log.warning("%d requests were cut off", service.in_flight)
            if service.served is not None:  # its last word to each of them is an error that says so
                await asyncio.to_thread(service.served.engine.stop)
    listener.should_exit = True


class Listener(uvicorn.Server):
    """uvicorn with our own signal handling: it would stop accepting before the requests have drained. In a container whose
    releases are exchanged it begins with its private socket."""

    handover: Handover | None = None

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._service.settings.supervisor:
            self.handover = Handover(self, self._service)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def configuration(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        uds=settings.private_socket if settings.supervisor else None,
        http=connections(settings.header_timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # paths may hold login tickets
        server_header=False,
        date_header=False,
        # Who closes first must be the ingress: a request that it sends on a connection just as the server closes that is lost.
        timeout_keep_alive=math.ceil(settings.idle_timeout),
        timeout_graceful_shutdown=5,
    )


def application(service: Service, gate: Gate, page: ChatPage) -> ASGIApp:
    """Every route of ours; what is none of them belongs to the chat page."""
    app = Starlette(routes=[*ROUTES, *DOORS, *UNKNOWN], exception_handlers=HANDLERS)
    app.state.service = service
    app.state.gate = gate
    app.router.default = page
    return Guard(app, gate, service)


OPEN = {"/health", "/health/live", "/health/ready", "/login"}


class Guard:
    """Lets nobody in without the key or a cookie, but for the few routes that are open."""

    def __init__(self, app: ASGIApp, gate: Gate, service: Service) -> None:
        self._app = app
        self._control = Control(service.settings.control)
        self._gate = gate
        self._service = service
        self._cors = Cors(service.settings.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        known = self._gate.admits(scope)
        ours = carried(scope)
        ours.known, ours.send = known, send
        request_id = request_id_of(scope)

        async def counted(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                more: Headers = [(b"x-request-id", request_id), *self._cors.headers(scope)]
                if self._service.leaving:
                    more.append((b"connection", b"close"))
                message["headers"] = [*cast("Headers", message.get("headers") or []), *more]
                self._service.metrics.requests.labels(label(path, ROUTES), str(message["status"])).inc()
            await send(message)

        answer: ASGIApp = self._app if known or self._is_open(scope["method"], path) else self._refuse(path)
        if path == "/" and scope["method"] not in {"GET", "HEAD"}:
            answer = not_allowed(scope["method"])
        if (asked := self._cors.preflight(scope)) is not None:
            answer = asked
        if path.startswith(PREFIX):  # with a key of its own, which the supervisor knows
            answer = self._control
        await answer(scope, receive, counted)  # pyright: ignore[reportArgumentType]  (starlette's own alias)

    def _is_open(self, method: str, path: str) -> bool:
        ticket = path.startswith("/login/") and path != "/login/link" and method in {"GET", "HEAD"}
        return path in OPEN or ticket

    def _refuse(self, path: str) -> ASGIApp:
        if path == "/":
            return front_page(self._gate)
        if not self._gate.configured:
            return ApiError(503, NO_KEY, code="no_api_key").response()
        return ApiError(401, "a valid API key is needed: Authorization: Bearer …", code="invalid_api_key").response()


def not_allowed(method: str) -> Response:
    """Of what is asked of the page itself: the API begins at /v1."""
    said = f"there is no {method} /: it is the chat page; the API begins at /v1"
    answer = ApiError(405, said, code="method_not_allowed").response()
    answer.headers["allow"] = "GET, HEAD"
    return answer


REQUEST_ID = re.compile(rb"[!-~]{1,128}")


def request_id_of(scope: Scope) -> bytes:
    """The caller's own, where it has sent one that a header can hold; else a new one."""
    given = dict(cast("Headers", scope["headers"])).get(b"x-request-id", b"")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(16).encode()


def label(path: str, routes: Iterable[Route]) -> str:
    """What a path is counted under: the first two fixed parts of its route, so one of a few, whatever is asked for."""
    for route in routes:
        if route.path_regex.match(path):
            return "/".join(route.path.partition("{")[0].rstrip("/").split("/", 3)[:3])
    return "other" if path.startswith(("/v1", "/openai")) else "page"


def service_of(request: Request) -> Service:
    return request.app.state.service


async def live(request: Request) -> Response:
    """Whether a restart would help: not while a model loads or cannot be loaded, but when the engine has died under way."""
    served = service_of(request).served
    return Response(status_code=503 if served is not None and served.engine.failure else 200)


async def ready(request: Request) -> Response:
    """A bare status for probes; with the key, how far the start has come."""
    service = service_of(request)
    status = 200 if service.answers else 503
    if carried(request.scope).known:
        return json_response(service.readiness.body(), status)
    return Response(status_code=status)


async def version(request: Request) -> Response:
    return json_response(service_of(request).version())


async def info(request: Request) -> Response:
    """Which model answers where none is named, as Azure's inference clients ask."""
    named = service_of(request).model().base
    return json_response({"model_name": named, "model_type": "chat-completion", "model_provider_name": "slipway"})


async def metrics(request: Request) -> Response:
    service = service_of(request)
    gauges = service.served.engine.gauges() if service.served else None
    gpu = service.gpu
    figures = list(families(gpu, await asyncio.to_thread(gpu.read))) if gpu is not None else []
    return Response(service.metrics.render(gauges, service.in_flight, figures), media_type="text/plain; version=0.0.4")


async def no_embeddings(request: Request) -> Response:
    raise ApiError(400, "this server generates text; it makes no embeddings", code="unsupported_endpoint")


async def unknown_route(request: Request) -> Response:
    raise ApiError(404, f"there is no {request.method} {request.url.path}", code="unknown_url")


async def answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}"
    answer = ApiError(error.status_code, message, code="invalid_request").response()
    answer.headers.update(error.headers or {})
    return answer


async def answer_defect(request: Request, error: Exception) -> Response:
    """Whatever we did not foresee; what it says may hold a prompt, so only its kind is told."""
    return ApiError(500, f"{type(error).__name__} in the server", code="internal_error").response()


HANDLERS = {ApiError: answer_error, HTTPException: answer_http_error, Exception: answer_defect}


def posted(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A handler that gets the body, read within the limits of size and time."""

    async def endpoint(request: Request) -> Response:
        service = service_of(request)
        raw = await read_body(request, service.settings.max_body, service.settings.body_timeout)
        return await handler(service, raw, request)

    return endpoint


AZURE = "/openai/deployments/{model:path}"
"""Where Azure OpenAI's clients ask; names hold slashes, which they send as %2F."""


def openai_routes(before: str) -> list[Route]:
    """OpenAI's own. Azure has them below /openai/v1 too, without versions."""
    return [
        Route(f"{before}/v1/models", models.models),
        Route(f"{before}/v1/models/{{model:path}}", models.model),
        Route(f"{before}/v1/chat/completions", posted(completions.chat), methods=["POST"]),
        Route(f"{before}/v1/completions", posted(completions.complete), methods=["POST"]),
        Route(f"{before}/v1/responses", posted(responses.create), methods=["POST"]),
        Route(f"{before}/v1/responses/{{id:path}}", responses.kept, methods=EVERY_METHOD),
        Route(f"{before}/v1/embeddings", no_embeddings, methods=["POST"]),
    ]


EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# Each is counted under its own name. What lets people in (DOORS) is counted with the page that it opens, free of tickets.
ROUTES = (
    Route("/health/live", live),
    Route("/health/ready", ready),
    Route("/health", ready),  # where load generators look whether a server is there
    Route("/version", version),
    Route("/metrics", metrics),
    *(route for before in ("", "/openai") for route in openai_routes(before)),
    Route("/openai/responses", posted(responses.create), methods=["POST"]),
    Route("/v1/info", info),
    Route(f"{AZURE}/chat/completions", posted(completions.chat), methods=["POST"]),
    Route(f"{AZURE}/completions", posted(completions.complete), methods=["POST"]),
    Route(f"{AZURE}/embeddings", no_embeddings, methods=["POST"]),
    Route("/v1/load_lora_adapter", posted(models.load), methods=["POST"]),
    Route("/v1/unload_lora_adapter", posted(models.unload), methods=["POST"]),
    Route("/tokenize", posted(models.tokenize), methods=["POST"]),
    Route("/detokenize", posted(models.detokenize), methods=["POST"]),
)
UNKNOWN = [
    Route("/v1/{path:path}", unknown_route, methods=EVERY_METHOD),
    Route("/openai/{path:path}", unknown_route, methods=EVERY_METHOD),
]
