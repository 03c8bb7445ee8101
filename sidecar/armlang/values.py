"""How expressions refuse, and how interpolation shows a value."""

from typing import Any

from sidecar.dotnet.json_texts import json_text
from sidecar.dotnet.text import float_text


class ExpressionError(Exception):
    """A template expression is malformed or can't be evaluated; `code` is ARM's."""

    def __init__(self, message: str, code: str = "InvalidTemplate") -> None:
        super().__init__(message)
        self.code = code


class NotKnownHere(ExpressionError):
    """The refusal of what the engine may well know and we do not: never a guess."""


def unknown(what: str) -> NotKnownHere:
    return NotKnownHere(f"The local cloud does not know {what}.")


def text_of(value: Any) -> str:
    """As interpolation shows a value: True, nothing for null, JSON with single quotes."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return json_text(value).replace('"', "'")
    if isinstance(value, float):
        return float_text(value)
    return "" if value is None else str(value)
