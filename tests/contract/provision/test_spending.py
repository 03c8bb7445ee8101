"""A GPU that is awake while nothing answers: told with the sum so far, and ended where the person wants that."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from sidecar.decisions.cost_now import ASLEEP
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

NOW = re.compile(r"\d+\.\d\d USD an hour by list price; about \d+\.\d\d USD since its replicas started \(.+\)")


def test_a_start_that_takes_twice_as_long_as_the_last_is_told_and_the_app_is_stopped(
    world: World, tmp_path: Path
) -> None:
    stage = Stage(world, tmp_path, "g-spending")
    stage.released()
    note, awake = map(str, status(stage.project.workspace, stage.project.session).cost)
    assert note == "These prices are made up: the local cloud runs on this machine and bills nothing."
    assert NOW.fullmatch(awake), awake
    eventually(lambda: stage.replicas() == [], 120, "its sleep: else the replica that runs goes on answering")
    assert status(stage.project.workspace, stage.project.session).cost[1:] == (ASLEEP,)
    told = stage.deploy("late", Patience(whole=150, unanswered=1, stops=True))
    assert told.code == "StoppedUnanswered"
    assert SUM.search(told.sentence), told.sentence
    assert "no request wakes one" in told.sentence
    assert apps.app(stage.project.place.app(stage.app)).stopped
    eventually(lambda: stage.replicas() == [], 120, "its replica to end")
    stage.end()


@pytest.mark.long
def test_an_app_that_answers_is_never_stopped_however_long_the_new_release_takes(world: World, tmp_path: Path) -> None:
    """A release that starts beside the one that serves; and one whose old replica has still to end."""
    stage = Stage(world, tmp_path, "g-spending-beside")
    stage.released()
    told = stage.deploy("late", Patience(whole=150, unanswered=1, stops=True))
    assert told.code == "ok", told
    assert "A GPU has been awake" not in told.sentence
    stage.end()


def test_nodes_that_a_dedicated_profile_keeps_are_told_after_a_day_without_a_replica(project: Project) -> None:
    text = project.workspace.bicep_file.read_text(encoding="utf-8")
    assert "minimumCount: 0" in text
    project.template(text.replace("minimumCount: 0", "minimumCount: 1"))
    project.state(gpuProfileType="NC24-A100", cpu="24", memory="220Gi")
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    place = project.place.app(name)
    eventually(lambda: status(project.workspace, project.session).state == "asleep", 120, "its sleep")
    told = status(project.workspace, project.session).cost
    assert "whether or not a replica is awake: the dedicated profile keeps 1 nodes" in " ".join(map(str, told))
    app = apps.app(place)
    assert unused_note(place, app, time.time()) == []
    (told,) = unused_note(place, app, time.time() + 3.5 * 86400)
    assert f"{name} has run nothing for 3 days. Its dedicated profile" in str(told)
    assert "1 nodes at least, each of which costs about" in str(told)
