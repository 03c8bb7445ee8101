"""A body is read whole, or refused before more of it than its limit was kept."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sidecar.localcloud.core.body import TooLarge, read_body


class Chunks:
    def __init__(self, *chunks: bytes) -> None:
        self.left = list(chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left:
            yield self.left.pop(0)


def test_a_body_within_its_limit_is_whole():
    assert asyncio.run(read_body(Chunks(b"ab", b"", b"cd"), "", 4)) == b"abcd"
    assert asyncio.run(read_body(Chunks(), "nonsense", 0)) == b""


def test_a_body_that_says_that_it_is_too_long_is_not_read():
    chunks = Chunks(b"ab")
    with pytest.raises(TooLarge, match="'4' bytes"):
        asyncio.run(read_body(chunks, "5", 4))
    assert chunks.left == [b"ab"]


def test_a_body_that_turns_out_too_long_is_read_no_further():
    chunks = Chunks(b"abc", b"de", b"f")
    with pytest.raises(TooLarge):
        asyncio.run(read_body(chunks, "", 4))
    assert chunks.left == [b"f"]
