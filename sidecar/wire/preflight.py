"""Messages about the set-up: each check with its verdict, and where in the person's files it is decided."""

from __future__ import annotations

from sidecar.wire.message import Message, Operation, Sentence
from sidecar.wire.releases import FileProblem
from sidecar.words.names import CloudName, Verdict


class PreflightParams(Operation):
    folder: str
    cloud: CloudName
    subscription_id: str
    resource_group: str
    parameters: str | None = None
    """The parameters file, from the folder; None: the one that is there."""
    app: str | None = None
    """The container app that is ours, where the template makes several and does not tell."""


class CheckLine(Message):
    """`parameter`: of the parameters file, where one decides; `at`: where it is stated, or what is wrong,
    as `file:line`."""

    name: str
    verdict: Verdict
    sentence: Sentence
    remedy: Sentence | None
    parameter: str | None
    at: str | None
    code: str | None


class FitLine(Message):
    """A GPU profile in a region. None is unknown. `needed`, `used`, `limit`: GPUs. `hour`: list price of one replica awake.
    `memory`: bytes of one GPU. `fits`: whether this model does."""

    region: str
    profile: str
    needed: int
    used: int | None
    limit: int | None
    hour: float | None
    currency: str
    memory: int | None
    fits: bool | None


class Fitting(Message):
    """What would fit, where a GPU, a region or a quota says no. `why`: how the regions were chosen."""

    fits: list[FitLine]
    why: Sentence
    text: str
    """The same as lines of text."""


class Preflight(Message):
    """`problems`: of what fails or is doubtful, those that stand in the person's files. `fitting`: None where nothing speaks
    against the place."""

    checks: list[CheckLine]
    problems: list[FileProblem]
    fitting: Fitting | None
