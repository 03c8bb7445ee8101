"""Problems of a person's files: where, what, and whether they stop what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.words.text import Text


@dataclass(frozen=True)
class Problem:
    """One place in a file; `path` is how people call it, from the project's folder. `line` and `column` count from 1.
    `certain`: it is wrong whatever else may be installed."""

    file: str
    path: str
    line: int
    column: int
    message: Text
    certain: bool = True

    def told(self) -> Text:
        return Text("{place}: {message}", place=f"{self.file}:{self.line}:{self.column}", message=self.message)

    def __str__(self) -> str:
        return str(self.told())
