"""Looking is free: no state that is shown keeps a GPU awake, and none wakes one."""

from __future__ import annotations

import time

import pytest

from sidecar.core.releases import Generation
from sidecar.core.workspace import read_config
from sidecar.gateway import revisions
from sidecar.gateway.files import open_share
from sidecar.workflows.diagnose import why_not_ready
from sidecar.workflows.observe import status
from tests.contract.localcloud.conftest import eventually
from tests.contract.provision.conftest import Arm, Project

COOLDOWN = 600
SCALE = 0.02  # of this cloud


@pytest.mark.fact(114, 117)
def test_a_view_that_looks_all_the_time_lets_the_app_fall_asleep_and_leaves_it_so(
    project: Project, faults: Arm
) -> None:
    """Asking a replica that waits for its first deploy would be a request, and keep it for good."""
    project.state(cooldownSeconds=COOLDOWN)
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
    until = time.monotonic() + 1.2 * COOLDOWN * SCALE
    while time.monotonic() < until:
        assert looked() == "asleep"
    release_is_told_from_the_share(project, faults)
    assert revisions.replicas(place, revision.name) == [], "and looking does not wake it"
    assert seen == {"starting", "waiting-for-first-deploy", "asleep"} or seen == {"waiting-for-first-deploy", "asleep"}


def release_is_told_from_the_share(project: Project, faults: Arm) -> None:
    """Which one would start; a damaged generation is skipped, as the container skips it."""
    known = read_config(project.workspace)
    generations = f".slipway/{known.ACA_APP_NAME}/generations"
    assert status(project.workspace, project.session).release is None
    with open_share(project.place, known.STORAGE_ACCOUNT_NAME or "", known.FILE_SHARE_NAME or "") as share:
        share.replace(f"{generations}/7.json", Generation(7, "a" * 64).to_json())
        share.replace(f"{generations}/8.json", b"damaged")
    told = status(project.workspace, project.session)
    assert (told.state, told.release, told.generation) == ("asleep", "a" * 64, 7)
    assert [str(each)[:36] for each in told.notes] == ["Nobody has seen release aaaaaaaaaaaa"], (
        "it may have crashed each time"
    )
    assert "Nobody has seen release" in str(why_not_ready(project.workspace, project.session).sentence)
    with open_share(project.place, known.STORAGE_ACCOUNT_NAME or "", known.FILE_SHARE_NAME or "") as share:
        share.replace(f"{generations}/7.served", b"{}")
    assert status(project.workspace, project.session).notes == ()
    assert "nothing is wrong" in str(why_not_ready(project.workspace, project.session).sentence)
    faults({"part": "files", "kind": "status", "status": 403, "times": None})
    told = status(project.workspace, project.session)
    assert (told.state, told.release) == ("asleep", None)
    assert "can't be read" in str(told.notes[-1])
