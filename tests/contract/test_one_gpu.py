"""With a quota of one GPU the replica that answers ends before the next one starts: what fails or is cut off then is mended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar.decisions.upgrade import PRESENT_START, digest_of
from sidecar.gateway import apps, revisions
from tests.contract.localcloud.conftest import eventually
from tests.faults.azure import clouded
from tests.faults.deploy import TIMES
from tests.faults.deploying import operated
from tests.faults.deploying.ground import Ground
from tests.faults.deploying.sweep import Command, Point, killed_at
from tests.unit.sidecar.test_upgrade import older

ENDED = Point("arm", 1, after=True)
"""The replica that answered was ended, and the next one not begun."""
CHANGED = Point("arm", 0, after=True)
"""The app had its new start, and nobody had seen whether that serves."""
REPLACING = Command("deploy", ("deploy", "--yes"), path="containerApps/[^/]+$")
GONE = Point("arm", 1, after=True)
"""App and share were gone, and the configuration named both."""


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with clouded(1, TIMES) as (world, folder):
        made = Ground(world, folder, "narrow")
        operated.deployed(made)
        yield made


@pytest.mark.parametrize("killed", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_deploy_that_replaces_an_older_start_and_fails_gives_it_back(ground: Ground, *, killed: bool) -> None:
    """The old revision ended so that the new one could start, so nothing would serve. Where the run that replaced the start was
    killed, the next one gives it back all the same."""
    good, former = ground.serving(), older()
    name = ground.config["ACA_APP_NAME"]
    place = ground.project.place.app(name)
    template = apps.template_of(place)
    template["containers"][0]["command"][2] = former
    before = [each.name for each in revisions.revisions(place)]
    apps.update_template(place, template)
    for each in before:
        revisions.deactivate(place, each)
    eventually(lambda: ground.serving() == good, 180, "the good release under the older start")

    ground.write("crash", "bad")
    if killed:
        assert killed_at(ground, REPLACING, CHANGED) == (True, True)
        assert digest_of(apps.app(place).command[2]) == PRESENT_START, "killed after the write"
    number = len(ground.generations()) + (0 if killed else 1) + 1
    ended = ground.deploy("deploy", "--yes")
    assert ended.code == 1, ended
    assert ended.error["code"] == "ContainerCrashed"
    told = f"{name} has its former start back, and the release before, {good[:12]}, serves again (generation {number})."
    assert told in ended.error["message"]
    assert ended.error["restored"] == number
    app = apps.app(place)
    assert digest_of(app.command[2]) == digest_of(former) != PRESENT_START
    assert ground.serving() == good
    active = [each.name for each in revisions.revisions(place) if each.active]
    assert active == [app.latest_revision], "what failed holds no GPU"
    assert ground.unfinished() is None


def test_a_rotation_that_is_killed_is_ended_by_the_same_command_run_again(ground: Ground) -> None:
    old = operated.keys_of(ground)["api-key"]
    assert ground.deploy(*operated.rotating().arguments).code == 0
    new = operated.keys_of(ground)["api-key"]
    assert list(operated.cut_off(ground, operated.rotating("--finish"), ENDED, new)) == []
    assert [operated.answered(ground, key) for key in (new, old)] == [200, 401]


def test_a_deletion_that_is_killed_is_ended_by_the_same_command_run_again(ground: Ground) -> None:
    """The last: nothing is left of the ground."""
    assert list(operated.deletions(ground, operated.WITH_SHARE, [GONE])) == [(GONE, [])]
