"""Messages of JSON-RPC over a pipe: found again after what is none, and answered where they can't be read."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, cast

LONGEST = 64 * 1024 * 1024
"""Bytes of a message. A header that promises more is none: waiting for it would be waiting for ever."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600

_LENGTH = re.compile(rb"Content-Length: *(\d{1,18}) *\r?\n$", re.IGNORECASE)


class Unreadable(Exception):
    """`number`: of the request that it was, where that can be told. `notifies`: it was none, and nobody waits for an answer."""

    def __init__(self, code: int, message: str, number: str | int | None = None, *, notifies: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.number = number
        self.notifies = notifies


class Frames:
    """The messages that come down a pipe. What stands between them is passed over, up to the next header: the end of a body
    without a good header of its own stands on the line of the header that follows."""

    def __init__(self, pipe: BinaryIO, pool: ThreadPoolExecutor) -> None:
        self._pipe = pipe
        self._pool = pool

    async def body(self) -> bytes | None:
        """The next one; None at the end. Raises Unreadable for a header that can't be meant."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read)

    def _read(self) -> bytes | None:
        length: int | None = None
        while line := self._pipe.readline():
            found = _LENGTH.search(line)
            if found is not None:
                length = int(found[1])
                if length > LONGEST:
                    raise Unreadable(INVALID_REQUEST, f"a message of {length} bytes is longer than {LONGEST}")
            elif not line.strip() and length is not None:
                body = self._pipe.read(length)
                return body if len(body) == length else None
        return None


def message_in(body: bytes, structured: Callable[[dict[str, Any]], object]) -> object:
    """As the protocol has it. Raises Unreadable."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable(PARSE_ERROR, f"this is no JSON: {error}") from None
    if not isinstance(read, dict):
        raise Unreadable(INVALID_REQUEST, "a message is an object; batches are not taken")
    given = cast("dict[str, Any]", read)
    number = _number(given)
    if given.get("jsonrpc") != "2.0" or not isinstance(given.get("method", ""), str):
        raise Unreadable(INVALID_REQUEST, 'a message has "jsonrpc": "2.0" and the name of a method', number)
    if "id" in given and number is None and "method" in given:
        raise Unreadable(INVALID_REQUEST, "a request's id is a text or a whole number")
    try:
        return structured(given)
    except Exception as error:
        code = getattr(error, "code", INVALID_REQUEST)
        raise Unreadable(code, str(error), number, notifies="id" not in given) from error


def _number(given: Mapping[str, Any]) -> str | int | None:
    number = given.get("id")
    return number if isinstance(number, str | int) and not isinstance(number, bool) else None
