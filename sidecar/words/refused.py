"""What a compilation found wrong: each with its file, its place, the official code, a sentence, and what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

Kind = Literal["mistake", "outside", "warning"]


@dataclass(frozen=True)
class Finding:
    """`kind`: a mistake, which Microsoft's compiler refuses too, a feature outside ours, which that one compiles, or a
    warning, which stops nothing."""

    line: int
    column: int
    """Both from 1."""
    code: str | None
    """Microsoft's code of it (BCP…, or the name of a rule); None: it has none."""
    message: Text
    kind: Kind = "mistake"
    file: str = ""
    length: int = 1


class Refused(TemplateError):
    """One or more findings; the message is the first mistake's, with its place, and says how many more there are."""

    def __init__(self, findings: Sequence[Finding], suggestion: Text | None = None) -> None:
        first = next((each for each in findings if each.kind == "mistake"), findings[0])
        counted = sum(each.kind != "warning" for each in findings)
        place = {"file": first.file, "line": first.line, "column": first.column, "what": first.message}
        message = Text("{file}, line {line}, column {column}: {what}", **place)
        if counted > 1:
            message = Text("{first} (And {count} more.)", first=message, count=counted - 1)
        outside = Text("Run AI Toolkit: Install the Bicep CLI, name one in slipway.bicep.path, or simplify the file.")
        correct = Text("Correct the file: Microsoft's compiler refuses it too.")
        mistake = first.kind == "mistake"
        helps = suggestion or (correct if mistake else outside)
        super().__init__(message, helps, code="BicepMistake" if mistake else "BicepSubset")
        self.findings = tuple(findings)
