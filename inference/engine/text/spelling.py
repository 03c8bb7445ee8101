"""What a single token says: its own bytes, which need not be whole characters, and a text for people."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tokenizers import Tokenizer as FastTokenizer
from tokenizers import pre_tokenizers

BYTE = re.compile(r"<0x([0-9A-F]{2})>")
KEPT = 1 << 16  # spellings that are remembered

Step = Callable[[str], str | bytes]


@dataclass(frozen=True)
class Spelling:
    """A token's text, unlike every other token's but for those that say the same; its bytes, as such and as numbers."""

    text: str
    data: bytes
    values: list[int]
    written: bool  # whether it is a part of an answer's text; special tokens are not


class Spellings:
    """The spellings of a tokenizer's tokens.

    Decoding a token alone does not give them: a decoder drops the space before a text's first word, and makes a
    replacement character of half a character. So the token's piece of the vocabulary is read as the decoder's steps
    would read it inside a text. Where a step is not known, or it needs the neighbours, the token is decoded alone.
    """

    def __init__(self, fast: FastTokenizer) -> None:
        self._fast = fast
        added = fast.get_added_tokens_decoder()
        self._special = {token: each.content for token, each in added.items() if each.special}
        self._steps = steps_of(fast)
        self.of = lru_cache(KEPT)(self._of)

    def _of(self, token: int, first: bool = False) -> Spelling:
        """`first`: as the first of an answer, which has no space before it."""
        if token in self._special:
            data = self._special[token].encode()
            return Spelling(self._special[token], data, list(data), written=False)
        data = self._data(token)
        if first:
            alone = self._fast.decode([token], skip_special_tokens=False)
            if "\N{REPLACEMENT CHARACTER}" not in alone:
                data = alone.encode()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)
        return Spelling(text, data, list(data), written=True)

    def _data(self, token: int) -> bytes:
        piece = self._fast.id_to_token(token)
        if piece is None or self._steps is None:
            return self._fast.decode([token], skip_special_tokens=False).encode()
        for step in self._steps:
            read = step(piece)
            if isinstance(read, bytes):
                return read
            piece = read
        return piece.encode()


def steps_of(fast: FastTokenizer) -> list[Step] | None:
    """How the decoder reads a piece inside a text; None where that cannot be told of a piece alone."""
    decoder: Any = fast.decoder
    if decoder is None:
        return None
    written: Any = json.loads(decoder.__getstate__())
    parts: list[Any] = written["decoders"] if written["type"] == "Sequence" else [written]
    fused = False  # from then on a step sees the whole text: what it does at the ends is not done to a piece
    steps: list[Step] = []
    for part in parts:
        fused = fused or part["type"] == "Fuse"
        step = step_of(part, fused)
        if step is None:
            return None
        steps.append(step)
    return steps


def step_of(part: dict[str, Any], fused: bool) -> Step | None:
    match part:
        case {"type": "ByteLevel"}:
            return byte_level
        case {"type": "ByteFallback"}:
            return byte_fallback
        case {"type": "Fuse"}:
            return unchanged
        case {"type": "Strip"} if fused:
            return unchanged
        case {"type": "Metaspace", "replacement": str(mark)}:
            return lambda piece: piece.replace(mark, " ")
        case {"type": "Replace", "pattern": {"String": str(old)}, "content": str(new)}:
            return lambda piece: piece.replace(old, new)
        case _:
            return None


def unchanged(piece: str) -> str:
    return piece


def byte_fallback(piece: str) -> str | bytes:
    found = BYTE.fullmatch(piece)
    return bytes([int(found[1], 16)]) if found else piece


def alphabet() -> dict[str, int]:
    """The characters in which ByteLevel writes bytes: printable ones stand for themselves, the rest follow from 256 on."""
    used = set(pre_tokenizers.ByteLevel.alphabet())
    unprintable = iter(range(256, 512))
    return {chr(byte if chr(byte) in used else next(unprintable)): byte for byte in range(256)}


ALPHABET = alphabet()


def byte_level(piece: str) -> str | bytes:
    if any(character not in ALPHABET for character in piece):
        return piece
    return bytes(ALPHABET[character] for character in piece)
