"""The action of both doors that evaluates."""

from __future__ import annotations

from sidecar.core.evaluation_runs import DOCUMENT, REPORT
from sidecar.core.workspace import open_workspace
from sidecar.decisions.evaluation import told_of
from sidecar.decisions.evaluation_document import ROWS
from sidecar.wire import protocol as wire
from sidecar.workflows.context import Context, session_for, silent
from sidecar.workflows.evaluate import Wish, evaluate


def evaluate_action(params: wire.EvaluateParams, context: Context) -> wire.Evaluated:
    """Nothing is written down of it but its answers: whatever cuts it off, the same again goes on from there."""
    workspace, session = open_workspace(params.folder), session_for(params.folder, params.cloud, context)
    wish = Wish(tuple(params.datasets), tuple(params.models), params.against, params.run, params.most, anew=params.anew)
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
            wire.EvaluationLine(
                place=each.case.place,
                asked=each.case.asked,
                answers=[wire.EvaluationAnswer(model=name, text=answer.text) for name, answer in each.answers.items()],
                differ=each.differ,
            )
            for each in judged.lines[:ROWS]
        ],
        notes=[wire.sentence(each) for each in done.notes],
    )
