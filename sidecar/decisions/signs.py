"""What log lines and states mean: the server's own lines, the platform's words for why a container waits or has ended. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.gateway.log_lines import ConsoleLine, SystemEvent, moment
from sidecar.gateway.revisions import Replica
from sidecar.words.names import Phase, is_phase

PHASE = re.compile(r"^slipway: phase ([\w-]+)(?: (\d{1,3})%)?$")
FAILED = re.compile(r"^slipway: failed: (.*)$")
WARNING = re.compile(r"^slipway: warning: (.*)$")
WAITING = re.compile(r"reason: (\w+)")
TERMINATED = re.compile(r"with exit code '(-?\d*)'(?: and reason '(\w*)')?[. ]*(.*)", re.DOTALL)

READY_SECONDS = 5.0
"""A probe that fails no later than this after the server said that it is ready may have been under way: the period of ours."""


@dataclass(frozen=True)
class ServerSign:
    """The last word of the server, or of the container's start, on how far it is. `failed`: its reason."""

    phase: Phase | None = None
    percent: int | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Termination:
    """How a container ended. `code` None: Azure names none (it was stopped, probed to death, or never ran)."""

    at: float
    code: int | None
    reason: str
    text: str


def server_sign(lines: Iterable[ConsoleLine]) -> ServerSign:
    """The last sign among these lines; a phase after a failure is that of the next attempt."""
    found = ServerSign()
    for line in lines:
        if failed := FAILED.match(line.text):
            found = ServerSign(failed=failed[1])
        elif told := PHASE.match(line.text):
            word, percent = told.groups()
            if is_phase(word):  # another version may have words of its own
                found = ServerSign(phase=word, percent=None if percent is None else int(percent))
    return found


def failure(lines: Iterable[ConsoleLine]) -> str | None:
    """The last reason that a server gave up with."""
    return next((found[1] for line in reversed(list(lines)) if (found := FAILED.match(line.text))), None)


def warnings(lines: Iterable[ConsoleLine]) -> tuple[str, ...]:
    """What the container's start wants to be known, though it goes on."""
    return tuple(dict.fromkeys(found[1] for line in lines if (found := WARNING.match(line.text))))


def was_ready(lines: Iterable[ConsoleLine]) -> bool:
    """Whether the server that gave up last had been ready: it did not fail to load."""
    ready, found = False, False
    for line in lines:
        if FAILED.match(line.text):
            found = ready
        elif told := PHASE.match(line.text):
            ready = told[1] == "ready"
    return found


def waiting_reason(details: str) -> str:
    """`CrashLoopBackOff` of "Container is waiting with reason: CrashLoopBackOff on legion."; empty without one."""
    found = WAITING.search(details)
    return "" if found is None else found[1]


def terminations(events: Iterable[SystemEvent]) -> list[Termination]:
    """Ends of containers, in order. Each has several events; the one that names its reason in quotes counts."""
    found = [
        Termination(event.at, int(told[1]) if told[1] else None, told[2], told[3].strip())
        for event in events
        if event.reason == "ContainerTerminated" and (told := TERMINATED.search(event.message)) and told[2]
    ]
    return sorted(found, key=lambda each: each.at)


def since_last_start(events: Iterable[SystemEvent]) -> list[SystemEvent]:
    """What happened after a replica's container last started: what was before has healed."""
    ordered = sorted(events, key=lambda each: each.at)
    starts = [number for number, event in enumerate(ordered) if event.reason == "ContainerStarted"]
    return ordered[starts[-1] :] if starts else ordered


def last(events: Iterable[SystemEvent], *reasons: str) -> SystemEvent | None:
    found = [event for event in events if event.reason in reasons]
    return max(found, key=lambda each: each.at, default=None)


def failing_probe(lines: Iterable[ConsoleLine], events: Iterable[SystemEvent]) -> SystemEvent | None:
    """The last failure of a probe, where the server had said before that it is ready: it is another port's, or it was ready."""
    ready = [moment(line.time) for line in lines if (told := PHASE.match(line.text)) and told[1] == "ready"]
    failed = last(events, "ProbeFailed")
    return failed if failed is not None and ready and failed.at - ready[-1] > READY_SECONDS else None


def mount_fails(events: Iterable[SystemEvent]) -> bool:
    """Whether the replica that was told of last can't mount, and has not started since."""
    told = sorted(events, key=lambda each: each.at)
    replica = next((each.replica for each in reversed(told) if each.replica), "")
    recent = since_last_start([each for each in told if each.replica == replica])
    return any(each.reason == "VolumeMountFailure" for each in terminations(recent))


def has_place(replica: Replica) -> bool:
    """Whether a replica runs, or is being brought up, on a node: then it has its GPU, long before its container has started."""
    return any(each.state == "Running" or waiting_reason(each.details) for each in replica.containers)


BEGUN = frozenset({"PullingImage", "PulledImage", "ContainerStarted", "ContainerCreated"})
"""Events of a replica that has a place to run."""
