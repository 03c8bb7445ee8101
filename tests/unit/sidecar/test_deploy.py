"""Decisions of *Deploy*, as pure functions: what is waited for, what stops the wait, what is said of the outcome."""

from __future__ import annotations

import pytest

from sidecar.gateway.apps import Replica
from sidecar.gateway.endpoint import NOT_ASKED, Readiness, Refused, Version
from sidecar.words.errors import EndpointError
from sidecar.workflows.deploy import PHASES, outcome_notes, refuse_failed, waiting_for


def replica(name: str, restarts: int = 0) -> Replica:
    return Replica(name, "Running", None, restarts, ready=True)


NOTHING = NOT_ASKED


def test_every_phase_has_its_words_and_the_base_model_its_percent() -> None:
    loading = Readiness(ready=False, phase="loading-base", progress=0.42, detail=None, known=True)
    assert str(waiting_for([replica("new")], set(), loading)) == "Loading the base model (42 %)…"
    assert str(waiting_for([], set(), NOTHING)) == "Waiting for a replica to be assigned…"
    assert str(waiting_for([replica("old")], {"old"}, NOTHING)) == "Waiting for the old replica to end…"
    assert "new: Running" in str(waiting_for([replica("new")], set(), NOTHING))
    for phase in PHASES:
        known = Readiness(ready=False, phase=phase, progress=None, detail=None, known=True)
        assert "{" not in str(waiting_for([replica("new")], set(), known))


def test_a_model_that_can_not_be_loaded_ends_the_wait_with_the_servers_words() -> None:
    failed = Readiness(ready=False, phase="failed", progress=None, detail="no base model under model-cache", known=True)
    with pytest.raises(EndpointError, match="no base model under model-cache"):
        refuse_failed([replica("new")], set(), failed, "app--1")


def test_a_container_that_dies_again_and_again_ends_the_wait_but_an_old_one_does_not() -> None:
    refuse_failed([replica("new", 2), replica("old", 9)], {"old"}, NOTHING, "app--1")
    with pytest.raises(EndpointError, match="ended 3 times") as error:
        refuse_failed([replica("new", 3)], {"old"}, NOTHING, "app--1")
    assert error.value.code == "ContainerCrashed"


def test_a_base_that_answers_alone_is_said_and_only_where_the_server_tells_what_it_refuses() -> None:
    def version(adapters: tuple[str, ...], refused: tuple[Refused, ...] | None) -> Version:
        return Version("digest", 1, "replica", "acme/base", adapters, refused)

    (note,) = outcome_notes(version((), ()))
    assert "acme/base alone answers" in str(note)
    assert outcome_notes(version(("a",), ())) == []
    assert outcome_notes(version((), (Refused("a", "broken"),))) == []  # told with its reason
    assert outcome_notes(version((), None)) == []
    assert outcome_notes(None) == []
