"""The line that says who gives an answer: it comes off again as it was put on."""

import pytest

from inference.web.speaker import UNANSWERED, answered, spoken, unspoken


@pytest.mark.parametrize("name", ["gpu_model", "org/a b", "a`b", "`", "x``y`", "**bold**", "<b>"])
@pytest.mark.parametrize("text", ["", "Arr!", "`code` first\n\nthen", "```\nx\n```", "\n\n"])
def test_what_was_said_comes_back_as_it_was(name: str, text: str):
    assert unspoken(spoken(name, text)) == text


def test_an_answer_of_an_older_page_stays_as_it_is():
    assert unspoken("Arr, matey!\n\nAhoy.") == "Arr, matey!\n\nAhoy."


def test_a_model_is_told_no_question_that_nobody_answered():
    said = [("user", "One?"), ("assistant", spoken("m", "1")), ("user", "Two?"), ("assistant", UNANSWERED)]
    assert answered(said) == [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1"}]
    assert answered([("user", "Two?"), ("assistant", UNANSWERED)]) == []
    assert answered([]) == []
