"""What comes of a cancel: each outcome is told as what it is, with the step that goes on from there."""

from __future__ import annotations

from typing import cast

import pytest

from sidecar.gateway import resources
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import CloudError
from sidecar.words.text import Text
from sidecar.workflows.follow import cancelled_outcome

PLACE = GroupPlace(cast("Session", None), "subscription", "group")
FOLLOW = "Run Provision again to follow it."


@pytest.mark.parametrize(
    ("state", "said", "next_step"),
    [
        ("Succeeded", "had already succeeded", "to write the configuration"),
        ("Failed", "had already failed when it was cancelled (No such image.)", "Correct the cause"),
        ("Canceled", "had already been cancelled", "to complete it"),
        ("Running", "could not be cancelled (It has ended.); it is still Running", FOLLOW),
    ],
)
def test_a_deployment_that_takes_no_cancel_is_told_by_its_state(
    state: str, said: str, next_step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that had failed used to be "still Failed", to be followed."""

    def cancel(place: GroupPlace, name: str) -> None:
        raise CloudError(Text("It has ended."))

    problem = "No such image." if state == "Failed" else None
    found = resources.Deployment("id", "d1", state, {}, None, problem)
    monkeypatch.setattr(resources, "cancel_deployment", cancel)
    monkeypatch.setattr(resources, "deployment", lambda *_: found)
    told = cancelled_outcome(PLACE, "d1")
    assert said in str(told.message)
    assert next_step in str(told.suggestion)
    assert (str(told.suggestion) == FOLLOW) == (state == "Running")
