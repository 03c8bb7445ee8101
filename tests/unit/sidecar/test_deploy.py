"""Decisions of *Deploy*, as pure functions: which revision, what is waited for, what stops the wait."""

from __future__ import annotations

import pytest

from sidecar.deploy import PHASES, is_ours, refuse_failed, serving_revision, waiting_for
from sidecar.errors import EndpointError
from sidecar.gateway.apps import App, Replica, Revision
from sidecar.gateway.endpoint import Phase


def app(mode: str = "Multiple", traffic: tuple[tuple[str | None, int], ...] = ((None, 100),), **env: str) -> App:
    return App(
        "id", "app", "Succeeded", "f", "e", "app--2", "app--1", mode, traffic, env, {}, (), (), (), "image", 1, {}, 7860
    )


def revision(name: str, active: bool = True) -> Revision:
    return Revision(name, active, 1, "Running", "Healthy", None, None, 0)


def replica(name: str, restarts: int = 0) -> Replica:
    return Replica(name, "Running", None, restarts, ready=True)


NOTHING = Phase(ready=False, phase=None, progress=None, detail=None, known=False, status=None)


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        (app(), "app--2"),
        (app("Single", (("app--1", 100),)), "app--2"),
        (app(traffic=(("app--1", 90), ("app--2", 10))), "app--1"),
    ],
)
def test_the_revision_that_gets_the_traffic_is_the_one_to_restart(given: App, chosen: str) -> None:
    assert serving_revision(given, [revision("app--1"), revision("app--2")]) == chosen


def test_no_active_revision_is_said() -> None:
    with pytest.raises(EndpointError, match="no active revision"):
        serving_revision(app(), [revision("app--2", active=False)])


def test_row_18_an_app_made_by_hand_is_recognised() -> None:
    assert not is_ours(app(HOME="/root"))
    assert is_ours(app(SLIPWAY_RELEASE="current", SLIPWAY_APP="app"))


def test_row_9_every_phase_has_its_words_and_the_base_model_its_percent() -> None:
    loading = Phase(ready=False, phase="loading-base", progress=0.42, detail=None, known=True, status=503)
    assert str(waiting_for([replica("new")], set(), loading)) == "Loading the base model (42 %)…"
    assert str(waiting_for([], set(), NOTHING)) == "Waiting for a replica to be assigned…"
    assert str(waiting_for([replica("old")], {"old"}, NOTHING)) == "Waiting for the old replica to end…"
    assert "new: Running" in str(waiting_for([replica("new")], set(), NOTHING))
    for phase in PHASES:
        known = Phase(ready=False, phase=phase, progress=None, detail=None, known=True, status=503)
        assert "{" not in str(waiting_for([replica("new")], set(), known))


def test_a_model_that_can_not_be_loaded_ends_the_wait_with_the_servers_words() -> None:
    failed = Phase(
        ready=False, phase="failed", progress=None, detail="no base model under model-cache", known=True, status=503
    )
    with pytest.raises(EndpointError, match="no base model under model-cache"):
        refuse_failed([replica("new")], set(), failed, "app--1")


def test_a_container_that_dies_again_and_again_ends_the_wait_but_an_old_one_does_not() -> None:
    refuse_failed([replica("new", 2), replica("old", 9)], {"old"}, NOTHING, "app--1")
    with pytest.raises(EndpointError, match="ended 3 times") as error:
        refuse_failed([replica("new", 3)], {"old"}, NOTHING, "app--1")
    assert error.value.code == "ContainerCrashed"
