"""What the supervisor's words on an exchange mean: a phase to show, a failure with its cause, one of ours that goes on. Pure."""

from __future__ import annotations

from sidecar.decisions.diagnosis import TOLD_LINES, phase_text
from sidecar.decisions.reasons import Reason, in_log, in_words
from sidecar.gateway.exchange import Exchange
from sidecar.gateway.log_lines import ConsoleLine
from sidecar.words.errors import EndpointError
from sidecar.words.names import ExchangeForm, is_phase
from sidecar.words.text import Text

OWN = {
    "draining": "The old server finishes what it has; requests wait…",
    "checking-answers": "Checking what the new server answers…",
    "starting-again": "The release before starts again…",
}
"""The supervisor's own phases, beside the servers'."""


ENDED = "it ended with exit code"
"""How the supervisor's reason begins where the server gave none."""


class Failed(EndpointError):
    """The supervisor has given it up: the server that ran before goes on, or has been started again."""


def of_ours(seen: Exchange, release: str, generation: int, form: ExchangeForm) -> bool:
    """Whether what is under way there is just this exchange, begun by a run that was cut off."""
    return seen.under_way and (seen.release, seen.generation, seen.form) == (release, str(generation), form)


def told(seen: Exchange) -> Text:
    if seen.phase in OWN:
        return Text(OWN[seen.phase])
    if not is_phase(seen.phase):
        return (
            Text("The new server takes over…")
            if seen.state == "exchanging"
            else Text("Starting the release in the container…")
        )
    return phase_text(seen.phase, None if seen.progress is None else round(100 * seen.progress))


DISCARDED = "it was discarded"
"""The container's words where another order took the place of this one; who cancels does not ask any more."""


UNTOLD = "nobody told it to take over"
"""How its reason begins where a release was ready, and whoever deploys it was away."""


def failed(seen: Exchange, release: str) -> EndpointError:
    """One sentence with the server's own reason; the end of its log beside it."""
    detail = "\n".join(seen.log[-TOLD_LINES:]) or None
    if seen.state == "idle":
        return EndpointError(
            Text("The container ended while release {digest} was being exchanged.", digest=release[:12]),
            Text("The end of its log says why."),
            code="ContainerCrashed",
            detail=detail,
        )
    if seen.reason == DISCARDED:
        return Failed(
            Text(
                "Release {digest} was not tried to its end: somebody else has deployed meanwhile.", digest=release[:12]
            ),
            Text("Run Deploy again if yours is the code that should run."),
            code="DeployedMeanwhile",
        )
    if (seen.reason or "").startswith(UNTOLD):
        return Failed(
            Text(
                "Release {digest} was ready, and heard nothing of this Deploy for too long: the container has ended it.",
                digest=release[:12],
            ),
            Text("Run Deploy again: it goes on from there."),
            code="NotTakenOver",
        )
    cause = _cause(seen)
    words = [seen.reason or "", cause.words if cause is not None and cause.words not in (seen.reason or "") else ""]
    said = " ".join(": ".join(each for each in words if each).split()).rstrip(".") or "?"
    unknown = "ContainerCrashed" if (seen.reason or "").startswith(ENDED) else "ModelLoadFailed"
    return Failed(
        Text("Release {digest} did not come into service: {reason}.", digest=release[:12], reason=said),
        Text("Look at the log, correct the cause and run Deploy again.") if cause is None else cause.advice,
        code=unknown if cause is None or cause.code == "CodeError" else cause.code,
        detail=detail,
    )


def _cause(seen: Exchange) -> Reason | None:
    lines = [ConsoleLine("", line) for line in seen.log]
    return in_words(seen.reason or "") or (in_log(lines) if lines else None)
