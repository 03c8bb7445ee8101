"""Rows of the table of a Deploy's faults (`npm run faults -- deploy` plays all of them), played as there."""

from __future__ import annotations

import signal

import pytest

from tests.contract.localcloud.conftest import eventually
from tests.faults.azure import clouded
from tests.faults.deploy import TIMES, main, play
from tests.faults.deploying import secrets
from tests.faults.deploying.ground import Ground
from tests.faults.deploying.sweep import Point, sweep


def test_a_release_that_ends_goes_back_two_windows_take_two_generations_and_no_secret_is_written() -> None:
    with clouded(4, TIMES) as (world, folder):
        grounds: list[Ground] = []
        for name in ("19", "30-again"):
            row = play(name, world, folder, grounds)
            assert row.as_expected, row.seen
        row = secrets.row(world, folder, grounds)
        assert row.as_expected, row.seen


def test_a_deploy_that_is_killed_while_the_old_replica_ends_is_finished_by_the_next() -> None:
    with clouded(2, TIMES) as (world, folder):
        ground = Ground(world, folder, "killed")
        ground.write("serve", "first")
        assert ground.deploy().code == 0
        chosen = [Point("journal", 4)]
        assert {str(point): wrong for point, wrong in sweep(ground, chosen)} == {str(point): [] for point in chosen}


def test_a_cancel_amid_the_wait_says_what_goes_on_by_itself() -> None:
    with clouded(2, TIMES) as (world, folder):
        ground = Ground(world, folder, "cancelled")
        ground.write("serve", "first")
        assert ground.deploy().code == 0
        ground.write("late", "second")
        process = ground.begin()
        eventually(lambda: "restart" in ground.steps()[-1:], 180, "the restart")
        process.send_signal(signal.SIGINT)
        ended = ground.finish(process)
        assert ended.code == 130, ended
        assert "is current already (generation 2), and starts by itself" in ended.error["message"]
        assert ground.unfinished() is None
        eventually(lambda: len(ground.generations()) == 2 and ground.serving(), 180, "the second release")


def test_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["99"])
    assert ended.value.code == 2
