"""A GPU that is awake while nothing answers: told with the sum so far, and ended where the person wants that."""

from __future__ import annotations

import re
import time
from pathlib import Path

from sidecar.gateway import apps
from sidecar.workflows.observe import status
from sidecar.workflows.restart import Patience
from sidecar.workflows.spending import unused_note
from tests.contract.localcloud.conftest import World, eventually
from tests.contract.provision.conftest import Project
from tests.faults.situations.stage import Stage

SUM = re.compile(
    r"A GPU has been awake for [\d.e-]+ minutes and nothing answers: about \d+\.\d\d USD so far by list price \(.+\)\."
)


def test_a_start_that_takes_twice_as_long_as_the_last_is_told_and_the_app_is_stopped(
    world: World, tmp_path: Path
) -> None:
    stage = Stage(world, tmp_path, "g-spending")
    stage.released()
    told = stage.deploy("late", Patience(whole=150, unanswered=1, stops=True))
    assert told.code == "StoppedUnanswered"
    assert SUM.search(told.sentence), told.sentence
    assert "no request wakes one" in told.sentence
    assert apps.app(stage.project.place.app(stage.app)).stopped
    eventually(lambda: stage.replicas() == [], 30, "its replica to end")
    stage.end()


def test_a_dedicated_profile_on_which_nothing_has_run_for_a_day_is_told(project: Project) -> None:
    project.state(gpuProfileType="NC24-A100", cpu="24", memory="220Gi")
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    place = project.place.app(name)
    eventually(lambda: status(project.workspace, project.session).state == "asleep", 60, "its sleep")
    app = apps.app(place)
    assert unused_note(place, app, time.time()) == []
    (told,) = unused_note(place, app, time.time() + 3.5 * 86400)
    assert "(NC24-A100) for 3 days. It is dedicated" in str(told)
