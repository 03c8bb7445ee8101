"""What follows from the answers of an evaluation: figures, verdicts, thresholds, and where the models differ. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.dataset import Answer, Case
from sidecar.core.evaluation import Threshold
from sidecar.decisions.measures import LESS_IS_BETTER, OF_ANSWERS, Scored, Scores, deciding, together
from sidecar.decisions.verdict import Verdict, verdict
from sidecar.words.names import EvaluationOutcomeWord, EvaluationWord, Measure
from sidecar.words.text import Text

Figures = Mapping[Measure, float]
Rows = Mapping[tuple[str, str], Scored]
"""By row and model."""


@dataclass(frozen=True)
class Earlier:
    """Another run over these rows, or some of them."""

    name: str
    scored: Rows


@dataclass(frozen=True)
class Asked:
    """`answers`: by row and model; `scored`: what each of them is worth. `against`: the model that the others are compared
    with. `measure`: None: what suits the rows. `look`: called again and again while it is judged; what it raises ends that."""

    cases: Sequence[Case]
    answers: Mapping[tuple[str, str], Answer]
    scored: Rows
    models: tuple[str, ...]
    against: str
    measure: Measure | None = None
    seed: int = 0
    earlier: Earlier | None = None
    look: Callable[[], None] | None = None


@dataclass(frozen=True)
class Line:
    """One row, by model. `apart`: how far the models' scores are from each other; `differ`: whether their answers do."""

    case: Case
    answers: Mapping[str, Answer]
    scores: Mapping[str, Scores]
    unjudged: Mapping[str, Mapping[Measure, Text]]
    apart: float
    differ: bool


@dataclass(frozen=True)
class Comparison:
    """`run`: where what `model` is compared with answered, where that was in another run. `one` and `other`: means over the rows
    that both have answered, of what it is compared with and of itself."""

    model: str
    against: str
    run: str | None
    measure: Measure
    verdict: Verdict
    one: float
    other: float


@dataclass(frozen=True)
class Outcome:
    """Of a threshold. `met` None: nothing could be measured, which is no pass."""

    sentence: Text
    met: bool | None


@dataclass(frozen=True)
class Judged:
    """`lines`: those first in which the models are furthest apart."""

    measure: Measure | None
    figures: Mapping[str, Figures]
    refused: Mapping[str, int]
    comparisons: tuple[Comparison, ...]
    outcomes: tuple[Outcome, ...]
    lines: tuple[Line, ...]

    @property
    def met(self) -> bool:
        return all(each.met for each in self.outcomes)


def judge(asked: Asked, thresholds: Sequence[Threshold] = ()) -> Judged:
    """Every row that a model was to be asked has an answer, if a refused one."""
    measure = asked.measure or deciding(asked.cases)
    figures: dict[str, Figures] = {}
    for model in asked.models:
        figures[model] = together(
            [asked.scored[key] for each in asked.cases if (key := (each.id, model)) in asked.scored]
        )
    refused = {
        model: sum(each.text is None for (_, name), each in asked.answers.items() if name == model)
        for model in asked.models
    }
    comparisons = _comparisons(asked, measure) if measure is not None else ()
    outcomes = [each for one in thresholds for each in _outcomes(asked, figures, one)]
    lines = sorted((_line(asked, each, measure) for each in asked.cases), key=_by_difference)
    return Judged(measure, figures, refused, comparisons, tuple(outcomes), tuple(lines))


def _comparisons(asked: Asked, measure: Measure) -> tuple[Comparison, ...]:
    """Each model against the one that was named, then against itself in the run before."""
    others = [model for model in asked.models if model != asked.against]
    found = [_beside(asked, model, measure) for model in others] if asked.against in asked.models else []
    found += [_before(asked, model, measure) for model in asked.models]
    return tuple(each for each in found if each is not None)


def _beside(asked: Asked, model: str, measure: Measure) -> Comparison | None:
    pairs = _pairs(asked, (asked.scored, asked.against), model, measure)
    return _compared(asked, model, asked.against, None, measure, pairs)


def _before(asked: Asked, model: str, measure: Measure) -> Comparison | None:
    if asked.earlier is None:
        return None
    pairs = _pairs(asked, (asked.earlier.scored, model), model, measure)
    return _compared(asked, model, model, asked.earlier.name, measure, pairs)


def _pairs(asked: Asked, first: tuple[Rows, str], model: str, measure: Measure) -> list[tuple[float, float]]:
    """Of the rows that both have figures of. `first`: what the model is compared with."""
    rows, against = first
    both = [(rows.get((each.id, against)), asked.scored.get((each.id, model))) for each in asked.cases]
    return [
        (one.scores[measure], other.scores[measure])
        for one, other in both
        if one is not None and other is not None and measure in one.scores and measure in other.scores
    ]


