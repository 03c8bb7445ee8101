"""A project's files while they are edited: what is wrong in one, and what can be written at a place. Asks no cloud."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from sidecar.core.bicep_places import bicep_cli
from sidecar.core.compiling import made_by_us
from sidecar.core.deployment import Template
from sidecar.core.jsonedit import strict
from sidecar.core.last_read import LastRead, kept_last_read
from sidecar.core.located import MOST, Span, Value, located
from sidecar.core.parameters import BICEP
from sidecar.core.template import template_of
from sidecar.core.textfile import read_text
from sidecar.core.workspace import Workspace
from sidecar.decisions.editor_findings import (
    Finding,
    Fix,
    line_of,
    of_bicep,
    of_config,
    of_evaluation,
    of_parameters,
    of_smoke,
)
from sidecar.decisions.editor_offers import (
    Offer,
    Said,
    in_config,
    in_evaluation,
    in_parameters,
    in_smoke,
    said_of_key,
    said_of_parameter,
    spot,
)
from sidecar.words.errors import SlipwayError, TemplateError
from sidecar.words.refused import Refused
from sidecar.words.text import Text
from sidecar.workflows.bicep_check import findings_of

FileKind = Literal["config", "parameters", "smoke", "evaluation", "bicep", "bicepparam"]

KINDS: Mapping[tuple[str, ...], FileKind] = {
    ("infra", "inference.config.json"): "config",
    ("infra", "provision", "inference.parameters.json"): "parameters",
    ("infra", "inference.parameters.json"): "parameters",
    ("infra", "smoke.json"): "smoke",
    ("infra", "evaluation.json"): "evaluation",
    ("infra", "provision", "inference.bicep"): "bicep",
}
_STATING = (("infra", "provision"), ("infra",))
"""Folders of parameters files in Bicep's language."""
LENSES: Mapping[FileKind, tuple[tuple[Text, str], ...]] = {
    "config": ((Text("Deploy"), "slipway.deploy"), (Text("Provision"), "slipway.provision")),
    "parameters": ((Text("Provision"), "slipway.provision"), (Text("Check"), "slipway.preflight")),
    "smoke": ((Text("Deploy"), "slipway.deploy"),),
    "evaluation": ((Text("Evaluate"), "slipway.evaluate"), (Text("Deploy"), "slipway.deploy")),
    "bicep": ((Text("Provision"), "slipway.provision"), (Text("Check"), "slipway.preflight")),
    "bicepparam": ((Text("Provision"), "slipway.provision"), (Text("Check"), "slipway.preflight")),
}
"""Above a file: what is done with it, and the extension's command that does it."""

NO_JSON = "InvalidJson"
"""The code of what is not even JSON."""
TOO_LONG = Text("The file is longer than {most} characters: nothing is checked in it.", most=MOST)
_LINES_LEFT_OUT = "..."


@dataclass(frozen=True)
class Edited:
    """A file of a project, by where it lies."""

    path: Path
    kind: FileKind
    folder: Path


def edited(path: Path) -> Edited | None:
    """None for a file that nobody reads here."""
    for tail, kind in KINDS.items():
        if path.parts[-len(tail) :] == tail:
            return Edited(path, kind, path.parents[len(tail) - 1])
    for around in _STATING if path.suffix == BICEP else ():
        if path.parts[-len(around) - 1 : -1] == around:
            return Edited(path, "bicepparam", path.parents[len(around)])
    return None


