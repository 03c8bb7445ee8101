"""Text: a sentence for a human, kept as template and arguments so that it can be shown in the user's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable


@runtime_checkable
class Told(Protocol):
    """What stands for a sentence where it is put into another one."""

    def told(self) -> Text: ...


HOLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Text:
    """An English template with ``{named}`` holes. The template is the key in the extension's catalogue.

    What stands in a hole is a name, a number, or a sentence again, which is translated too; of a failure its sentence."""

    message: str
    args: tuple[tuple[str, str | Text], ...]

    def __init__(self, message: str, /, **args: object) -> None:
        object.__setattr__(self, "message", message)
        object.__setattr__(self, "args", tuple((name, _argument(value)) for name, value in args.items()))

    @classmethod
    def again(cls, message: str, args: Mapping[str, object]) -> Text:
        """One that was written down, or came over a wire: its template is in the catalogue by where it was a literal."""
        return cls(message, **{name: _read(value) for name, value in args.items()})

    @classmethod
    def listed(cls, parts: Iterable[object], between: str = ", ") -> Text:
        """Several in a row. What it adds has no words, so that nothing of it needs a translation."""
        every = list(parts)
        return cls(
            between.join(f"{{{at}}}" for at in range(len(every))), **{str(at): each for at, each in enumerate(every)}
        )

    def written(self) -> dict[str, object]:
        """For a file; ``again`` reads it."""
        args = {name: value.written() if isinstance(value, Text) else value for name, value in self.args}
        return {"message": self.message, "args": args}

    def __str__(self) -> str:
        return self.translated({})

    def translated(self, catalogue: Mapping[str, str]) -> str:
        """In the catalogue's language, where it has the template."""
        filled = {name: value.translated(catalogue) if isinstance(value, Text) else value for name, value in self.args}
        return HOLE.sub(lambda hole: filled.get(hole[1], hole[0]), catalogue.get(self.message, self.message))


def _argument(value: object) -> str | Text:
    told = getattr(value, "message", None) if isinstance(value, Exception) else value
    if isinstance(told, Told):
        return told.told()
    return told if isinstance(told, Text) else str(value)


def _read(value: object) -> object:
    if not isinstance(value, dict):
        return value
    nested = cast("dict[str, object]", value)
    return Text.again(str(nested["message"]), cast("dict[str, object]", nested["args"]))
