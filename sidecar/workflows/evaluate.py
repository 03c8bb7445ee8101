"""Workflow *Evaluate*: the rows of a data set are asked of base and adapters, at the endpoint, and what comes of it is judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sidecar.core import evaluation_runs as kept
from sidecar.core.dataset import Case, Dataset
from sidecar.core.dataset_files import dataset_of, part_of
from sidecar.core.evaluation import Evaluation, read_evaluation
from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace, target_of
from sidecar.decisions.evaluation import Asked, Earlier, Judged, judge, told_of
from sidecar.decisions.evaluation_document import About, document, summary
from sidecar.gateway.endpoint import Endpoint, Version
from sidecar.gateway.rows import Answering
from sidecar.gateway.session import Session
from sidecar.words.errors import ConsentNeeded, EndpointError, WorkspaceError
from sidecar.words.nearest import nearest
from sidecar.words.text import Text
from sidecar.workflows.awake import LOST_SECONDS, READY_SECONDS, Seen, look, not_ready, until_ready
from sidecar.workflows.bearing import Bearing
from sidecar.workflows.context import place_of
from sidecar.workflows.diagnose import why_not_ready
from sidecar.workflows.evaluating import Way, ask_all, asked_by
from sidecar.workflows.outcome import api_key_of
from sidecar.workflows.records import now
from sidecar.workflows.restart import minutes

CONSENT = "wake-to-evaluate"

AT_ONCE = 8
"""Requests, where the server does not tell how many it computes at a time."""


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


@dataclass(frozen=True)
class Evaluated:
    """`asked`: answers that this run was given; `stored`: those that one before it, which was cut off, had stored."""

    run: str
    folder: Path
    judged: Judged
    models: tuple[str, ...]
    against: str
    rows: int
    asked: int
    stored: int
    notes: tuple[Text, ...]
    document: Text
    sentence: Text


@dataclass(frozen=True)
class _Models:
    """`hashes`: of those whose files the server tells of."""

    names: tuple[str, ...]
    against: str
    hashes: Mapping[str, str]


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
    key = api_key_of(place, seen.app)
    with Endpoint(seen.url, key) as asked:
        version = asked.version()
        served = asked.models()
    models = _chosen(wish, stated, version, served)
    way = Way(
        version.running if version is not None and version.running else AT_ONCE,
        stated.max_tokens,
        stated.temperature,
        stated.seed,
    )
    run = kept.begun(workspace, _key(rows, models, way), _head(rows, models, way, place.name), anew=wish.anew)
    before = before or _last(workspace, run)
    every = [(case, name) for case in rows.cases for name in models.names if case.model in (None, name)]
    with kept.Store(run) as store:
        found = kept.answers_of(run)
        todo = [(case, name) for case, name in every if (case.id, name) not in found]
        stored = len(every) - len(todo)
        if stored:
            journal.log(Text("Going on with {run}: {count} answers are stored already.", run=run.name, count=stored))
        journal.log(
            Text(
                "Evaluating {rows} rows with {models}: {count} requests, {at_once} at a time.",
                rows=len(rows.cases),
                models=", ".join(models.names),
                count=len(todo),
                at_once=way.at_once,
            )
        )
        with Answering(seen.url, key, way.at_once) as answering:
            ask_all(todo, asked_by(answering, way), store.put, journal, way.at_once, done_before=stored)
    done = _Done(workspace, run, rows, models, way, place.name, before)
    return done.judged(stated, len(todo), stored, journal)


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


def _chosen(wish: Wish, stated: Evaluation, version: Version | None, served: Sequence[str]) -> _Models:
    """Base first, then adapters, or those that were named; the one that they are compared with is among them."""
    if not served:
        raise EndpointError(
            Text("The endpoint serves no model."),
            Text("AI Toolkit: Why is it not ready? tells more."),
            code="NoModel",
        )
    base = version.base if version is not None and version.base is not None else served[0]
    every = (base, *(each for each in served if each != base))
    against = wish.against or stated.against or base
    names = wish.models or stated.models or every
    names = tuple(dict.fromkeys((against, *names)))
    for name in names:
        if name not in every:
            near = nearest(name, every)
            raise WorkspaceError(
                Text("The endpoint does not serve {model}.", model=name),
                Text("Did you mean {name}? It serves: {names}", name=near, names=", ".join(every))
                if near is not None
                else Text("It serves: {names}", names=", ".join(every)),
                code="NoSuchModel",
            )
    hashes: Mapping[str, str] = {} if version is None else version.hashes
    return _Models(names, against, {name: hashes[name] for name in names if name in hashes})


def _key(rows: Dataset, models: _Models, way: Way) -> str:
    """By what two runs are the same: a run that was cut off is gone on with while nothing of this is another."""
    named = [[each, models.hashes.get(each)] for each in sorted(models.names)]
    of = [rows.digest, named, way.max_tokens, way.temperature, way.seed]
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()


def _head(rows: Dataset, models: _Models, way: Way, app: str) -> dict[str, Any]:
    return {
        "digest": rows.digest,
        "files": list(rows.files),
        "models": {each: models.hashes.get(each) for each in models.names},
        "maxTokens": way.max_tokens,
        "temperature": way.temperature,
        "seed": way.seed,
        "app": app,
        "at": now(),
    }


def _last(workspace: Workspace, run: kept.Run) -> kept.Run | None:
    """The newest finished run over the same rows."""
    others = (each for each in kept.runs(workspace) if each.name != run.name)
    return next((each for each in others if each.finished and each.dataset == run.dataset), None)


@dataclass(frozen=True)
class _Done:
    workspace: Workspace
    run: kept.Run
    rows: Dataset
    models: _Models
    way: Way
    app: str
    before: kept.Run | None

    def judged(self, stated: Evaluation, asked: int, stored: int, journal: Journal) -> Evaluated:
        journal.progress(Text("Judging the answers…"))
        answers = kept.answers_of(self.run)
        earlier = None if self.before is None else Earlier(self.before.name, kept.answers_of(self.before))
        found = judge(
            Asked(
                self.rows.cases,
                answers,
                self.models.names,
                self.models.against,
                stated.measure,
                stated.seed,
                earlier,
            ),
            stated.thresholds,
        )
        notes = (*self.rows.notes, *_notes(found))
        about = About(self.run.name, now(), self.app, self.rows.files, self.models.hashes, self.way.at_once, notes)
        page = document(found, self.models.names, about)
        sentence = summary(found)
        kept.finish(self.run, str(page), self._report(found))
        journal.log(sentence)
        return Evaluated(
            run=self.run.name,
            folder=self.run.folder,
            judged=found,
            models=self.models.names,
            against=self.models.against,
            rows=len(self.rows.cases),
            asked=asked,
            stored=stored,
            notes=notes,
            document=page,
            sentence=sentence,
        )

    def _report(self, found: Judged) -> dict[str, Any]:
        """As programs read it, every row in it."""
        return {
            **self.run.head,
            "run": self.run.name,
            "against": self.models.against,
            "measure": found.measure,
            "figures": found.figures,
            "refused": found.refused,
            "verdicts": [{**asdict(each), "sentence": str(told_of(each))} for each in found.comparisons],
            "thresholds": [{"met": each.met, "sentence": str(each.sentence)} for each in found.outcomes],
            "rows": [
                {
                    "id": each.case.id,
                    "place": each.case.place,
                    "asked": _asked(each.case),
                    "expected": each.case.expected,
                    "answers": {
                        name: {**asdict(answer), "scores": each.scores[name]} for name, answer in each.answers.items()
                    },
                }
                for each in found.lines
            ],
        }


def _asked(case: Case) -> object:
    return [{"role": who, "content": what} for who, what in case.messages] if case.messages else case.prompt


def _notes(found: Judged) -> list[Text]:
    notes = [
        Text("{model} refused {count} requests: they count as wrong answers.", model=model, count=count)
        for model, count in found.refused.items()
        if count
    ]
    if found.measure is None:
        notes.append(Text("No row says what a good answer is (expected, equals, contains, regex, schema)."))
    cut = [model for model, each in found.figures.items() if each.get("finished", 1.0) < 1.0]
    if cut:
        notes.append(
            Text(
                "Some answers of {models} were cut off by max_tokens: they may be judged too low.",
                models=", ".join(cut),
            )
        )
    return notes
