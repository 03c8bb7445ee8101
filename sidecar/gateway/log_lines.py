"""Lines of Azure's log streams as values: what the runtime and the stream put around them is taken off here, and only here."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

LONGEST = 64 * 1024
"""Bytes of one line; what is longer is cut, so that a container can't fill this process's memory."""

REMEMBERED = 2000
"""Lines by which a repeat is known after a stream was taken up again: more than a stream sends of the past."""

TAG = re.compile(r"^(?:(?:stdout|stderr) )?[FP] ")
OPENING = re.compile(r"^(?:Connecting to the container '|Successfully Connected to container: ')")
SIGN_OF_LIFE = re.compile(r"^No logs since last \d+ seconds")
OF_THE_STREAM = frozenset({"StartingGettingEvents", "ConnectedToEventsServer"})


@dataclass(frozen=True)
class ConsoleLine:
    time: str
    text: str


@dataclass(frozen=True)
class SystemEvent:
    """`at`: seconds since 1970. `count` is cumulative for the same text of the same replica."""

    at: float
    reason: str
    message: str
    revision: str = ""
    replica: str = ""
    count: int = 1


def console_line(line: str) -> ConsoleLine | None:
    """What the container wrote; None for the stream's own lines."""
    said = _object(line)
    time, text = ("", line) if said is None else (_text(said, "TimeStamp"), _text(said, "Log"))
    tag = TAG.match(text)
    if tag is None and (OPENING.match(text) or SIGN_OF_LIFE.match(text)):
        return None
    written = text[tag.end() :] if tag else text
    return ConsoleLine(time, written.rstrip("\r\n"))


def system_event(line: str) -> SystemEvent | None:
    """An event of the platform; None for the stream's own lines and for what is no event."""
    said = _object(line)
    if said is None or _text(said, "Reason") in ("", *OF_THE_STREAM):
        return None
    count = said.get("Count")
    return SystemEvent(
        at=moment(_text(said, "TimeStamp")),
        reason=_text(said, "Reason"),
        message=_text(said, "Msg"),
        revision=_text(said, "RevisionName"),
        replica=_text(said, "ReplicaName"),
        count=count if isinstance(count, int) else 1,
    )


def moment(text: str) -> float:
    """`2026-06-20 13:35:27.8328545 +0000 UTC` or ISO with Z, in seconds since 1970; 0 for what is neither."""
    found = re.match(r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?", text)
    if found is None:
        return 0.0
    day, clock, fraction = found.groups()
    whole = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC).timestamp()
    return whole + float(fraction or 0)


class Unrepeated:
    """Knows what of a stream that was taken up again has been seen. A line that a container wrote twice counts twice."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._here: OrderedDict[str, int] = OrderedDict()
        self._again = False
        self.fresh_run = 0
        """Of a stream that was taken up again: new lines until the first that is known. As many as a stream sends of the past
        mean that others may have been lost in between."""

    def connected(self) -> None:
        """The stream begins anew, and with it the last lines."""
        self._here.clear()
        self._again = bool(self._seen)
        self.fresh_run = 0

    def new(self, line: str) -> bool:
        count = _count(self._here, line)
        if count <= self._seen.get(line, 0):
            self._again = False
            return False
        _count(self._seen, line)
        self.fresh_run += 1 if self._again else 0
        return True


class Lines:
    """Bytes to lines, each of bounded length."""

    def __init__(self) -> None:
        self._rest = b""
        self._cutting = False

    def feed(self, block: bytes) -> Iterator[str]:
        *whole, self._rest = (self._rest + block).split(b"\n")
        for line in whole:
            if not self._cutting:
                yield line[:LONGEST].decode("utf-8", "replace").rstrip("\r")
            self._cutting = False
        if len(self._rest) > LONGEST:
            if not self._cutting:
                yield self._rest[:LONGEST].decode("utf-8", "replace")
            self._rest, self._cutting = b"", True


def _count(counts: OrderedDict[str, int], line: str) -> int:
    counts[line] = counts.pop(line, 0) + 1
    if len(counts) > REMEMBERED:
        counts.popitem(last=False)
    return counts[line]


def _object(line: str) -> dict[str, object] | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, object]", said) if isinstance(said, dict) else None


def _text(said: dict[str, object], key: str) -> str:
    value = said.get(key)
    return "" if value is None else str(value)
