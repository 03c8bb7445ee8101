"""What is told of an app's inside, without waking it: its logs, followed across breaks and sleep, and why it is not ready."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.words.errors import NotFound, WorkspaceError
from sidecar.workflows.diagnose import Diagnosis, why_not_ready
from sidecar.workflows.logs import Wanted
from tests.contract.localcloud.conftest import ROOT, World, eventually
from tests.contract.provision.conftest import Arm
from tests.contract.provision.listening import Heard, archived, awake, end_container, say
from tests.faults.diagnose import play
from tests.faults.situations.causes import ROWS
from tests.faults.situations.stage import Caller, Stage


@pytest.fixture(scope="module")
def stage(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An app whose server says what it is told to."""
    made = Stage(world, tmp_path_factory.mktemp("logs"), "g-logs")
    made.released()
    yield made
    made.end()


@pytest.mark.fact(109, 110, 113, 114, 117)
def test_a_log_is_followed_across_breaks_restarts_and_sleep_without_gap_or_repeat(stage: Stage, faults: Arm) -> None:
    """A stream of Azure's ends when it likes; a container is started again; a replica goes and another comes."""
    console = {"part": "data", "path": "logstream"}
    heard = Heard(stage)
    began = time.time()
    hits = faults(
        {**console, "kind": "status", "status": 401},
        {**console, "kind": "reset-before"},
        {**console, "kind": "truncate"},
    )
    thread = heard.follow(Wanted("console", follow=True))
    for number in range(10):
        say(stage, f"said {number}")
    eventually(lambda: awake(stage) and hits() == [1, 1, 1], 120, "each break to strike")
    eventually(lambda: awake(stage) and "said 9" in heard.texts("said "), 120, "the lines that were said")
    end_container(stage)
    eventually(lambda: awake(stage) and heard.texts("slipway: phase ready")[1:], 120, "the container's second instance")
    say(stage, "said 10")
    eventually(
        lambda: any("No replica runs" in each for each in heard.notes), 120, "it sleeps under the eyes of who follows"
    )
    look = Heard(stage)
    look.read(Wanted("console"))
    assert "one that sleeps still does" in "\n".join(look.notes)
    said = [f"said {number}" for number in range(11)]
    eventually(lambda: archived(stage, Wanted("console")).texts("said ") == said, 120, "what Log Analytics has of it")
    asleep = Heard(stage)
    other = asleep.follow(Wanted("console", follow=True))
    eventually(lambda: asleep.texts("said ") == said, 120, "what it said before it slept, for who begins to follow now")
    asleep.end(other)
    why = asked(stage)
    assert (why.state, why.cause, why.is_failure) == ("asleep", None, False)
    assert stage.replicas() == [], "neither following nor looking nor asking why wakes it"
    say(stage, "said 11")  # a caller wakes it
    eventually(lambda: "said 11" in heard.texts("said "), 120, "what the next replica says")
    why = asked(stage)
    assert (why.state, why.cause, why.is_failure) == ("ready", None, False)
    heard.end(thread)
    assert heard.texts("said ") == [*said, "said 11"]
    assert len({each.replica for each in heard.lines}) == 2
    assert not [each for each in heard.lines if each.text.startswith(("F ", "Connecting to", "Successfully Connected"))]
    assert all(each.time and each.revision for each in heard.lines)
    since = archived(stage, Wanted("console", since=began))
    assert since.texts("said ") == [*said, "said 11"], "of the one that has gone and of the one that runs, once each"
    assert "are from Log Analytics" in "\n".join(since.notes)
    out, problem = terminal(stage, "logs", "--since", "1h", "--json").communicate(timeout=240)
    told = [json.loads(each)["text"] for each in out.splitlines()]
    assert [each for each in told if each.startswith("said ")] == [*said, "said 11"], problem


AN_HOUR = 3600.0
FORBIDDEN = {
    "error": {"code": "InsufficientAccessError", "message": "The provided credentials have insufficient access"}
}
UNRESOLVED = {
    "error": {
        "code": "BadArgumentError",
        "message": "The request had some invalid properties",
        "innererror": {"code": "SEM0100", "message": "Failed to resolve table or column expression named 'X'"},
    }
}
GONE = {"error": {"code": "WorkspaceNotFoundError", "message": "no"}}
IN_PART = {"tables": [], "error": {"code": "PartialError", "message": "too much"}}


def test_a_replica_that_is_not_there_is_not_waited_for_and_a_complaint_is_made_once(stage: Stage, faults: Arm) -> None:
    awake(stage)
    with pytest.raises(NotFound, match="no replica nobody now"):
        Heard(stage).read(Wanted("console", follow=True, replica="nobody"))
    hits = faults({"method": "POST", "path": "/getAuthToken", "status": 403, "times": None})
    heard = Heard(stage)
    thread = heard.follow(Wanted("console", follow=True))
    eventually(lambda: awake(stage) and hits()[0] >= 3, 120, "three looks")
    heard.end(thread)
    assert sum("can't be read" in each for each in heard.notes) == 2, "once as progress and once beside the lines"


