"""What follows from answers: figures, verdicts, thresholds, and a report in which nothing that a model says is alive."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from sidecar.core.dataset import Answer, Case
from sidecar.core.evaluation import Threshold
from sidecar.decisions.evaluation import Asked, Earlier, Judged, judge, outcome_of, told_of
from sidecar.decisions.evaluation_document import CHARACTERS, ROWS, About, document, summary

BASE, POET = "org/base", "poet"
CASES = [
    Case(f"rows.jsonl:{at}", (("user", f"What is {at}?"),), expected=f"It is {at} of them", id=f"r{at}")
    for at in range(12)
]


def answers(good: set[str], cases: list[Case] = CASES) -> dict[tuple[str, str], Answer]:
    """Those models that are `good` say what is expected; the others something else."""
    return {
        (case.id, model): Answer(case.expected if model in good else "Nobody knows.", "stop", 5, 1.0)
        for case in cases
        for model in (BASE, POET)
    }


def asked(good: set[str]) -> Asked:
    return Asked(CASES, answers(good), (BASE, POET), BASE)


ABOUT = About("run-1", "2026-11-29T12:00:00Z", "app", ("rows.jsonl",), {POET: "a" * 64}, 32, ())


def page(judged: Judged) -> str:
    return str(document(judged, (BASE, POET), ABOUT))


def test_the_better_model_is_called_so_and_the_rows_where_they_differ_come_first() -> None:
    given = {**answers({POET}), ("r3", BASE): Answer("It is 3 of them", "stop", 5, 1.0)}
    judged = judge(replace(asked({POET}), answers=given))
    (found,) = judged.comparisons
    assert (found.model, found.against, found.measure, found.verdict.word) == (POET, BASE, "chrf", "better")
    assert judged.lines[-1].case.id == "r3", "the one row in which they agree"
    assert (judged.lines[0].differ, judged.lines[-1].differ) == (True, False)
    assert judged.figures[POET]["exact"] == 1.0
    assert "poet is better than org/base" in page(judged).splitlines()[2]
    assert "is worse than" in str(told_of(judge(asked({BASE})).comparisons[0]))
    assert "can't be told" in str(told_of(judge(asked({BASE, POET})).comparisons[0]))


def test_a_model_is_compared_with_itself_in_a_run_before_over_the_rows_that_both_have() -> None:
    earlier = Earlier("run-0", {key: each for key, each in answers(set()).items() if key[0] != "r0"})
    found = judge(replace(asked({POET}), earlier=earlier)).comparisons
    assert [(each.model, each.run, each.verdict.word, each.verdict.rows) for each in found] == [
        (POET, None, "better", 12),
        (BASE, "run-0", "can't tell", 11),
        (POET, "run-0", "better", 11),
    ]
    assert "poet in run-0" in str(told_of(found[2]))
    assert [each.run for each in judge(replace(asked({POET}), earlier=Earlier("old", {}))).comparisons] == [None]


THRESHOLDS: list[tuple[Threshold, list[bool | None]]] = [
    (Threshold(measure="exact", bound=1), [True]),
    (Threshold(measure="exact", model=BASE, bound=0.5), [False]),
    (Threshold(measure="exact", model=BASE, bound=0, comparison="<="), [True]),
    (Threshold(measure="latency", bound=1, comparison="<"), [False]),
    (Threshold(measure="latency", bound=0.5, comparison=">"), [True]),
    (Threshold(measure="schema", bound=0), [None]),
    (Threshold(measure="exact", model="nobody", bound=0), [None]),
    (Threshold(measure="chrf", verdict="better"), [True]),
    (Threshold(measure="exact", verdict="not worse"), [True]),
    (Threshold(measure="exact", verdict="not worse", against="last"), [None]),
    (Threshold(measure="latency", verdict="better"), [False]),
    (Threshold(measure="latency", verdict="not worse"), [True]),
]


@pytest.mark.parametrize(("threshold", "met"), THRESHOLDS)
def test_a_threshold_is_met_missed_or_unverified(threshold: Threshold, met: list[bool | None]) -> None:
    judged = judge(asked({POET}), [threshold])
    assert [each.met for each in judged.outcomes] == met
    assert judged.met is (met == [True]), "what could not be measured is no pass"
    said = {True: "met", False: "missed", None: "unverified"}[met[0]]
    assert said in str(judged.outcomes[0].sentence)
    assert str(judged.outcomes[0].sentence) in page(judged)
    assert ("Thresholds missed: 1 of 1." in str(summary(judged))) is not judged.met


def test_a_worse_run_than_the_last_misses_a_threshold() -> None:
    threshold = Threshold(measure="chrf", verdict="not worse", against="last")
    worse = judge(replace(asked(set()), earlier=Earlier("run-0", answers({POET}))), [threshold])
    assert [each.met for each in worse.outcomes] == [False]
    same = judge(replace(asked({POET}), earlier=Earlier("run-0", answers({POET}))), [threshold])
    assert [each.met for each in same.outcomes] == [True]


@pytest.mark.parametrize("wanted", ["better", "not worse"])
def test_too_few_rows_for_a_verdict_are_no_pass(wanted: Literal["better", "not worse"]) -> None:
    few = replace(asked({POET}), cases=CASES[:4])
    (outcome,) = judge(few, [Threshold(measure="chrf", verdict=wanted)]).outcomes
    assert outcome.met is None
    assert "unverified" in str(outcome.sentence)
    assert "4 rows are too few" in str(outcome.sentence)


def test_a_refused_request_counts_as_wrong_and_is_told() -> None:
    given = {
        **answers({POET, BASE}),
        **{(f"r{at}", POET): Answer(None, refused="context_length_exceeded") for at in range(6)},
    }
    judged = judge(replace(asked({POET}), answers=given))
    assert judged.refused == {BASE: 0, POET: 6}
    assert judged.comparisons[0].verdict.word == "worse"
    assert judged.figures[POET]["answered"] == 0.5
    assert "refused: `context_length_exceeded`" in page(judged)


def test_a_threshold_on_what_refused_requests_have_none_of_is_not_met_by_the_others() -> None:
    given = {**answers({POET}), ("r3", POET): Answer(None, refused="context_length_exceeded")}
    thresholds = [
        Threshold(measure="finished", bound=1),
        Threshold(measure="latency", comparison="<=", bound=2),
        Threshold(measure="latency", comparison="<=", bound=0.5),
        Threshold(measure="answered", bound=0.9),
        Threshold(measure="latency", verdict="not worse"),
        Threshold(measure="finished", model=BASE, bound=1),
    ]
    judged = judge(replace(asked({POET}), answers=given), thresholds)
    assert [each.met for each in judged.outcomes] == [None, None, False, True, None, True]
    assert "unverified, requests that were refused: 1." in str(judged.outcomes[0].sentence)
    whole = judge(asked({POET}), thresholds)
    assert [each.met for each in whole.outcomes] == [True, True, False, True, True, True]


def test_a_row_for_one_model_is_asked_of_that_one_alone_and_is_in_no_comparison() -> None:
    alone = Case("rows.jsonl:99", (("user", "Rhyme!"),), equals="so", id="r99", model=POET)
    given = {**answers({POET}), ("r99", POET): Answer("so", "stop", 1, 1.0)}
    judged = judge(replace(asked({POET}), cases=[*CASES, alone], answers=given, measure="exact"))
    assert judged.comparisons[0].verdict.rows == 12
    assert judged.figures[POET]["passes"] == 1.0
    assert "passes" not in judged.figures[BASE]


def test_rows_that_state_nothing_have_no_verdict() -> None:
    cases = [replace(each, expected=None) for each in CASES]
    judged = judge(Asked(cases, answers({POET}, CASES), (BASE, POET), BASE))
    assert (judged.measure, judged.comparisons) == (None, ())
    assert "no row says what a good answer is" in str(summary(judged))
    assert "Nobody knows." in page(judged), "the answers are shown side by side all the same"


def test_nothing_that_is_asked_or_answered_is_alive_in_the_report() -> None:
    evil = "![x](https://evil.example/?q=1)`` | <img src=x> [run](command:evil)\n# Title\n| a | b |\u2028\x1b[31m"
    case = Case("rows.jsonl:1", (("user", evil),), expected=evil, id="r")
    given = {("r", BASE): Answer(evil), ("r", POET): Answer(evil * 50)}
    text = page(judge(Asked([case], given, (BASE, POET), BASE)))
    row = next(each for each in text.split("\n") if "evil.example" in each)
    cells = row.removeprefix("| ").removesuffix(" |").split(" | ")
    assert len(cells) == 5
    for cell in cells[1:]:
        code = cell.rpartition("`")[0]
        assert code.startswith("`")
        assert "`" not in code[1:], "inside one span of code from its beginning to its end"

    assert all(each.isprintable() for each in row)
    assert max(map(len, cells)) < CHARACTERS + 20


def test_a_long_report_shows_the_rows_that_are_furthest_apart() -> None:
    cases = [replace(CASES[0], id=f"r{at}", place=f"rows.jsonl:{at}") for at in range(ROWS * 3)]
    judged = judge(Asked(cases, answers({POET}, cases), (BASE, POET), BASE))
    text = page(judged)
    assert text.count("| `rows.jsonl:") == ROWS
    assert f"of {ROWS * 3}" in text


def test_a_row_passes_by_what_it_demands_else_by_being_no_worse_than_what_it_is_compared_with() -> None:
    def word(good: set[str], **stated: object) -> str:
        case = replace(CASES[0], **stated)
        judged = judge(Asked([case], answers(good, [case]), (BASE, POET), BASE))
        return outcome_of(judged.lines[0], BASE, judged.measure)[0]

    assert [word({POET}), word({POET, BASE}), word({BASE})] == ["passed", "passed", "failed"]
    assert [word({POET}, contains=("It is",)), word({BASE}, contains=("It is",))] == ["passed", "failed"]
    assert word({POET}, contains=("never said",)) == "failed", "whatever the other model says"
    assert word({POET}, expected=None) == "unjudged"
