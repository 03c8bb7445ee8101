"""Workflow *Evaluate*: the rows of a data set are asked of base and adapters, at the endpoint, and what comes of it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.core import evaluation_runs as kept
from sidecar.core.dataset_files import dataset_of, part_of
from sidecar.core.evaluation import read_evaluation
from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.gateway.session import Session
from sidecar.words.errors import ConsentNeeded, EndpointError
from sidecar.words.text import Text
from sidecar.workflows.awake import LOST_SECONDS, READY_SECONDS, Seen, look, not_ready, until_ready
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.context import place_of
from sidecar.workflows.diagnose import why_not_ready
from sidecar.workflows.judging import At, Compared, Evaluated, asked_and_judged
from sidecar.workflows.outcome import api_key_of
from sidecar.workflows.restart import minutes

CONSENT = "wake-to-evaluate"


@dataclass(frozen=True)
class Wish:
    """What the person has said; what they have not is as `infra/evaluation.json` has it. `run`: an earlier one to compare with;
    None: the last over the same rows. `most`: rows; `only`: those of these ids. `anew`: also where a run was cut off."""

    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    against: str | None = None
    run: str | None = None
    most: int | None = None
    only: tuple[str, ...] = ()
    anew: bool = False


def evaluate(
    workspace: Workspace, session: Session, wish: Wish, journal: Journal, consents: tuple[str, ...] = ()
) -> Evaluated:
    """Raises ConsentNeeded before an app that sleeps is woken. What cuts it off is gone on with by the same command."""
    stated = read_evaluation(workspace)
    rows = part_of(dataset_of(workspace, wish.datasets or stated.files), wish.most, wish.only)
    before = None if wish.run is None else kept.earlier(workspace, wish.run)
    place, endpoint = place_of(session, target_of(workspace)), target_of(workspace).endpoint
    journal.progress(Text("Looking at {app}…", app=place.name))
    seen = _awake(workspace, session, look(place, endpoint), journal, consents)
    at = At(seen.url, api_key_of(place, seen.app), place.name)
    compared = Compared(rows, wish.models, wish.against, before, anew=wish.anew)
    return asked_and_judged(workspace, at, stated, compared, journal)


def _awake(workspace: Workspace, session: Session, seen: Seen, journal: Journal, consents: tuple[str, ...]) -> Seen:
    name = seen.app.name
    if seen.app.stopped:
        raise EndpointError(
            Text("{app} is stopped: it can't be evaluated.", app=name),
            Text("Start it first: AI Toolkit: Start inference app."),
            code="AppStopped",
        )
    if seen.ready:
        return seen
    if not seen.running and CONSENT not in consents:
        raise ConsentNeeded(
            CONSENT,
            Text(
                "{app} is asleep. The evaluation wakes it: its GPU is billed until {seconds} s after the last answer.",
                app=name,
                seconds=seen.app.cooldown,
            ),
            Text("Loading the model takes minutes; nothing is asked before."),
        )
    target = target_of(workspace)
    bearing = Bearing(journal, LOST_SECONDS)
    woken = until_ready(place_of(session, target), target.endpoint, bearing, journal, seen=seen, seconds=READY_SECONDS)
    if woken is None or not woken.ready:
        found = why_not_ready(workspace, session)
        text = Text(
            "{app} did not get ready within {minutes} minutes. {cause}",
            app=name,
            minutes=minutes(READY_SECONDS),
            cause=found.sentence,
        )
        raise not_ready(text, found)
    return woken
