"""What a terminal shows of logs, and of why an endpoint is not ready."""

from __future__ import annotations

from sidecar.doors.terminal import facts, spoken
from sidecar.wire import protocol as wire
from sidecar.words.names import Remedy

NEXT: dict[Remedy, str] = {
    "start": "AI Toolkit: Start inference app",
    "deploy": "AI Toolkit: Deploy for inference",
    "provision": "AI Toolkit: Provision Azure Container Apps for inference",
    "rollback": "AI Toolkit: Roll back inference deployment",
    "logs": "AI Toolkit: Show logs",
    "systemLogs": "AI Toolkit: Show system logs",
}
"""By the titles that the terminal puts its own verbs in place of."""


def line(found: wire.LogLine) -> str:
    """Time, replica without its revision's name, text."""
    clock = found.time[11:23]
    place = found.replica.removeprefix(f"{found.revision}-") or found.revision
    return " ".join(part for part in (clock, place, found.text) if part)


def diagnosis(found: wire.Diagnosis) -> str:
    guess = "" if found.certain else " (a guess)"
    rows: list[tuple[str, str | None]] = [
        ("cause", f"{found.code}{guess}" if found.code else None),
        ("advice", None if found.advice is None else spoken(found.advice)),
        *[("next", NEXT[each]) for each in found.remedies],
        *[("seen", spoken(each)) for each in found.seen],
        *[("unverified", spoken(each)) for each in found.unread],
    ]
    told = facts(f"{found.state}: {spoken(found.sentence)}", rows)
    return f"{told}\n\n{found.detail}" if found.detail else told
