"""A release rolled out as a revision beside the one that serves, on the local cloud: under load, cancelled, and killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sidecar.core.journal import Journal
from sidecar.gateway.session import open_session, settings_from
from sidecar.words.errors import Cancelled, ConsentNeeded, EndpointError
from sidecar.words.names import StrategyWish
from sidecar.workflows.beside import CONSENT
from sidecar.workflows.observe import status
from sidecar.workflows.rotate import ONE_KEY, rotate
from tests.contract.localcloud.conftest import eventually
from tests.faults.azure import clouded
from tests.faults.rolling.callers import IN_FLIGHT, called, until
from tests.faults.rolling.ground import REVISION, SHORT, Rolling

TIMES = {"poll": 1, "tick": 0.05, "scale": 0.02, "cooldown_scale": 1, "bounds": 0.5}
AGREED = (CONSENT,)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolling]:
    """An app in mode Single, as somebody may have made it; the template's is Multiple."""
    with clouded(4, TIMES) as (world, _):
        ground = Rolling(world, tmp_path_factory.mktemp("beside"), "beside", mode="Single")
        single = {"location": "westus3", "properties": {"configuration": {"activeRevisionsMode": "Single"}}}
        world.apps.container_apps.begin_update(ground.name, ground.app, single).result()
        ground.first()
        yield ground


@pytest.mark.fact(17, 34, 35, 36)
def test_no_request_of_streaming_callers_fails_while_a_revision_takes_over(ground: Rolling) -> None:
    """Single mode is left only after consent, and given back; the weights go over in two steps."""
    old, before = ground.serving(), ground.revisions()
    ground.tell("new")
    with pytest.raises(ConsentNeeded) as asked:
        ground.rolled()
    assert (asked.value.consent, ground.revisions()) == (CONSENT, before), "nothing was changed before"
    with called(ground.url, ground.key()) as counted:
        until(counted, lambda seen: seen.releases[old] >= IN_FLIGHT, 180)
        done = ground.rolled(replace(SHORT, shares=(50, 100)), consents=AGREED)
        until(counted, lambda seen: seen.releases[done.release] >= 4 * IN_FLIGHT, 180)
    assert counted.bad == 0, counted.load.verdict()
    switched = min(each.began for each in counted.calls if each.release == done.release)
    assert counted.most_in_flight(switched) >= IN_FLIGHT
    assert counted.both_answered(switched, old, done.release)
    assert (done.strategy, ground.serving(), ground.at_rest()) == ("revision", done.release, [])
    assert ground.served_by()["2.served"] == ground.active()[0], "which revision was ever ready is our own record"


@pytest.mark.parametrize("wish", ["revision", pytest.param("restart", marks=pytest.mark.long)])
def test_a_release_that_does_not_pass_its_gate_does_not_stay(ground: Rolling, wish: StrategyWish) -> None:
    """A revision is judged before it gets any request; after a restart the release before comes back."""
    old = ground.serving()
    ground.tell(f"judged, by {wish}")
    ground.demand("never said")
    try:
        with called(ground.url, ground.key(), 4) as counted, pytest.raises(EndpointError) as missed:
            ground.rolled(wish=wish, consents=AGREED)
    finally:
        ground.demand_nothing()
    assert missed.value.code == "GateMissed"
    assert "tiny/base, rows in which all that is demanded is so >= 1.000: missed, it is 0.000." in str(missed.value)
    assert "infra/evaluations/" in str(missed.value.suggestion)
    assert (ground.serving(), len(ground.active())) == (old, 1)
    assert counted.bad == 0, counted.load.verdict()
    if wish == "revision":
        assert set(counted.releases) == {old}
        assert "has served all the while" in str(missed.value)
    else:
        assert missed.value.restored is not None
        assert f"The release before, {old[:12]}, serves again" in str(missed.value)


@pytest.mark.parametrize("step", ["ask", pytest.param("drain", marks=pytest.mark.long)])
def test_a_cancel_leaves_one_revision_running(ground: Rolling, step: str) -> None:
    """Before the switch it is the old one, after it the new one."""
    old = ground.serving()
    ground.tell(f"cancelled at {step}")
    with called(ground.url, ground.key(), 4) as counted, pytest.raises(Cancelled) as cancelled:
        ground.rolled(consents=AGREED, cancel_at=step)
    assert counted.bad == 0, counted.load.verdict()
    assert (ground.serving() == old) == (step == "ask")
    assert len(ground.active()) == 1
    assert ("has served all the while" in str(cancelled.value.message)) == (step == "ask")
    if step == "drain":
        assert ground.at_rest() == []


def test_a_rotation_after_a_roll_out_that_was_taken_back_gives_the_traffic_back_too(ground: Rolling) -> None:
    """The traffic is held by name then, at the revision that serves: the one that knows both keys has to get it. It starts the
    release that serves, not the one that the newest revision was made for."""
    old = ground.serving()
    _, traffic = ground.routed()
    assert [each["revisionName"] for each in traffic] == ground.active(), "held by name"
    stop, session = threading.Event(), open_session(settings_from(ground.environ), "local")
    journal = Journal(None, "rotate", lambda event: ground.written.append(str(event.text)), stop)
    with called(ground.url, ground.key(), 4) as counted:
        done = rotate(ground.project.workspace, session, journal, (ONE_KEY,), SHORT, finishing=False)
    assert (done.between, done.restarted) == (True, True)
    assert counted.bad == 0, counted.load.verdict()
    assert set(counted.releases) == {old}
    assert (ground.serving(), ground.at_rest()) == (old, [])
    (active,) = ground.active()
    assert active not in [each["revisionName"] for each in traffic]


@pytest.mark.long  # rows of `npm run faults -- rollout`; e2e/test_in_place.py kills one each time
@pytest.mark.parametrize("step", ["beside", "drain"])
def test_a_run_that_was_killed_is_told_and_ended_by_the_next(ground: Rolling, step: str) -> None:
    """Before the switch it is taken back, after it finished; requests always go to what serves."""
    ground.tell(f"killed at {step}")
    begun = len(ground.steps())
    with called(ground.url, ground.key(), 4) as counted:
        process = ground.begin(*REVISION)
        eventually(lambda: step in ground.steps()[begun:], 180, step)
        eventually(lambda: len(ground.active()) == 2, 180, "the second revision")
        ground.kill(process)
        session = open_session(settings_from(ground.environ), "local")
        told = eventually(lambda: status(ground.project.workspace, session).notes, 180, "a note")
        assert any("runs beside" in str(each) for each in told)
        done = ground.rolled(consents=AGREED)
        until(counted, lambda seen: seen.releases[done.release] > 4, 180)
    assert counted.bad == 0, counted.load.verdict()
    assert (ground.serving(), ground.at_rest()) == (done.release, [])
    said = "is taken back" if step == "beside" else "is finished"
    assert any(said in line for line in ground.written)
