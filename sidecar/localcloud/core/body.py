"""The body of a request: read whole, refused as soon as it is longer than its limit."""

from collections.abc import AsyncIterable


class TooLarge(Exception):
    """The body is longer than `limit`."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request content size exceeds the maximum size of '{limit}' bytes.")


async def read_body(chunks: AsyncIterable[bytes], stated: str, limit: int) -> bytes:
    """All of `chunks`. `stated` is the Content-Length: nothing is read of a body that says itself that it is too long."""
    if stated.isdigit() and int(stated) > limit:
        raise TooLarge(limit)
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > limit:
            raise TooLarge(limit)
    return bytes(data)
