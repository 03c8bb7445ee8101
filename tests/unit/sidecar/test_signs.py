"""Lines of Azure's log streams, as captured there, and what they mean."""

from __future__ import annotations

import json

import pytest

from sidecar.decisions.signs import (
    ServerSign,
    failure,
    last,
    mount_fails,
    server_sign,
    since_last_start,
    terminations,
    waiting_reason,
)
from sidecar.gateway.log_lines import (
    LONGEST,
    ConsoleLine,
    Lines,
    SystemEvent,
    Unrepeated,
    console_line,
    moment,
    system_event,
)
from sidecar.gateway.revisions import replica_from
from tests.support.evidence import evidence


def events(name: str) -> list[SystemEvent]:
    return [event for line in evidence(name) if (event := system_event(json.dumps(line))) is not None]


def queried(name: str) -> list[SystemEvent]:
    """Rows of Log Analytics: the same events under other names."""
    found = evidence(name)
    rows = found["rows"] if isinstance(found, dict) else found
    return [
        SystemEvent(
            moment(row["TimeGenerated"]),
            row["Reason_s"],
            row["Log_s"],
            row.get("RevisionName_s", ""),
            row.get("ReplicaName_s", ""),
        )
        for row in rows
    ]


@pytest.mark.fact(109, 110, 111)
def test_a_console_is_read_without_the_runtimes_tag_and_the_streams_own_lines() -> None:
    raw = [json.dumps(line) for line in evidence("revision-provisioning-failure/06-console-logs.json")]
    lines = [line for each in raw if (line := console_line(each)) is not None]
    assert len(lines) == len(raw) - 2
    assert lines[0].text.startswith("/docker-entrypoint.sh: /docker-entrypoint.d/ is not empty")
    assert not any(line.text.startswith(("F ", "Connecting to", "Successfully Connected")) for line in lines)


@pytest.mark.fact(109, 113)
@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ('{"TimeStamp": "t", "Log": "F slipway: phase checking"}', "slipway: phase checking"),
        ('{"TimeStamp": "t", "Log": "P half"}', "half"),
        ('{"TimeStamp": "t", "Log": "stdout F x"}', "x"),
        (
            '{"TimeStamp": "t", "Log": "F Connecting to the container \'app\'..."}',
            "Connecting to the container 'app'...",
        ),
        ('{"TimeStamp": "t", "Log": "F  indented"}', " indented"),
        ("no JSON at all", "no JSON at all"),
        ('{"TimeStamp": "t", "Log": "No logs since last 60 seconds"}', None),
        ("No logs since last 60 seconds", None),
    ],
)
def test_only_what_the_container_wrote_is_a_line(raw: str, text: str | None) -> None:
    found = console_line(raw)
    assert (None if found is None else found.text) == text


@pytest.mark.fact(93, 94, 95, 96)
def test_system_events_are_read_without_the_streams_own_and_in_seconds() -> None:
    raw = evidence("revision-provisioning-failure/04-system-logs.json")
    found = events("revision-provisioning-failure/04-system-logs.json")
    assert len(found) == len(raw) - 2
    assert {"StartingGettingEvents", "ConnectedToEventsServer"} & {event.reason for event in found} == set()
    assert all(event.at > 0 for event in found)
    assert found[1].at - found[0].at == pytest.approx(3.425, abs=0.01)
    assert system_event("nonsense") is None
    assert system_event('{"Reason": "X", "Count": "many", "RevisionName": null}') == SystemEvent(0.0, "X", "")


@pytest.mark.fact(51, 101)
def test_a_container_that_its_startup_probe_stopped_says_so_in_quotes() -> None:
    found = events("revision-provisioning-failure/04-system-logs.json")
    assert {each.reason for each in terminations(found)} == {"ProbeFailure"}
    assert {each.code for each in terminations(found)} == {None}


@pytest.mark.fact(84, 98)
def test_a_pull_that_is_refused_is_the_last_word_though_the_revision_is_called_ready() -> None:
    found = events("acr-network-path-pe-direct/06-system-logs-pre-fix.json")
    new = [event for event in found if "b56bc4564" in event.replica]
    assert last(new, "ImagePullUnauthorized") is not None
    assert terminations(new)[-1].reason == "ImagePullFailure"
    refused = queried("acr-network-path-firewall-allowlist/06-system-logs-pre-fix.json")
    told = terminations(refused)[-1]
    assert told.reason == "ImagePullFailure"
    assert "not found" in told.text


