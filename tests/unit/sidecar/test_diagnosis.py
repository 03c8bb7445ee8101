"""Why a release does not answer: one named cause from what Azure tells, replayed on captures of it, or what is under way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.decisions.diagnosis import PHASES, TOLD_LINES, Cause, Seen, Working, by_another_release, diagnose
from sidecar.gateway.log_lines import ConsoleLine, SystemEvent, console_line, moment, system_event
from sidecar.gateway.revisions import Container, Replica, Revision, replica_from, revision_from
from tests.support.evidence import evidence

NAME = "app--1-b56bc4564-qrhk5"


def replica(reason: str = "", *, ready: bool = False, started: bool = False, name: str = NAME) -> Replica:
    details = f"Container is waiting with reason: {reason} on legion." if reason else ""
    state = "Running" if started or ready else "Waiting"
    return Replica(name, "NotRunning", "", "", (Container("app", ready, started or ready, 0, state, details),))


def event(reason: str, message: str = "", at: float = 0.0, name: str = NAME) -> SystemEvent:
    return SystemEvent(at, reason, message, "app--1", name)


def ended(code: str, reason: str, at: float, more: str = "") -> SystemEvent:
    told = f"Container 'app' was terminated with exit code '{code}' and reason '{reason}'{more}"
    return event("ContainerTerminated", told, at)


def lines(*texts: str) -> dict[str, tuple[ConsoleLine, ...]]:
    return {NAME: tuple(ConsoleLine("", text) for text in texts)}


def cause(seen: Seen) -> Cause:
    found = diagnose(seen)
    assert isinstance(found, Cause), found
    return found


def working(seen: Seen) -> Working:
    found = diagnose(seen)
    assert isinstance(found, Working), found
    return found


def test_every_phase_has_its_words_and_the_base_model_its_percent() -> None:
    seen = Seen((replica(started=True),), console=lines("slipway: phase loading-base 42%"))
    found = working(seen)
    assert (str(found.text), found.phase, found.percent) == ("Loading the base model (42 %)…", "loading-base", 42)
    for phase in PHASES:
        if phase != "failed":
            told = working(Seen((replica(started=True),), console=lines(f"slipway: phase {phase}")))
            assert "{" not in str(told.text)


def test_a_model_that_can_not_be_loaded_is_the_end_with_the_servers_words_and_its_log() -> None:
    said = [f"line {number}" for number in range(40)]
    seen = Seen(
        (replica(started=True),), console=lines(*said, "slipway: failed: no base model under /mount/model-cache")
    )
    found = cause(seen)
    assert found.code == "NoBaseModel"
    assert found.at_once
    assert "no base model under /mount/model-cache" in str(found.sentence)
    assert found.detail is not None
    assert len(found.detail.splitlines()) == TOLD_LINES
    assert found.detail.endswith("model-cache")


def test_the_reason_is_told_too_while_the_container_waits_to_be_tried_again() -> None:
    told = lines("slipway: failed: no base model", "slipway: phase dependencies")
    assert cause(Seen((replica("CrashLoopBackOff"),), console=told)).code == "ModelLoadFailed"
    assert working(Seen((replica(started=True),), console=told)).phase == "dependencies"


@pytest.mark.fact(7, 9, 10, 11, 12, 57, 58, 61, 111)
def test_a_crash_loop_is_known_by_the_containers_reason_not_by_a_count() -> None:
    """As captured: three restarts after two minutes, the reason on the container, the replica's own details empty."""
    (found,) = (replica_from(each) for each in evidence("revision-provisioning-failure/05-replicas-failed.json"))
    revision = revision_from(evidence("revision-provisioning-failure/02-failed-revision-detail.json"))
    assert revision.details == "1/1 Container crashing: app"
    raw = [json.dumps(line) for line in evidence("revision-provisioning-failure/06-console-logs.json")]
    console = {found.name: tuple(line for each in raw if (line := console_line(each)) is not None)}
    told = cause(Seen((found,), revision, console=console))
    assert told.code == "ContainerCrashed"
    assert told.detail is not None
    assert "SIGQUIT" in told.detail
    raw_events = [json.dumps(line) for line in evidence("revision-provisioning-failure/04-system-logs.json")]
    events = [each for line in raw_events if (each := system_event(line)) is not None]
    probed = cause(Seen((found,), revision, events=events, console=console))
    assert probed.code == "ProbeFailed"
    assert cause(Seen((replica(),), revision)).code == "ContainerCrashed"  # the revision alone says it
    assert isinstance(diagnose(Seen((replica(),), revision, unhealthy_before=True)), Working)


