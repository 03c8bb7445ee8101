"""Why a release does not answer yet: from states, events and log lines to one named cause, or to what is under way. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.decisions.reasons import in_log, in_words
from sidecar.decisions.signs import (
    Termination,
    failing_probe,
    failure,
    last,
    server_sign,
    since_last_start,
    terminations,
    waiting_reason,
    was_ready,
)
from sidecar.gateway.log_lines import ConsoleLine, SystemEvent
from sidecar.gateway.revisions import Container, Replica, Revision
from sidecar.words.names import Phase
from sidecar.words.text import Text

NO_INTACT_RELEASE = "NoIntactRelease"

BY_ANOTHER_RELEASE = frozenset(
    {
        "ModelLoadFailed", "ContainerCrashed", "OutOfMemory", "ProbeFailed", "PortMismatch", "NotReady", "OtherReleaseServes",
        NO_INTACT_RELEASE, "NoBaseModel", "DiskFull", "GpuOutOfMemory", "GpuUnusable", "PackagesFailed",
        "ServerFailed", "GateMissed", "GateUnverified",
    }
)  # fmt: skip
"""Causes that the release itself may be: the one before may work. An image, a mount or a GPU is missing for any release."""


ENDING = BY_ANOTHER_RELEASE - {"PortMismatch", "NotReady", "OtherReleaseServes", "GateMissed", "GateUnverified"}
"""Causes after which the container is started again by Azure: then it takes the release that is current."""


def by_another_release(code: str) -> bool:
    """Whether the release before may work where this one does not. A model that is asked and answers with 5xx, or not at all, is
    one of those."""
    return code in BY_ANOTHER_RELEASE or code.startswith("Endpoint5") or code == "EndpointUnreachable"


TOLD_LINES = 20
"""Of the container's log, with a failure."""

NO_GPU_SECONDS = 180
"""A replica that is assigned for so long and pulls nothing probably waits for a GPU."""

KILL_SECONDS = 60
"""A process that is stopped or probed to death and does not listen is killed within this, and then has exit code 137 too."""

PHASES: dict[Phase, str] = {
    "waiting-for-first-deploy": "The replica waits for its first release…",
    "dependencies": "Installing dependencies…",
    "checking": "Checking the model's files…",
    "fetching-base": "Fetching the base model from the hub, once{percent}…",
    "loading-base": "Loading the base model{percent}…",
    "loading-adapters": "Loading the adapters…",
    "warming-up": "Warming up…",
    "ready": "The model answers.",
    "failed": "The model could not be loaded.",
}
"""What each phase of the server is called in progress messages."""


@dataclass(frozen=True)
class Seen:
    """What was read at one moment. `fresh`: the replicas that matter, in Deploy those that did not run before.

    `unhealthy_before`: the revision was Unhealthy before anything was done: then its health tells nothing new."""

    fresh: tuple[Replica, ...]
    revision: Revision | None = None
    old: int = 0
    events: Sequence[SystemEvent] = ()
    console: Mapping[str, Sequence[ConsoleLine]] = field(default_factory=dict[str, Sequence[ConsoleLine]])
    waited: float = 0.0
    unhealthy_before: bool = False


@dataclass(frozen=True)
class Cause:
    """Why it can't become ready as it is. `at_once`: nothing that Azure repeats by itself could mend it."""

    code: str
    sentence: Text
    advice: Text
    detail: str | None = None
    at_once: bool = False
    certain: bool = True
    """Not a guess: something that was read says it."""
    phase: Phase | None = None
    """`failed` where the server itself says so."""


@dataclass(frozen=True)
class Working:
    """What is under way. `warning`: what a person should know meanwhile."""

    text: Text
    phase: Phase | None = None
    percent: int | None = None
    warning: Text | None = None


def diagnose(seen: Seen) -> Cause | Working:
    for replica in seen.fresh:
        cause = _cause_of(replica, seen)
        if cause is not None:
            return cause
    return _revision_cause(seen) or _working(seen)


def killed_by_its_probe(seen: Seen) -> Cause | None:
    """The probe's last kill of a replica that is not ready, though it may have been started again since."""
    for replica in seen.fresh:
        if not replica.ready:
            lines = seen.console.get(replica.name, ())
            events = [event for event in seen.events if event.replica == replica.name]
            ended = terminations(events)
            cause = _ending(replica, ended, lines, log_tail(lines, events)) if ended else None
            if cause is not None and cause.code == "ProbeFailed":
                return cause
    return None


