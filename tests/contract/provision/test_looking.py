"""Looking is free: no state that is shown keeps a GPU awake, and none wakes one."""

from __future__ import annotations

import time

import pytest

from sidecar.gateway import revisions
from sidecar.workflows.observe import status
from tests.contract.localcloud.conftest import eventually
from tests.contract.provision.conftest import Project

COOLDOWN = 300 * 0.02
"""Seconds: the template's, on this cloud's scale."""


@pytest.mark.fact(114, 117)
def test_a_view_that_looks_all_the_time_lets_the_app_fall_asleep_and_leaves_it_so(project: Project) -> None:
    """Asking a replica that waits for its first deploy would be a request, and keep it for good."""
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    place = project.place.app(name)
    (revision,) = revisions.revisions(place)
    seen: set[str] = set()

    def looked() -> str:
        state = status(project.workspace, project.session).state
        seen.add(state)
        return state

    eventually(lambda: looked() == "waiting-for-first-deploy", what="the bootstrap waits")
    eventually(lambda: looked() == "asleep", what="it falls asleep under the eyes of who looks")
    until = time.monotonic() + COOLDOWN
    while time.monotonic() < until:
        assert looked() == "asleep"
    assert revisions.replicas(place, revision.name) == [], "and looking does not wake it"
    assert seen == {"starting", "waiting-for-first-deploy", "asleep"} or seen == {"waiting-for-first-deploy", "asleep"}
