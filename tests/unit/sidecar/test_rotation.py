"""A new key beside the old one: what is done next, and what becomes of an app's other secrets."""

from __future__ import annotations

import threading

import pytest
from azure.identity import DefaultAzureCredential

from sidecar.core.journal import Journal
from sidecar.decisions.restart import Plan, Way
from sidecar.decisions.rotation import Standing, Step, to_begin, to_finish
from sidecar.gateway.apps import App
from sidecar.gateway.credentials import Remade
from sidecar.gateway.endpoint import Version
from sidecar.gateway.keys import stated_again, with_variable
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.revisions import Container, Replica, Revision
from sidecar.gateway.session import AZURE_PROFILES, Session
from sidecar.words.errors import ConsentNeeded, WorkspaceError
from sidecar.workflows.rotate import Ground, agree_to_downtime, agree_to_one_key


@pytest.mark.parametrize(
    ("standing", "begin", "finish"),
    [
        (Standing("new", "", 1), "write", "nothing"),
        (Standing("new", "new", 1), "write", "nothing"),
        (Standing("new", "new", None), "write", "nothing"),
        (Standing("new", "old", 2), "nothing", "write"),
        (Standing("new", "old", None), "nothing", "write"),
        # Killed between the write and the restart: the server has not heard of it yet.
        (Standing("new", "old", 1), "restart", "write"),
        (Standing("new", "new", 2), "write", "restart"),
        # Killed while a replica was to start anew: it does not yet, or its revision was ended and not begun again.
        (Standing("new", "old", None, settled=False), "wait", "write"),
        (Standing("new", "new", None, settled=False), "write", "wait"),
        # An app that starts, and was never between two keys, is not waited for.
        (Standing("new", "", None, settled=False), "write", "nothing"),
    ],
)
def test_a_run_that_was_cut_off_is_gone_on_with_and_no_third_key_is_made(
    standing: Standing, begin: Step, finish: Step
) -> None:
    assert (to_begin(standing), to_finish(standing)) == (begin, finish)


def test_every_other_secret_is_stated_again_and_a_vaults_stays_a_reference() -> None:
    vault = {"name": "vaulted", "keyVaultUrl": "https://v/secrets/s", "identity": "system"}
    shown = [{"name": "api-key"}, {"name": "registry"}, vault]
    written = stated_again(shown, {"api-key": "old", "registry": "pw"}, {"api-key": "new", "api-key-previous": "old"})
    assert written == [
        {"name": "registry", "value": "pw"},
        vault,
        {"name": "api-key", "value": "new"},
        {"name": "api-key-previous", "value": "old"},
    ]
    with pytest.raises(WorkspaceError, match="key vault"):
        stated_again([{**vault, "name": "api-key"}], {}, {"api-key": "new"})


def test_the_second_key_is_a_variable_of_the_first_container_once() -> None:
    template = {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}], "scale": {}}
    once = with_variable(template, "P", "previous")
    assert once["containers"][0]["env"] == [{"name": "X", "value": "1"}, {"name": "P", "secretRef": "previous"}]
    assert once["containers"][1] == {"name": "b"}
    assert with_variable(once, "P", "previous") == once


REPLICA = Replica("app--1-x", containers=(Container("inference", ready=True, started=True),))
APP = App("app", None, "app--1", "Multiple", (), {}, {"SLIPWAY_API_KEY": "api-key"}, {})
QUIET = Journal(None, "", lambda _: None, threading.Event())


def ground(way: Way, *, keys: int | None = 1, running: tuple[Replica, ...] = (REPLICA,)) -> Ground:
    """An endpoint at which nobody answers: how long a restart takes can't be told."""
    nobody = Remade(DefaultAzureCredential)
    place = GroupPlace(Session(AZURE_PROFILES["azure"], nobody, verify=True), "subscription", "group").app("app")
    version = Version("r", 1, "app--1-x", "base", (), (), keys=keys)
    revision = Revision("app--1", active=True)
    return Ground(place, APP, revision, "http://127.0.0.1:9", Standing("k", "", keys), version, running, Plan(way))


def test_a_restart_without_a_second_gpu_is_agreed_to_before_anything_is_written() -> None:
    with pytest.raises(ConsentNeeded, match="does not answer for about") as needed:
        agree_to_downtime(ground("old-first"), (), QUIET)
    agree_to_downtime(ground("old-first"), (needed.value.consent,), QUIET)
    agree_to_downtime(ground("rolling"), (), QUIET)
    agree_to_downtime(ground("old-first", running=()), (), QUIET)


def test_a_server_that_may_know_one_key_only_is_agreed_to() -> None:
    with pytest.raises(ConsentNeeded, match="callers with the present key are refused") as needed:
        agree_to_one_key(ground("rolling", keys=None), ())
    agree_to_one_key(ground("rolling", keys=None), (needed.value.consent,))
    agree_to_one_key(ground("rolling", keys=1), ())
