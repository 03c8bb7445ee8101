"""Which lines of an archive are older than what the streams hold, so that both together have neither gap nor repeat. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sidecar.decisions.excerpt import Line
from sidecar.gateway.log_archive import Archived
from sidecar.words.names import LogSource

LATEST = 30.0
"""Seconds. An archive may date a line when it was collected, in one batch with others: seconds after it was written."""

ARRIVED = 900.0
"""Seconds after which a line has come to the archive, where it comes at all: minutes are usual."""

NEAR = 0.001
"""Seconds by which one time, written in two ways, may differ."""


@dataclass(frozen=True)
class Older:
    """`whole`: as far as can be told, no line is on its way: those of a replica reach to its stream, or it went long ago."""

    lines: list[Line]
    whole: bool


def line_of(source: LogSource, found: Archived) -> Line:
    text = found.text if source == "console" else f"{found.reason}: {found.text}"
    return Line(source, found.revision, found.replica, found.at, text)


def older(archived: Sequence[Line], streamed: Sequence[Line], now: float) -> Older:
    """Of the archived lines (oldest first) those that no stream holds. A replica without a stream has all of its own here.

    What an archive dates before a stream's first line is older than that; what it dates long after is in the stream. In between
    the texts tell: a line that repeats within those seconds, word for word, may be taken for one of the stream's."""
    lines: list[Line] = []
    whole = True
    streams = _by_stream(streamed)
    for key, kept in _by_stream(archived).items():
        held = streams.get(key, [])
        first = min((each.at for each in held if each.at), default=0.0)
        mine = kept if not first else _before(kept, held, first)
        whole = whole and (len(mine) < len(kept) if first else now - kept[-1].at > ARRIVED)
        lines += mine
    return Older(sorted(lines, key=lambda each: each.at), whole)


def _before(kept: Sequence[Line], held: Sequence[Line], first: float) -> list[Line]:
    known = Counter((each.replica, each.text) for each in held if each.at <= first + LATEST)
    found: list[Line] = []
    for line in reversed(kept):
        if line.at > first + LATEST:
            continue
        if line.at >= first - NEAR and known[line.replica, line.text]:
            known[line.replica, line.text] -= 1
            continue
        found.append(replace(line, at=min(line.at, first)))
    return found[::-1]


def _by_stream(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Each replica has a stream of its own, the events of an app have one together."""
    found: dict[str, list[Line]] = {}
    for each in lines:
        found.setdefault(each.replica if each.source == "console" else "", []).append(each)
    return found
