"""`infra/evaluation.json`: what a project is evaluated by, and what has to come of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from sidecar.core.jsonedit import strict
from sidecar.core.located import located
from sidecar.core.parameter_forms import with_problems
from sidecar.core.textfile import read_text
from sidecar.core.workspace import Workspace
from sidecar.words.names import MEASURES, Measure
from sidecar.words.nearest import nearest
from sidecar.words.problems import Problem
from sidecar.words.text import Text

FILE = "infra/evaluation.json"

MOST_TOKENS = 256
"""Of an answer, where neither row nor file says."""


WORDS: Mapping[str, tuple[str, ...]] = {
    "comparison": (">=", "<=", ">", "<"),
    "verdict": ("better", "not worse"),
    "against": ("baseline", "last"),
}
"""Of a threshold, by its key."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Threshold(_Form):
    """Either a figure against a `bound`, or a verdict. `model`: None: every one that is compared with the other."""

    measure: Measure
    model: str | None = None
    comparison: Literal[">=", "<=", ">", "<"] = ">="
    bound: float | None = Field(default=None, strict=True, allow_inf_nan=False)
    verdict: Literal["better", "not worse"] | None = None
    against: Literal["baseline", "last"] = "baseline"
    """Of a verdict: the model that the others are compared with, or the same model in the run before."""

    @model_validator(mode="after")
    def _says(self) -> Self:
        if (self.bound is None) == (self.verdict is None):
            raise ValueError("a threshold has either bound or verdict")
        return self


class Evaluation(_Form):
    """`models`: None: base and every adapter. `against`: which of them the others are compared with; None: the base."""

    dataset: str | tuple[str, ...] | None = None
    models: tuple[str, ...] | None = Field(default=None, min_length=1)
    against: str | None = None
    measure: Measure | None = None
    """By which a verdict is given; None: by what the rows demand, else chrF."""
    max_tokens: int = Field(default=MOST_TOKENS, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=2)
    """0: each answer is the likeliest one, and the same every time."""
    seed: int = 0
    thresholds: tuple[Threshold, ...] = ()
    gate: bool | None = Field(default=None, strict=True)
    """Whether a deploy has to meet the thresholds; None: where there are any."""

    @model_validator(mode="after")
    def _gates_by_something(self) -> Self:
        if self.gate and not self.thresholds:
            raise ValueError("a gate needs thresholds")
        return self

    @property
    def is_gate(self) -> bool:
        return bool(self.thresholds) and self.gate is not False

    @property
    def files(self) -> tuple[str, ...]:
        return (self.dataset,) if isinstance(self.dataset, str) else self.dataset or ()


def read_evaluation(workspace: Workspace) -> Evaluation:
    """The defaults where there is no such file. Raises WorkspaceError with the line of each thing that is wrong, and for a link
    that leads nowhere: a gate that can't be read is not none."""
    file = workspace.folder / FILE
    if not (file.exists() or file.is_symlink()):
        return Evaluation()
    text = strict(read_text(file, FILE))
    try:
        return Evaluation.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        said = Text("This is no JSON: {problem}", problem=error.msg)
        raise with_problems([Problem(str(file), FILE, error.lineno, error.colno, said)], "InvalidJson") from error
    except ValidationError as error:
        problems = [_problem(file, text, each) for each in _misstated(error)]
        raise with_problems(problems, "InvalidEvaluation") from error


@dataclass(frozen=True)
class Misstated:
    """`where`: its place in the content; of an unknown key it ends with that. `near`: what may have been meant. `by_schema`: the
    JSON Schema tells it too."""

    where: tuple[int | str, ...]
    sentence: Text
    near: str | None
    by_schema: bool
    unknown_key: bool


def misstated(document: object) -> list[Misstated]:
    """What is wrong with the file's content."""
    try:
        Evaluation.model_validate(document)
    except ValidationError as error:
        return _misstated(error)
    return []


def schema() -> dict[str, object]:
    """As JSON Schema."""
    return Evaluation.model_json_schema()


def keys_at(path: tuple[int | str, ...]) -> Mapping[str, FieldInfo]:
    """Of the object there; none where nothing of this file is."""
    if not path:
        return Evaluation.model_fields
    return Threshold.model_fields if path[0] == "thresholds" and len(path) == 2 else {}


def words_at(path: tuple[int | str, ...]) -> tuple[str, ...]:
    """What a value there may be, where there are only so many."""
    if path[-1:] == ("measure",):
        return MEASURES
    if len(path) == 3 and path[0] == "thresholds":
        return WORDS.get(str(path[2]), ())
    return ("true", "false") if path == ("gate",) else ()


def _misstated(error: ValidationError) -> list[Misstated]:
    found: dict[tuple[int | str, ...], Misstated] = {}
    for each in error.errors():
        where, said, kind = each["loc"], each["msg"].removeprefix("Value error, "), each["type"]
        if where[:1] == ("dataset",):  # told once, and not once for each form that it may have
            where, said = ("dataset",), "Input should be a file, or a list of files"
        unknown = kind == "extra_forbidden"
        known = keys_at(where[:-1]) if unknown else words_at(where) if kind == "literal_error" else ()
        meant = where[-1] if unknown else each["input"]
        near = nearest(str(meant), known, 0.6) if known else None
        named = ".".join(str(part + 1) if isinstance(part, int) else part for part in where) or FILE
        if near is not None:
            sentence = Text("{where}: {problem}. Did you mean {near}?", where=named, problem=said, near=near)
        else:
            sentence = Text("{where}: {problem}", where=named, problem=said)
        found.setdefault(where, Misstated(where, sentence, near, kind != "value_error", unknown))
    return list(found.values())


def _problem(file: Path, text: str, wrong: Misstated) -> Problem:
    root = located(text)
    at = 0 if root is None else root.at(wrong.where).start
    return Problem(str(file), FILE, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), wrong.sentence)
