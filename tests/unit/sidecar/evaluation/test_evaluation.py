"""What follows from answers: figures, verdicts, thresholds, and a report in which nothing that a model says is alive."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from sidecar.core.dataset import Answer, Case
from sidecar.core.evaluation import Threshold
from sidecar.decisions.evaluation import Asked, Earlier, Judged, judge, outcome_of, told_of
from sidecar.decisions.evaluation_document import CHARACTERS, ROWS, About, document, summary
from sidecar.decisions.measures import scored
from sidecar.decisions.weighing import Weighed
from sidecar.words.text import Text
from tests.support.judged import all_scored_here, scored_here

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
    return of(CASES, answers(good))


def of(cases: list[Case], given: dict[tuple[str, str], Answer]) -> Asked:
    return Asked(cases, given, all_scored_here(cases, given), (BASE, POET), BASE)


def before(name: str, given: dict[tuple[str, str], Answer]) -> Earlier:
    return Earlier(name, all_scored_here(CASES, given))


ABOUT = About("run-1", "2026-11-29T12:00:00Z", "app", ("rows.jsonl",), {POET: "a" * 64}, 32, ())


def page(judged: Judged) -> str:
    return str(document(judged, (BASE, POET), ABOUT))


def test_the_better_model_is_called_so_and_the_rows_where_they_differ_come_first() -> None:
    given = {**answers({POET}), ("r3", BASE): Answer("It is 3 of them", "stop", 5, 1.0)}
    judged = judge(of(CASES, given))
    (found,) = judged.comparisons
    assert (found.model, found.against, found.measure, found.verdict.word) == (POET, BASE, "chrf", "better")
    assert judged.lines[-1].case.id == "r3", "the one row in which they agree"
    assert (judged.lines[0].differ, judged.lines[-1].differ) == (True, False)
    assert judged.figures[POET]["exact"] == 1.0
    assert "poet is better than org/base" in page(judged).splitlines()[2]
    assert "is worse than" in str(told_of(judge(asked({BASE})).comparisons[0]))
    assert "can't be told" in str(told_of(judge(asked({BASE, POET})).comparisons[0]))


def test_a_model_is_compared_with_itself_in_a_run_before_over_the_rows_that_both_have() -> None:
    earlier = before("run-0", {key: each for key, each in answers(set()).items() if key[0] != "r0"})
    found = judge(replace(asked({POET}), earlier=earlier)).comparisons
    assert [(each.model, each.run, each.verdict.word, each.verdict.rows) for each in found] == [
        (POET, None, "better", 12),
        (BASE, "run-0", "can't tell", 11),
        (POET, "run-0", "better", 11),
    ]
    assert "poet in run-0" in str(told_of(found[2]))
    assert [each.run for each in judge(replace(asked({POET}), earlier=before("old", {}))).comparisons] == [None]


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
    worse = judge(replace(asked(set()), earlier=before("run-0", answers({POET}))), [threshold])
    assert [each.met for each in worse.outcomes] == [False]
    same = judge(replace(asked({POET}), earlier=before("run-0", answers({POET}))), [threshold])
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
    judged = judge(of(CASES, given))
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
    judged = judge(of(CASES, given), thresholds)
    assert [each.met for each in judged.outcomes] == [None, None, False, True, None, True]
    assert "unverified, requests that were refused: 1." in str(judged.outcomes[0].sentence)
    whole = judge(asked({POET}), thresholds)
    assert [each.met for each in whole.outcomes] == [True, True, False, True, True, True]


def test_a_row_for_one_model_is_asked_of_that_one_alone_and_is_in_no_comparison() -> None:
    alone = Case("rows.jsonl:99", (("user", "Rhyme!"),), equals="so", id="r99", model=POET)
    given = {**answers({POET}), ("r99", POET): Answer("so", "stop", 1, 1.0)}
    judged = judge(replace(of([*CASES, alone], given), measure="exact"))
    assert judged.comparisons[0].verdict.rows == 12
    assert judged.figures[POET]["passes"] == 1.0
    assert "passes" not in judged.figures[BASE]


def test_rows_that_state_nothing_have_no_verdict() -> None:
    cases = [replace(each, expected=None) for each in CASES]
    judged = judge(of(cases, answers({POET}, CASES)))
    assert (judged.measure, judged.comparisons) == (None, ())
    assert "no row says what a good answer is" in str(summary(judged))
    assert "Nobody knows." in page(judged), "the answers are shown side by side all the same"


def test_nothing_that_is_asked_or_answered_is_alive_in_the_report() -> None:
    evil = "![x](https://evil.example/?q=1)`` | <img src=x> [run](command:evil)\n# Title\n| a | b |\u2028\x1b[31m"
    case = Case("rows.jsonl:1", (("user", evil),), expected=evil, id="r")
    given = {("r", BASE): Answer(evil), ("r", POET): Answer(evil * 50)}
    text = page(judge(of([case], given)))
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
    judged = judge(of(cases, answers({POET}, cases)))
    text = page(judged)
    assert text.count("| `rows.jsonl:") == ROWS
    assert f"of {ROWS * 3}" in text


def test_a_row_passes_by_what_it_demands_else_by_being_no_worse_than_what_it_is_compared_with() -> None:
    def word(good: set[str], **stated: object) -> str:
        case = replace(CASES[0], **stated)
        judged = judge(of([case], answers(good, [case])))
        return outcome_of(judged.lines[0], BASE, judged.measure)[0]

    assert [word({POET}), word({POET, BASE}), word({BASE})] == ["passed", "passed", "failed"]
    assert [word({POET}, contains=("It is",)), word({BASE}, contains=("It is",))] == ["passed", "failed"]
    assert word({POET}, contains=("never said",)) == "failed", "whatever the other model says"
    assert word({POET}, expected=None) == "unjudged"


WHY = Text("It had not come to an end.")


def unjudged(*keys: tuple[str, str]) -> Asked:
    """Rows with an expression that every answer matches, as far as it came to an end."""
    cases = [replace(each, regex="It is|Nobody") for each in CASES]
    given = answers({POET}, cases)
    late = {key: scored(cases[0], given[key], Weighed(regex=WHY)) for key in keys}
    return Asked(cases, given, {**all_scored_here(cases, given), **late}, (BASE, POET), BASE)


def test_what_could_not_be_judged_meets_no_threshold_and_misses_none() -> None:
    bound = Threshold(measure="passes", bound=1)
    against = Threshold(measure="passes", verdict="not worse")
    assert [each.met for each in judge(unjudged(), [bound, against]).outcomes] == [True, True]
    for key, met in ((("r0", POET), [None, None]), (("r0", BASE), [True, None])):
        judged = judge(unjudged(key), [bound, against])
        assert [each.met for each in judged.outcomes] == met
        assert "unverified, answers that could not be judged: 1." in str(judged.outcomes[1].sentence)
        assert judged.comparisons[0].verdict.rows == 11, "the verdict is over the others, and says so"
        assert judged.figures[POET]["passes"] == 1.0
    never = judge(unjudged(("r0", POET)), [Threshold(measure="passes", bound=1.1)])
    assert [each.met for each in never.outcomes] == [None]


def test_a_row_that_could_not_be_judged_has_neither_passed_nor_failed() -> None:
    judged = judge(unjudged(("r0", POET)))
    words = {each.case.id: outcome_of(each, BASE, judged.measure) for each in judged.lines}
    assert words["r0"] == ("unjudged", WHY)
    assert {word for row, (word, _) in words.items() if row != "r0"} == {"passed"}


def test_where_nothing_could_be_judged_that_is_why_there_is_no_verdict() -> None:
    judged = judge(unjudged(*((case.id, model) for case in CASES for model in (BASE, POET))))
    assert str(summary(judged)) == "No verdict: too little could be judged."
    assert judged.comparisons == ()


@pytest.mark.parametrize("late", [BASE, POET])
def test_a_text_that_could_not_be_compared_is_no_worse_one(late: str) -> None:
    given = answers({POET}, CASES[:1])
    rows = {key: scored_here(CASES[0], each) for key, each in given.items()}
    rows["r0", late] = scored(CASES[0], given["r0", late], Weighed(texts=WHY))
    judged = judge(Asked(CASES[:1], given, rows, (BASE, POET), BASE))
    assert outcome_of(judged.lines[0], BASE, judged.measure) == ("unjudged", WHY)


def test_a_cancel_is_heard_between_two_resamples() -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 7:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        judge(replace(asked({POET}), look=look))
    assert len(looks) == 7
