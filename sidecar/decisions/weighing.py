"""What of a row's judgement has no bound of its own: a regular expression or a schema of the person's, long texts. Pure.

It is called in a process that can be ended: an expression may go back and forth for ever, and nothing else of Python runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sidecar.core.answer_schema import follows
from sidecar.core.dataset import Answer, Case
from sidecar.decisions.overlap import Counts, bleu_counts, chrf_counts, rouge_l, token_f1
from sidecar.words.text import Text

Part = Literal["regex", "schema", "texts"]
"""`texts`: how much of what is expected is in an answer."""


@dataclass(frozen=True)
class Shared:
    """`chrf` and `bleu`: counts, whose sums are those of all rows."""

    token_f1: float
    rouge_l: float
    chrf: Counts
    bleu: Counts


@dataclass(frozen=True)
class Weighed:
    """None: the row does not state it. A Text: why it could not be told."""

    regex: bool | Text | None = None
    schema: bool | Text | None = None
    texts: Shared | Text | None = None


NOTHING = Weighed()


def stated_by(case: Case, answer: Answer) -> dict[Part, str]:
    """What there is to weigh, and by what. A request that was refused has no answer to hold against an expression."""
    of: dict[Part, str | None] = {"texts": case.expected}
    if answer.text is not None:
        of |= {"regex": case.regex, "schema": case.schema}
    return {part: stated for part, stated in of.items() if stated is not None}


def weigh(part: str, stated: str, text: str) -> dict[str, Any]:
    """As JSON takes it; `weighed` reads it."""
    if part == "regex":
        return {"met": re.search(stated, text) is not None}
    if part == "schema":
        return {"met": follows(text, stated)}
    return {
        "tokenF1": token_f1(text, stated),
        "rougeL": rouge_l(text, stated),
        "chrf": chrf_counts(text, stated),
        "bleu": bleu_counts(text, stated),
    }


def weighed(said: Mapping[Part, Mapping[str, Any] | Text]) -> Weighed:
    def met(part: Part) -> bool | Text | None:
        found = said.get(part)
        return found if found is None or isinstance(found, Text) else bool(found["met"])

    texts = said.get("texts")
    if texts is not None and not isinstance(texts, Text):
        texts = Shared(texts["tokenF1"], texts["rougeL"], tuple(texts["chrf"]), tuple(texts["bleu"]))
    return Weighed(met("regex"), met("schema"), texts)
