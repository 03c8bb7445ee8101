"""`infra/evaluation.json`: what a project is evaluated by, and what has to come of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sidecar.core.jsonedit import strict
from sidecar.core.located import located
from sidecar.core.parameter_forms import with_problems
from sidecar.core.textfile import read_text
from sidecar.core.workspace import Workspace
from sidecar.words.names import Measure
from sidecar.words.problems import Problem
from sidecar.words.text import Text

FILE = "infra/evaluation.json"

MOST_TOKENS = 256
"""Of an answer, where neither row nor file says."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Threshold(_Form):
    """Either a figure against a `bound`, or a verdict. `model`: None: every one that is compared with the other."""

    measure: Measure
    model: str | None = None
    comparison: Literal[">=", "<=", ">", "<"] = ">="
    bound: float | None = None
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

    @property
    def files(self) -> tuple[str, ...]:
        return (self.dataset,) if isinstance(self.dataset, str) else self.dataset or ()


def read_evaluation(workspace: Workspace) -> Evaluation:
    """The defaults where there is no such file. Raises WorkspaceError with the line of each thing that is wrong."""
    file = workspace.folder / FILE
    if not file.exists():
        return Evaluation()
    text = strict(read_text(file, FILE))
    try:
        return Evaluation.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        said = Text("This is no JSON: {problem}", problem=error.msg)
        raise with_problems([Problem(str(file), FILE, error.lineno, error.colno, said)], "InvalidJson") from error
    except ValidationError as error:
        problems = [_problem(file, text, each["loc"], each["msg"]) for each in error.errors()]
        raise with_problems(problems, "InvalidEvaluation") from error


def _problem(file: Path, text: str, where: tuple[int | str, ...], said: str) -> Problem:
    root = located(text)
    at = 0 if root is None else root.at(where).start
    named = ".".join(str(each + 1) if isinstance(each, int) else each for each in where)
    sentence = Text("{where}: {problem}", where=named or FILE, problem=said.removeprefix("Value error, "))
    return Problem(str(file), FILE, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at), sentence)
