"""Messages about an app's logs, and about why it is not ready."""

from __future__ import annotations

from sidecar.wire.message import Message, Operation, Sentence
from sidecar.words.names import CloudName, LogSource, Remedy, State


class LogsParams(Operation):
    """`since`: `10m`, or a time in ISO 8601; empty: all that the streams hold. `replica`: empty: all. `previous`: of each
    container the instance before the one that runs."""

    folder: str
    cloud: CloudName
    source: LogSource
    follow: bool
    since: str
    replica: str
    previous: bool


class LogLine(Message):
    """`time`: UTC in ISO 8601; empty where the stream names none."""

    operation: str
    source: LogSource
    revision: str
    replica: str
    time: str
    text: str


class Logs(Message):
    """The answer once it ends: `lines` were told before."""

    lines: int


class Diagnosis(Message):
    """One named cause; `code` is empty where nothing is wrong. `certain`: not a guess. `seen`: what was read, `unread`: what
    could not be, and why. `remedies`: commands that may help, the best first."""

    state: State
    code: str
    certain: bool
    sentence: Sentence
    advice: Sentence | None
    remedies: list[Remedy]
    detail: str | None
    seen: list[Sentence]
    unread: list[Sentence]
    failure: bool