@pytest.mark.fact(106)
def test_older_lines_come_once_each_and_why_they_can_not_be_read_is_told(stage: Stage, faults: Arm) -> None:
    """A stream holds 300 lines. The archive has all of them minutes later; where it can't be read, the streams are shown all the
    same."""
    awake(stage)
    began = time.time()
    many = [f"many {number}" for number in range(400)]
    say(stage, "\n".join([*many, "still told"]))
    for kind, status, body, words in (
        ("status", 403, FORBIDDEN, "Ask for the role Log Analytics Reader"),
        ("status", 400, UNRESOLVED, "the first lines take some minutes"),
        ("status", 404, GONE, "does not exist any more"),
        ("body", 200, IN_PART, "only in part: too much"),
    ):
        faults({"part": "data", "path": "/query", "kind": kind, "status": status, "body": json.dumps(body)})
        awake(stage)
        found = archived(stage, Wanted("console", since=time.time() - AN_HOUR))
        assert words in "\n".join(found.notes)
        assert "still told" in found.texts("still")
    faults()
    sought = Wanted("console", since=began)
    eventually(
        lambda: awake(stage) and archived(stage, sought).texts("many ") == many, 120, "all that was said, in order"
    )
    followed = Heard(stage)
    thread = followed.follow(Wanted("console", follow=True, since=began))
    eventually(lambda: awake(stage) and followed.texts("still"), 120, "what is followed")
    followed.end(thread)
    assert followed.texts("many ") == many, "of archive and stream together"
    environment = stage.project.names("Microsoft.App/managedEnvironments")[0]
    environments = stage.world.apps.managed_environments
    logs = environments.get(stage.name, environment).properties.app_logs_configuration.log_analytics_configuration
    before = {"customerId": logs.customer_id, "sharedKey": "c2VjcmV0"}
    for destination, words in (
        ("azure-monitor", "it sends them to azure-monitor"),
        (None, "has no Log Analytics workspace"),
    ):
        kept = {"destination": destination, "logAnalyticsConfiguration": None}
        environments.begin_update(stage.name, environment, environment_logs(kept)).result()
        found = archived(stage, Wanted("console", since=time.time() - AN_HOUR))
        assert words in "\n".join(found.notes)
    kept = {"destination": "log-analytics", "logAnalyticsConfiguration": before}
    environments.begin_update(stage.name, environment, environment_logs(kept)).result()


def environment_logs(kept: dict[str, Any]) -> Any:
    return {"location": "westus3", "properties": {"appLogsConfiguration": kept}}


@pytest.mark.fact(106)
def test_the_system_log_is_followed_as_events_not_as_json(stage: Stage) -> None:
    def told(since: float) -> Counter[str]:
        return Counter(each.text for each in archived(stage, Wanted("system", since=since)).lines)

    eventually(lambda: told(time.time() - AN_HOUR) == told(0), 120, "each event once, of archive and stream together")
    heard = Heard(stage)
    thread = heard.follow(Wanted("system", follow=True, since=time.time() - AN_HOUR))
    eventually(lambda: Counter(each.text for each in heard.lines) == told(0), 120, "each event once, followed too")
    heard.end(thread)
    assert heard.texts("ContainerStarted: ")
    assert not heard.texts("StartingGettingEvents")
    assert {each.source for each in heard.lines} == {"system"}


@pytest.mark.fact(111)
def test_the_instance_before_is_read_by_itself(stage: Stage) -> None:
    say(stage, "of the first")
    (replica,) = eventually(stage.replicas, what="a replica")
    end_container(stage)
    eventually(
        lambda: awake(stage) and [each["properties"]["containers"][0]["ready"] for each in stage.replicas()] == [True],
        what="it runs again",
    )
    say(stage, "of the second")
    both = Heard(stage).read(Wanted("console", replica=replica["name"]))
    assert {"of the first", "of the second"} <= {each.text for each in both}
    awake(stage)
    before = Heard(stage).read(Wanted("console", previous=True))
    assert "of the first" in {each.text for each in before}
    assert "of the second" not in {each.text for each in before}
    since = time.time()
    say(stage, "of just now")
    assert [each.text for each in Heard(stage).read(Wanted("console", since=since))] == ["of just now"]


def test_what_can_not_be_followed_is_refused() -> None:
    for wanted in ({"follow": True, "source": "console"}, {"follow": False, "source": "system"}):
        with pytest.raises(WorkspaceError):
            Wanted(**wanted, previous=True)  # pyright: ignore[reportArgumentType]


