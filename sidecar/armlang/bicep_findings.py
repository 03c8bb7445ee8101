"""What a compilation found wrong: each with its file, its place, the official code, a sentence, and what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sidecar.armlang.bicep_tree import Place
from sidecar.words.bicep_codes import MESSAGES, OUTSIDE, code_of
from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

Kind = Literal["mistake", "outside"]


@dataclass(frozen=True)
class Finding:
    """`kind`: a mistake, which Microsoft's compiler refuses too, or a feature outside ours, which that one compiles."""

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
    """One or more findings; the message is the first one's, with its place."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = next((each for each in findings if each.kind == "mistake"), findings[0])
        place = {"file": first.file, "line": first.line, "column": first.column, "what": first.message}
        message = Text("{file}, line {line}, column {column}: {what}", **place)
        if len(findings) > 1:
            message = Text("{first} (And {count} more.)", first=message, count=len(findings) - 1)
        outside = Text("Install the Bicep CLI (on PATH, or name it in AZD_BICEP_TOOL_PATH), or simplify the file.")
        correct = Text("Correct the file: Microsoft's compiler refuses it too.")
        mistake = first.kind == "mistake"
        super().__init__(message, correct if mistake else outside, code="BicepMistake" if mistake else "BicepSubset")
        self.findings = tuple(findings)


class Fault(Exception):
    """What keeps a part of a file from being read or compiled: the place, and the key of what to say."""

    def __init__(self, at: Place, key: str, **args: object) -> None:
        super().__init__(key)
        self.at, self.key, self.args_ = at, key, args

    def finding(self, file: str) -> Finding:
        kind = "outside" if self.key == OUTSIDE else "mistake"
        word = str(self.args_.get("word", ""))
        message = Text.again(MESSAGES[self.key].message, {name: str(each) for name, each in self.args_.items()})
        return Finding(self.at.line, self.at.column, code_of(self.key, word), message, kind, file, self.at.length)


class Report:
    """Collects the findings of one file; of several at one place the first."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: dict[tuple[int, int], Finding] = {}

    def add(self, at: Place, key: str, **args: object) -> None:
        self.fault(Fault(at, key, **args))

    def fault(self, fault: Fault) -> None:
        self.findings.setdefault((fault.at.line, fault.at.column), fault.finding(self.file))


class Unreadable(Exception):
    """A file that a reader does not give: the key of why, and which of a function's arguments says it."""

    def __init__(self, key: str, argument: int = 0, **args: object) -> None:
        super().__init__(key)
        self.key, self.argument, self.args_ = key, argument, args


class Reader(Protocol):
    """Gives the files beside a Bicep file. `folder`: of the file that names another. Both raise Unreadable."""

    def module(self, folder: str, path: str) -> tuple[str, str]:
        """The module's own path, always the same for the same file, and its text."""
        ...

    def load(self, folder: str, function: str, arguments: Sequence[str]) -> object:
        """What a load function gives for its arguments."""
        ...
