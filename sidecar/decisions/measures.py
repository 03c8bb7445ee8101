"""What is measured of an answer, by its row and in all. Pure.

Rates and shares are from 0 to 1, chrF and BLEU from 0 to 100 as everywhere. What a row does not state can't be measured: there is
no figure then, and no zero; nor is there one of what could not be judged. An answer that was refused is as wrong as one that is
empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from sidecar.core.dataset import Answer, Case
from sidecar.decisions.overlap import Counts, bleu, chrf, summed
from sidecar.decisions.weighing import Weighed
from sidecar.words.names import Measure
from sidecar.words.text import Text

Scores = Mapping[Measure, float]


@dataclass(frozen=True)
class Scored:
    """Of one answer. `unjudged`: figures that are missing, each with why. `chrf` and `bleu`: counts, where there are some."""

    scores: Scores
    unjudged: Mapping[Measure, Text] = field(default_factory=dict[Measure, Text])
    chrf: Counts | None = None
    bleu: Counts | None = None


GOOD: tuple[Measure, ...] = ("passes", "exact", "contains", "regex", "schema", "tokenF1", "rougeL", "chrf", "bleu")
"""Those of which more is better, and which say how good an answer is."""

LESS_IS_BETTER: frozenset[Measure] = frozenset(("latency",))

OF_ANSWERS: frozenset[Measure] = frozenset(("finished", "characters", "tokens", "latency", "tokensPerSecond"))
"""Those that a request has none of that was refused."""


def scored(case: Case, answer: Answer, weighed: Weighed) -> Scored:
    text = answer.text or ""
    found: dict[Measure, float] = {"answered": float(answer.text is not None)}
    unjudged: dict[Measure, Text] = {}
    exact = case.equals if case.equals is not None else case.expected
    if exact is not None:
        found["exact"] = float(text.strip() == exact.strip())
    if case.contains:
        found["contains"] = float(all(each in text for each in case.contains))
    stated: list[tuple[Measure, str | None, bool | Text | None]] = [
        ("regex", case.regex, weighed.regex),
        ("schema", case.schema, weighed.schema),
    ]
    for name, demand, met in stated:
        if isinstance(met, Text):
            unjudged[name] = met
        elif demand is not None:
            found[name] = float(met is True)
    _passes(case, found, unjudged)
    texts = weighed.texts
    if isinstance(texts, Text):
        unjudged |= dict.fromkeys(("tokenF1", "rougeL", "chrf", "bleu"), texts)
    elif texts is not None:
        found["tokenF1"], found["rougeL"] = texts.token_f1, texts.rouge_l
        found["chrf"], found["bleu"] = chrf(texts.chrf), bleu(texts.bleu, sentence=True)
    counts = (texts.chrf, texts.bleu) if texts is not None and not isinstance(texts, Text) else (None, None)
    if answer.text is None:
        return Scored(dict.fromkeys(found, 0.0), unjudged, *counts)
    found["finished"] = float(answer.finish == "stop")
    found["characters"] = len(text)
    found["latency"] = answer.seconds
    if answer.tokens is not None:
        found["tokens"] = answer.tokens
        if answer.seconds > 0:
            found["tokensPerSecond"] = answer.tokens / answer.seconds
    return Scored(found, unjudged, *counts)


def _passes(case: Case, found: dict[Measure, float], unjudged: dict[Measure, Text]) -> None:
    """One demand that is not met is enough, whatever could not be judged."""
    demanded = [found[name] for name in ("contains", "regex", "schema") if name in found]
    demanded += [found["exact"]] if case.equals is not None else []
    open_still = [unjudged[name] for name in ("regex", "schema") if name in unjudged]
    if demanded and (not open_still or min(demanded) == 0.0):
        found["passes"] = min(demanded) * found["answered"]
    elif open_still:
        unjudged["passes"] = open_still[0]


def together(every: Sequence[Scored]) -> dict[Measure, float]:
    """In all: means; of latency and speed the median; of chrF and BLEU the score of the whole, as they are published."""
    names: dict[Measure, None] = dict.fromkeys(name for each in every for name in each.scores)
    found: dict[Measure, float] = {}
    for name in names:
        values = [each.scores[name] for each in every if name in each.scores]
        found[name] = median(values) if name in ("latency", "tokensPerSecond") else fmean(values)
    by_characters = [each.chrf for each in every if each.chrf is not None]
    by_words = [each.bleu for each in every if each.bleu is not None]
    if by_characters and by_words:
        found["chrf"], found["bleu"] = chrf(summed(by_characters)), bleu(summed(by_words), sentence=False)
    return found


def deciding(rows: Sequence[Case]) -> Measure | None:
    """By what a verdict is given where nobody says: by what rows demand; else by chrF, which needs no words and so suits every
    language. None: the rows state nothing."""
    if any(each.equals is not None or each.contains or each.regex or each.schema for each in rows):
        return "passes"
    return "chrf" if any(each.expected is not None for each in rows) else None
