"""HTTP/1.1 over asyncio's streams, one request a connection: what the container's supervisor is asked, and what it asks."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple, TypeVar

LONGEST_PATH = 80  # of a folder for sockets: a socket's whole path may have about a hundred characters
HEAD_SECONDS = 15.0
MOST_DISCARDED = 1 << 30
T = TypeVar("T")

Address = str | tuple[str, int]
"""A socket's path, or host and port."""


class Asked(NamedTuple):
    """A request; its body is still to be read."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: asyncio.StreamReader

    @property
    def length(self) -> int | None:
        """None where none is stated that can be believed."""
        stated = self.headers.get("content-length", "")
        return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 16 else None


class Answer(NamedTuple):
    status: int
    body: object = None
    """As JSON; None: nothing."""


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes

    def json(self) -> dict[str, object]:
        """Empty where it is no JSON object."""
        try:
            read: object = json.loads(self.body)
        except ValueError:
            return {}
        return dict(read) if isinstance(read, dict) else {}  # pyright: ignore[reportUnknownArgumentType]


Handler = Callable[[Asked], Awaitable[Answer | None]]
"""None: the connection is closed without a word."""


async def within(seconds: float, doing: Awaitable[T]) -> T:
    """TimeoutError after that time. Older Pythons' own way (`wait_for`) forgets a cancel that meets the result."""
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            raise TimeoutError(f"no answer within {seconds:g} s")
        return task.result()
    finally:
        task.cancel()


def answering(handler: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await within(HEAD_SECONDS, head_of(reader))
            answer = await handler(asked)
            if answer is not None:
                writer.write(encoded(answer))
                await writer.drain()
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            pass  # who asks has gone, or speaks no HTTP: there is nobody to be told
        finally:
            writer.close()

    return serve


async def head_of(reader: asyncio.StreamReader) -> Asked:
    """ValueError where it is no request."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    path, _, query = target.partition("?")
    return Asked(method, path, query, fields(lines[1:]), reader)


def fields(lines: list[str]) -> dict[str, str]:
    split = [line.partition(":") for line in lines if ":" in line]
    return {name.strip().lower(): value.strip() for name, _, value in split}


async def discard(asked: Asked, done: int = 0) -> None:
    """Reads what is left of a body: closed before, the answer might not be heard."""
    left = (asked.length or 0) - done
    while 0 < left <= MOST_DISCARDED:
        block = await asked.body.read(min(left, 1 << 20))
        if not block:
            return
        left -= len(block)


def encoded(answer: Answer) -> bytes:
    body = b"" if answer.body is None else json.dumps(answer.body).encode()
    head = f"HTTP/1.1 {answer.status} .\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    later = "Retry-After: 5\r\n" if answer.status == 503 else ""
    return f"{head}{later}Connection: close\r\n\r\n".encode() + body


async def ask(
    address: Address, method: str, path: str, *, key: str = "", body: object = None, seconds: float = 10.0
) -> Reply:
    """OSError, ValueError or EOFError where nobody answers."""
    return await within(seconds, asked_of(address, method, path, key, body))


async def asked_of(address: Address, method: str, path: str, key: str, body: object) -> Reply:
    if isinstance(address, str):
        reader, writer = await asyncio.open_unix_connection(address)
    else:
        reader, writer = await asyncio.open_connection(*address)
    try:
        content = b"" if body is None else json.dumps(body).encode()
        admits = f"Authorization: Bearer {key}\r\n" if key else ""
        stated = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{admits}{stated}Connection: close\r\n\r\n".encode()
        )
        writer.write(content)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        told = fields(lines[1:])
        length = told.get("content-length", "")
        if told.get("transfer-encoding", "").lower() == "chunked":
            came = b"".join([each async for each in chunks(reader)])
        else:
            came = await reader.readexactly(int(length)) if length.isdigit() else await reader.read()
        return Reply(int(lines[0].split(" ")[1]), came)
    finally:
        writer.close()


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Of an answer of no stated length: a server writes blanks while a long one is computed. EOFError: it has no end."""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


def folder_for_sockets() -> str:
    """One that only this user can enter."""
    folder = tempfile.mkdtemp(prefix="slipway-")
    return folder if len(folder) <= LONGEST_PATH else tempfile.mkdtemp(prefix="slipway-", dir="/tmp")


def listening(host: str, port: int) -> socket.socket:
    """A socket that clients may connect to from now on, whoever accepts them."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(2048)
    made.setblocking(False)
    return made
