"""Messages about an evaluation: models asked the rows of a data set, and what came of it."""

from __future__ import annotations

from sidecar.wire.message import Message, Operation, Sentence
from sidecar.words.names import CloudName, EvaluationOutcomeWord, EvaluationWord, Measure


class EvaluateParams(Operation):
    """`datasets`: files, from the project's folder; none: as the project has it. `models`: none: base and adapters. `against`:
    which of them the others are compared with; None: the base. `run`: an earlier run to compare with; None: the last over the
    same rows. `most`: rows; `only`: those of these ids, none: all. `anew`: also where a run was cut off."""

    folder: str
    cloud: CloudName
    datasets: list[str]
    models: list[str]
    against: str | None
    run: str | None
    most: int | None
    only: list[str]
    anew: bool
    consents: list[str]


class EvaluationVerdict(Message):
    """`run`: where `against` answered, where that was not this run."""

    model: str
    against: str
    run: str | None
    measure: Measure
    word: EvaluationWord
    sentence: Sentence


class EvaluationFigure(Message):
    measure: Measure
    value: float


class EvaluationModel(Message):
    """`refused`: requests."""

    name: str
    figures: list[EvaluationFigure]
    refused: int


class EvaluationOutcome(Message):
    """Of a threshold. `met` None: it could not be measured, which is no pass."""

    sentence: Sentence
    met: bool | None


class EvaluationCasesParams(Message):
    folder: str


class EvaluationCase(Message):
    """A row of a data set. `line` counts from 1; of a file whose rows are not found by lines it is 1."""

    id: str
    file: str
    line: int
    asked: str


class EvaluationCases(Message):
    cases: list[EvaluationCase]


class EvaluationAnswer(Message):
    """`text` None: the server refused the request."""

    model: str
    text: str | None


class EvaluationLine(Message):
    """A row, with the answer of the model that the others are compared with first. `outcome`: whether the others answered as it
    demands, or at least as well as that one; `sentence`: why not. `expected`: None where no text is."""

    id: str
    place: str
    asked: str
    answers: list[EvaluationAnswer]
    differ: bool
    outcome: EvaluationOutcomeWord
    sentence: Sentence | None
    expected: str | None


class Evaluated(Message):
    """`report` and `data`: files, for people and for programs. `asked`: answers that were asked for; `stored`: those of a run
    before that was cut off. `met`: every threshold is. `lines`: those in which the answers are furthest apart."""

    run: str
    report: str
    data: str
    rows: int
    against: str
    asked: int
    stored: int
    sentence: Sentence
    verdicts: list[EvaluationVerdict]
    models: list[EvaluationModel]
    outcomes: list[EvaluationOutcome]
    met: bool
    lines: list[EvaluationLine]
    notes: list[Sentence]
