"""How a compilation tells what is wrong, and how it reads the files that a file names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol

from sidecar.armlang.bicep_tree import Place
from sidecar.words.bicep_codes import code_of, message_of
from sidecar.words.nearest import nearest
from sidecar.words.refused import Finding


class Fault(Exception):
    """What keeps a part of a file from being read or compiled: the place, and the key of what to say."""

    def __init__(self, at: Place, key: str, **args: object) -> None:
        super().__init__(key)
        self.at, self.key, self.args_ = at, key, args

    def finding(self, file: str) -> Finding:
        kind = "outside" if self.key.startswith("#") else "mistake"
        code = code_of(self.key, str(self.args_.get("word", "")))
        message = message_of(self.key, self.args_)
        return Finding(self.at.line, self.at.column, code, message, kind, file, self.at.length)


class Report:
    """Collects the findings of one file; of several at one place the first."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: dict[tuple[int, int], Finding] = {}
        self.warnings: dict[tuple[int, int], Finding] = {}
        self.stating = False
        """Whether it is a parameters file, which has functions of its own."""
        self.foreign = False
        """Whether resources of another kind than Azure's, or of another scope than a group, may be declared."""

    def add(self, at: Place, key: str, **args: object) -> None:
        self.fault(Fault(at, key, **args))

    def unknown(self, at: Place, name: str, known: Collection[str], mark: str = "") -> None:
        near = nearest(name, [each for each in known if each != name])
        self.add(at, "BCP082" if near else "BCP057", name=mark + name, near=f"{mark}{near}")

    def fault(self, fault: Fault) -> None:
        self.findings.setdefault((fault.at.line, fault.at.column), fault.finding(self.file))

    def lint(self, at: Place, rule: str, error: bool, **args: object) -> None:
        """What a rule of the linter finds."""
        fault = Fault(at, rule, **args)
        if error:
            self.fault(fault)
        else:
            self.warnings.setdefault((at.line, at.column), replace(fault.finding(self.file), kind="warning"))


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
