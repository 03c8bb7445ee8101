"""Traffic as it passed the door of ARM, a JSON line a pair, for contract tests: tokens and secret headers left out."""

import json
import os
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LEFT_OUT = (b"authorization", b"cookie", b"x-identity-header")


def recorded(app: ASGIApp, file: Path, base: str) -> ASGIApp:
    """`app`, with every pair of request and response appended to `file` (mode 0600: bodies may hold keys)."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def record(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        sent, answered = bytearray(), bytearray()
        start: Message = {"status": 0, "headers": []}
        written = False

        def write() -> None:
            nonlocal written
            query = scope["query_string"].decode("latin-1")
            pair = {
                "method": scope["method"],
                "url": f"{base}{scope['raw_path'].decode('latin-1')}" + (f"?{query}" if query else ""),
                "headers": _headers(scope["headers"]),
                "body": _json(bytes(sent)),
                "status": start["status"],
                "answerHeaders": _headers(start["headers"]),
                "answer": _json(bytes(answered)),
            }
            os.write(descriptor, (json.dumps(pair) + "\n").encode())
            written = True

        async def reading() -> Message:
            message = await receive()
            sent.extend(message.get("body", b""))
            return message

        async def writing(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                answered.extend(message.get("body", b""))
                if not message.get("more_body") and not written:
                    write()  # whoever has the answer may look for it
            await send(message)

        await app(scope, reading, writing)
        if not written:
            write()

    return record


def _headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {n.decode("latin-1"): v.decode("latin-1") for n, v in headers if n.lower() not in _LEFT_OUT}


def _json(data: bytes) -> object:
    try:
        value = json.loads(data) if data else None
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None  # not JSON: the contract has nothing to say about it
    return value
