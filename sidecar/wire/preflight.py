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


class CheckLine(Message):
    """`parameter`: of the parameters file, where one decides; `at`: where it is stated, as `file:line`."""

    name: str
    verdict: Verdict
    sentence: Sentence
    remedy: Sentence | None
    parameter: str | None
    at: str | None
    code: str | None


class Preflight(Message):
    """`problems`: of what fails or is doubtful, those that stand in the person's files."""

    checks: list[CheckLine]
    problems: list[FileProblem]
