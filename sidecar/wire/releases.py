"""Messages about releases: deploying one, looking at what that would do, the list of those that are kept, and going back."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.wire.cancelling import ProvisionTarget
from sidecar.wire.message import Message, Operation, Sentence, sentence
from sidecar.words.names import (
    CloudName,
    ExchangeForm,
    LeftOutWhy,
    OperationKind,
    ReleaseCause,
    RestartWay,
    Strategy,
    StrategyWish,
)
from sidecar.words.problems import Problem


class DeployParams(Operation):
    folder: str
    cloud: CloudName
    code: str
    """`workspace`, or `shipped@<version>`."""
    stop_unanswered: bool
    """Whether the app is stopped where its GPU is awake for twice the expected time and nothing answers."""
    strategy: StrategyWish
    """How the release comes into service."""
    consents: list[str]


class FileProblem(Message):
    """A place in a file of the person's. `line` and `column` count from 1; what is not certain is a warning."""

    file: str
    line: int
    column: int
    message: Sentence
    certain: bool


class RefusedAdapter(Message):
    """An adapter on the share that the server does not serve; `reason` is the server's own word."""

    name: str
    reason: str


class RunsOn(Message):
    """`device`: cpu or cuda. `gpu`: its own name. `dtype`: the format of the numbers; `weights`: full, or nf4 (4 bits).
    `attention`: what computes it; empty where an older server does not tell."""

    device: str
    gpu: str | None
    dtype: str
    weights: str
    attention: str


class Deployed(Message):
    endpoint: str
    url: str
    release: str
    generation: int
    code_changed: bool
    verified: bool
    replicas: list[str]
    base: str | None
    adapters: list[str]
    refused: list[RefusedAdapter]
    notes: list[Sentence]
    problems: list[FileProblem]
    runs_on: RunsOn | None
    """None: the server does not tell."""
    strategy: Strategy
    form: ExchangeForm | None
    """Of an exchange in place."""
    pause: float | None
    """Seconds in which the server that was exchanged took no request."""


class Interrupted(Message):
    """An operation that was cut off. `running`: another window or terminal is at it still. `resume`: what goes on from there.
    `target`: where a Provision was begun; `cancels`: what goes on in the cloud can be cancelled there."""

    kind: OperationKind
    at: str
    step: str
    running: bool
    sentence: Sentence
    resume: OperationKind | None
    target: ProvisionTarget | None
    cancels: bool


class Interruptions(Message):
    interrupted: list[Interrupted]


class DiscardParams(Message):
    """`target`: what was cut off there alone; None: wherever it was."""

    folder: str
    kind: OperationKind
    target: ProvisionTarget | None


class RollbackParams(Operation):
    folder: str
    cloud: CloudName
    generation: int | None
    """None: the last one with another release that has served."""
    stop_unanswered: bool
    strategy: StrategyWish
    consents: list[str]


class Difference(Message):
    """Paths below the code's folder."""

    added: list[str]
    changed: list[str]
    removed: list[str]


class Generation(Message):
    """`at`: UTC in ISO 8601; what nobody wrote down is empty. `difference`: what going back to it changes."""

    number: int
    release: str
    at: str
    by: str
    commit: str
    cause: ReleaseCause
    current: bool
    served: bool
    kept: bool
    difference: Difference | None


class Releases(Message):
    generations: list[Generation]


class PreviewParams(Message):
    folder: str
    cloud: CloudName
    code: str
    strategy: StrategyWish


class LeftOut(Message):
    path: str
    why: LeftOutWhy
    by: str


class Preview(Message):
    """What a Deploy would do. `size`: bytes. `downtime`: seconds for which requests wait or fail; None where it can't be told."""

    release: str
    current: str
    size: int
    files: int
    uploads: bool
    difference: Difference | None
    left_out: list[LeftOut]
    problems: list[FileProblem]
    strategy: Strategy
    form: ExchangeForm | None
    restart: RestartWay | None
    """None where nothing is restarted."""
    downtime: float | None
    sentence: Sentence
    bases: list[str]
    adapters: list[str]
    notes: list[Sentence]


def file_problems(found: Sequence[Problem]) -> list[FileProblem]:
    return [
        FileProblem(
            file=each.file, line=each.line, column=each.column, message=sentence(each.message), certain=each.certain
        )
        for each in found
    ]
