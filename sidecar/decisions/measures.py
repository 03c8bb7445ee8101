"""What is measured of an answer, by its row and in all. Pure.

Rates and shares are from 0 to 1, chrF and BLEU from 0 to 100 as everywhere. What a row does not state can't be measured: there is
no figure then, and no zero. An answer that was refused is as wrong as an empty one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from sidecar.core.answer_schema import follows
from sidecar.decisions.overlap import bleu, bleu_counts, chrf, chrf_counts, rouge_l, summed, token_f1
from sidecar.words.names import Measure

Scores = Mapping[Measure, float]

GOOD: tuple[Measure, ...] = ("passes", "exact", "contains", "regex", "schema", "tokenF1", "rougeL", "chrf", "bleu")
"""Those of which more is better, and which say how good an answer is."""

LESS_IS_BETTER: frozenset[Measure] = frozenset(("latency",))


@dataclass(frozen=True)
class Wanted:
    """What is known of a good answer to one row. `schema`: as JSON."""

    expected: str | None = None
    equals: str | None = None
    contains: tuple[str, ...] = ()
    regex: str | None = None
    schema: str | None = None


@dataclass(frozen=True)
class Answer:
    """`text` None: the server refused the request; `refused` is its code. `finish`: why it ended. `seconds`: until it was
    whole."""

    text: str | None
    finish: str = ""
    tokens: int | None = None
    seconds: float = 0.0
    refused: str = ""


def scores(wanted: Wanted, answer: Answer) -> dict[Measure, float]:
    text = answer.text or ""
    found: dict[Measure, float] = {"answered": float(answer.text is not None)}
    exact = wanted.equals if wanted.equals is not None else wanted.expected
    if exact is not None:
        found["exact"] = float(text.strip() == exact.strip())
    if wanted.contains:
        found["contains"] = float(all(each in text for each in wanted.contains))
    if wanted.regex is not None:
        found["regex"] = float(re.search(wanted.regex, text) is not None)
    if wanted.schema is not None:
        found["schema"] = float(follows(text, wanted.schema))
    demanded = [found[name] for name in ("contains", "regex", "schema") if name in found]
    demanded += [found["exact"]] if wanted.equals is not None else []
    if demanded:
        found["passes"] = min(demanded) * found["answered"]
    if wanted.expected is not None:
        found["tokenF1"] = token_f1(text, wanted.expected)
        found["rougeL"] = rouge_l(text, wanted.expected)
        found["chrf"] = chrf(chrf_counts(text, wanted.expected))
        found["bleu"] = bleu(bleu_counts(text, wanted.expected), sentence=True)
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


def together(rows: Sequence[tuple[Wanted, Answer]], scored: Sequence[Scores]) -> dict[Measure, float]:
    """In all: means; of latency and speed the median; of chrF and BLEU the score of the whole, as they are published."""
    names: dict[Measure, None] = dict.fromkeys(name for each in scored for name in each)
    found: dict[Measure, float] = {}
    for name in names:
        values = [each[name] for each in scored if name in each]
        found[name] = median(values) if name in ("latency", "tokensPerSecond") else fmean(values)
    texts = [(answer.text or "", wanted.expected) for wanted, answer in rows if wanted.expected is not None]
    if texts:
        found["chrf"] = chrf(summed(chrf_counts(*each) for each in texts))
        found["bleu"] = bleu(summed(bleu_counts(*each) for each in texts), sentence=False)
    return found


def deciding(rows: Sequence[Wanted]) -> Measure | None:
    """By what a verdict is given where nobody says: by what rows demand; else by chrF, which needs no words and so suits every
    language. None: the rows state nothing."""
    if any(each.equals is not None or each.contains or each.regex or each.schema for each in rows):
        return "passes"
    return "chrf" if any(each.expected is not None for each in rows) else None
