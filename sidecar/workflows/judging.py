"""Rows of a data set asked of the models at one address, and judged: the endpoint that serves, or a release that is to."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sidecar.core import evaluation_runs as kept
from sidecar.core.dataset import Case, Dataset
from sidecar.core.evaluation import Evaluation
from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace
from sidecar.decisions.evaluation import Asked, Earlier, Judged, judge, told_of
from sidecar.decisions.evaluation_document import About, document, summary
from sidecar.decisions.measures import Scored, scored
from sidecar.gateway.endpoint import Endpoint, Version
from sidecar.gateway.rows import Answering
from sidecar.words.errors import EndpointError, WorkspaceError
from sidecar.words.nearest import nearest
from sidecar.words.text import Text
from sidecar.workflows.evaluating import TELL_SECONDS, Way, ask_all, asked_by
from sidecar.workflows.records import now
from sidecar.workflows.weighing import Weigher

LOOKS, LOOK_SECONDS = 5, 0.5
"""At a release that is to be judged, until one is answered."""

PASSING = ("EndpointUnreachable", "Endpoint502", "Endpoint503", "Endpoint504")
"""Codes of an answer that is lost on its way, or not to be had just now."""

UNJUDGED_SHOWN = 5
"""Sentences on answers that could not be judged; the others are in the report for programs."""

AT_ONCE = 8
"""Requests, where the server does not tell how many it computes at a time."""


@dataclass(frozen=True)
class At:
    """`release`: which one a gate judges; None: whatever serves. `beside_callers`: others are answered by the same machine, so
    that half of it is theirs."""

    url: str
    key: str | None
    app: str
    release: str | None = None
    beside_callers: bool = False
    look: Callable[[int], None] | None = None
    """Called again and again while no answer comes, with how many have."""


@dataclass(frozen=True)
class Compared:
    """Whose rows are asked, and with what they are compared. `models` empty: base and adapters. `before`: None: the last run
    over the same rows. `anew`: also where a run was cut off. `passed`: by the answers of a gate that has let this release pass,
    where there are any: what it was a part of was cut off."""

    rows: Dataset
    models: tuple[str, ...] = ()
    against: str | None = None
    before: kept.Run | None = None
    anew: bool = False
    passed: bool = False


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


def asked_and_judged(
    workspace: Workspace, at: At, stated: Evaluation, compared: Compared, journal: Journal
) -> Evaluated:
    """What cuts it off is gone on with by the same again."""
    rows = compared.rows
    version, served = _looked(at, journal)
    models = _chosen(compared, stated, version, served)
    if at.release is not None:
        _refuse_base_alone(version, models, stated)
    computes = version.running if version is not None and version.running else AT_ONCE
    at_once = max(1, computes // 2) if at.beside_callers else computes
    way = Way(at_once, stated.max_tokens, stated.temperature, stated.seed)
    key = _key(rows, models, way, at.app, None if version is None else version.release)
    known = set(models.names) <= set(models.hashes)  # else another file under the same name would not be seen
    passed = compared.passed and known
    run = kept.begun(workspace, key, _head(rows, models, way, at), anew=compared.anew, passed=passed)
    before = compared.before or kept.last_over(workspace, rows.digest, but=run.name)
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
        with Answering(at.url, at.key, way.at_once) as answering:
            ask_all(todo, asked_by(answering, way), store.put, journal, way.at_once, done_before=stored, look=at.look)
    done = _Done(workspace, run, rows, models, way, at, before)
    return done.judged(stated, len(todo), stored, journal)


def _looked(at: At, journal: Journal) -> tuple[Version | None, Sequence[str]]:
    """Who answers, and with which models. A look that is lost says nothing; of a release that is to be judged it is looked
    again."""
    again = 0 if at.release is None else LOOKS - 1
    with Endpoint(at.url, at.key) as asked:
        version = asked.version()
        for _ in range(again):
            if version is not None:
                break
            journal.wait(LOOK_SECONDS)
            version = asked.version()
        if at.release is not None and version is None:
            asked.models()  # says why nothing is to be had, where it is that
        if at.release is not None and (version is None or version.release != at.release):
            raise EndpointError(
                Text("{url} does not say that it is the release that is to be judged.", url=at.url),
                Text("Look at its status, then run Deploy again."),
                code="OtherReleaseServes",
            )
        for _ in range(again):
            try:
                return version, asked.models()
            except EndpointError as error:
                if error.code not in PASSING:
                    raise
            journal.wait(LOOK_SECONDS)
        return version, asked.models()


def _chosen(wish: Compared, stated: Evaluation, version: Version | None, served: Sequence[str]) -> _Models:
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


def _refuse_base_alone(version: Version | None, models: _Models, stated: Evaluation) -> None:
    """A threshold that names no model is about what was fine-tuned: where the server refuses all of that, the base's answers
    would stand for it."""
    refused = () if version is None else version.refused or ()
    if refused and len(models.names) == 1 and any(each.model is None for each in stated.thresholds):
        raise EndpointError(
            Text(
                "The server refuses every adapter ({names}), and the thresholds name no model.",
                names=", ".join(each.name for each in refused),
            ),
            Text("{reason}", reason=refused[0].reason),
            code="NoAdapter",
        )


def _key(rows: Dataset, models: _Models, way: Way, app: str, release: str | None) -> str:
    """By what two runs are the same: a run that was cut off is gone on with while nothing of this is another. `release`: that
    answers, where the server tells it: other code may answer otherwise."""
    named = [[each, models.hashes.get(each)] for each in sorted(models.names)]
    of: list[object] = [rows.digest, named, way.max_tokens, way.temperature, way.seed, app, release]
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()


def _head(rows: Dataset, models: _Models, way: Way, at: At) -> dict[str, Any]:
    said: dict[str, Any] = {
        "digest": rows.digest,
        "files": list(rows.files),
        "models": {each: models.hashes.get(each) for each in models.names},
        "maxTokens": way.max_tokens,
        "temperature": way.temperature,
        "seed": way.seed,
        "app": at.app,
        "at": now(),
    }
    return said if at.release is None else {**said, "gate": at.release}


@dataclass(frozen=True)
class _Done:
    workspace: Workspace
    run: kept.Run
    rows: Dataset
    models: _Models
    way: Way
    at: At
    before: kept.Run | None

    def judged(self, stated: Evaluation, asked: int, stored: int, journal: Journal) -> Evaluated:
        answers = kept.answers_of(self.run)
        then = {} if self.before is None else kept.answers_of(self.before)
        known, former = self._scored(journal, answers, then)
        found = judge(
            Asked(
                self.rows.cases,
                answers,
                known,
                self.models.names,
                self.models.against,
                stated.measure,
                stated.seed,
                None if self.before is None else Earlier(self.before.name, former),
                journal.check,
            ),
            stated.thresholds,
        )
        notes = (*self.rows.notes, *_notes(found), *_of_gate(self.at))
        about = About(self.run.name, now(), self.at.app, self.rows.files, self.models.hashes, self.way.at_once, notes)
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

    def _scored(self, journal: Journal, *runs: kept.Answers) -> list[dict[tuple[str, str], Scored]]:
        """Of each run what its answers to these rows are worth."""
        keys = [(case, (case.id, model)) for case in self.rows.cases for model in self.models.names]
        every = [(at, case, key) for at, answers in enumerate(runs) for case, key in keys if key in answers]
        found: list[dict[tuple[str, str], Scored]] = [{} for _ in runs]
        told = 0.0
        with Weigher(journal.check) as weigher:
            for done, (at, case, key) in enumerate(every):
                if time.monotonic() - told > TELL_SECONDS:
                    told = time.monotonic()
                    journal.progress(Text("Judging: {done} of {all} answers…", done=done, all=len(every)))
                answer = runs[at][key]
                found[at][key] = scored(case, answer, weigher.weigh(case, answer))
        return found

    def _report(self, found: Judged) -> dict[str, Any]:
        """As programs read it, every row in it."""
        return {
            **self.run.head,
            "run": self.run.name,
            "against": self.models.against,
            "met": found.met,
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
                        name: {
                            **asdict(answer),
                            "scores": each.scores[name],
                            "unjudged": {measure: str(why) for measure, why in each.unjudged.get(name, {}).items()},
                        }
                        for name, answer in each.answers.items()
                    },
                }
                for each in found.lines
            ],
        }


def _asked(case: Case) -> object:
    return [{"role": who, "content": what} for who, what in case.messages] if case.messages else case.prompt


def _of_gate(at: At) -> list[Text]:
    if at.release is None:
        return []
    asked = Text("Asked by the gate of a deploy: release {digest}.", digest=at.release[:12])
    return [asked, Text("Callers were answered meanwhile: alone it is faster.")] if at.beside_callers else [asked]


def _unjudged(found: Judged) -> list[Text]:
    """What counts neither as right nor as wrong, with the rows."""
    every = [
        Text("{place}, {model}: {why}", place=each.case.place, model=model, why=why)
        for each in found.lines
        for model, measures in each.unjudged.items()
        for why in dict.fromkeys(measures.values())
    ]
    if not every:
        return []
    count = Text(
        "Answers that could not be judged, and count neither as right nor as wrong: {count}.", count=len(every)
    )
    return [count, *every[:UNJUDGED_SHOWN]]


def _notes(found: Judged) -> list[Text]:
    notes = [
        Text("{model} refused {count} requests: they count as wrong answers.", model=model, count=count)
        for model, count in found.refused.items()
        if count
    ]
    notes += _unjudged(found)
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
