"""The tokens that an adapter's tokenizer has beyond its base's: whether any of them says something."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from inference.engine.files.folder import read_json
from inference.engine.files.quantised import mapping


def only_fills_up(folder: Path, base: int) -> bool:
    """Whether of all tokens from `base` on there is only the one that fills up batches in training: nobody says it, and no model
    was taught to. False where the folder does not tell."""
    settings = settings_of(folder / "tokenizer_config.json")
    pad = text_of(settings.get("pad_token"))
    beyond = {text for number, text in (*decoder_of(settings), *tokens_of(folder)) if number >= base}
    return bool(pad) and beyond <= {pad}


def settings_of(file: Path) -> Mapping[str, Any]:
    return read_json(file) if file.exists() else {}


def text_of(value: Any) -> str:
    """Written plainly or as an object with its content."""
    return str(mapping(value).get("content") or "") if isinstance(value, dict) else str(value or "")


def decoder_of(settings: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """As tokenizer_config.json has them."""
    for number, token in mapping(settings.get("added_tokens_decoder")).items():
        yield int(number), text_of(token)


def tokens_of(folder: Path) -> Iterator[tuple[int, str]]:
    """As tokenizer.json has them, all that are a token's own and those that were added."""
    written = settings_of(folder / "tokenizer.json")
    for token in written.get("added_tokens") or ():
        yield int(token["id"]), text_of(token)
    vocabulary: Any = mapping(written.get("model")).get("vocab")
    if isinstance(vocabulary, list):
        pieces = cast("list[list[Any]]", vocabulary)
        yield from ((number, str(piece[0])) for number, piece in enumerate(pieces))
    else:
        yield from ((int(number), text) for text, number in mapping(vocabulary).items())