@pytest.mark.fact(13, 77, 78, 79, 82, 84)
def test_a_restart_whose_new_replica_can_not_pull_is_seen_beside_the_healthy_old_one() -> None:
    """As captured after a restart: the revision is Healthy at its maximum, the old replica serves, the new one never comes."""
    raw = [json.dumps(line) for line in evidence("acr-network-path-pe-direct/06-system-logs-pre-fix.json")]
    events = [each for line in raw if (each := system_event(line)) is not None]
    fresh = next(each.replica for each in events if "b56bc4564" in each.replica)
    healthy = Revision("app--1", True, 2, "RunningAtMaxScale", "Healthy")
    found = cause(Seen((replica(name=fresh),), healthy, old=1, events=events))
    assert found.code == "ImagePullFailed"
    assert found.detail is not None
    assert "ImagePullUnauthorized" in found.detail
    assert cause(Seen((replica("ImagePullBackOff"),), healthy, old=1)).code == "ImagePullFailed"


@pytest.mark.fact(68, 70)
def test_exit_137_means_memory_unless_somebody_stopped_the_container() -> None:
    killed = ended("137", "ProcessExited", 100.0)
    pair = event("ProcessExited", "Container 'app' was terminated with exit code '137'", 105.0)
    assert cause(Seen((replica("CrashLoopBackOff"),), events=[killed, pair])).code == "OutOfMemory"


@pytest.mark.fact(69)
def test_a_server_that_failed_after_it_was_ready_did_not_fail_to_load() -> None:
    """The platform sees nothing of a worker that is gone: the server's own line is all there is."""
    gone = "slipway: failed: the engine has failed: its worker was killed"
    after = cause(Seen((replica(started=True),), console=lines("slipway: phase ready", gone)))
    assert (after.code, by_another_release(after.code)) == ("ServerFailed", True)
    assert str(after.sentence) == "The server has failed: the engine has failed: its worker was killed"
    again = lines("slipway: phase ready", "slipway: phase loading-base 3%", "slipway: failed: odd header")
    assert cause(Seen((replica(started=True),), console=again)).code == "ModelLoadFailed"


@pytest.mark.fact(56, 101)
def test_exit_137_after_a_probes_stop_is_the_probe() -> None:
    probe, killed = ended("", "ProbeFailure", 66.0), ended("137", "ProcessExited", 100.0)
    assert cause(Seen((replica("CrashLoopBackOff"),), events=[probe, killed])).code == "ProbeFailed"


@pytest.mark.fact(76)
def test_a_container_that_was_stopped_on_purpose_has_not_failed() -> None:
    stop = [ended("", "ManuallyStopped", 66.0), ended("137", "ProcessExited", 100.0)]
    assert isinstance(diagnose(Seen((replica(),), events=stop)), Working)


@pytest.mark.fact(112, 119, 120, 121)
def test_a_share_that_can_not_be_mounted_is_named_with_the_ways_out() -> None:
    (said,) = evidence("captured-outputs/azure-files-wrong-key.json")["systemLog"]
    found = cause(Seen((replica("CrashLoopBackOff"),), events=[event(said["Reason"], said["Msg"])]))
    assert found.code == "MountFailed"
    assert "mount error(13)" in str(found.sentence)
    for way in ("key", "shared-key", "share is gone", "network rule", "access mode", "acaEnvironmentStorageName"):
        assert way in str(found.advice)
    bare = cause(Seen((replica("CrashLoopBackOff"),), events=[ended("", "VolumeMountFailure", 1.0)]))
    assert bare.code == "MountFailed"


@pytest.mark.fact(67)
def test_a_program_that_the_image_lacks_is_named() -> None:
    more = '. Status(StatusCode="Unknown", Detail="exec: \\"python\\": executable file not found in $PATH: unknown")'
    found = cause(Seen((replica("CrashLoopBackOff"),), events=[ended("1", "ContainerCreateFailure", 1.0, more)]))
    assert found.code == "StartCommandMissing"
    assert "executable file not found" in str(found.sentence)


def test_a_crash_names_its_exit_code() -> None:
    found = cause(
        Seen((replica("CrashLoopBackOff"),), events=[ended("3", "ProcessExited", 1.0)], console=lines("boom"))
    )
    assert (found.code, found.detail) == ("ContainerCrashed", "boom")
    assert "exit code 3" in str(found.sentence)


def test_what_happened_before_the_last_start_has_healed() -> None:
    healed = [ended("1", "VolumeMountFailure", 1.0), event("ContainerStarted", "Started container 'app'", 20.0)]
    assert isinstance(diagnose(Seen((replica(started=True),), events=healed)), Working)


@pytest.mark.fact(14, 102)
def test_a_port_that_does_not_match_is_named() -> None:
    rows = json.loads(evidence("ingress-target-port-mismatch/09-kql-after-trigger-portmismatch-sample-raw.txt"))
    events = [
        SystemEvent(
            moment(row["TimeGenerated"]), row["Reason_s"], row["Log_s"], row["RevisionName_s"], row["ReplicaName_s"]
        )
        for row in rows
    ]
    found = cause(Seen((replica(started=True, name=events[0].replica),), events=events))
    assert found.code == "PortMismatch"
    assert str(found.sentence) == "The TargetPort 8081 does not match the listening port 80."


