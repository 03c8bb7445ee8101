"""The ARM template to deploy: found, its stamp checked, or compiled anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sidecar.armlang.bicep import compile_bicep, content_digest, source_digest
from sidecar.core.deployment import Template
from sidecar.core.textfile import read_text
from sidecar.words.errors import TemplateError
from sidecar.words.text import Text


@dataclass(frozen=True)
class Compiled:
    template: Template
    how: Text
    """Which compiler made it: shown in the log."""


def load_template(bicep: Path, compiled: Path, environ: dict[str, str]) -> Compiled:
    """The template of a workspace. The shipped JSON is used as it is while its stamp fits; an edited Bicep file is compiled.

    Raises TemplateError when the JSON was edited by hand, or the Bicep file needs a compiler that is not there."""
    if not bicep.exists():
        raise TemplateError(
            Text("There is no {file}.", file=bicep),
            Text("Create the project files first (AI Toolkit: Create project files)."),
        )
    source = read_text(bicep, bicep.name)
    if compiled.exists():
        template = _read(compiled)
        stamp = _stamp(template)
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
        return Compiled(
            cast("Template", compile_bicep(source)),
            Text("Compiled {file} with Slipway's own compiler.", file=bicep.name),
        )
    except TemplateError as error:
        raise TemplateError(
            Text("{file}, {problem}", file=bicep.name, problem=error.message),
            Text(
                "Install the Bicep CLI (on PATH, or name it in AZD_BICEP_TOOL_PATH) and try again, or simplify the file."
            ),
            code=error.code,
        ) from error


def template_of(source: str, compiled: Path) -> Template:
    """The shipped JSON while its stamp fits the source, else what our own compiler makes of it. Raises TemplateError."""
    if compiled.exists():
        template = _read(compiled)
        stamp = _stamp(template)
        if stamp is not None and stamp["sourceSha256"] == source_digest(source):
            return template
    return cast("Template", compile_bicep(source))


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


def _stamp(template: Template) -> dict[str, str] | None:
    metadata = template.get("metadata")
    stamp = cast("dict[str, object]", metadata).get("slipway") if isinstance(metadata, dict) else None
    if not isinstance(stamp, dict):
        return None
    found = {str(key): str(value) for key, value in cast("dict[object, object]", stamp).items()}
    return found if {"sourceSha256", "contentSha256"} <= found.keys() else None


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
