"""Log streams that break off at any moment, amid a line too: taken up again without a gap, a repetition or a word."""

from __future__ import annotations

import re

from sidecar.gateway import revisions
from sidecar.gateway.log_lines import console_line, system_event
from sidecar.gateway.logs import LogStreams
from tests.contract.localcloud.conftest import eventually
from tests.contract.localcloud.test_apps import app_body
from tests.contract.provision.conftest import Arm, Project

LINES = 150
TALKS = f"""
import time
for number in range({LINES}):
    print(f"line {{number}} of a log that is followed", flush=True)
    time.sleep(0.05)
time.sleep(600)
"""


def test_a_console_that_breaks_off_again_and_again_is_read_whole_and_once(project: Project, faults: Arm) -> None:
    project.provision()
    (environment,) = project.names("Microsoft.App/managedEnvironments")
    apps = project.world.apps
    body = app_body(apps.managed_environments.get(project.group, environment).id)
    body["properties"]["template"]["containers"][0]["command"] = ["python3", "-c", TALKS]
    cuts = [{"part": "data", "path": "/logstream", "kind": "cut", "after": after} for after in (700, 1234, 0, 3001, 99)]
    hits = faults(*cuts)
    apps.container_apps.begin_create_or_update(project.group, "talks", body).result()
    place = project.place.app("talks")
    (revision,) = revisions.revisions(place)
    taken: list[str] = []
    with LogStreams(place) as streams:
        url = eventually(
            lambda: next((c.log_stream for r in revisions.replicas(place, revision.name) for c in r.containers), None)
        )
        streams.follow(url, taken.append)
        eventually(lambda: any(f"line {LINES - 1} " in each for each in taken))
        assert streams.problems == ()
    assert hits() == [1] * len(cuts)
    said = [line.text for each in taken if (line := console_line(each)) is not None]
    assert said == [f"line {number} of a log that is followed" for number in range(LINES)]


def test_events_that_break_off_are_read_once(project: Project, faults: Arm) -> None:
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    place = project.place.app(name)
    hits = faults(
        *({"part": "data", "path": "/eventstream", "kind": "cut", "after": after} for after in (500, 1501, 20))
    )
    taken: list[str] = []
    with LogStreams(place) as streams:
        streams.follow(
            project.world.apps.container_apps.get(project.group, name).as_dict()["properties"]["eventStreamEndpoint"],
            taken.append,
        )
        eventually(lambda: hits() == [1] * 3)
        revisions.restart(place, revisions.revisions(place)[0].name)
        eventually(lambda: sum("has been scheduled" in each for each in taken) >= 2)
        assert streams.problems == ()
    events = [event for each in taken if (event := system_event(each)) is not None]
    told = [(event.reason, event.message, event.replica, event.count) for event in events]
    assert len(told) == len(set(told)), "each event once; a repeat of Azure's has a count of its own"
    assert not [each for each in taken if not re.fullmatch(r"\{.*\}", each)], "no half of a line"
