"""The gate of a Deploy: what `infra/evaluation.json` demands of a release before callers get it, or else it does not stay.

Nothing passes that was not measured: what can't be asked, or not be judged, is no pass."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sidecar.core import evaluation_runs as kept
from sidecar.core.dataset import Dataset
from sidecar.core.dataset_files import dataset_of
from sidecar.core.evaluation import FILE, Evaluation, Threshold, read_evaluation
from sidecar.core.journal import Journal
from sidecar.core.workspace import Workspace
from sidecar.decisions.diagnosis import Cause, diagnose
from sidecar.words.errors import Cancelled, CloudError, EndpointError, SlipwayError, WorkspaceError
from sidecar.words.text import Text
from sidecar.workflows.evaluating import BUSY, UNREACHABLE
from sidecar.workflows.judging import At, Compared, asked_and_judged
from sidecar.workflows.restart import Aim
from sidecar.workflows.watch import Watch

MISSED, UNVERIFIED = "GateMissed", "GateUnverified"

NO_ANSWER = (BUSY, UNREACHABLE)

BEFORE, BEFORE_REVISION, SERVING = "judge", "judge-revision", "judge-serving"
"""Steps of a deploy: a release is judged behind the container's door, at its own revision before that gets requests, or while it
serves."""


@dataclass(frozen=True)
class Gate:
    workspace: Workspace
    stated: Evaluation
    rows: Dataset

    @property
    def sentence(self) -> Text:
        """Said before anything is done."""
        return Text(
            "A release has to pass a gate: {thresholds} thresholds of {file}, rows to ask: {rows}.",
            thresholds=len(self.stated.thresholds),
            file=FILE,
            rows=len(self.rows.cases),
        )


NO_GATE = Text("The thresholds of infra/evaluation.json are no gate: it says so.")


def gate_of(workspace: Workspace, *, plain: bool) -> Gate | None:
    """None where the project states none. Raises WorkspaceError for one that could not be passed, or would have no way back:
    before anything is changed. `plain`: the app reads a tree of which no releases are kept."""
    stated = read_evaluation(workspace)
    if not stated.is_gate:
        return None
    if plain:
        raise WorkspaceError(
            Text("The app reads a plain tree: a gate has no release to go back to."),
            Text('Write "gate": false into {file}: the thresholds count in an evaluation still.', file=FILE),
            code="NoReleases",
        )
    rows = dataset_of(workspace, stated.files)
    for each in stated.thresholds:
        _refuse_without_run(workspace, rows, each)
    return Gate(workspace, stated, rows)


def gate_told(workspace: Workspace, gate: Gate | None) -> Text | None:
    """For a person who is to know it before; None where nothing is stated."""
    if gate is not None:
        return gate.sentence
    return NO_GATE if read_evaluation(workspace).thresholds else None


def _refuse_without_run(workspace: Workspace, rows: Dataset, threshold: Threshold) -> None:
    if threshold.verdict is None or threshold.against != "last":
        return
    run = kept.last_over(workspace, rows.digest)
    known = set[str]() if run is None else {str(each) for each in run.head.get("models") or ()}
    if run is None or (threshold.model is not None and threshold.model not in known):
        raise WorkspaceError(
            Text(
                "The gate compares {model} with an earlier run, and none over these rows is on this machine.",
                model=threshold.model or Text("the models"),
            ),
            Text('Evaluate the endpoint first, or write "gate": false into {file}.', file=FILE),
            code="NoEarlierRun",
        )


def _unverified(digest: str, problem: Text, cause: SlipwayError | None) -> EndpointError:
    text = Text("Release {digest} could not be judged by its gate: {problem}", digest=digest, problem=problem)
    suggestion, detail = (None, None) if cause is None else (cause.suggestion, cause.detail)
    return EndpointError(text, suggestion, code=UNVERIFIED, detail=detail)


def passed_there(gate: Gate, aim: Aim, at: At, release: str, journal: Journal) -> None:
    """As `passed`, at a revision whose replicas and logs say why no answer comes."""
    with Watch(aim.place, aim.app, aim.revision, frozenset()) as watch:
        causes = _Causes(watch)
        causes.look(0)  # from now on its logs are followed
        passed(gate, replace(at, look=causes.look), release, journal, causes)


class _Causes:
    """Why no answer comes: what ended a container is seen until it is started again, so that it is looked for again and again."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._answers = 0
        self.last: Cause | None = None

    def look(self, answers: int) -> None:
        """`answers`: that have come so far. What was seen before the last of them explains nothing."""
        if answers != self._answers:
            self._answers, self.last = answers, None
        try:
            found = diagnose(self._watch.look())
        except CloudError:  # Azure does not tell just now: then the endpoint's own words are all that is known
            return
        if isinstance(found, Cause):
            self.last = found


def passed(gate: Gate, at: At, release: str, journal: Journal, causes: _Causes | None = None) -> None:
    """Returns where every threshold is met. Raises EndpointError where one is not, or nothing tells; Cancelled as any work.
    `causes`: for where no answer comes."""
    digest = release[:12]
    cut_off = any(journal.cut_off(step) is not None for step in (BEFORE, BEFORE_REVISION, SERVING))
    compared = Compared(gate.rows, passed=cut_off)
    try:
        done = asked_and_judged(gate.workspace, replace(at, release=release), gate.stated, compared, journal)
    except Cancelled:
        raise
    except SlipwayError as error:
        cause = causes.last if causes is not None and error.code in NO_ANSWER else None
        if cause is not None:
            told = EndpointError(cause.sentence, cause.advice, code=cause.code, detail=cause.detail)
            raise _unverified(digest, cause.sentence, told) from error
        raise _unverified(digest, error.message, error) from error
    except OSError as error:  # of the folder that holds the answers
        raise _unverified(digest, Text("{problem}", problem=str(error)), None) from error
    report = f"{kept.FOLDER}/{done.run}/{kept.DOCUMENT}"
    missed = [each for each in done.judged.outcomes if not each.met]
    if missed or not done.judged.outcomes:
        reasons = Text.listed([each.sentence for each in missed], " ")
        failure = EndpointError(
            Text("Release {digest} has not passed its gate. {reasons}", digest=digest, reasons=reasons),
            Text(
                "The report is {report}. Correct the cause, or {file}, then run Deploy again.", report=report, file=FILE
            ),
            code=MISSED if any(each.met is False for each in missed) else UNVERIFIED,
        )
        failure.document = str(done.folder / kept.DOCUMENT)
        raise failure
    journal.log(
        Text(
            "Release {digest} has passed its gate: {count} thresholds met. The report is {report}.",
            digest=digest,
            count=len(done.judged.outcomes),
            report=report,
        )
    )