def _compared(
    asked: Asked, model: str, against: str, run: str | None, measure: Measure, pairs: list[tuple[float, float]]
) -> Comparison | None:
    if not pairs:
        return None
    found = verdict(pairs, asked.seed, more_is_better=measure not in LESS_IS_BETTER, look=asked.look)
    count = len(pairs)
    return Comparison(
        model, against, run, measure, found, sum(one for one, _ in pairs) / count, sum(two for _, two in pairs) / count
    )


def _outcomes(asked: Asked, figures: Mapping[str, Figures], threshold: Threshold) -> list[Outcome]:
    """One for each model that it is about."""
    others = [each for each in asked.models if each != asked.against] or list(asked.models)
    models = others if threshold.model is None else [threshold.model]
    if threshold.bound is not None:
        found = [_bounded(figures.get(each), each, threshold, threshold.bound) for each in models]
    else:
        found = [_judged(asked, each, threshold) for each in models]
    return [_of_all_rows(asked, model, threshold, each) for model, each in zip(models, found, strict=True)]


def _of_all_rows(asked: Asked, model: str, threshold: Threshold, found: Outcome) -> Outcome:
    """No pass by the rows alone that were answered; and no word at all by those alone that could be judged."""
    measure = threshold.measure
    told = {"model": model, "measure": NAMES[measure]}
    unjudged = _unjudged(asked.scored, model, measure)
    if threshold.verdict is not None and threshold.against == "baseline":
        unjudged += _unjudged(asked.scored, asked.against, measure)
    elif threshold.verdict is not None and asked.earlier is not None:
        unjudged += _unjudged(asked.earlier.scored, model, measure)
    if unjudged:
        text = Text(
            "{model}, {measure}: unverified, answers that could not be judged: {count}.", count=unjudged, **told
        )
        return Outcome(text, None)
    refused = sum(each.text is None for (_, name), each in asked.answers.items() if name == model)
    if not found.met or not refused or measure not in OF_ANSWERS:
        return found
    return Outcome(
        Text("{model}, {measure}: unverified, requests that were refused: {count}.", count=refused, **told), None
    )


def _unjudged(scored: Rows, model: str, measure: Measure) -> int:
    return sum(measure in each.unjudged for (_, name), each in scored.items() if name == model)


def _bounded(figures: Figures | None, model: str, threshold: Threshold, bound: float) -> Outcome:
    told = {"model": model, "measure": NAMES[threshold.measure], "comparison": threshold.comparison}
    told |= {"bound": shown(threshold.measure, bound)}
    value = None if figures is None else figures.get(threshold.measure)
    if value is None:
        return Outcome(
            Text("{model}, {measure} {comparison} {bound}: unverified, there is nothing to measure it by.", **told),
            None,
        )
    met = {
        ">=": value >= bound,
        "<=": value <= bound,
        ">": value > bound,
        "<": value < bound,
    }[threshold.comparison]
    told |= {"value": shown(threshold.measure, value)}
    if met:
        return Outcome(Text("{model}, {measure} {comparison} {bound}: met, it is {value}.", **told), True)
    return Outcome(Text("{model}, {measure} {comparison} {bound}: missed, it is {value}.", **told), False)


def _judged(asked: Asked, model: str, threshold: Threshold) -> Outcome:
    last = threshold.against == "last"
    found = (_before if last else _beside)(asked, model, threshold.measure) if model != asked.against or last else None
    told = {"model": model, "measure": NAMES[threshold.measure]}
    wanted = Text("better") if threshold.verdict == "better" else Text("not worse")
    if found is None:
        return Outcome(
            Text(
                "{model} is to be {wanted} by {measure}: unverified, there is nothing to compare.",
                wanted=wanted,
                **told,
            ),
            None,
        )
    met = found.verdict.word == "better" if threshold.verdict == "better" else found.verdict.word != "worse"
    sentence = told_of(found)
    if found.verdict.low is None:  # too few rows tell neither
        return Outcome(
            Text("{model} is to be {wanted} by {measure}: unverified. {why}", wanted=wanted, why=sentence, **told), None
        )
    if met:
        return Outcome(
            Text("{model} is to be {wanted} by {measure}: met. {why}", wanted=wanted, why=sentence, **told), True
        )
    return Outcome(
        Text("{model} is to be {wanted} by {measure}: missed. {why}", wanted=wanted, why=sentence, **told), False
    )