def log_tail(lines: Sequence[ConsoleLine], events: Sequence[SystemEvent] = ()) -> str | None:
    """The end of the container's log; the platform's last events where it never wrote any."""
    if lines:
        return "\n".join(line.text for line in lines[-TOLD_LINES:])
    return "\n".join(f"{event.reason}: {event.message}" for event in events[-TOLD_LINES:]) or None


def _cause_of(replica: Replica, seen: Seen) -> Cause | None:
    lines = seen.console.get(replica.name, ())
    events = [event for event in seen.events if event.replica == replica.name]
    waiting = [waiting_reason(each.details) for each in replica.containers if not each.started]
    given_up = server_sign(lines).failed or (failure(lines) if "CrashLoopBackOff" in waiting else None)
    if given_up is not None and given_up.startswith("no release on the share is intact"):
        return Cause(
            NO_INTACT_RELEASE,
            Text("No release on the share is intact: the container has nothing to start."),
            Text("Run Deploy again: it replaces what is damaged."),
            log_tail(lines),
            at_once=True,
        )
    if given_up is not None:
        known = in_words(given_up)
        served = was_ready(lines)
        unknown = "ServerFailed" if served else "ModelLoadFailed"
        return Cause(
            unknown if known is None else known.code,
            Text("The server has failed: {detail}", detail=given_up)
            if served
            else Text("The model could not be loaded: {detail}", detail=given_up),
            Text("Correct the cause and run Deploy again.") if known is None else known.advice,
            log_tail(lines),
            at_once=True,
            phase="failed",
        )
    if replica.ready:
        return None
    recent = since_last_start(events)
    ended = terminations(recent) or (terminations(events) if "CrashLoopBackOff" in waiting else [])
    detail = log_tail(lines, events)
    if ended and (cause := _ending(replica, ended, lines, detail)) is not None:
        return cause
    if any(each in ("ImagePullBackOff", "ErrImagePull") for each in waiting) or last(recent, "ImagePullUnauthorized"):
        return _pull(replica, detail)
    if "CrashLoopBackOff" in waiting:
        return _crash(replica, None, lines, detail)
    if mismatch := last(recent, "Pending:PortMismatch"):
        return _port(mismatch.message, detail)
    return None


def _ending(
    replica: Replica, ended: list[Termination], lines: Sequence[ConsoleLine], detail: str | None
) -> Cause | None:
    """What the last end of the container means."""
    final = ended[-1]
    ordered = next(
        (
            each.reason
            for each in reversed(ended[:-1])
            if each.reason in ("ProbeFailure", "ManuallyStopped") and final.at - each.at <= KILL_SECONDS
        ),
        None,
    )
    reason = ordered if final.reason == "ProcessExited" and final.code == 137 and ordered else final.reason
    if reason == "ManuallyStopped":
        return None
    if reason == "ProbeFailure":
        return Cause(
            "ProbeFailed",
            Text("The container of {name} did not answer its probe in time and was stopped.", name=replica.name),
            Text("Look at its log: the server does not listen, or listens on another port than its probes ask."),
            detail,
        )
    if reason == "ImagePullFailure":
        return _pull(replica, detail, final.text)
    if reason == "VolumeMountFailure":
        return Cause(
            "MountFailed",
            Text(
                "The file share can't be mounted: {reason}",
                reason=_first_line(final.text) or Text("Azure names no reason"),
            ),
            Text(
                "Several causes read alike: the storage account's key was changed, its shared-key access is off, the share is "
                "gone, a network rule keeps the environment out, or it is mounted against its access mode. Put it right and run "
                "Provision again; if the key was renewed and it still fails, state another acaEnvironmentStorageName."
            ),
            detail,
        )
    if reason == "ContainerCreateFailure":
        return Cause(
            "StartCommandMissing",
            Text(
                "The container can't be started: {reason}",
                reason=_first_line(final.text) or Text("Azure names no reason"),
            ),
            Text(
                "The image does not hold the program that the start command names: correct the command, or the image."
            ),
            detail,
        )
    if final.code == 137:
        return Cause(
            "OutOfMemory",
            Text(
                "The container of {name} was killed, most likely for lack of memory (exit code 137).", name=replica.name
            ),
            Text("Give the app more memory, or serve a smaller model or fewer adapters."),
            detail,
        )
    return _crash(replica, final.code, lines, detail)


def _crash(replica: Replica, code: int | None, lines: Sequence[ConsoleLine], detail: str | None) -> Cause:
    known = in_log(lines)
    if known is None:
        return Cause(
            "ContainerCrashed",
            Text("The container of {name} has ended.", name=replica.name)
            if code is None
            else Text("The container of {name} has ended with exit code {code}.", name=replica.name, code=code),
            Text("The end of its log says why: a start command fails, or a dependency is missing."),
            detail,
        )
    facts = {"name": replica.name, "code": code, "reason": known.words}
    return Cause(
        "ContainerCrashed" if known.code == "CodeError" else known.code,
        Text("The container of {name} has ended: {reason}.", **facts)
        if code is None
        else Text("The container of {name} has ended with exit code {code}: {reason}.", **facts),
        known.advice,
        detail,
    )


