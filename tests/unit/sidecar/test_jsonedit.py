"""A person's JSON file after values of it were changed: what they wrote beside them is there still."""

from __future__ import annotations

import json

import pytest

from sidecar.core.jsonedit import strict, with_values

COMMENTED = """{
  // where fine-tuning ran: "ACA_APP_NAME": not here
  "SUBSCRIPTION_ID": "old", /* the team's */
  "MINE": {"nested": [1, 2], "ACA_APP_NAME": "inner"},
  "ACA_APP_NAME": null,  // set by Provision
}
"""


def test_comments_other_keys_order_and_layout_stay() -> None:
    changed = with_values(COMMENTED, {"SUBSCRIPTION_ID": "new", "ACA_APP_NAME": 'a"b', "FILE_SHARE_NAME": "ü"})
    assert changed == COMMENTED.replace('"old"', '"new"').replace(
        '"ACA_APP_NAME": null', '"ACA_APP_NAME": "a\\"b",\n  "FILE_SHARE_NAME": "ü"'
    )
    assert json.loads(strict(changed))["MINE"]["ACA_APP_NAME"] == "inner"


@pytest.mark.parametrize(
    "text", ["{}", "{\n}\n", "{ /* nothing yet */ }", '{"A": 1}', '{"A": {"B": 2}, "A": 3}', ' {\r\n\t"A" : 1\r\n}']
)
def test_what_comes_out_can_be_read_and_says_what_it_should(text: str) -> None:
    changed = with_values(text, {"A": "x", "C": None})
    assert json.loads(strict(changed)) == {"A": "x", "C": None}
    assert with_values(changed, {"A": "x", "C": None}) == changed