@pytest.mark.fact(9, 14, 15)
def test_azures_deadline_is_a_warning_and_its_port_sentence_a_cause() -> None:
    late = Revision("app--1", True, state="Degraded", health="Unhealthy", details=DEADLINE)
    found = working(Seen((replica(started=True),), late, console=lines("slipway: phase loading-base 60%")))
    assert found.percent == 60
    assert found.warning is not None
    assert "deadline" in str(found.warning)
    captured = revision_from({"properties": evidence("probe-and-port-mismatch/08-revision-show-failed.json")})
    told = cause(Seen((replica(started=True),), captured))
    assert told.code == "PortMismatch"
    assert str(told.sentence).startswith("The TargetPort ")


DEADLINE = "Deployment Progress Deadline Exceeded. 0/1 replicas ready."


@pytest.mark.fact(98, 105, 129)
def test_an_assignment_that_lasts_is_told_as_a_guess() -> None:
    assigned = [event("AssigningReplica", "Replica has been scheduled to run on a node.", 1.0)]
    assert working(Seen((replica(),), events=assigned, waited=60)).warning is None
    found = working(Seen((replica(),), events=assigned, waited=400))
    assert found.warning is not None
    assert "a guess" in str(found.warning)
    pulling = [*assigned, event("PullingImage", "Pulling image 'x'", 2.0)]
    busy = working(Seen((replica(),), events=pulling, waited=400))
    assert (str(busy.text), busy.warning) == ("Pulling the image…", None)


@pytest.mark.fact(1, 8, 17, 27, 64)
def test_unknown_words_and_missing_fields_are_no_error() -> None:
    bare: dict[str, Any] = {"name": "app--1", "properties": {"runningState": "Pondering", "healthState": None}}
    revision = revision_from(bare)
    assert (revision.state, revision.health, revision.fqdn, revision.details) == ("Pondering", "None", None, "")
    empty = replica_from({"name": "r"})
    assert not empty.ready
    assert "r" in str(working(Seen((empty,), revision)).text)
    assert revision_from({}).name == ""
    waiting = [replica_from(each) for each in evidence("scale-rule-mismatch/14-replicas-load-15s-after-fix.json")]
    assert len(waiting) == 6
    assert isinstance(diagnose(Seen(tuple(waiting))), Working)


def test_the_wait_says_what_it_is_for() -> None:
    assert str(working(Seen(())).text) == "Waiting for a replica to be assigned…"
    assert str(working(Seen((), old=1)).text) == "Waiting for a new replica…"
    assert "old one to end" in str(working(Seen((replica(ready=True),), old=1)).text)
    assert str(working(Seen((replica(started=True),))).text) == "The container has started…"
    assert str(working(Seen((replica("PullingImage"),))).text) == "Pulling the image…"


def test_a_probe_that_fails_after_the_server_said_ready_is_told() -> None:
    """A port that was changed under the app, or a readiness that was lost: it was shown as a start, for ever."""
    said = {NAME: (ConsoleLine("2026-06-20T13:35:20.5Z", "slipway: phase ready"),)}
    began = moment("2026-06-20T13:35:20Z")

    def at(seconds: float, reason: str = "ProbeFailed") -> Working:
        failed = event(reason, "Probe of Readiness failed with status code: 503", at=began + seconds)
        return working(Seen((replica(started=True),), events=(failed,), console=said))

    assert at(2).warning is None, "the probe was under way"
    assert "Probe of Readiness failed with status code: 503" in str(at(10).warning)
    assert at(10).phase == "ready"
    assert at(10, "PulledImage").warning is None


def test_a_container_that_has_ended_is_named_by_the_last_words_of_its_log() -> None:
    """A person read an exit code, and had to look for the line that said why."""
    said = lines(
        "slipway: starting release 0123456789ab (generation 1)",
        "Traceback (most recent call last):",
        '  File "/tmp/release-x/inference/server.py", line 42, in main',
        "ModuleNotFoundError: No module named 'no_such'",
    )
    seen = Seen((replica("CrashLoopBackOff"),), events=(ended("1", "ProcessExited", 10.0),), console=said)
    found = cause(seen)
    assert found.code == "ContainerCrashed"
    assert "exit code 1: ModuleNotFoundError: No module named 'no_such' (inference/server.py, line 42)." in str(
        found.sentence
    )
    full = lines("OSError: [Errno 28] No space left on device")
    assert cause(Seen((replica("CrashLoopBackOff"),), console=full)).code == "DiskFull"
