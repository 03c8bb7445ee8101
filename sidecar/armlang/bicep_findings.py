"""What a compilation found wrong: each with its file, its place, the official code, a sentence, and what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

MISTAKE = "mistake"
OUTSIDE = "outside"
Kind = Literal["mistake", "outside"]


@dataclass(frozen=True)
class Finding:
    """`kind`: a mistake, which Microsoft's compiler refuses too, or a feature outside ours, which that one compiles."""

    line: int
    column: int
    """Both from 1."""
    code: str | None
    """Microsoft's code of it (BCP…); None: it has none."""
    message: Text
    kind: Kind = MISTAKE
    file: str = ""
    length: int = 1


class Refused(TemplateError):
    """One or more findings; the message is the first one's, with its place."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = findings[0]
        mistake = any(each.kind == MISTAKE for each in findings)
        rest = len(findings) - 1
        where = Text("{file}, line {line}, column {column}: {what}", **_told(first))
        message = Text("{first} (And {count} more.)", first=where, count=rest) if rest else where
        advice = (
            Text("Correct the file; {code} is Microsoft's code of it.", code=first.code)
            if first.code
            else Text("Correct the file.")
        )
        outside = Text("Install the Bicep CLI, which compiles it, or take this construct out.")
        code = "BicepMistake" if mistake else "BicepSubset"
        super().__init__(message, advice if mistake else outside, code=code)
        self.findings = tuple(findings)


def _told(finding: Finding) -> dict[str, object]:
    return {"file": finding.file, "line": finding.line, "column": finding.column, "what": finding.message}


class Unreadable(Exception):
    """A file that a reader does not give, and why."""

    def __init__(self, why: Text, code: str | None = "BCP091") -> None:
        super().__init__(str(why))
        self.why = why
        self.code = code


class Reader(Protocol):
    """Gives the files beside a Bicep file. `path`: relative to the folder of the file that is compiled, with `/`."""

    def read(self, path: str) -> bytes:
        """The content. Raises Unreadable: not there, outside the workspace, too large, no file."""
        ...
