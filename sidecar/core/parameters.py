"""The parameters that a project's files state: in JSON, or in Bicep's language; fine-tuning's names filled in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sidecar.armlang.bicep import statements_of
from sidecar.armlang.bicep_params import ParametersFile, parameters_file
from sidecar.armlang.bicep_params import Stated as StatedInBicep
from sidecar.core.bicep_files import Folder
from sidecar.core.compiling import problems_of
from sidecar.core.deployment import VaultSecret
from sidecar.core.jsonedit import strict
from sidecar.core.parameter_forms import place_of, with_problems, wrong_form
from sidecar.core.textfile import read_text
from sidecar.core.workspace import Workspace, finetuning_parameter_files, parameters_of, shown
from sidecar.words.errors import WorkspaceError
from sidecar.words.problems import Problem
from sidecar.words.refused import Refused
from sidecar.words.text import Text

BICEP = ".bicepparam"
SEVERAL = "SeveralParametersFiles"
SHARED_NAMES = (
    "storageAccountName",
    "fileShareName",
    "acaEnvironmentName",
    "acaEnvironmentStorageName",
    "acaLogAnalyticsName",
)
"""Parameters whose value in fine-tuning's file is inference's default."""


@dataclass(frozen=True)
class Parameters:
    """What the parameters files state: nulls dropped, fine-tuning's names filled in, and what a person should know."""

    values: dict[str, object]
    """A VaultSecret is one that only ARM reads."""
    notes: tuple[Text, ...]
    inherited: frozenset[str] = frozenset()
    """Of the values, those that only fine-tuning's file states."""
    hidden: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]], repr=False)
    """Parameters whose values are made of the environment's variables, and which, with what these hold."""


def read_parameters(workspace: Workspace, environ: Mapping[str, str] = os.environ) -> Parameters:
    """The parameters of Provision. Nulls mean default and are dropped; names that fine-tuning states are its defaults."""
    values: dict[str, object] = {}
    for file in finetuning_parameter_files(workspace):
        stated = parameters_of(workspace, file)
        found = {name.lower(): each for name, each in stated.items()}
        values |= {name: found[name.lower()] for name in SHARED_NAMES if found.get(name.lower()) is not None}
    inherited = set(values)
    files, notes = parameter_files(workspace)
    own: dict[str, object] = {}
    hidden: dict[str, Mapping[str, str]] = {}
    for file in files:
        if file.suffix == BICEP:
            for each in read_bicep(workspace, file, environ).stated:
                where = f"{shown(workspace, file)}:{each.line}"
                own[each.name] = each.value if each.reference is None else VaultSecret(each.reference, where)
                hidden |= {each.name: each.variables} if each.variables else {}
        else:
            own = _over(own, parameters_of(workspace, file))
    stated_here = {name.lower() for name, each in own.items() if each is not None}
    left = frozenset(each for each in inherited if each.lower() not in stated_here)
    return Parameters(_over(values, own), tuple(notes), left, hidden)


def parameter_files(workspace: Workspace) -> tuple[list[Path], list[Text]]:
    """Those that count, a later one over those before it, and what is to be said of others. Raises WorkspaceError for several of
    which it can't be told."""
    if workspace.parameters is not None:
        return [workspace.parameters], []
    documented = workspace.infra / "inference.parameters.json"
    found = [each for each in (workspace.parameters_file, documented) if each.exists()]
    notes: list[Text] = []
    if documented.exists():
        names = {"file": shown(workspace, documented), "canonical": shown(workspace, workspace.parameters_file)}
        notes = [Text("{file} is read too, and wins over {canonical}; move its values there.", **names)]
    in_bicep: list[Path] = []
    for file in sorted(each for folder in _folders(workspace) for each in folder.glob(f"*{BICEP}")):
        if _is_of_template(workspace, file) or not found:
            in_bicep.append(file)
        else:
            notes.append(Text("{file} is of another template, and not read.", file=shown(workspace, file)))
    if len(in_bicep) > 1 or (in_bicep and found):
        named = ", ".join(shown(workspace, each) for each in (*found, *in_bicep))
        raise WorkspaceError(
            Text("More than one file states the parameters: {files}.", files=named),
            Text("Keep one of them, or name it (setting slipway.parameters, --parameters)."),
            code=SEVERAL,
        )
    return found + in_bicep, notes


def in_bicep(workspace: Workspace) -> bool:
    """Whether the project states its parameters in Bicep's language."""
    files = [each for folder in _folders(workspace) for each in folder.glob(f"*{BICEP}")]
    return any(_is_of_template(workspace, each) for each in files)


