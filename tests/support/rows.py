"""Rows of a table that a contract command prints: each is as expected, is not, or could not be tried here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "RED", "unverified"]


@dataclass(frozen=True)
class Row:
    """`why` says what was seen, and of an unverified row what is missing."""

    name: str
    verdict: Verdict
    why: str

    @property
    def line(self) -> str:
        return f"{self.name:44} {self.verdict:10} {self.why}"


def printed(what: str, rows: Iterable[Row], began: float) -> int:
    """Prints them as they come; the exit code says whether one is not as expected, or there was none."""
    number: Counter[Verdict] = Counter()
    for row in rows:
        number[row.verdict] += 1
        print(row.line, flush=True)
    untried = f", {number['unverified']} unverified" if number["unverified"] else ""
    took = f"({time.monotonic() - began:.0f} s)"
    print(f"{what}: {number['ok']} of {number.total()} as expected{untried} {took}")
    return 1 if number["RED"] or not number else 0
