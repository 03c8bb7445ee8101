"""How far a transfer is, how fast it goes and how long it takes yet, in words. Pure."""

from __future__ import annotations

from sidecar.words.text import Text

FIRST_SECONDS = 1.0
"""Before that a rate says nothing."""


def pace(done: int, total: int, sent: int, seconds: float) -> Text:
    """`done`: bytes that are there, also by an earlier run; `sent`: in these seconds."""
    told = {"done": size(done), "total": size(total)}
    if seconds < FIRST_SECONDS or sent == 0:
        return Text("{done} of {total}", **told)
    rate = sent / seconds
    return Text("{done} of {total}, {rate}/s, {left} left", **told, rate=size(rate), left=left((total - done) / rate))


def size(count: float) -> str:
    """In units that a person reads at a glance."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count:.0f} B"


def left(seconds: float) -> str:
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
