"""The report of an evaluation as a person reads it: Markdown. Pure.

What rows ask and models answer stands in it as code, in which nothing is a link, a picture or a command of the editor's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.decisions.evaluation import NAMES, Judged, Line, shown, told_of
from sidecar.decisions.plan_document import table
from sidecar.words.names import MEASURES, Measure
from sidecar.words.text import Text

ROWS = 50
"""That are shown; all of them are in the other files."""

CHARACTERS = 240
"""Of a question or an answer."""


@dataclass(frozen=True)
class About:
    """`hashes`: of each model, where the server tells it. `at_once`: requests under way at the same time."""

    run: str
    at: str
    app: str
    files: Sequence[str]
    hashes: Mapping[str, str]
    at_once: int
    notes: Sequence[Text]


def document(judged: Judged, models: Sequence[str], about: About) -> Text:
    parts = [
        Text("# {title}", title=Text("Evaluation")),
        Text("**{sentence}**", sentence=summary(judged)),
        _facts(judged, about),
        _titled(Text("Thresholds"), _items(_outcomes(judged))) if judged.outcomes else None,
        _titled(Text("Verdicts"), _items(told_of(each) for each in judged.comparisons)) if judged.comparisons else None,
        _titled(Text("Measures"), _measures(judged, models, about), *_means(judged)),
        _titled(Text("To be known"), _items(about.notes)) if about.notes else None,
        _rows(judged, models),
    ]
    return Text("{document}\n", document=_paragraphs(parts))


def summary(judged: Judged) -> Text:
    """In one line: what was demanded and missed, else the first verdict."""
    missed = sum(not each.met for each in judged.outcomes)
    if missed:
        return Text("Thresholds missed: {count} of {all}.", count=missed, all=len(judged.outcomes))
    if judged.comparisons:
        return told_of(judged.comparisons[0])
    if judged.measure is None:
        return Text("No verdict: no row says what a good answer is.")
    if any(each.unjudged for each in judged.lines):
        return Text("No verdict: too little could be judged.")
    return Text("No verdict: there was one model, and no run before.")


def _facts(judged: Judged, about: About) -> Text:
    return Text(
        "Run {run}, {at}, app {app}. Rows: {rows}, of {files}. Requests at a time: {count}.",
        run=code(about.run),
        at=about.at,
        app=code(about.app),
        rows=len(judged.lines),
        files=", ".join(code(each) for each in about.files),
        count=about.at_once,
    )


def _outcomes(judged: Judged) -> Iterable[Text]:
    marks = {True: "✔", False: "✘", None: "?"}
    for each in judged.outcomes:
        yield Text.listed([marks[each.met], each.sentence], " ")


def _measures(judged: Judged, models: Sequence[str], about: About) -> Text:
    rows: list[Sequence[Text | str]] = []
    for measure in MEASURES:
        if not any(measure in judged.figures[model] for model in models):
            continue
        values = [judged.figures[model].get(measure) for model in models]
        rows.append((NAMES[measure], *("" if each is None else shown(measure, each) for each in values)))
    if any(about.hashes.get(model) for model in models):
        rows.append((Text("hash of its files"), *(code(about.hashes.get(model, "")[:12]) for model in models)))
    return table((Text("measure"), *(code(model) for model in models)), rows)


def _means(judged: Judged) -> Iterable[Text]:
    if judged.measure in ("chrf", "bleu") and judged.comparisons:
        yield Text("Verdicts compare row by row, by means of the rows; the table has the score of all texts as one.")


def _rows(judged: Judged, models: Sequence[str]) -> Text:
    lines = judged.lines[:ROWS]
    head = (Text("row"), Text("asked"), Text("expected"), *(code(model) for model in models))
    told = (
        Text("The {count} rows in which the answers are furthest apart, of {all}:", count=ROWS, all=len(judged.lines))
        if len(judged.lines) > ROWS
        else Text("Those first in which the answers are furthest apart:")
    )
    return _titled(Text("Side by side"), told, table(head, [_row(each, models, judged.measure) for each in lines]))


def _row(line: Line, models: Sequence[str], measure: Measure | None) -> Sequence[Text | str]:
    cells: list[Text | str] = []
    for model in models:
        answer = line.answers.get(model)
        if answer is None:
            cells.append("")
        elif answer.text is None:
            cells.append(Text("refused: {code}", code=code(answer.refused)))
        else:
            value = line.scores[model].get(measure) if measure is not None else None
            score = "" if value is None or measure is None else f" ({shown(measure, value)})"
            cells.append(code(answer.text) + score)
    case = line.case
    expected = case.equals if case.equals is not None else case.expected
    wanted = expected if expected is not None else ", ".join(case.contains) or case.regex or case.schema or ""
    return code(case.place), code(case.asked), code(wanted), *cells


def code(text: str) -> str:
    """As code in one line, whatever is in it, and inside of a table."""
    short = text if len(text) <= CHARACTERS else text[:CHARACTERS] + "…"
    plain = short.replace("`", "'").replace("|", "¦")
    plain = "".join(each if each.isprintable() else "⏎" if each == "\n" else " " for each in plain)
    return f"`{plain.strip()}`" if plain.strip() else ""


def _paragraphs(parts: Iterable[Text | None]) -> Text:
    return Text.listed([each for each in parts if each is not None], "\n\n")


def _titled(title: Text, *parts: Text) -> Text:
    return _paragraphs([Text("## {title}", title=title), *parts])


def _items(lines: Iterable[Text]) -> Text:
    return Text.listed([Text("- {line}", line=each) for each in lines], "\n")
