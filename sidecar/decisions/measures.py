"""What is measured of an answer, by its row and in all. Pure.

Rates and shares are from 0 to 1, chrF and BLEU from 0 to 100 as everywhere. What a row does not state can't be measured: there is
no figure then, and no zero. An answer that was refused is as wrong as an empty one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import fmean, median

from sidecar.core.answer_schema import follows
from sidecar.core.dataset import Answer, Case
from sidecar.decisions.overlap import bleu, bleu_counts, chrf, chrf_counts, rouge_l, summed, token_f1
from sidecar.words.names import Measure

Scores = Mapping[Measure, float]

GOOD: tuple[Measure, ...] = ("passes", "exact", "contains", "regex", "schema", "tokenF1", "rougeL", "chrf", "bleu")
"""Those of which more is better, and which say how good an answer is."""

LESS_IS_BETTER: frozenset[Measure] = frozenset(("latency",))

OF_ANSWERS: frozenset[Measure] = frozenset(("finished", "characters", "tokens", "latency", "tokensPerSecond"))
"""Those that a request has none of that was refused."""


def scores(case: Case, answer: Answer) -> dict[Measure, float]:
    text = answer.text or ""
    found: dict[Measure, float] = {"answered": float(answer.text is not None)}
    exact = case.equals if case.equals is not None else case.expected
    if exact is not None:
        found["exact"] = float(text.strip() == exact.strip())
    if case.contains:
        found["contains"] = float(all(each in text for each in case.contains))
    if case.regex is not None:
        found["regex"] = float(re.search(case.regex, text) is not None)
    if case.schema is not None:
        found["schema"] = float(follows(text, case.schema))
    demanded = [found[name] for name in ("contains", "regex", "schema") if name in found]
    demanded += [found["exact"]] if case.equals is not None else []
    if demanded:
        found["passes"] = min(demanded) * found["answered"]
    if case.expected is not None:
        found["tokenF1"] = token_f1(text, case.expected)
        found["rougeL"] = rouge_l(text, case.expected)
        found["chrf"] = chrf(chrf_counts(text, case.expected))
        found["bleu"] = bleu(bleu_counts(text, case.expected), sentence=True)
    if answer.text is None:
        return dict.fromkeys(found, 0.0)
    found["finished"] = float(answer.finish == "stop")
    found["characters"] = len(text)
    found["latency"] = answer.seconds
    if answer.tokens is not None:
        found["tokens"] = answer.tokens
        if answer.seconds > 0:
            found["tokensPerSecond"] = answer.tokens / answer.seconds
    return found


def together(rows: Sequence[tuple[Case, Answer]], scored: Sequence[Scores]) -> dict[Measure, float]:
    """In all: means; of latency and speed the median; of chrF and BLEU the score of the whole, as they are published."""
    names: dict[Measure, None] = dict.fromkeys(name for each in scored for name in each)
    found: dict[Measure, float] = {}
    for name in names:
        values = [each[name] for each in scored if name in each]
        found[name] = median(values) if name in ("latency", "tokensPerSecond") else fmean(values)
    texts = [(answer.text or "", case.expected) for case, answer in rows if case.expected is not None]
    if texts:
        found["chrf"] = chrf(summed(chrf_counts(*each) for each in texts))
        found["bleu"] = bleu(summed(bleu_counts(*each) for each in texts), sentence=False)
    return found


def deciding(rows: Sequence[Case]) -> Measure | None:
    """By what a verdict is given where nobody says: by what rows demand; else by chrF, which needs no words and so suits every
    language. None: the rows state nothing."""
    if any(each.equals is not None or each.contains or each.regex or each.schema for each in rows):
        return "passes"
    return "chrf" if any(each.expected is not None for each in rows) else None
