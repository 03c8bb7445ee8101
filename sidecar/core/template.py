"""The ARM template to deploy: found, its stamp checked, or compiled anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sidecar.armlang.bicep import Made, made_of
from sidecar.core.bicep_config import stated_levels
from sidecar.core.bicep_files import Folder
from sidecar.core.deployment import Template
from sidecar.core.stamp import content_digest, source_digest, stamp_of, stamped
from sidecar.core.textfile import read_text
from sidecar.words.errors import TemplateError
from sidecar.words.problems import Problem
from sidecar.words.refused import Refused
from sidecar.words.text import Text


@dataclass(frozen=True)
class Compiled:
    template: Template
    how: Text
    """Which compiler made it: shown in the log."""


def load_template(bicep: Path, compiled: Path, environ: dict[str, str], root: Path | None = None) -> Compiled:
    """The template of a workspace. The shipped JSON is used as it is while its stamp fits; an edited Bicep file is compiled.

    `root`: the workspace, above which no file is read; None: the Bicep file's own folder.

    Raises TemplateError when the JSON was edited by hand, or the Bicep file needs a compiler that is not there."""
    if not bicep.exists():
        raise TemplateError(
            Text("There is no {file}.", file=bicep),
            Text("Create the project files first (AI Toolkit: Create project files)."),
        )
    source = read_text(bicep, bicep.name)
    if compiled.exists():
        template = _read(compiled)
        stamp = stamp_of(template)
        if stamp is not None:
            if stamp["contentSha256"] != content_digest(template):
                raise TemplateError(
                    Text("{file} was edited by hand: its content does not match its stamp.", file=compiled.name),
                    Text(
                        "Edit {source} instead and delete {file}; it is made from there.",
                        source=bicep.name,
                        file=compiled.name,
                    ),
                    code="TemplateEdited",
                )
            if stamp["sourceSha256"] == source_digest(source):
                return Compiled(template, Text("The compiled template is up to date."))
    cli = bicep_cli(environ)
    if cli is not None:
        return Compiled(_run_cli(cli, bicep), Text("Compiled {file} with {cli}.", file=bicep.name, cli=cli))
    try:
        template = cast("Template", made_by_us(source, bicep, root or bicep.parent).template)
    except Refused as refused:
        refused.problems = tuple(
            Problem(
                str(bicep.parent / each.file), each.file, each.line, each.column, each.message, each.kind == "mistake"
            )
            for each in refused.findings
        )
        raise
    return Compiled(template, Text("Compiled {file} with Slipway's own compiler.", file=bicep.name))


def template_of(source: str, compiled: Path, bicep: Path, root: Path) -> Template:
    """The shipped JSON while its stamp fits the source, else what our own compiler makes of it. Raises TemplateError."""
    if compiled.exists():
        template = _read(compiled)
        stamp = stamp_of(template)
        if stamp is not None and stamp["sourceSha256"] == source_digest(source):
            return template
    return cast("Template", made_by_us(source, bicep, root).template)


def made_by_us(source: str, bicep: Path, root: Path) -> Made:
    """The stamped template, and warnings. Raises TemplateError."""
    made = made_of(bicep.name, source, Folder(bicep.parent, root), stated_levels(bicep, root))
    return Made(stamped(made.template, source), made.warnings)


def bicep_cli(environ: dict[str, str]) -> Path | None:
    """The Bicep CLI that a person already has: named, on PATH, or where az and azd put it."""
    named = environ.get("AZD_BICEP_TOOL_PATH")
    if named:
        return Path(named)
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or os.devnull)
    found = shutil.which("bicep", path=environ.get("PATH", ""))
    own = [home / folder / "bin" / name for folder in (".azure", ".azd") for name in ("bicep", "bicep.exe")]
    places = [*([Path(found)] if found else []), *own]
    return next((each for each in places if each.is_file()), None)


def _read(file: Path) -> Template:
    try:
        document = json.loads(read_text(file, file.name))
    except json.JSONDecodeError as error:
        raise TemplateError(
            Text("{file}, line {line}: {problem}", file=file.name, line=error.lineno, problem=error.msg),
            Text("Delete the file: it is made from the Bicep file."),
        ) from error
    if not isinstance(document, dict):
        raise TemplateError(Text("{file} is no ARM template.", file=file.name))
    return cast("Template", document)


def _run_cli(cli: Path, bicep: Path) -> Template:
    try:
        done = subprocess.run(
            [str(cli), "build", str(bicep), "--stdout"], capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TemplateError(
            Text("The Bicep CLI {cli} could not be run: {problem}", cli=cli, problem=error),
            Text("Correct AZD_BICEP_TOOL_PATH or install the CLI anew."),
        ) from error
    if done.returncode != 0:
        raise TemplateError(
            Text("The Bicep CLI refused {file}: {problem}", file=bicep.name, problem=done.stderr.strip()),
            code="BicepBuildFailed",
        )
    return cast("Template", json.loads(done.stdout))
