"""Requests below /slipway: piped to the container's supervisor, which alone knows what they mean and who may make them."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from inference.messages import ApiError

PREFIX = "/slipway/"
PASSED_ON = ("authorization", "content-length", "content-type")
BLOCK = 1 << 16


class Control:
    """An ASGI app. Without a supervisor there are no such routes."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if not self._path:
            answer: Response = ApiError(404, f"there is no {request.url.path}", code="unknown_url").response()
            await answer(scope, receive, send)
            return
        try:
            await self._piped(request, send)
        except (OSError, EOFError, ValueError) as error:
            lost = ApiError(
                502, f"the container's supervisor does not answer ({type(error).__name__})", code="no_supervisor"
            )
            await lost.response()(scope, receive, send)

    async def _piped(self, request: Request, send: Send) -> None:
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(head(request))
            if "content-length" in request.headers:  # the supervisor refuses a body of no stated length
                with contextlib.suppress(ConnectionError):  # it has answered without reading all: that answer counts
                    async for part in request.stream():
                        writer.write(part)
                        await writer.drain()
            status, headers = answered((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
            answer = StreamingResponse(rest(reader), status, headers)
            await answer(request.scope, request.receive, send)
        except ClientDisconnect:
            return
        finally:
            writer.close()


def head(request: Request) -> bytes:
    raw: bytes = request.scope["raw_path"]  # as it came: what is spelt with % stays so
    query: bytes = request.scope["query_string"]
    target = (raw + (b"?" + query if query else b"")).decode("latin-1")
    lines = [f"{request.method} {target} HTTP/1.1", f"slipway-server: {os.getpid()}"]
    lines += [f"{name}: {value}" for name in PASSED_ON if (value := request.headers.get(name)) is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answered(told: str) -> tuple[int, dict[str, str]]:
    """Status and headers that are not of this one connection."""
    first, *lines = told.strip().split("\r\n")
    split = [line.partition(":") for line in lines]
    headers = {name.strip().lower(): value.strip() for name, _, value in split}
    return int(first.split(" ")[1]), {name: value for name, value in headers.items() if name != "connection"}


async def rest(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while block := await reader.read(BLOCK):
        yield block
