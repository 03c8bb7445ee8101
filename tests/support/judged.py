"""Answers judged in the process of the test, which no expression of its own holds up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sidecar.core.dataset import Answer, Case
from sidecar.decisions.evaluation import Rows
from sidecar.decisions.measures import Scored, scored
from sidecar.decisions.weighing import Part, stated_by, weigh, weighed


def scored_here(case: Case, answer: Answer) -> Scored:
    found: dict[Part, dict[str, Any]] = {
        part: weigh(part, each, answer.text or "") for part, each in stated_by(case, answer).items()
    }
    return scored(case, answer, weighed(found))


def all_scored_here(cases: Sequence[Case], answers: Mapping[tuple[str, str], Answer]) -> Rows:
    by_id = {case.id: case for case in cases}
    return {key: scored_here(by_id[key[0]], answer) for key, answer in answers.items() if key[0] in by_id}