@pytest.mark.fact(67)
def test_a_program_that_the_image_lacks_is_named() -> None:
    found = events("image-size-startup-delay/system-logs-large.json")
    told = [each for each in terminations(found) if each.reason == "ContainerCreateFailure"]
    assert told
    assert told[-1].code == 1
    assert "executable file not found" in told[-1].text


@pytest.mark.fact(119)
def test_a_mount_that_is_refused_is_named_with_its_error() -> None:
    (said,) = evidence("captured-outputs/azure-files-wrong-key.json")["systemLog"]
    (told,) = terminations([SystemEvent(1.0, said["Reason"], said["Msg"])])
    assert (told.code, told.reason) == (1, "VolumeMountFailure")
    assert "mount error(13)" in told.text


@pytest.mark.fact(58, 59, 60)
def test_a_waiting_container_gives_its_reason_and_the_replica_none() -> None:
    (found,) = (replica_from(each) for each in evidence("revision-provisioning-failure/05-replicas-failed.json"))
    assert found.details == ""
    assert waiting_reason(found.containers[0].details) == "CrashLoopBackOff"
    scaling = [replica_from(each) for each in evidence("scale-rule-mismatch/14-replicas-load-15s-after-fix.json")]
    assert "PullingImage" in {waiting_reason(each.containers[0].details) for each in scaling}
    assert waiting_reason("Container started at: 6/22/2026 3:13:24 PM.") == ""


@pytest.mark.fact(74, 76)
def test_what_was_before_the_last_start_has_healed() -> None:
    found = queried("startup-degraded-transient-failure/q7-system-events-timeline-20260613062708.json")
    stopped = {each.reason for each in terminations(found)}
    assert stopped == {"ManuallyStopped"}
    started = [event for event in found if event.reason == "ContainerStarted"]
    assert since_last_start(found)[0].at == max(event.at for event in started)


def test_the_servers_last_sign_counts_and_a_failure_is_remembered() -> None:
    def lines(*texts: str) -> list[ConsoleLine]:
        return [ConsoleLine("", text) for text in texts]

    said = lines("slipway: phase dependencies", "Collecting torch", "slipway: phase loading-base 42%", "something")
    assert server_sign(said) == ServerSign(phase="loading-base", percent=42)
    broken = lines("slipway: phase checking", "slipway: failed: no base model", "Traceback")
    assert server_sign(broken) == ServerSign(failed="no base model")
    again = [*broken, *lines("slipway: phase dependencies")]
    assert server_sign(again).phase == "dependencies"
    assert failure(again) == "no base model"
    assert server_sign(lines("slipway: phase of-another-version", "I said slipway: failed: x")) == ServerSign()


@pytest.mark.fact(113)
def test_a_stream_that_is_taken_up_again_repeats_nothing_and_loses_nothing() -> None:
    known, taken = Unrepeated(), []
    for stream in (["a", "b", "b"], ["b", "b", "c"], ["a", "b", "b", "c", "c", "d"]):
        known.connected()
        taken += [line for line in stream if known.new(line)]
    assert taken == ["a", "b", "b", "c", "c", "d"]


def test_lines_are_put_together_from_blocks_and_cut_where_they_never_end() -> None:
    lines = Lines()
    assert list(lines.feed(b"one\r\ntw")) == ["one"]
    assert list(lines.feed("o\nü".encode()[:4])) == ["two"]
    cut = Lines()
    told = [line for _ in range(5) for line in cut.feed(b"x" * LONGEST)]
    assert [len(line) for line in told] == [LONGEST]
    assert list(cut.feed(b"rest\nnext\n")) == ["next"]


def test_both_forms_of_a_time_are_read() -> None:
    azure = moment("2026-06-20 13:35:27.8328545 +0000 UTC")
    assert azure == pytest.approx(moment("2026-06-20T13:35:27.8328545Z"))
    assert moment("2026-06-20 13:35:27 +0000 UTC") == pytest.approx(azure, abs=1)
    assert moment("whenever") == 0.0


def test_a_mount_that_has_healed_or_was_another_replicas_fails_no_more() -> None:
    refused = "Container 'a' was terminated with exit code '1' and reason 'VolumeMountFailure'. StatusCode = 32"
    failed = SystemEvent(1, "ContainerTerminated", refused, replica="one")
    assert mount_fails([failed])
    assert not mount_fails([failed, SystemEvent(2, "ContainerStarted", "Started container 'a'", replica="one")])
    assert not mount_fails([failed, SystemEvent(2, "PullingImage", "Pulling image 'i'", replica="two")])
    assert not mount_fails([])
