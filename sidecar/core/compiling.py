"""A Bicep file compiled: by Microsoft's CLI where there is one, else by our own compiler; what either says, as problems."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.armlang.bicep import made_of
from sidecar.armlang.bicep_emit import Json
from sidecar.core.bicep_cli import Answer, warm
from sidecar.core.bicep_config import stated_levels
from sidecar.core.bicep_files import Folder
from sidecar.core.bicep_places import bicep_cli
from sidecar.core.bicep_words import Diagnostic
from sidecar.core.journal import Journal
from sidecar.core.stamp import stamped
from sidecar.words.errors import TemplateError
from sidecar.words.names import BicepCompiler
from sidecar.words.problems import Problem
from sidecar.words.refused import Finding, Refused
from sidecar.words.text import Text

REGISTRY = re.compile(r"'(?:br|ts)[:/]")
"""In a Bicep file: a module that is fetched from a registry."""
_INSTALL = Text("Run AI Toolkit: Install the Bicep CLI, or name one in slipway.bicep.path.")
NOT_RESTORED = ("BCP190", "BCP192")


@dataclass(frozen=True)
class Made:
    """`findings`: what warns. `compiler`: which one, `version` of the CLI."""

    template: Mapping[str, object]
    findings: tuple[Finding, ...]
    compiler: BicepCompiler
    version: str | None = None
    path: Path | None = None


def compiled(
    bicep: Path,
    source: str,
    root: Path,
    environ: Mapping[str, str],
    journal: Journal,
    wished: BicepCompiler | None = None,
) -> Made:
    """Raises TemplateError; Refused, with problems, for what is wrong in the file. `wished`: this one or none."""
    cli = None if wished == "own" else bicep_cli(environ)
    if wished == "cli" and cli is None:
        raise TemplateError(
            Text("There is no Bicep CLI on this machine."),
            _INSTALL,
            code="BicepCliMissing",
        )
    if cli is None:
        return made_by_us(source, bicep, root)
    asked = warm(cli, environ)
    version = asked.version(journal.check)
    registry = REGISTRY.search(source) is not None
    if registry:
        journal.progress(Text("The Bicep CLI fetches the modules that {file} names…", file=bicep.name))
    answer = asked.compile(bicep, journal.check, registry=registry)
    findings = tuple(_finding(each, root) for each in answer.diagnostics if each.level != "info")
    if answer.template is None:
        raise _refused(answer, findings, bicep, root)
    return Made(answer.template, findings, "cli", version, cli)


def made_by_us(source: str, bicep: Path, root: Path) -> Made:
    """The stamped template, and warnings. Raises TemplateError."""
    try:
        made = made_of(bicep.name, source, Folder(bicep.parent, root), stated_levels(bicep, root))
    except Refused as refused:
        refused.problems = problems_of(refused.findings, bicep.parent)
        raise
    template: dict[str, Json] = stamped(made.template, source)
    return Made(template, made.warnings, "own")


def problems_of(findings: Iterable[Finding], base: Path) -> tuple[Problem, ...]:
    """`base`: the folder that the paths of the findings begin in."""
    return tuple(
        Problem(str(base / each.file), each.file, each.line, each.column, each.message, each.kind == "mistake")
        for each in findings
    )


def how_of(made: Made, bicep: Path) -> Text:
    if made.compiler == "own":
        return Text("Compiled {file} with Slipway's own compiler.", file=bicep.name)
    return Text(
        "Compiled {file} with the Bicep CLI {version}, {cli}.", file=bicep.name, version=made.version, cli=made.path
    )


def _refused(answer: Answer, findings: tuple[Finding, ...], bicep: Path, root: Path) -> Refused:
    suggestion = Text("Correct the file.")
    if any(each.code in NOT_RESTORED for each in answer.diagnostics):
        suggestion = Text("Check the network, and that who is signed in (az login) may read the registry.")
    refused = Refused(findings, suggestion)
    refused.problems = problems_of(findings, root)
    return refused


def _finding(told: Diagnostic, root: Path) -> Finding:
    """Its path from the workspace, where it lies in it. The words are the CLI's own."""
    kind = "mistake" if told.level == "error" else "warning"
    said = Text.listed((f"{told.code}: {told.message}",))
    return Finding(told.line, told.column, told.code, said, kind, _shown(told.file, root), told.length)


def _shown(file: str, root: Path) -> str:
    for each in (root, root.resolve()):
        if Path(file).is_relative_to(each):
            return Path(file).relative_to(each).as_posix()
    return file
