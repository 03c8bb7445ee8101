"""What *Deploy* and the probes ask of a server, for vLLM in our place: a middleware that vLLM loads (VLLM.md)."""

import os
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.settings import settings_from
from inference.web.gate import Gate


class Routes:
    """Our health routes and `/version` in front of vLLM, and nothing else without the key: vLLM guards `/v1` only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._settings = settings_from(os.environ)
        self._gate = Gate(self._settings.api_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        known, path = self._gate.admits(scope), str(scope["path"])
        if path in {"/health/live", "/health/ready"}:
            healthy = await self._healthy(scope)
            body = phase(healthy) if known and path == "/health/ready" else None
            status = 200 if healthy else 503
            answer = Response(status_code=status) if body is None else JSONResponse(body, status)
        elif not known:
            answer = JSONResponse(REFUSAL, 401) if self._gate.configured else JSONResponse(NO_KEY, 503)
        elif path == "/version":
            answer = JSONResponse(self._version())
        else:
            await self._app(scope, receive, send)
            return
        await answer(scope, receive, send)

    async def _healthy(self, scope: Scope) -> bool:
        """What vLLM's own `/health` says: its engine lives."""
        statuses: list[int] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self._app({**scope, "path": "/health", "raw_path": b"/health"}, receive, send)
        return statuses == [200]

    def _version(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "release": settings.release,
            "generation": settings.generation,
            "revision": settings.revision,
            "replica": settings.replica,
            "base": settings.base_model,
            "adapters": [],
            "engine": "vllm",
        }


def phase(healthy: bool) -> dict[str, Any]:
    status = "ready" if healthy else "failed"
    return {"status": status, "phase": status, "progress": 1.0 if healthy else None, "detail": ""}


def problem(message: str, kind: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


REFUSAL = problem("a valid API key is needed: Authorization: Bearer …", "authentication_error", "invalid_api_key")
NO_KEY = problem(
    "the endpoint has no API key: the secret behind SLIPWAY_API_KEY is missing", "server_error", "no_api_key"
)
