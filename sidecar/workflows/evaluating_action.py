"""The action of both doors that evaluates."""

from __future__ import annotations

from sidecar.core.dataset_files import dataset_of
from sidecar.core.evaluation import read_evaluation
from sidecar.core.evaluation_runs import DOCUMENT, REPORT
from sidecar.core.workspace import open_workspace
from sidecar.decisions.evaluation import Line, outcome_of, told_of
from sidecar.decisions.evaluation_document import ROWS
from sidecar.wire import protocol as wire
from sidecar.words.names import Measure
from sidecar.workflows.context import Context, session_for, silent
from sidecar.workflows.evaluate import Wish, evaluate


def evaluate_action(params: wire.EvaluateParams, context: Context) -> wire.Evaluated:
    """Nothing is written down of it but its answers: whatever cuts it off, the same again goes on from there."""
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    wish = Wish(
        tuple(params.datasets),
        tuple(params.models),
        params.against,
        params.run,
        params.most,
        tuple(params.only),
        anew=params.anew,
    )
    done = evaluate(workspace, session, wish, silent(context), tuple(params.consents))
    judged = done.judged
    return wire.Evaluated(
        run=done.run,
        report=str(done.folder / DOCUMENT),
        data=str(done.folder / REPORT),
        rows=done.rows,
        against=done.against,
        asked=done.asked,
        stored=done.stored,
        sentence=wire.sentence(done.sentence),
        verdicts=[
            wire.EvaluationVerdict(
                model=each.model,
                against=each.against,
                run=each.run,
                measure=each.measure,
                word=each.verdict.word,
                sentence=wire.sentence(told_of(each)),
            )
            for each in judged.comparisons
        ],
        models=[
            wire.EvaluationModel(
                name=model,
                figures=[
                    wire.EvaluationFigure(measure=name, value=value) for name, value in judged.figures[model].items()
                ],
                refused=judged.refused[model],
            )
            for model in done.models
        ],
        outcomes=[
            wire.EvaluationOutcome(sentence=wire.sentence(each.sentence), met=each.met) for each in judged.outcomes
        ],
        met=judged.met,
        lines=[
            _line(each, done.against, judged.measure) for each in (judged.lines if params.only else judged.lines[:ROWS])
        ],
        notes=[wire.sentence(each) for each in done.notes],
    )


def _line(line: Line, against: str, measure: Measure | None) -> wire.EvaluationLine:
    word, why = outcome_of(line, against, measure)
    case = line.case
    return wire.EvaluationLine(
        id=case.id,
        place=case.place,
        asked=case.asked,
        answers=[wire.EvaluationAnswer(model=name, text=answer.text) for name, answer in line.answers.items()],
        differ=line.differ,
        outcome=word,
        sentence=None if why is None else wire.sentence(why),
        expected=case.equals if case.equals is not None else case.expected,
    )


def evaluation_cases_action(params: wire.EvaluationCasesParams, context: Context) -> wire.EvaluationCases:
    """Nobody is asked anything: the files are read."""
    workspace = open_workspace(params.folder)
    found = dataset_of(workspace, read_evaluation(workspace).files)
    cases: list[wire.EvaluationCase] = []
    for each in found.cases:
        file, _, line = each.place.replace("#", ":").rpartition(":")
        by_lines = "#" not in each.place
        place = str(workspace.folder / file)
        cases.append(wire.EvaluationCase(id=each.id, file=place, line=int(line) if by_lines else 1, asked=each.asked))
    return wire.EvaluationCases(cases=cases)
