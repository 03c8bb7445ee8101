"""What a share tells of a file, and the stamp by which a change of it is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Listed:
    """`stamp` differs once somebody has written to the file; compare it, and read nothing in it. `written`: when that was last,
    in seconds by the share's own clock; None for a folder, or where the share does not tell."""

    name: str
    is_directory: bool
    size: int
    stamp: str = ""
    written: float | None = None


def listed(found: Any) -> Listed:
    """Of a listing or of a file's own properties: both say the same of it."""
    if found.is_directory:
        return Listed(found.name, True, 0)
    written = found.last_write_time
    # A listing says it as a text of seven digits, a file's properties as a moment of six.
    moment = written.strftime("%Y-%m-%dT%H:%M:%S.%f") if isinstance(written, datetime) else str(written)[:26]
    return Listed(found.name, False, int(found.size or 0), stamp(found.etag, moment), _seconds(moment))


def _seconds(moment: str) -> float | None:
    try:
        return datetime.fromisoformat(moment.rstrip("Z")[:26]).replace(tzinfo=UTC).timestamp()
    except ValueError:  # it does not tell
        return None


def stamping(stamps: list[str]) -> Callable[[Any], None]:
    """Takes down the stamp of what an answer tells of: the one that a listing gives it, or the next look reads it anew."""

    def hear(answer: Any) -> None:
        throttled_is_busy(answer)
        told = answer.http_response.headers
        if answer.http_response.status_code < 300 and "ETag" in told:
            stamps.append(stamp(told["ETag"], str(told.get("x-ms-file-last-write-time", ""))))

    return hear


def stamp(etag: object, moment: str) -> str:
    return f"{str(etag).strip(chr(34))} {moment[:26]}"


def throttled_is_busy(answer: Any) -> None:
    """The SDK repeats what is answered with 503, and not with 429, though both ask for a pause."""
    if answer.http_response.status_code == 429:
        answer.http_response.status_code = 503
