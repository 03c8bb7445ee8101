"""Workflow *Check a Bicep file*: what each compiler that is there says of it, and whether they agree. Asks no cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.core.bicep_cli import warm
from sidecar.core.bicep_places import bicep_cli
from sidecar.core.compiling import compiled, how_of, problems_of
from sidecar.core.deployment import Template
from sidecar.core.journal import Journal
from sidecar.core.located import line_and_column
from sidecar.core.parameters import BICEP, made_of, read_bicep, template_named
from sidecar.core.template import load_template
from sidecar.core.textfile import read_text
from sidecar.core.workspace import Workspace, shown
from sidecar.decisions.bicep_parameters import of_bicep_parameters, using_of
from sidecar.decisions.compilers import Agreement, Compilation, agreement
from sidecar.decisions.editor_findings import Finding, of_bicep
from sidecar.words.errors import Cancelled, TemplateError, WorkspaceError
from sidecar.words.names import BicepCompiler, BicepWish
from sidecar.words.problems import Problem
from sidecar.words.refused import Refused
from sidecar.words.text import Text


@dataclass(frozen=True)
class Judged:
    """By one compiler. `sentence`: which, or why it does not judge."""

    compiler: BicepCompiler
    sentence: Text
    compilation: Compilation
    version: str | None = None
    path: Path | None = None


def check(
    file: Path, folder: Path, wish: BicepWish, environ: Mapping[str, str], journal: Journal
) -> tuple[list[Judged], Agreement | None]:
    """That of the compiler that a Provision would use first. Raises WorkspaceError for a file that can't be read, TemplateError
    for a CLI that is wished for and not there."""
    if not file.is_file():
        raise WorkspaceError(
            Text("There is no {file}.", file=file), Text("Name a Bicep file."), code="BicepFileMissing"
        )
    if file.suffix == BICEP:
        judged, unverified = _parameters(file, folder, environ, journal)
        return [judged], unverified
    source = read_text(file, file.name)
    root = folder if file.is_relative_to(folder) else file.parent
    wishes: list[BicepCompiler] = ["own"] if wish == "own" else ["cli"] if wish == "cli" else ["cli", "own"]
    if wish == "auto" and bicep_cli(environ) is None:
        wishes = ["own"]
    judged = [_judged(each, file, source, root, environ, journal, named=wish == "cli") for each in wishes]
    if len(judged) < 2:
        return judged, None
    theirs, ours = judged
    return judged, agreement(ours.compilation, theirs.compilation)


def _parameters(
    file: Path, folder: Path, environ: Mapping[str, str], journal: Journal
) -> tuple[Judged, Agreement | None]:
    """Of a parameters file: ours alone reads those. What it states of the environment is not told."""
    workspace = Workspace(folder)
    try:
        read_bicep(workspace, file, environ)
    except WorkspaceError as error:
        return Judged("own", error.message, Compilation("refused", None, error.problems)), None
    read = Text("{file} can be read.", file=file.name)
    try:
        files = workspace.bicep_file, workspace.template_file
        template = load_template(*files, dict(environ), workspace.folder, journal).template
    except TemplateError as error:
        unverified = Text("What the template of {file} takes is unverified: {problem}", file=file.name, problem=error)
        return Judged("own", read, Compilation("compiled", None, ())), Agreement(None, unverified)
    text = read_text(file, file.name)
    found = findings_of(workspace, file, text, environ, template)
    told = tuple(
        Problem(
            str(file), shown(workspace, file), *line_and_column(text, each.place.start), each.sentence, each.certain
        )
        for each in found
    )
    wrong = any(each.certain for each in told)
    return Judged(
        "own", told[0].message if wrong else read, Compilation("refused" if wrong else "compiled", None, told)
    ), None


def findings_of(
    workspace: Workspace, file: Path, text: str, environ: Mapping[str, str], template: Template | None
) -> list[Finding]:
    """Of the text of a parameters file in Bicep's language, saved or not: what is wrong in itself, else what its template would
    refuse (`template` None: that can't be read). Nothing of one that is of another template."""
    try:
        made = made_of(workspace, file, text, environ)
    except Refused as refused:
        return [of_bicep(text, file.name, each) for each in refused.findings]
    named = template_named(file, made)
    if named != workspace.bicep_file:
        told = Text("There is no {file}.", file=made.using)
        return [] if named.is_file() else [Finding(using_of(text, made), "BCP091", told)]
    return [] if template is None else of_bicep_parameters(text, made, template)


def _judged(
    which: BicepCompiler,
    file: Path,
    source: str,
    root: Path,
    environ: Mapping[str, str],
    journal: Journal,
    *,
    named: bool,
) -> Judged:
    base = root if which == "cli" else file.parent
    try:
        made = compiled(file, source, root, environ, journal, which)
    except Refused as refused:
        outside = not any(each.kind == "mistake" for each in refused.findings)
        outcome = "outside" if outside else "refused"
        found = Compilation(outcome, None, problems_of(refused.findings, base))
        path = bicep_cli(environ) if which == "cli" else None
        version = None if path is None else warm(path, environ).version(journal.check)
        return Judged(which, refused.message, found, version, path)
    except Cancelled:
        raise
    except TemplateError as error:
        if named:
            raise
        return Judged(which, error.message, Compilation("failed", None, ()))
    found = Compilation("compiled", made.template, problems_of(made.findings, base))
    return Judged(which, how_of(made, file), found, made.version, made.path)
