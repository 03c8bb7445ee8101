"""What is measured of an answer: against well-kept libraries where there are some, else against what it means."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from sidecar.core.answer_schema import follows
from sidecar.core.dataset import Answer, Case
from sidecar.decisions.measures import deciding, scored, together
from sidecar.decisions.overlap import bleu, bleu_counts, chrf, chrf_counts, rouge_l, summed, token_f1, tokens
from sidecar.decisions.weighing import Weighed
from sidecar.words.names import Measure
from sidecar.words.text import Text
from tests.support.judged import scored_here

Wanted = partial(Case, "")
WORDS = [
    "the",
    "a",
    "cat",
    "sat,",
    "mat.",
    "Don't",
    "3.5",
    "1-2",
    "U.S.",
    "&amp;",
    "(x)",
    "ё",
    "日本",
    "$5",
    "``q''",
    "a\nb",
]
texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=30)
plain = st.lists(st.sampled_from(["the", "cat", "sat", "on", "mat", "3", "us", "Hello"]), max_size=15).map(" ".join)

ROUGE = RougeScorer(["rouge1", "rougeL"])


@given(texts, texts)
def test_chrf_and_bleu_of_a_sentence_are_sacrebleus(answer: str, expected: str) -> None:
    assert chrf(chrf_counts(answer, expected)) == pytest.approx(CHRF().sentence_score(answer, [expected]).score)
    theirs = BLEU(effective_order=True).sentence_score(answer, [expected]).score
    assert bleu(bleu_counts(answer, expected), sentence=True) == pytest.approx(theirs)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=8))
def test_chrf_and_bleu_of_a_whole_are_sacrebleus(pairs: list[tuple[str, str]]) -> None:
    answers, expected = [each[0] for each in pairs], [[each[1] for each in pairs]]
    ours = chrf(summed(chrf_counts(*each) for each in pairs))
    assert ours == pytest.approx(CHRF().corpus_score(answers, expected).score)
    ours = bleu(summed(bleu_counts(*each) for each in pairs), sentence=False)
    assert ours == pytest.approx(BLEU().corpus_score(answers, expected).score)


@given(plain, plain)
def test_token_f1_and_rouge_l_are_those_of_rouge_score(answer: str, expected: str) -> None:
    if not answer or not expected:
        return  # two empty texts are the same to us, and nothing to it
    theirs = ROUGE.score(expected, answer)
    assert token_f1(answer, expected) == pytest.approx(theirs["rouge1"].fmeasure)
    assert rouge_l(answer, expected) == pytest.approx(theirs["rougeL"].fmeasure)


def test_words_of_other_scripts_count() -> None:
    assert tokens("Žluťoučký kůň, 日本語 и ёж!") == ["žluťoučký", "kůň", "日", "本", "語", "и", "ёж"]
    assert token_f1("日本", "日本語") == pytest.approx(0.8)
    assert token_f1("", "") == rouge_l("", "") == 1.0


def test_long_texts_are_compared_in_no_time() -> None:
    one, other = " ".join(str(at) for at in range(5000)), " ".join(str(at * 2) for at in range(5000))
    assert rouge_l(one, other) == pytest.approx(0.5)


ROWS: list[tuple[Case, str, dict[Measure, float]]] = [
    (Wanted(), "x", {}),
    (Wanted(equals="4"), " 4\n", {"exact": 1, "passes": 1}),
    (Wanted(equals="4"), "four", {"exact": 0, "passes": 0}),
    (Wanted(contains=("a", "b")), "cab", {"contains": 1, "passes": 1}),
    (Wanted(contains=("a", "z")), "cab", {"contains": 0, "passes": 0}),
    (Wanted(regex=r"\d{2}"), "in 42 ways", {"regex": 1, "passes": 1}),
    (Wanted(regex=r"^\d{2}$"), "in 42 ways", {"regex": 0, "passes": 0}),
    (Wanted(regex="a", contains=("b",)), "a", {"regex": 1, "contains": 0, "passes": 0}),
    (Wanted(schema='{"type": "object", "required": ["a"]}'), '{"a": 1}', {"schema": 1, "passes": 1}),
    (Wanted(schema='{"type": "object", "required": ["a"]}'), 'Sure: {"a": 1}', {"schema": 0, "passes": 0}),
    (Wanted(expected="a b"), "a b", {"exact": 1, "tokenF1": 1, "rougeL": 1}),
]


@pytest.mark.parametrize(("wanted", "text", "told"), ROWS)
def test_what_a_row_states_is_measured_and_nothing_else(wanted: Case, text: str, told: dict[Measure, float]) -> None:
    found = scored_here(wanted, Answer(text, "stop", 4, 2.0)).scores
    behaviour = {"answered": 1, "finished": 1, "characters": len(text), "tokens": 4, "latency": 2, "tokensPerSecond": 2}
    of_texts = {name for name in ("chrf", "bleu") if wanted.expected is not None}
    assert {name: value for name, value in found.items() if name not in of_texts} == {**behaviour, **told}
    assert of_texts <= set(found)


def test_a_refused_request_is_wrong_and_has_no_speed() -> None:
    for wanted in (Wanted(expected="a"), Wanted(equals=""), Wanted(regex=".*"), Wanted(schema="{}")):
        found = scored_here(wanted, Answer(None, refused="400")).scores
        assert set(found.values()) == {0.0}
        assert not set(found) & {"latency", "tokens", "characters", "tokensPerSecond", "finished"}


def test_a_schema_of_another_draft_or_with_a_foreign_reference_is_judged_without_a_request() -> None:
    draft7 = '{"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}'
    assert follows('["a"]', draft7)
    assert not follows("[1]", draft7)
    assert not follows("1", '{"$ref": "https://example.com/other.json"}')


WHY = Text("It had not come to an end.")


def test_what_could_not_be_judged_has_no_figure_and_no_zero() -> None:
    wanted, answer = Wanted(regex="a", contains=("b",), expected="b"), Answer("ab", "stop", 4, 2.0)
    found = scored(wanted, answer, Weighed(regex=WHY, texts=WHY))
    assert set(found.unjudged) == {"regex", "passes", "tokenF1", "rougeL", "chrf", "bleu"}
    assert not set(found.unjudged) & set(found.scores)
    assert found.scores["contains"] == 1.0
    wrong = scored(wanted, Answer("a", "stop", 4, 2.0), Weighed(regex=WHY, texts=WHY))
    assert wrong.scores["passes"] == 0.0, "one demand that is not met is enough"
    assert "passes" not in wrong.unjudged


def test_in_all_means_medians_and_the_scores_of_the_whole() -> None:
    rows = [(Wanted(expected="the cat sat on the mat"), Answer(text, "stop", 6, seconds)) for text, seconds in (
        ("the cat sat on the mat", 1.0), ("the cat", 2.0), ("dogs", 9.0))]  # fmt: skip
    found = together([scored_here(*each) for each in rows])
    assert found["exact"] == pytest.approx(1 / 3)
    assert found["latency"] == 2.0
    answers, expected = [each.text or "" for _, each in rows], [[each.expected or "" for each, _ in rows]]
    assert found["bleu"] == pytest.approx(BLEU().corpus_score(answers, expected).score)
    assert found["chrf"] == pytest.approx(CHRF().corpus_score(answers, expected).score)


def test_what_decides_is_what_rows_demand_else_how_near_they_come() -> None:
    assert deciding([Wanted(expected="a"), Wanted(equals="b")]) == "passes"
    assert deciding([Wanted(), Wanted(expected="a")]) == "chrf"
    assert deciding([Wanted()]) is None