def _line(asked: Asked, case: Case, measure: Measure | None) -> Line:
    answers = {model: asked.answers[case.id, model] for model in asked.models if (case.id, model) in asked.answers}
    found = {model: asked.scored[case.id, model] for model in answers}
    values = [each.scores[measure] for each in found.values() if measure in each.scores] if measure is not None else []
    return Line(
        case,
        answers,
        {model: each.scores for model, each in found.items()},
        {model: each.unjudged for model, each in found.items() if each.unjudged},
        max(values) - min(values) if values else 0.0,
        len({each.text for each in answers.values()}) > 1,
    )


def outcome_of(line: Line, against: str, measure: Measure | None) -> tuple[EvaluationOutcomeWord, Text | None]:
    """Of one row: whether the models that are compared, or the one that was asked, answered as it demands; where it demands
    nothing, at least as well as what they are compared with."""
    models = [each for each in line.scores if each != against] or list(line.scores)
    if line.case.demands:
        wrong = [each for each in models if line.scores[each].get("passes", 1.0) != 1.0]
        if wrong:
            return "failed", Text("Not all is so that the row demands: {models}", models=", ".join(wrong))
        why = next((line.unjudged[each]["passes"] for each in models if "passes" in line.unjudged.get(each, {})), None)
        return ("passed", None) if why is None else ("unjudged", why)
    whys = {name: each[measure] for name, each in line.unjudged.items() if measure is not None and measure in each}
    why = next((whys[each] for each in (against, *models) if each in whys), None)
    known = [each for each in models if measure is not None and measure in line.scores[each]]
    if measure is None or not known or against in whys:
        return "unjudged", why
    least = line.scores.get(against, {}).get(measure, 0.0)
    sign = -1 if measure in LESS_IS_BETTER else 1
    for each in known:
        value = line.scores[each][measure]
        if sign * value < sign * least:
            told = {"model": each, "measure": NAMES[measure], "value": shown(measure, value)}
            worse = Text(
                "{model}: {measure} {value}, {against}: {least}", against=against, least=shown(measure, least), **told
            )
            return "failed", worse
    return ("passed", None) if why is None else ("unjudged", why)


def _by_difference(line: Line) -> tuple[float, bool]:
    return -line.apart, not line.differ


NAMES: Mapping[Measure, Text] = {
    "passes": Text("rows in which all that is demanded is so"),
    "exact": Text("exact matches"),
    "contains": Text("answers that contain what they should"),
    "regex": Text("answers that match their expression"),
    "schema": Text("answers that follow their schema"),
    "tokenF1": Text("token F1"),
    "rougeL": Text("ROUGE-L"),
    "chrf": Text("chrF"),
    "bleu": Text("BLEU"),
    "answered": Text("requests that were answered"),
    "finished": Text("answers that the model ended itself"),
    "characters": Text("characters of an answer"),
    "tokens": Text("tokens of an answer"),
    "latency": Text("seconds until an answer was whole (median)"),
    "tokensPerSecond": Text("tokens a second (median)"),
}

_WHOLE: frozenset[Measure] = frozenset(("characters", "tokens"))
_SCALED: frozenset[Measure] = frozenset(("chrf", "bleu", "tokensPerSecond"))


def shown(measure: Measure, value: float) -> str:
    if measure in _WHOLE:
        return f"{value:.0f}"
    return f"{value:.1f}" if measure in _SCALED else f"{value:.3f}"


def told_of(found: Comparison) -> Text:
    """A verdict as a sentence, with its evidence."""
    told = {
        "model": found.model,
        "against": found.against if found.run is None else Text("{model} in {run}", model=found.against, run=found.run),
        "measure": NAMES[found.measure],
        "one": shown(found.measure, found.one),
        "other": shown(found.measure, found.other),
        "rows": found.verdict.rows,
    }
    if found.verdict.low is None or found.verdict.high is None:
        return Text(
            "Whether {model} is better than {against} can't be told: {rows} rows are too few ({measure}: {other} against "
            "{one}).",
            **told,
        )
    told |= {"low": _signed(found.measure, found.verdict.low), "high": _signed(found.measure, found.verdict.high)}
    sentences: dict[EvaluationWord, Text] = {
        "better": Text(
            "{model} is better than {against}. {measure}: {other} against {one}; the difference is between {low} and "
            "{high} (95 %, {rows} rows).",
            **told,
        ),
        "worse": Text(
            "{model} is worse than {against}. {measure}: {other} against {one}; the difference is between {low} and "
            "{high} (95 %, {rows} rows).",
            **told,
        ),
        "can't tell": Text(
            "Whether {model} is better than {against} can't be told. {measure}: {other} against {one}; the difference is "
            "between {low} and {high} (95 %, {rows} rows).",
            **told,
        ),
    }
    return sentences[found.verdict.word]


def _signed(measure: Measure, value: float) -> str:
    return ("+" if value > 0 else "") + shown(measure, value)
