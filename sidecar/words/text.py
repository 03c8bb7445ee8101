"""Text: a sentence for a human, kept as template and arguments so that it can be shown in the user's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """An English template with ``{named}`` holes. The template is the key in the extension's catalogue."""

    message: str
    args: tuple[tuple[str, str], ...]

    def __init__(self, message: str, /, **args: object) -> None:
        object.__setattr__(self, "message", message)
        object.__setattr__(self, "args", tuple((name, str(value)) for name, value in args.items()))

    @classmethod
    def again(cls, message: str, args: Mapping[str, str]) -> Text:
        """One that was written down, or came over a wire: its template is in the catalogue by where it was a literal."""
        return cls(message, **args)

    def __str__(self) -> str:
        return self.translated({})

    def translated(self, catalogue: Mapping[str, str]) -> str:
        """In the catalogue's language, where it has the template."""
        text = catalogue.get(self.message, self.message)
        for name, value in self.args:
            text = text.replace("{" + name + "}", value)
        return text
