"""What is told of an operation that was cut off: by its last step, in whichever of its runs that was."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil
import pytest

from sidecar.core.journal import Journal, unfinished
from sidecar.core.workspace import open_workspace
from sidecar.decisions.interruption import LOOKING, OVERTAKES, WHILE_ENDING, goes_on, left_behind, reached
from sidecar.gateway.session import settings_from
from sidecar.wire import protocol as wire
from sidecar.words import said
from sidecar.words.errors import Cancelled, CloudError, SlipwayError
from sidecar.words.names import OPERATIONS, OperationKind
from sidecar.words.text import Text
from sidecar.workflows.actions import journal_files, journalled, status_action
from sidecar.workflows.cancelling import Where, facts_of
from sidecar.workflows.context import Context
from sidecar.workflows.follow import going_on
from sidecar.workflows.interrupted import forget, interrupted, note_of


def begun(file: Path, run: str, *steps: str) -> None:
    journal = Journal(file, run, lambda _: None, threading.Event())
    for step in steps:
        journal.step(step, Text(step))


def killed(file: Path) -> None:
    """As of a process that is gone: none has the number 0."""
    file.write_text(file.read_text().replace(f'"pid": {os.getpid()}', '"pid": 0'))


@pytest.mark.parametrize("kind", OPERATIONS)
def test_every_operation_says_what_it_left_and_how_to_go_on(kind: OperationKind, tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    begun(file, "one", "look")
    (found,) = interrupted({kind: file})
    assert (found.kind, found.step, found.running) == (kind, "look", True)
    assert str(said.OPERATIONS[kind]) in str(note_of(found))
    assert goes_on(kind, "restart") == kind
    assert kind not in OVERTAKES.get(kind, ())


def test_who_looks_at_the_state_is_told_what_others_are_at_and_not_what_goes_on_here(tmp_path: Path) -> None:
    context = Context(settings_from({"SLIPWAY_STATE": str(tmp_path / "state")}), lambda _: None, threading.Event())
    folder = tmp_path / "project"
    folder.mkdir()
    file = journal_files(open_workspace(folder).folder, context)["deploy"]

    def told() -> list[str]:
        found = status_action(wire.FolderCloudParams(folder=str(folder), cloud="local"), context)
        return [str(wire.text_of(each)) for each in found.notes]

    begun(file, "one", "release")
    assert told() == []
    file.write_text(file.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {os.getppid()}'))
    assert len(told()) == 1
    assert "goes on in another window or terminal" in told()[0]


def test_a_deletion_and_a_rotation_say_after_which_step_something_may_be_changed() -> None:
    for step in LOOKING:
        assert str(left_behind("delete", step)) == "Nothing was deleted."
        assert str(left_behind("rotate", step)) == "No key was changed."
    for step in ("delete", "config"):
        assert "may be gone" in str(left_behind("delete", step))
    for step in ("key", "restart", "look-again"):
        assert "may be changed" in str(left_behind("rotate", step))
    for step in WHILE_ENDING:
        assert "perhaps nothing answers" in str(left_behind("rotate", step))


def test_a_release_that_was_only_tried_beside_the_one_that_serves_has_changed_nothing() -> None:
    for step in ("push", "exchange"):
        assert "is current; the container drops the new one" in str(left_behind("deploy", step))
    for step in ("switch", "take-over", "exchange-in-turn"):
        assert "may be current" in str(left_behind("deploy", step))


@pytest.mark.parametrize("error", [psutil.NoSuchProcess(1), psutil.AccessDenied(1), psutil.ZombieProcess(1)])
def test_a_process_that_may_not_be_asked_for_is_not_the_run(
    error: psutil.Error, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is another user's by now: the state used to fail of it."""

    def process(_: int) -> psutil.Process:
        raise error

    file = tmp_path / "journal.jsonl"
    begun(file, "one", "look")
    monkeypatch.setattr(psutil, "Process", process)  # patched: nobody has another user's process at hand
    assert [each.running for each in interrupted({"deploy": file})] == [False]


def test_a_later_run_that_only_looked_does_not_hide_what_the_one_before_left(tmp_path: Path) -> None:
    """Two kills in a row: the second run had not come further than its look."""
    file = tmp_path / "journal.jsonl"
    begun(file, "one", "look", "key", "release")
    begun(file, "two", "look")
    (found,) = interrupted({"rotate": file})
    assert found.step == "look"
    assert "perhaps nothing answers" in str(found.sentence)
    looked, checked, ended, restarted = ({"step": each} for each in ("look", "check", "release", "restart"))
    assert reached(looked, [checked, looked]) == looked
    assert reached(restarted, [ended]) == restarted