def made_of(workspace: Workspace, file: Path, text: str, environ: Mapping[str, str]) -> ParametersFile:
    """Of a file's text, saved or not. Raises Refused."""
    return parameters_file(file.name, text, _reader(workspace, file), environ)


def template_named(file: Path, made: ParametersFile) -> Path:
    """The file that it is of."""
    return Path(os.path.normpath(file.parent / made.using))


def read_bicep(workspace: Workspace, file: Path, environ: Mapping[str, str]) -> ParametersFile:
    """Raises WorkspaceError, with places, for what is wrong in it, and for one of another template."""
    name = shown(workspace, file)
    try:
        found = made_of(workspace, file, read_text(file, name), environ)
    except Refused as refused:
        raise _with_places(problems_of(refused.findings, file.parent), file, name) from refused
    if not _same_file(template_named(file, found), workspace.bicep_file):
        sentence = Text(
            "It is of the template {using}, but {template} is deployed.",
            using=found.using,
            template=shown(workspace, workspace.bicep_file),
        )
        raise _with_places((Problem(str(file), name, found.using_line, 1, sentence),), file, name)
    wrong = [
        Problem(str(file), name, each.line, each.column, sentence)
        for each in found.stated
        if (sentence := _placeholder(each)) is not None
    ]
    if wrong:
        raise with_problems(wrong, "Placeholder")
    return found


def _placeholder(stated: StatedInBicep) -> Text | None:
    form = None if stated.variables or stated.reference else wrong_form(stated.name, {"value": stated.value})
    return None if form is None else form[1]


def _with_places(problems: tuple[Problem, ...], file: Path, name: str) -> WorkspaceError:
    told = [replace(each, path=name if each.file == str(file) else each.path, certain=True) for each in problems]
    return with_problems(told, "BicepParameters")


def _is_of_template(workspace: Workspace, file: Path) -> bool:
    """By its words alone: what is wrong in it is told when it is read."""
    using = re.search(r"^using\s+'([^']*)'", read_text(file, shown(workspace, file)), re.MULTILINE)
    return using is None or _same_file(file.parent / using[1], workspace.bicep_file)


def _same_file(one: Path, other: Path) -> bool:
    return os.path.normpath(one) == os.path.normpath(other)


def _folders(workspace: Workspace) -> tuple[Path, Path]:
    return workspace.infra / "provision", workspace.infra


def _reader(workspace: Workspace, file: Path) -> Folder:
    inside = file.is_relative_to(workspace.folder)
    return Folder(file.parent, workspace.folder if inside else file.parent)


def _over(under: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """What is stated later, beside and in place of what is stated before: names differ by more than their casing."""
    stated = {name: each for name, each in over.items() if each is not None}
    replaced = {name.lower() for name in stated}
    return {**{name: each for name, each in under.items() if name.lower() not in replaced}, **stated}


@dataclass(frozen=True)
class Place:
    """Where something stands in a file; `shown` is how people call the file."""

    file: Path
    shown: str
    line: int
    column: int


def parameters_at(workspace: Workspace) -> Place | None:
    """Where a parameter would be stated: at the template's path in Bicep's language, at the object parameters in JSON; None where
    no file states any."""
    files = parameter_files(workspace)[0]
    if not files:
        return None
    file = files[-1]
    text = read_text(file, shown(workspace, file))
    if file.suffix == BICEP:
        at = statements_of(file.name, text, _reader(workspace, file)).using_at
        return Place(file, shown(workspace, file), at.line, at.column)
    return Place(file, shown(workspace, file), *place_of(strict(text), "parameters"))


def stated_at(workspace: Workspace, parameter: str) -> Place | None:
    """Where a parameter of Provision gets its value; None for one that is left to its default."""
    files = [*reversed(parameter_files(workspace)[0])]
    shared = parameter.lower() in {each.lower() for each in SHARED_NAMES}
    files += reversed(finetuning_parameter_files(workspace)) if shared else ()
    for file in files:
        if file.suffix == BICEP:
            text = read_text(file, shown(workspace, file))
            for each in statements_of(file.name, text, _reader(workspace, file)).stated:
                if each.name.lower() == parameter.lower():
                    return Place(file, shown(workspace, file), each.at.line, each.at.column)
            continue
        stated = parameters_of(workspace, file)
        if not any(each is not None for name, each in stated.items() if name.lower() == parameter.lower()):
            continue
        return Place(
            file, shown(workspace, file), *place_of(strict(read_text(file, shown(workspace, file))), parameter)
        )
    return None