def terminal(stage: Stage, verb: str, *arguments: str) -> subprocess.Popen[str]:
    """The command line as its own process."""
    state = str(stage.world.state)
    return subprocess.Popen(
        [sys.executable, "-m", "sidecar", verb, str(stage.project.workspace.folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "SLIPWAY_STATE": state, "SLIPWAY_LOCAL_STATE": state},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_in_a_terminal_lines_come_as_json_one_a_line_and_ctrl_c_ends_with_0(stage: Stage, tmp_path: Path) -> None:
    say(stage, "hello from the server")
    process = terminal(stage, "logs", "--follow", "--json")
    assert process.stdout is not None
    for text in iter(process.stdout.readline, ""):
        found = json.loads(text)
        if found["text"] == "hello from the server":
            break
    else:
        pytest.fail(f"it ended: {process.communicate()[1]}")
    assert found["source"] == "console"
    assert found["replica"].startswith(found["revision"])
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    assert all(json.loads(each)["text"] for each in rest.splitlines())


def test_in_a_terminal_whoever_reads_may_leave(stage: Stage) -> None:
    """`slipway logs --follow | head -1` ends, and says nothing of it."""
    process = terminal(stage, "logs", "--follow")
    assert process.stdout is not None
    read = threading.Event()

    def talk() -> None:
        while not read.wait(1):  # a replica that has gone meanwhile takes its log with it
            say(stage, "one")

    speaker = threading.Thread(target=talk, daemon=True)
    speaker.start()
    assert process.stdout.readline()
    read.set()
    speaker.join(timeout=120)
    process.stdout.close()
    keep = _until_ended(stage, process)
    assert process.returncode == 0, keep


def _until_ended(stage: Stage, process: subprocess.Popen[str]) -> str:
    def ended() -> bool:
        say(stage, "another")
        return process.poll() is not None

    wait: Callable[[], bool] = ended
    eventually(wait, 120, "the process to end with who read")
    assert process.stderr is not None
    return process.stderr.read()


@contextlib.contextmanager
def newest(stage: Stage, mode: str) -> Generator[str]:
    """A newest revision that plays this, while the one that serves sleeps: there is one GPU. It gives that back."""
    eventually(lambda: stage.replicas() == [], 120, "the one that serves to fall asleep")
    name = stage.new_revision(env={"MODE": mode})
    try:
        yield name
    finally:
        stage.world.apps.container_apps_revisions.deactivate_revision(stage.name, stage.app, name)
        eventually(lambda: stage.replicas(name) == [], 120, "its replicas to end")


@contextlib.contextmanager
def asked_for(stage: Stage, revision: str) -> Generator[None]:
    """Callers of a revision's own address: one that nobody asks for falls asleep, and an asleep one reads well."""
    callers = Caller(f"http://{stage.revision(revision)['fqdn']}")
    try:
        yield
    finally:
        callers.end(time.monotonic())


def asked(stage: Stage) -> Diagnosis:
    return why_not_ready(stage.project.workspace, stage.project.session)


def named(stage: Stage, code: str) -> Diagnosis | None:
    found = asked(stage)
    return found if found.cause is not None and found.cause.code == code else None


@pytest.mark.long
@pytest.mark.fact(9, 14, 102)
def test_a_newest_revision_that_fails_is_named_beside_the_one_that_serves(stage: Stage) -> None:
    with newest(stage, "elsewhere"):
        found = eventually(lambda: named(stage, "PortMismatch"), 120, "the cause")
    assert found.cause is not None
    assert (found.state, found.cause.code, found.is_failure) == ("failed", "PortMismatch", True)
    assert "does not match the listening port" in str(found.sentence)
    assert any("serves meanwhile" in str(each) for each in found.seen)


@pytest.mark.long
@pytest.mark.fact(36, 37, 69, 80, 81)
@pytest.mark.parametrize("name", ["port-changed", "worker", "image-host"])
def test_a_cause_is_named_and_the_advice_helps(world: World, tmp_path: Path, name: str) -> None:
    """Rows of the table of causes. The revision reads well, and callers get 503; nothing of a lost worker is an event; an image
    that is refused leaves no revision."""
    play(next(each for each in ROWS if each.name == name), world, tmp_path)


def test_what_can_not_be_read_makes_it_unverified_with_the_reason(stage: Stage, faults: Arm) -> None:
    with newest(stage, "late") as name, asked_for(stage, name):
        eventually(lambda: stage.replicas(), 120, "its replica")
        faults({"part": "data", "path": "stream", "kind": "status", "status": 500, "times": None})
        found = eventually(lambda: (told := asked(stage)).state == "unverified" and told, 120, "what can't be read")
    assert any("The system log can't be read: the log stream answers 500" in str(each) for each in found.unread)


@pytest.mark.fact(9)
def test_in_a_terminal_the_cause_comes_with_the_verb_that_helps(stage: Stage) -> None:
    with newest(stage, "raises") as name, asked_for(stage, name):
        eventually(lambda: named(stage, "ContainerCrashed"), 120, "the cause")
        shown, document = terminal(stage, "diagnose"), terminal(stage, "diagnose", "--json")
        (text, problem), (found, _) = shown.communicate(timeout=240), document.communicate(timeout=240)
    assert (shown.returncode, document.returncode) == (1, 1), problem
    assert "cause      ContainerCrashed" in text
    assert "deploy`" in text, "by the name that it has in a terminal"
    assert "RuntimeError: the tokenizer is wrong (inference/__main__.py, line " in text
    assert "Traceback" in text
    told = json.loads(found)
    assert (told["code"], told["certain"], told["remedies"][0]) == ("ContainerCrashed", True, "deploy")
