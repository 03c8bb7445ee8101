"""Messages about Bicep files: what the compilers say of one."""

from __future__ import annotations

from sidecar.wire.message import Message, Operation, Sentence
from sidecar.wire.releases import FileProblem
from sidecar.words.names import BicepCompiler, BicepOutcome, BicepWish


class BicepCheckParams(Operation):
    """`file`: a whole path. `folder`: above which nothing is read, where the file lies in it. `compiler`: which is asked."""

    folder: str
    file: str
    compiler: BicepWish


class BicepCompilation(Message):
    """`path`, `version`: of the Bicep CLI. `sentence`: which compiler it was, or why it does not judge the file."""

    compiler: BicepCompiler
    version: str | None
    path: str | None
    outcome: BicepOutcome
    sentence: Sentence
    problems: list[FileProblem]


class BicepChecked(Message):
    """`compilations`: that of the compiler that a Provision would use first. `agree`: None where one of two can't judge it."""

    file: str
    compilations: list[BicepCompilation]
    agree: bool | None
    sentence: Sentence | None


class BicepInstallParams(Operation):
    """`version`: of the Bicep CLI; None: the newest."""

    version: str | None
    consents: list[str]


class BicepInstalled(Message):
    """`before`: it was there already."""

    version: str
    path: str
    before: bool
