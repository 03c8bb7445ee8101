"""Which lines of a log are meant, and what keeps a replica from being ready that no event names."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sidecar.decisions.diagnosis import Seen, Working, diagnose
from sidecar.decisions.excerpt import of_previous_instance, since, system
from sidecar.decisions.suspicion import REMEDIES, Around, port_changed, remedies, suspected
from sidecar.gateway.log_lines import ConsoleLine, SystemEvent, Unrepeated, console_line, system_event
from sidecar.gateway.revisions import Container, Replica, replica_from
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text
from tests.support.evidence import evidence

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0.0),
        ("30s", NOON - 30),
        ("10m", NOON - 600),
        ("2h", NOON - 7200),
        ("1d", NOON - 86400),
        ("999999d", 0.0),
        ("2026-11-28T11:00:00Z", NOON - 3600),
        ("2026-11-28T11:00:00", NOON - 3600),
        ("2026-11-28T13:00:00+02:00", NOON - 3600),
    ],
)
def test_since_is_a_span_or_a_time(text: str, at: float) -> None:
    assert since(text, NOON) == at


def test_what_is_no_time_is_refused_with_an_example() -> None:
    with pytest.raises(WorkspaceError) as refused:
        since("yesterday", NOON)
    assert refused.value.code == "NoTime"


def replica(*, runs: bool, details: str = "") -> Replica:
    return Replica(
        "r", containers=(Container("app", started=runs, state="Running" if runs else "Waiting", details=details),)
    )


def at(second: int, text: str) -> ConsoleLine:
    return ConsoleLine(f"2026-11-28T12:00:{second:02}Z", text)


def made(second: int) -> SystemEvent:
    return SystemEvent(NOON + second, "ContainerCreated", "", "", "r")


@pytest.mark.fact(111)
def test_the_instance_before_is_cut_where_the_platform_made_the_next() -> None:
    lines = [at(1, "first"), at(11, "second"), at(31, "third")]
    runs = of_previous_instance(lines, [made(0), made(10), made(30)], replica(runs=True))
    assert [each.text for each in runs] == ["second"]
    waits = of_previous_instance(lines, [made(0), made(10), made(30)], replica(runs=False))
    assert [each.text for each in waits] == ["third"], "while none runs, the one that ended last"
    assert of_previous_instance(lines, [], replica(runs=True)) == [], "without an event nobody knows"


@pytest.mark.fact(111)
def test_in_a_crash_loop_as_captured_the_last_instance_is_what_the_stream_holds() -> None:
    (found,) = evidence("revision-provisioning-failure/05-replicas-failed.json")
    raw = [json.dumps(line) for line in evidence("revision-provisioning-failure/06-console-logs.json")]
    lines = [line for each in raw if (line := console_line(each))]
    told = [json.dumps(line) for line in evidence("revision-provisioning-failure/04-system-logs.json")]
    events = [event for each in told if (event := system_event(each))]
    last = of_previous_instance(lines, events, replica_from(found))
    assert last
    assert last[-1] == lines[-1]


def test_an_event_reads_as_a_line() -> None:
    found = system(SystemEvent(NOON, "PullingImage", "Pulling image 'x'", "app--1", "r"))
    assert (found.time, found.text) == ("2026-11-28T12:00:00.000Z", "PullingImage: Pulling image 'x'")


def test_a_stream_that_is_taken_up_again_without_a_known_line_may_have_lost_some() -> None:
    known = Unrepeated()
    known.connected()
    assert [known.new(f"{number}") for number in range(3)] == [True] * 3
    assert known.fresh_run == 0, "the first connection has nothing before it"
    known.connected()
    assert [known.new(each) for each in ("2", "3")] == [False, True]
    assert known.fresh_run == 0
    known.connected()
    for number in range(10, 15):
        known.new(f"{number}")
    assert known.fresh_run == 5


@pytest.mark.fact(129)
def test_no_gpu_is_a_guess_after_minutes_and_a_full_quota_is_none() -> None:
    """Azure says only that the replica is being assigned, again and again."""
    assigning = [SystemEvent(NOON, "AssigningReplica", "", "", "r", 0)]
    seen = Seen((replica(runs=False),), events=assigning, waited=600)
    found = diagnose(seen)
    assert isinstance(found, Working)
    guess = suspected(seen, found, Around(gpu=True))
    assert guess is not None
    assert (guess.code, guess.certain) == ("NoGpuNow", False)
    full = suspected(seen, found, Around(gpu=True, scarce=Text("all in use")))
    assert full is not None
    assert (full.code, full.certain) == ("NoGpuFree", True)
    early = Seen((replica(runs=False),), events=assigning, waited=60)
    assert suspected(early, found, Around(gpu=True)) is None
    placed = Seen((replica(runs=False, details="Container is waiting with reason: PullingImage on x."),), waited=600)
    assert suspected(placed, found, Around(gpu=True)) is None
    assert suspected(seen, found, Around(gpu=False)) is None


@pytest.mark.fact(36, 37)
def test_a_port_that_nothing_probes_was_changed() -> None:
    changed = port_changed(Around(target_port=8081, probe_ports=(80,)))
    assert changed is not None
    assert changed.code == "PortChanged"
    assert port_changed(Around(target_port=80, probe_ports=(80, 81))) is None
    assert port_changed(Around(target_port=None, probe_ports=(80,))) is None
    assert port_changed(Around(target_port=80)) is None


def test_every_cause_has_what_helps_and_an_unknown_one_its_log() -> None:
    assert remedies("SomethingNew") == ("logs",)
    assert all(len(each) == len(set(each)) <= 3 for each in REMEDIES.values()), "a dialog has room for three"
