"""`infra/smoke.json`: what a release is asked before it takes over, and what it has to answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from sidecar.core.jsonedit import strict
from sidecar.core.located import located
from sidecar.core.parameter_forms import with_problems
from sidecar.core.textfile import read_text
from sidecar.core.workspace import Workspace
from sidecar.words.problems import Problem
from sidecar.words.text import Text

FILE = "infra/smoke.json"

MOST = 20
"""Questions: each is answered before anybody is served by the release."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(_Form):
    role: Literal["system", "user", "assistant"]
    content: str


class Question(_Form):
    """`prompt` or `messages`; `model`: the base or an adapter, where it is not the first. Asked with temperature 0."""

    prompt: str | None = None
    messages: tuple[Message, ...] | None = None
    model: str | None = None
    contains: str | None = None
    """The answer has to contain this."""
    equals: str | None = None
    """The answer has to be this, blanks at its ends aside."""
    max_tokens: int = Field(default=16, ge=1, le=256, strict=True)

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("a question has either prompt or messages")
        return self


SHOWN = 80
"""Characters of an answer in a sentence."""

Smoke = tuple[Question, ...]

NONE: Smoke = ()
"""Where the project states none, one token is asked."""

_FORM = TypeAdapter(Smoke)


def read_smoke(workspace: Workspace) -> Smoke:
    """Raises WorkspaceError with the file and the line of each thing that is wrong."""
    file = workspace.infra / "smoke.json"
    if not (file.exists() or file.is_symlink()):
        return NONE
    text = strict(read_text(file, FILE))
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        problem = Problem(
            str(file), FILE, error.lineno, error.colno, Text("This is no JSON: {problem}", problem=error.msg)
        )
        raise with_problems([problem], "InvalidJson") from error
    found, wrongs = _read(document)
    if wrongs:
        raise with_problems([_problem(file, text, each.where, each.sentence) for each in wrongs], "InvalidSmoke")
    return found


@dataclass(frozen=True)
class Misstated:
    """`where`: its place in the content. `by_schema`: the JSON Schema tells it too."""

    where: tuple[int | str, ...]
    sentence: Text
    by_schema: bool


def misstated(document: object) -> list[Misstated]:
    """What is wrong with the file's content."""
    return _read(document)[1]


def _read(document: object) -> tuple[Smoke, list[Misstated]]:
    try:
        found = _FORM.validate_python(document)
    except ValidationError as error:
        return NONE, [
            Misstated(each["loc"], _sentence(each["loc"], each["msg"]), each["type"] != "value_error")
            for each in error.errors()
        ]
    if len(found) > MOST:
        many = Text("{count} questions are more than the {most} that may be asked.", count=len(found), most=MOST)
        return NONE, [Misstated((), many, by_schema=True)]
    return found, []


def schema() -> dict[str, object]:
    """As JSON Schema."""
    return _FORM.json_schema()


def wrong(question: Question, answer: str) -> Text | None:
    """What is wrong with an answer; None where it is as was stated."""
    if question.contains is not None and question.contains not in answer:
        return Text(
            "The answer {answer} does not contain {wanted}.", answer=_quoted(answer), wanted=_quoted(question.contains)
        )
    if question.equals is not None and answer.strip() != question.equals.strip():
        return Text("The answer is {answer}, not {wanted}.", answer=_quoted(answer), wanted=_quoted(question.equals))
    return None


def _quoted(text: str) -> str:
    return json.dumps(text if len(text) <= SHOWN else text[:SHOWN] + "…", ensure_ascii=False)


def to_wire(smoke: Smoke) -> list[dict[str, object]]:
    """As the container takes them."""
    return [each.model_dump(mode="json", exclude_none=True) for each in smoke]


def _problem(file: Path, text: str, where: Sequence[int | str], sentence: Text) -> Problem:
    root = located(text)
    at = 0 if root is None else root.at(where).start
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return Problem(str(file), FILE, line, column, sentence)


def _sentence(where: Sequence[int | str], said: str) -> Text:
    named = ".".join(str(each + 1) if isinstance(each, int) else each for each in where)
    return Text("{where}: {problem}", where=named or "questions", problem=said.removeprefix("Value error, "))
