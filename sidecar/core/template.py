"""The ARM template to deploy: found, its stamp checked, or compiled anew."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sidecar.core.compiling import compiled, how_of, made_by_us, problems_of
from sidecar.core.deployment import Template
from sidecar.core.journal import Journal
from sidecar.core.stamp import content_digest, source_digest, stamp_of
from sidecar.core.textfile import read_text
from sidecar.words.errors import TemplateError
from sidecar.words.problems import Problem
from sidecar.words.text import Text


@dataclass(frozen=True)
class Compiled:
    template: Template
    how: Text
    """Which compiler made it: shown in the log."""
    warnings: tuple[Problem, ...] = ()


def load_template(
    bicep: Path,
    compiled_file: Path,
    environ: dict[str, str],
    root: Path | None = None,
    journal: Journal | None = None,
) -> Compiled:
    """The template of a workspace. The shipped JSON is used as it is while its stamp fits; an edited Bicep file is compiled.

    `root`: the workspace, above which no file is read; None: the Bicep file's own folder. `journal`: hears of it, and cancels.

    Raises TemplateError when the JSON was edited by hand, or the Bicep file needs a compiler that is not there."""
    if not bicep.exists():
        raise TemplateError(
            Text("There is no {file}.", file=bicep),
            Text("Create the project files first (AI Toolkit: Create project files)."),
        )
    source = read_text(bicep, bicep.name)
    if compiled_file.exists():
        template = _read(compiled_file)
        stamp = stamp_of(template)
        if stamp is not None:
            if stamp["contentSha256"] != content_digest(template):
                raise TemplateError(
                    Text("{file} was edited by hand: its content does not match its stamp.", file=compiled_file.name),
                    Text(
                        "Edit {source} instead and delete {file}; it is made from there.",
                        source=bicep.name,
                        file=compiled_file.name,
                    ),
                    code="TemplateEdited",
                )
            if stamp["sourceSha256"] == source_digest(source):
                return Compiled(template, Text("The compiled template is up to date."))
    above = root or bicep.parent
    made = compiled(bicep, source, above, environ, journal or _nobody())
    base = above if made.compiler == "cli" else bicep.parent
    return Compiled(cast("Template", made.template), how_of(made, bicep), problems_of(made.findings, base))


def _nobody() -> Journal:
    return Journal(None, "", lambda _: None, threading.Event())


def template_of(source: str, compiled_file: Path, bicep: Path, root: Path) -> Template:
    """The shipped JSON while its stamp fits the source, else what our own compiler makes of it. Raises TemplateError."""
    if compiled_file.exists():
        template = _read(compiled_file)
        stamp = stamp_of(template)
        if stamp is not None and stamp["sourceSha256"] == source_digest(source):
            return template
    return cast("Template", made_by_us(source, bicep, root).template)


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
