"""An app that is there: stopped, so that nothing wakes it, and started again."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from sidecar.core.journal import Event, Journal
from sidecar.core.workspace import target_of
from sidecar.gateway import apps, revisions
from sidecar.gateway.answering import Question
from sidecar.words.errors import ConsentNeeded, EndpointError, WorkspaceError
from sidecar.workflows.chat import chat, models
from sidecar.workflows.context import place_of
from sidecar.workflows.diagnose import why_not_ready
from sidecar.workflows.evaluate import Wish, evaluate
from sidecar.workflows.keep_warm import Warmed, keep_warm, pause_of
from sidecar.workflows.observe import status
from sidecar.workflows.operate import start, stop
from sidecar.workflows.rotate import rotate
from tests.contract.provision.conftest import Arm, Project


def journal(project: Project) -> Journal:
    def listen(event: Event) -> None:
        project.hear(event.text)

    return Journal(None, "test", listen, project.stop)


def until(condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)  # sleeps: between two looks


def replicas(project: Project) -> int:
    place = place_of(project.session, target_of(project.workspace))
    return sum(len(revisions.replicas(place, each.name)) for each in revisions.revisions(place))


def answered(url: str) -> int | None:
    """None: the request is held."""
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code
    except httpx.ReadTimeout:
        return None


@pytest.mark.fact(45)
def test_a_stopped_app_has_no_replica_and_no_request_wakes_it_until_it_is_started(
    project: Project, faults: Arm
) -> None:
    url = project.provision().url
    until(lambda: replicas(project) == 1, "the first replica")
    never_ready(project, faults)
    warming = kept_warm(project)
    stopped = stop(project.workspace, project.session, journal(project))
    assert warming.result(180).ended == "stopped", "also while it waits for a replica"
    assert (stopped.running, stopped.changed, stopped.awake) == ("stopped", True, 0)
    assert "no GPU is awake" in str(stopped.sentence)
    assert replicas(project) == 0
    assert answered(url) == 404
    found = status(project.workspace, project.session)
    assert (found.state, found.is_failure) == ("stopped", False), "asleep would promise that a request wakes it"
    why = why_not_ready(project.workspace, project.session)
    assert (why.state, why.cause and why.cause.code, why.remedies) == ("stopped", "AppStopped", ("start", "deploy"))
    assert replicas(project) == 0
    assert keep_warm(project.workspace, project.session, journal(project), wake=True).ended == "stopped"
    (project.workspace.infra / "smoke.json").write_text('[{"prompt": "Hello", "contains": "Hi"}]')
    with pytest.raises(EndpointError, match="is stopped: it can't be evaluated"):
        evaluate(project.workspace, project.session, Wish(), journal(project))
    again = stop(project.workspace, project.session, journal(project))
    assert (again.running, again.changed) == ("stopped", False)

    started = start(project.workspace, project.session, journal(project))
    assert (started.running, started.changed) == ("started", True)
    assert not apps.app(place_of(project.session, target_of(project.workspace))).stopped
    assert answered(url) is None, "held by the ingress until a replica is ready"
    until(lambda: replicas(project) == 1, "a replica again")
    until(lambda: replicas(project) == 0, "its sleep")
    warmed = keep_warm(project.workspace, project.session, journal(project), wake=False)
    assert (warmed.ended, replicas(project)) == ("asleep", 0), "looking whether to keep it warm wakes nothing"
    refuses_to_wake(project)
    listed = models(project.workspace, project.session, journal(project), wake=False)
    assert (listed.state, listed.models, replicas(project)) == ("asleep", (), 0), "nor does looking whom to chat with"
    question = Question("any", [{"role": "user", "content": "Hello"}])
    with pytest.raises(ConsentNeeded) as asked:
        chat(project.workspace, project.session, question, print, journal(project), project.stop, wake=False)
    assert (asked.value.consent, replicas(project)) == ("wake", 0), "a question would, and is asked with a yes only"
    assert start(project.workspace, project.session, journal(project)).changed is False


def refuses_to_wake(project: Project) -> None:
    """An evaluation says what it would cost, before a GPU is awake."""
    with pytest.raises(ConsentNeeded, match="The evaluation wakes it: its GPU is billed until") as asleep:
        evaluate(project.workspace, project.session, Wish(), journal(project))
    assert (asleep.value.consent, replicas(project)) == ("wake-to-evaluate", 0)


def never_ready(project: Project, faults: Arm) -> None:
    """Without a first release none gets ready: told after a while, with the cause. One answer that is lost ends nothing."""
    hits = faults({"method": "GET", "path": "/revisions\\?", "status": 400, "code": "Lost"})
    with pytest.raises(EndpointError, match="did not get ready within") as told:
        keep_warm(project.workspace, project.session, journal(project), wake=False, ready_seconds=1)
    assert (hits(), told.value.code) == ([1], "WaitingForFirstDeploy")
    assert any("No answer (Lost)" in each for each in project.said)


def kept_warm(project: Project) -> Future[Warmed]:
    """From now on, in a thread of its own."""
    pool = ThreadPoolExecutor(1)
    before = len(project.said)
    done = pool.submit(keep_warm, project.workspace, project.session, journal(project), wake=False)
    until(lambda: any("is awake…" in each for each in project.said[before:]), "it waits for the replica")
    pool.shutdown(wait=False)
    return done


def test_a_first_rotation_is_refused_where_traffic_goes_by_names_and_no_key_is_changed(project: Project) -> None:
    """The new revision, which alone would know both keys, would get none of it."""
    project.provision()
    place = place_of(project.session, target_of(project.workspace))
    until(lambda: apps.app(place).latest_revision is not None, "a revision")
    app = apps.app(place)
    traffic = {"configuration": {"ingress": {"traffic": [{"revisionName": app.latest_revision, "weight": 100}]}}}
    client = project.world.apps.container_apps
    client.begin_update(project.group, app.name, {"location": app.location, "properties": traffic}).result()
    before, keys = client.get(project.group, app.name).as_dict()["properties"], apps.secrets(place)
    with pytest.raises(WorkspaceError) as refused:
        rotate(project.workspace, project.session, journal(project), finishing=False)
    assert refused.value.code == "TrafficByName"
    after = client.get(project.group, app.name).as_dict()["properties"]
    assert (apps.secrets(place), after["latestRevisionName"]) == (keys, before["latestRevisionName"])


def test_two_requests_lie_inside_one_cooldown() -> None:
    assert [pause_of(cooldown) for cooldown in (300, 30)] == [180, 18]