@dataclass
class Editing:
    """`opened`: the text of a file that is open in the editor, saved or not; None for one that is not."""

    state: Path
    environ: Mapping[str, str]
    opened: Callable[[Path], str | None]
    lenses: ClassVar = LENSES
    no_json: ClassVar = NO_JSON
    _templates: dict[Path, tuple[str, Template | None]] = field(
        default_factory=dict[Path, tuple[str, "Template | None"]]
    )

    def findings(self, file: Edited, text: str) -> list[Finding]:
        """In the order of their places."""
        if len(text) > MOST:
            return [Finding(Span(0, 0), "TooLong", TOO_LONG, certain=False)]
        if file.kind == "bicep":
            return self._of_bicep(file, text)
        if file.kind == "bicepparam":
            return findings_of(Workspace(file.folder), file.path, text, self.environ, self._template(file.folder))
        found = _of_json(text)
        root = located(text)
        if root is not None:
            found += self._of_values(file, root)
        return sorted(found, key=lambda each: each.place)

    def offers(self, file: Edited, text: str, offset: int) -> tuple[Span, list[Offer]]:
        if len(text) > MOST or file.kind in ("bicep", "bicepparam"):
            return Span(offset, offset), []
        found = spot(text, located(text), offset)
        if file.kind == "config":
            offers = in_config(found)
        elif file.kind == "smoke":
            offers = in_smoke(found)
        elif file.kind == "evaluation":
            offers = in_evaluation(found)
        else:
            offers = in_parameters(found, self._template(file.folder), self._last(file.folder))
        if found.at == "key" and not found.colon and text[found.place.end :].lstrip().startswith('"'):
            offers = [replace(each, text=f"{each.text},") for each in offers]
        return found.place, offers

    def said(self, file: Edited, text: str, offset: int) -> Said | None:
        root = None if file.kind in ("bicep", "bicepparam", "smoke", "evaluation") else located(text)
        if root is None:
            return None
        if file.kind == "config":
            return said_of_key(root, offset)
        return said_of_parameter(root, offset, self._template(file.folder))

    def _of_values(self, file: Edited, root: Value) -> list[Finding]:
        if file.kind == "config":
            return of_config(root, self._last(file.folder))
        if file.kind == "smoke":
            return of_smoke(root) if root.closed else []
        if file.kind == "evaluation":
            return of_evaluation(root) if root.closed else []
        return of_parameters(root, self._template(file.folder), self._last(file.folder))

    def _of_bicep(self, file: Edited, text: str) -> list[Finding]:
        """Where Microsoft's compiler is there, Provision uses that one: what ours does not know is no mistake then."""
        try:
            if bicep_cli(self.environ) is not None:
                return []
            made = made_by_us(text, file.path, file.folder)
        except Refused as refused:
            return [of_bicep(text, file.path.name, each) for each in refused.findings]
        except TemplateError as error:
            return [Finding(line_of(text, 1), error.code, error.message)]
        return [replace(of_bicep(text, file.path.name, each), certain=False) for each in made.findings]

    def _template(self, folder: Path) -> Template | None:
        """None where it can't be compiled: its own file says why."""
        workspace = Workspace(folder)
        file = workspace.bicep_file
        try:
            source = self.opened(file) or (read_text(file, file.name) if file.exists() else None)
        except SlipwayError:
            return None
        if source is None:
            return None
        digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
        known = self._templates.get(file)
        if known is None or known[0] != digest:
            known = self._templates[file] = digest, _compiled(source, workspace)
        return known[1]

    def _last(self, folder: Path) -> LastRead | None:
        return kept_last_read(self.state, folder)


def _compiled(source: str, workspace: Workspace) -> Template | None:
    try:
        return template_of(source, workspace.template_file, workspace.bicep_file, workspace.folder)
    except TemplateError:
        return None


def _of_json(text: str) -> list[Finding]:
    """What keeps the text from being read at all."""
    at = 0
    for line in text.splitlines(keepends=True):
        if line.strip().rstrip(",") == _LINES_LEFT_OUT:
            place = Span(at, at + len(line))
            sentence = Text("“...” stands for lines left out of an example.")
            taken = Fix(Text("Take the line out"), place, "", sure=True)
            return [Finding(Span(at, at + len(line.rstrip())), "Placeholder", sentence, fixes=(taken,))]
        at += len(line)
    try:
        json.loads(strict(text))
    except json.JSONDecodeError as error:
        at = min(error.pos, len(text))
        return [
            Finding(Span(at, min(at + 1, len(text))), NO_JSON, Text("This is no JSON: {problem}", problem=error.msg))
        ]
    except RecursionError:
        return [Finding(Span(0, 1), NO_JSON, Text("This is no JSON: {problem}", problem=Text("brackets too deep")))]
    return []
