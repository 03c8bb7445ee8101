"""What the terminal shows of the set-up: a line a check, and below it what helps."""

from __future__ import annotations

from collections import Counter

from sidecar.doors.terminal import spoken
from sidecar.wire import protocol as wire


def preflight(found: wire.Preflight) -> str:
    counts = Counter(each.verdict for each in found.checks)
    lines = [line for each in found.checks for line in _lines(each)]
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    fitting = ["", found.fitting.text] if found.fitting is not None else []
    return "\n".join([*lines, *fitting, "", f"{told}: {_meaning(counts)}"])


def _lines(each: wire.CheckLine) -> list[str]:
    told = " at ".join(part for part in (each.parameter, each.at) if part)
    place = f" [{told}]" if told else ""
    remedy = [f"{'':<11} {'':<28} {spoken(each.remedy)}"] if each.remedy is not None else []
    return [f"{each.verdict:<11} {each.name:<28} {spoken(each.sentence)}{place}", *remedy]


def _meaning(counts: Counter[str]) -> str:
    if counts["FAIL"]:
        return "Provision stops before it makes anything"
    if counts["UNVERIFIED"] or counts["WARN"]:
        return "Provision goes on, and says these"
    return "Provision can work"
