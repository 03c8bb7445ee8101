"""Which data set a project is evaluated by: the one that is named, its own, the one that it was fine-tuned with, or the questions
that each release is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from sidecar.core.dataset import Case, Dataset, Template, joined, read_dataset
from sidecar.core.jsonedit import strict
from sidecar.core.parameter_forms import with_problems
from sidecar.core.smoke import FILE as SMOKE
from sidecar.core.smoke import read_smoke
from sidecar.core.textfile import read_text
from sidecar.core.workspace import Workspace
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

OWN = "infra/evaluation.jsonl"

EXAMPLE = '{"prompt": "What is 2 + 2?", "equals": "4"}'

OLIVE = "finetuning/olive-config.json"
"""Where AI Toolkit writes with what, and in which words, a project is fine-tuned."""


def dataset_of(workspace: Workspace, named: Sequence[str]) -> Dataset:
    """`named`: files, from the project's folder. Raises WorkspaceError with the file and the line of each row that can't be read:
    a verdict on the others alone would be one on another data set."""
    files = tuple(named) or _found(workspace)
    if not files:
        raise WorkspaceError(
            Text("There is no data set: neither {own} nor {smoke}, and no fine-tuning data.", own=OWN, smoke=SMOKE),
            Text("Write {own}: a line for each question, as {example}; or name a file.", own=OWN, example=EXAMPLE),
            code="NoDataset",
        )
    found = joined([_read(workspace, each) for each in files])
    if found.problems:
        raise with_problems(found.problems, "InvalidDataset")
    if not found.cases:
        raise WorkspaceError(
            Text("{files} has no row.", files=", ".join(files)), Text("Write at least one."), code="NoDataset"
        )
    return found


def _found(workspace: Workspace) -> tuple[str, ...]:
    if (workspace.folder / OWN).exists():
        return (OWN,)
    trained = tuple(dict.fromkeys(file for file, _ in _trained_with(workspace)))
    return trained or ((SMOKE,) if (workspace.folder / SMOKE).exists() else ())


def _read(workspace: Workspace, name: str) -> Dataset:
    file = (workspace.folder / name).resolve()
    shown = file.relative_to(workspace.folder).as_posix() if file.is_relative_to(workspace.folder) else str(file)
    if shown == SMOKE:
        return _smoke(workspace)
    if not file.is_file():
        raise WorkspaceError(
            Text("The data set {file} does not exist.", file=shown), Text("Name one that does."), code="NoDataset"
        )
    return read_dataset(file, shown, dict(_trained_with(workspace)).get(shown))


def _smoke(workspace: Workspace) -> Dataset:
    cases = [
        Case(
            f"{SMOKE}#{number}",
            tuple((each.role, each.content) for each in question.messages or ()) or (("user", question.prompt or ""),),
            equals=question.equals,
            contains=() if question.contains is None else (question.contains,),
            max_tokens=question.max_tokens,
            model=question.model,
        )
        for number, question in enumerate(read_smoke(workspace), start=1)
    ]
    return Dataset((SMOKE,), tuple(cases), ())


def _trained_with(workspace: Workspace) -> Iterator[tuple[str, Template | None]]:
    """Files of this folder that fine-tuning reads, each with the text that it makes of a row."""
    file = workspace.folder / OLIVE
    if not file.exists():
        return
    try:
        document = json.loads(strict(read_text(file, OLIVE)))
    except json.JSONDecodeError as error:
        raise WorkspaceError(
            Text("{file}, line {line}: {problem}", file=OLIVE, line=error.lineno, problem=error.msg),
            Text("Correct it, or name the data set."),
            code="InvalidJson",
        ) from error
    for part in _objects(document):
        loads = part.get("load_dataset_config") or part.get("params_config")
        names = cast("Any", loads).get("data_files") if isinstance(loads, dict) else None
        for name in (
            [names] if isinstance(names, str) else cast("list[object]", names) if isinstance(names, list) else []
        ):
            inside = (workspace.folder / str(name)).resolve()
            if inside.is_file() and inside.is_relative_to(workspace.folder):
                yield inside.relative_to(workspace.folder).as_posix(), _template(part)


def _template(part: Mapping[str, Any]) -> Template | None:
    for each in _objects(part):
        text, columns = each.get("text_template"), each.get("text_cols")
        if isinstance(text, str) and isinstance(columns, list):
            names = tuple(str(name) for name in cast("list[object]", columns))
            holes = set(re.findall(r"\{(\w+)\}", text))
            return Template(text, names) if holes and holes <= set(names) else None
    return None


def _objects(document: object) -> Iterator[Mapping[str, Any]]:
    """Every object of a document: versions of Olive differ in where the data's is."""
    if isinstance(document, dict):
        found = cast("dict[str, Any]", document)
        yield found
        for each in found.values():
            yield from _objects(each)
    elif isinstance(document, list):
        for each in cast("list[object]", document):
            yield from _objects(each)


def part_of(dataset: Dataset, most: int | None, only: Collection[str] = ()) -> Dataset:
    """The first rows, or those of some ids, where no more are wanted. Raises WorkspaceError where none is left."""
    cases = [each for each in dataset.cases if not only or each.id in only]
    if not cases:
        raise WorkspaceError(
            Text("The rows that were asked for are not in {files} any more.", files=", ".join(dataset.files)),
            Text("Read the data set again."),
            code="NoSuchRow",
        )
    return replace(dataset, cases=tuple(cases[:most]))
