"""Corpus files through our own compiler: a template, findings with their lines, or a crash; and how long it took."""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sidecar.armlang.bicep import compile_file
from sidecar.core.bicep_files import Folder
from sidecar.words.refused import Finding, Refused
from tests.support.bicep_corpus import corpus

Kind = Literal["taken", "mistake", "outside", "crashed"]


@dataclass(frozen=True)
class Compiled:
    kind: Kind
    template: dict[str, Any] | None = None
    findings: tuple[Finding, ...] = ()
    crash: str = ""
    seconds: float = 0.0

    @property
    def told(self) -> str:
        """What a person would read."""
        each = [f"line {one.line}: {one.code or one.kind}: {one.message}" for one in self.findings]
        return self.crash or "; ".join(each) or self.kind

    @property
    def lines(self) -> set[int]:
        return {each.line for each in self.findings}


_NEEDED = ("modules/needs.bicep", "param name string\noutput given string = name\n")
"""The module that two of the mistakes name: the corpus has not kept it, its answers say what it declares."""


@dataclass(frozen=True)
class _Beside:
    """The folder of the mistakes, with that module."""

    folder: Folder

    def module(self, folder: str, path: str) -> tuple[str, str]:
        return _NEEDED if path == _NEEDED[0] else self.folder.module(folder, path)

    def load(self, folder: str, function: str, arguments: Sequence[str]) -> object:
        return self.folder.load(folder, function, arguments)


def compiled(source: str, folder: Path, name: str = "main.bicep") -> Compiled:
    began = time.perf_counter()
    try:
        template: dict[str, Any] = dict(compile_file(name, source, _Beside(Folder(folder, folder))))
    except Refused as refused:
        kind: Kind = "mistake" if any(each.kind == "mistake" for each in refused.findings) else "outside"
        return Compiled(kind, findings=tuple(refused.findings), seconds=time.perf_counter() - began)
    except (Exception, RecursionError) as crash:  # noqa: BLE001  (that nothing else comes out is what is measured)
        return Compiled("crashed", crash=repr(crash)[:300], seconds=time.perf_counter() - began)
    return Compiled("taken", template, seconds=time.perf_counter() - began)


def compiled_corpus(file: Path) -> Compiled:
    return compiled(file.read_bytes().decode("utf-8"), file.parent, file.name)


@dataclass(frozen=True)
class Mistake:
    """One file with one mistake: the lines at which it may be told, by its comment and by the official answer."""

    file: Path
    source: str
    stated: frozenset[int]
    official: frozenset[int]


_STATED = re.compile(r"// wrong line: (\d+)(?: \(or ([\d, ]+)\))?")


def mistakes(answers: dict[str, Iterable[dict[str, Any]]]) -> list[Mistake]:
    found: list[Mistake] = []
    for file in sorted((corpus() / "bad").glob("*.bicep")):
        source = file.read_bytes().decode("utf-8")
        comment = _STATED.search(source)
        if comment is None:
            raise ValueError(f"{file.name} does not say which line is wrong")
        numbers = [comment[1], *(comment[2] or "").split(",")]
        stated = frozenset(int(each) for each in numbers if each.strip())
        official = frozenset(each["line"] for each in answers[file.name] if each["level"] == "Error")
        found.append(Mistake(file, source, stated, official))
    return found
