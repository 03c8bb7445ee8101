"""Workflow *Preview*: what a Deploy would upload and restart, and for how long nothing would answer. It changes nothing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sidecar.core.codecheck import check
from sidecar.core.codefiles import LeftOut
from sidecar.core.journal import Journal
from sidecar.core.scaffold import WORKSPACE, code_of, shipped_packages
from sidecar.core.sync import Changes, manifest_of, pack
from sidecar.core.workspace import Workspace
from sidecar.decisions.model_check import model_checks
from sidecar.decisions.models_on_share import is_our_server
from sidecar.decisions.restart import Way
from sidecar.decisions.strategy import refusal, when_judged
from sidecar.gateway.files import open_share
from sidecar.gateway.session import Session
from sidecar.words.names import ExchangeForm, Strategy, StrategyWish
from sidecar.words.problems import Problem
from sidecar.words.text import Text
from sidecar.workflows.beforehand import difference, facts_for, start_command
from sidecar.workflows.gate import gate_of, gate_told
from sidecar.workflows.model_files import models_on
from sidecar.workflows.packages import at_hand, wanted
from sidecar.workflows.placing import kind_of_app
from sidecar.workflows.records import read_record
from sidecar.workflows.restart import expected_downtime
from sidecar.workflows.stage import Stage, aim_of, known_from, look
from sidecar.workflows.strategies import New, Weighed, compared, is_equipped, weigh
from sidecar.workflows.watch import replicas_of

NOT_FETCHED = Text(
    "The code's packages are not on this machine: a deploy fetches them, and names another release than this."
)


@dataclass(frozen=True)
class Preview:
    """`changes` None: what lies in the current release is unknown. `way`: of a restart. `downtime`: seconds for which requests
    wait or fail, 0 where nothing answers now or the old one stays until the new one is ready, None where it can't be told;
    `sentence` says it."""

    release: str
    current: str
    size: int
    files: int
    uploads: bool
    changes: Changes | None
    added: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    problems: tuple[Problem, ...]
    strategy: Strategy
    form: ExchangeForm | None
    way: Way | None
    downtime: float | None
    sentence: Text
    bases: tuple[str, ...]
    adapters: tuple[str, ...]
    notes: tuple[Text, ...]


def preview(
    workspace: Workspace, session: Session, journal: Journal, code: str = WORKSPACE, wish: StrategyWish = "auto"
) -> Preview:
    tree = code_of(workspace, code)
    stage = look(workspace, session, journal, None)
    gate = gate_of(workspace, plain=stage.where.plain)
    notes: list[Text] = [each for each in (gate_told(workspace, gate),) if each is not None]
    problems = check(tree, start_command(stage.app), shipped_packages())
    with (
        tempfile.TemporaryDirectory(prefix="slipway-") as folder,
        open_share(stage.place.around, stage.where.share.account, stage.where.share.share) as share,
    ):
        if not is_our_server(tree):
            models = models_on(share, stage.where.folder)
        else:
            kind = kind_of_app(stage.place, stage.app)
            facts = facts_for(share, stage.where.folder, stage.app, kind)
            models = facts.models
            doubts = [each for each in model_checks(facts, needed=True) if each.verdict in ("FAIL", "WARN")]
            notes += [each.sentence for each in doubts]
        if stage.where.plain:
            notes.append(Text("The code is synced as a plain tree, file by file: there is no release to compare with."))
            digest, size, files, current, found = "", tree.size, len(manifest_of(tree)), "", None
            weighed = weigh(stage, New(None, lambda _: "unknown"), "restart", journal)
        else:
            needed = wanted(tree, stage.app, session, journal)
            release = pack(tree, Path(folder, "bundle.tar"), at_hand(needed, session))
            if needed is not None and release.packages is None:
                notes.append(NOT_FETCHED)
            record = read_record(share, stage.home, journal)
            digest, size, files = release.digest, release.size, len(release.manifest)
            current = "" if record.current is None else record.current.release
            found = difference(release, share, record)
            stage = known_from(stage, share, record)
            compare = partial(compared, share, stage.home, release.digest, release)
            weighed = weigh(
                stage, New(release.manifest, compare, is_equipped(release), gated=gate is not None), wish, journal
            )
    if stage.app.stopped:
        notes.append(Text("{app} is stopped: a deploy starts it, and a GPU is awake from then on.", app=stage.app.name))
    refused = refusal(wish, weighed.facts, weighed.choice)
    if refused is not None:
        notes.append(refused)
    if gate is not None:
        notes.append(when_judged(weighed.choice))
    choice, way = weighed.choice, None
    downtime, sentence = choice.downtime, choice.sentence
    if choice.strategy == "restart" and weighed.plan is not None:
        way = weighed.plan.way
        downtime, sentence = _downtime(stage, weighed, journal)
    return Preview(
        release=digest,
        current=current,
        size=size,
        files=files,
        uploads=found is None or found.uploads,
        changes=None if found is None else found.changes,
        added=() if found is None else found.added,
        left_out=tree.left_out,
        problems=tuple(problems),
        strategy=choice.strategy,
        form=choice.form,
        way=way,
        downtime=downtime,
        sentence=sentence,
        bases=models.bases,
        adapters=models.adapters,
        notes=tuple(notes),
    )


def _downtime(stage: Stage, weighed: Weighed, journal: Journal) -> tuple[float | None, Text]:
    """Of a restart: as long as the last start took, where the old replica ends first."""
    choice = weighed.choice
    if choice.downtime is not None:
        return choice.downtime, choice.sentence
    running = replicas_of(stage.place, stage.revision.name)
    seconds = expected_downtime(aim_of(stage, stage.app, stage.revision, None), running, journal)
    if seconds is None:
        return None, choice.sentence
    told = {"seconds": round(seconds)}
    return seconds, Text(
        "The running replica ends before the new one starts: about {seconds} s without an answer.", **told
    )