def test_a_provision_says_where_it_was_begun_and_whether_anything_can_be_cancelled(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    where = Where("local", "subscription", "group")
    journal = Journal(file, "one", lambda _: None, threading.Event(), about=facts_of(where))
    journal.step("resolve", Text("resolve"))
    (found,) = interrupted({"provision": file})
    assert (found.where, found.cancels) == (where, False)
    assert str(found.sentence) == "Nothing was begun in the cloud."
    journal.step("deploy", Text("deploy"), deployment="d")
    (found,) = interrupted({"provision": file})
    assert (found.where, found.cancels) == (where, True)
    assert "goes on in the cloud" in str(found.sentence)
    begun(file, "two", "deploy")
    assert [(each.where, each.cancels) for each in interrupted({"provision": file})] == [(None, True), (where, True)], (
        "an older journal says nothing of where"
    )


def test_what_is_cancelled_is_where_it_was_begun_and_not_where_a_later_run_has_looked(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    context = Context(settings_from({"SLIPWAY_STATE": str(tmp_path / "state")}), lambda _: None, threading.Event())
    file = journal_files(workspace.folder, context)["provision"]
    one, other = Where("local", "subscription", "one"), Where("local", "subscription", "other")
    for where, step in ((one, "deploy"), (other, "resolve")):
        journal = Journal(file, where.resource_group, lambda _: None, threading.Event(), about=facts_of(where))
        journal.step(step, Text(step))
    (found,) = interrupted({"provision": file})
    assert (found.where, found.step, found.cancels) == (one, "deploy", True)


def test_what_was_begun_at_two_places_is_told_discarded_and_ended_one_by_one(tmp_path: Path) -> None:
    """The second hid the first: it could be neither followed nor cancelled, and what ended at one place ended both."""
    file = tmp_path / "journal.jsonl"
    one, other, third = (Where("local", "subscription", group) for group in ("one", "other", "third"))
    journals = [
        Journal(file, where.resource_group, lambda _: None, threading.Event(), about=facts_of(where))
        for where in (one, other, third)
    ]
    for journal in journals:
        journal.step("deploy", Text("deploy"), deployment="d")
    found = interrupted({"provision": file})
    assert [each.where for each in found] == [third, other, one]
    assert [str(each.sentence).partition(":")[0] for each in found] == ["In third", "In other", "In one"]
    forget(file, other)
    journals[2].done()
    (left,) = interrupted({"provision": file})
    assert (left.where, str(left.sentence).startswith("What was begun goes on")) == (one, True)
    forget(file)
    assert interrupted({"provision": file}) == []


@pytest.mark.parametrize(
    ("kind", "step", "error", "left"),
    [
        ("provision", "deploy", going_on(CloudError(Text("It goes on."), code="DeploymentTimeout")), True),
        ("provision", "deploy", going_on(Cancelled(Text("Cancelled here; it may go on."))), True),
        ("provision", "deploy", CloudError(Text("It failed."), code="SkuNotAvailable"), False),
        ("provision", "deploy", Cancelled(Text("It was cancelled.")), False),
    ],
)
def test_a_provision_that_fails_while_its_deployment_goes_on_is_not_over(
    kind: OperationKind, step: str, error: SlipwayError, left: bool, tmp_path: Path
) -> None:
    """The error says "Cancel provisioning": that and the reload's offer have to know of it, in this process too."""
    workspace = open_workspace(tmp_path)
    context = Context(settings_from({"SLIPWAY_STATE": str(tmp_path / "state")}), lambda _: None, threading.Event())
    files = journal_files(workspace.folder, context)
    where = Where("local", "subscription", "group")

    def fail(journal: Journal) -> None:
        journal.step("look", Text("Looking…"))
        journal.step(step, Text("Under way…"), deployment="d")
        raise error

    with pytest.raises(type(error)):
        journalled(kind, workspace, "", context, fail, about=facts_of(where))
    found = interrupted(files)
    assert [(each.step, each.running, each.where) for each in found] == ([(step, False, where)] if left else [])
    last = unfinished(files[kind])
    assert (last is not None) == left
    assert last is None or last.facts["deployment"] == "d"


def test_what_another_operation_has_decided_otherwise_is_not_told_any_more(tmp_path: Path) -> None:
    """A Provision makes anew what a deletion that was cut off took: "Go on" would take it again."""
    workspace = open_workspace(tmp_path)
    context = Context(settings_from({"SLIPWAY_STATE": str(tmp_path / "state")}), lambda _: None, threading.Event())
    files = journal_files(tmp_path, context)
    begun(files["delete"], "one", "look", "delete")
    begun(files["rotate"], "one", "look", "key")
    killed(files["delete"])
    killed(files["rotate"])

    def fail(journal: Journal) -> None:
        journal.step("look", Text("Looking…"))
        raise CloudError(Text("It is busy."), code="Busy")

    with pytest.raises(CloudError):
        journalled("provision", workspace, "", context, fail)
    assert [each.kind for each in interrupted(files)] == ["delete", "rotate"]
    journalled("provision", workspace, "", context, lambda journal: journal.done())
    assert [each.kind for each in interrupted(files)] == ["rotate"]
    assert unfinished(files["provision"]) is None
    begun(files["deploy"], "two", "look", "release")
    journalled("rollback", workspace, "", context, lambda journal: journal.done())
    assert [each.kind for each in interrupted(files)] == ["deploy", "rotate"], "it runs: it is not forgotten"
    killed(files["deploy"])
    journalled("rollback", workspace, "", context, lambda journal: journal.done())
    assert [each.kind for each in interrupted(files)] == ["rotate"], "another release is current since"
