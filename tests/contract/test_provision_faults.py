"""Rows of the table of a Provision's faults (`npm run faults -- provision` plays all of them), played as there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.azure import clouded
from tests.faults.provision import TIMES, holds, main, play
from tests.faults.provisioning import sweep
from tests.faults.provisioning.ground import Ground
from tests.faults.provisioning.sweep import Point, Scene

ASKED = Point("arm", 0, after=True)
"""The deployment was asked for, and nobody heard that it was taken."""


def test_a_cancel_ends_at_once_and_a_killed_provision_is_followed_by_the_next() -> None:
    with clouded(2, TIMES) as (world, folder):
        grounds: list[Ground] = []
        row = play("18", world, folder, grounds, {})
        # How long it takes is judged by the table (I5): here others' tests run beside, and the deployment would take two minutes.
        row = replace(row, wrong=tuple(each for each in row.wrong if not each.startswith("I5")))
        assert holds(row), row
        scene: Scene = sweep.SCENES[0]
        assert list(sweep.played(scene, world, folder, [ASKED], "one")) == [(ASKED, [])]


def test_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["99"])
    assert ended.value.code == 2
