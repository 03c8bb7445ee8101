"""A sentencepiece model (`tokenizer.model`): its pieces, read from its wire format, and transformers' tokenizer made of them.

The format is Protocol Buffers' of sentencepiece_model.proto. A field that is not asked for is skipped, whatever it holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.engine.files.folder import MAX_JSON, FolderError, instead

PIECES, TRAINER = 1, 2  # of the model
TEXT, KIND = 1, 3  # of a piece
MODEL_TYPE = 3  # of the trainer's settings
UNIGRAM, BPE = 1, 2
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how a field is written
Value = int | bytes


@dataclass(frozen=True)
class Piece:
    """Control pieces stand for no text; neither they nor those that a user defined are made of others."""

    text: str
    kind: int = NORMAL

    @property
    def is_whole(self) -> bool:
        return self.kind in {CONTROL, USER_DEFINED}


@dataclass(frozen=True)
class Model:
    pieces: tuple[Piece, ...]
    is_bpe: bool


def read_sentencepiece(file: Path) -> Model:
    """FolderError names the file where it is none."""
    if file.stat().st_size > MAX_JSON:
        raise FolderError(f"{file} is larger than {MAX_JSON >> 20} MiB")
    content = file.read_bytes()
    try:
        found = model_of(content)
    except ValueError as error:
        raise FolderError(f"{file} is no sentencepiece model: {instead(content) or error}") from error
    if not found.pieces:
        raise FolderError(f"{file} is no sentencepiece model: it has no pieces")
    return found


def model_of(content: bytes) -> Model:
    pieces: list[Piece] = []
    kind: Value = UNIGRAM
    for number, value in fields(content):
        if number == PIECES:
            pieces.append(piece_of(as_bytes(value)))
        elif number == TRAINER:
            kind = next((each for at, each in fields(as_bytes(value)) if at == MODEL_TYPE), UNIGRAM)
    return Model(tuple(pieces), kind == BPE)


def piece_of(content: bytes) -> Piece:
    text, kind = "", NORMAL
    for number, value in fields(content):
        if number == TEXT:
            text = as_bytes(value).decode()
        elif number == KIND and isinstance(value, int):
            kind = value
    return Piece(text, kind)


def fields(content: bytes) -> Iterator[tuple[int, Value]]:
    """Numbers and values of a message's fields, in their order."""
    at = 0
    while at < len(content):
        key, at = varint(content, at)
        number, way = key >> 3, key & 7
        if way == VARINT:
            value, at = varint(content, at)
            yield number, value
            continue
        if way == BYTES:
            length, at = varint(content, at)
        elif way in (FIXED32, FIXED64):
            length = 4 if way == FIXED32 else 8
        else:
            raise ValueError(f"a field is written in the way {way}")
        if at + length > len(content):
            raise ValueError("it is cut off")
        yield number, content[at : at + length]
        at += length


def varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first; and where it ends."""
    value = shift = 0
    while True:
        if at >= len(content) or shift > 63:
            raise ValueError("it is cut off")
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def as_bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise ValueError("a field holds a number where a text belongs")
    return value


def made_of_pieces(file: Path, kind: Any) -> Any:
    """transformers' tokenizer of a class, made of the pieces of a sentencepiece model. To read those itself it would need that
    library; so it is handed them where it would begin to look for files."""
    from transformers import AddedToken  # noqa: PLC0415  (seconds; only such a folder needs it)
    from transformers import tokenization_utils_base as base  # noqa: PLC0415  (as above)

    model = read_sentencepiece(file)
    makes_bpe = getattr(getattr(kind, "model", None), "__name__", "") == "BPE" and "__init__" in vars(kind)
    if not (makes_bpe and model.is_bpe):
        raise FolderError(
            f"{file} alone cannot be read as a {kind.__name__}; save the tokenizer as tokenizer.json (transformers' "
            "AutoTokenizer, save_pretrained) and put that beside it"
        )
    vocabulary = {piece.text: number for number, piece in enumerate(model.pieces)}
    library: Any = base
    merges: Any = library.generate_merges(vocabulary)
    whole: list[Any] = [
        AddedToken(piece.text, normalized=False, special=piece.kind == CONTROL)
        for piece in model.pieces
        if piece.is_whole
    ]
    made = {"vocab": vocabulary, "merges": merges, "additional_special_tokens": whole}

    def hand_over(cls: Any, **settings: Any) -> dict[str, Any]:
        return {**settings, **made}

    given: Any = type(kind.__name__, (kind,), {"convert_to_native_format": classmethod(hand_over)})
    return given.from_pretrained(str(file.parent), trust_remote_code=False, local_files_only=True)
