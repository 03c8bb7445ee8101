"""A request's body, read within the limits of size and time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from inference.messages import ApiError


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > most:
        raise too_large(most)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise too_large(most)
                parts.append(part)
    except ClientDisconnect as error:
        raise ApiError(499, "the client went away") from error
    except TimeoutError as error:
        raise ApiError(408, f"the body did not arrive within {seconds:.0f} s", code="timeout") from error
    return b"".join(parts)


def too_large(most: int) -> ApiError:
    return ApiError(413, f"the body is larger than {most} bytes", code="request_too_large")