def _pull(replica: Replica, detail: str | None, said: str = "") -> Cause:
    return Cause(
        "ImagePullFailed",
        Text(
            "The image of {name} can't be pulled: {reason}",
            name=replica.name,
            reason=_first_line(said) or Text("access denied"),
        ),
        Text(
            "Check that the image exists, and that the app may pull it: the registry's credential, firewall, private endpoint."
        ),
        detail,
    )


def _port(sentence: str, detail: str | None) -> Cause:
    return Cause(
        "PortMismatch",
        Text("{sentence}", sentence=sentence),
        Text("Let the server listen on the app's target port, or change the port of the app's ingress."),
        detail,
    )


def _revision_cause(seen: Seen) -> Cause | None:
    """From what is said of the revision as a whole, where that is news and nothing of it works."""
    revision = seen.revision
    if revision is None or any(each.ready for each in seen.fresh) or not seen.fresh:
        return None
    tail = next((log_tail(lines) for lines in seen.console.values() if lines), None)
    detail = tail or log_tail((), list(seen.events)) or revision.details or None
    if (at := revision.details.find("The TargetPort ")) >= 0 and not seen.unhealthy_before:
        return _port(revision.details[at:], detail)
    if seen.unhealthy_before or revision.health != "Unhealthy":
        return None
    if "ImagePullBackOff" in revision.details:
        return _pull(seen.fresh[0], detail)
    if "Container crashing" in revision.details:
        return _crash(seen.fresh[0], None, next((each for each in seen.console.values() if each), ()), detail)
    return None


def _working(seen: Seen) -> Working:
    late = seen.revision is not None and "Deadline Exceeded" in seen.revision.details
    warning = (
        Text("Azure's own deadline for a start is over; it goes on all the same, and so does this wait.")
        if late
        else None
    )
    if not seen.fresh:
        if seen.old:
            return Working(Text("Waiting for a new replica…"), warning=warning)
        return Working(Text("Waiting for a replica to be assigned…"), warning=warning or _no_gpu(seen, pulled=False))
    replica = next((each for each in seen.fresh if not each.ready), seen.fresh[0])
    if replica.ready and seen.old:
        return Working(Text("The new replica is ready; waiting for the old one to end…"), "ready", warning=warning)
    lines = seen.console.get(replica.name, ())
    sign = server_sign(lines)
    events = [event for event in seen.events if event.replica == replica.name]
    if sign.phase is not None:
        failed = None if replica.ready or sign.phase != "ready" else failing_probe(lines, events)
        return Working(
            phase_text(sign.phase, sign.percent), sign.phase, sign.percent, _unready(failed) if failed else warning
        )
    pulling, pulled = last(events, "PullingImage"), last(events, "PulledImage")
    waiting = next((waiting_reason(each.details) for each in replica.containers if not each.started), "")
    if waiting == "PullingImage" or (pulling is not None and (pulled is None or pulled.at < pulling.at)):
        return Working(Text("Pulling the image…"), warning=warning)
    if any(_runs(each) for each in replica.containers):
        return Working(Text("The container has started…"), warning=warning)
    touched = pulling is not None or pulled is not None or bool(waiting)
    return Working(
        Text("Replica {name}: {state}…", name=replica.name, state=waiting or replica.state),
        warning=warning or _no_gpu(seen, pulled=touched),
    )


def _no_gpu(seen: Seen, *, pulled: bool) -> Text | None:
    if pulled or seen.waited < NO_GPU_SECONDS:
        return None
    return Text(
        "No replica has begun to start for {minutes} minutes: perhaps Azure has no free GPU just now (a guess, it does not say).",
        minutes=int(seen.waited // 60),
    )


def _unready(failed: SystemEvent) -> Text:
    return Text(
        "The server says that it is ready, but its probe fails ({probe}): it gets no requests. "
        "Perhaps the app's port is not the one that is probed, or something that the server needs is gone.",
        probe=_first_line(failed.message),
    )


def phase_text(phase: Phase, percent: int | None) -> Text:
    shown = "" if percent is None else f" ({percent} %)"
    return Text(PHASES[phase], percent=shown)


def _runs(container: Container) -> bool:
    return container.started or container.state == "Running"


def _first_line(text: str) -> str:
    """Azure's words, on one line and of a length that can be read."""
    return " ".join(text.split())[:300]
