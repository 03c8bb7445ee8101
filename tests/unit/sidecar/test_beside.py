"""A roll-out beside the revision that serves: how it is written down, what is left of one cut off, what is told of it."""

from __future__ import annotations

import json

import pytest

from sidecar.decisions.beside import Begun, begun_from, idle_beside, left_of
from sidecar.decisions.candidate import Candidate
from sidecar.decisions.interruption import left_behind
from sidecar.decisions.shifting import pinned, shifted
from sidecar.gateway import apps, revisions
from sidecar.gateway.traffic import Entry, Routing
from sidecar.workflows.observe import beside

WAS = Routing("Multiple", (Entry(None, 70, "blue"), Entry("other", 30)))
CANDIDATE = Candidate(7, "c" * 64, "1f")
BEGUN = Begun("old", CANDIDATE, WAS, at="2026-11-29T05:00:00Z", by="Ada", machine="m", pid=12)
HELD = pinned(WAS, "old")


def test_what_was_begun_is_read_back() -> None:
    assert begun_from(BEGUN.to_json()) == BEGUN
    at_rest = Begun("old", None, WAS, at="", by="", machine="", pid=0)
    assert begun_from(at_rest.to_json()) == at_rest


@pytest.mark.parametrize(
    "damaged",
    [b"", b"[]", b"null", b"{}", BEGUN.to_json()[:40], BEGUN.to_json().replace(b"70", b'"many"'), b"\xff\xfe"],
)
def test_what_is_damaged_tells_nothing(damaged: bytes) -> None:
    assert begun_from(damaged) is None


def test_a_candidate_that_is_damaged_counts_as_none() -> None:
    said = json.loads(BEGUN.to_json()) | {"candidate": "7:short:1"}
    found = begun_from(json.dumps(said).encode())
    assert found is not None
    assert found.candidate is None


def test_one_that_gets_requests_was_checked_and_is_finished_every_other_is_taken_back() -> None:
    assert left_of(BEGUN, None, HELD, "new") == "unmade"
    assert left_of(BEGUN, "new", HELD, "new") == "unserved"
    assert left_of(BEGUN, "new", shifted(HELD, "old", "new", 10), "new") == "serving"
    assert left_of(BEGUN, "new", shifted(HELD, "old", "new", 100), "new") == "serving"
    assert left_of(Begun("old", None, WAS, at="", by="", machine="", pid=0), "new", HELD, "new") == "nothing"
    assert left_of(BEGUN, "new", WAS, "new") == "serving", "it was cut off once the traffic had been given back"
    assert left_of(BEGUN, "new", WAS, "newer") == "unserved"


def test_a_second_revision_whose_gpu_is_paid_for_is_told_and_no_other() -> None:
    app = apps.App("app", "host", "new", "Multiple", (("old", 100),), {}, {}, {})
    old = revisions.Revision("old", active=True, replicas=1, weight=100)
    new = revisions.Revision("new", active=True, replicas=1)
    assert "new runs beside old" in str(beside(app, [old, new], old)[0])
    asleep = revisions.Revision("new", active=True)
    ended = revisions.Revision("new", active=False, replicas=1)
    split = revisions.Revision("new", active=True, replicas=1, weight=30)
    assert beside(app, [old, asleep], old) == beside(app, [old, ended], old) == beside(app, [old, split], old) == []
    assert idle_beside([("new", 1, 0)], "Single", "old") is None, "the platform ends it by itself"


@pytest.mark.parametrize("step", ["pin", "beside", "take-back", "shift", "answers", "drain", "retire", "settle"])
def test_a_run_that_was_cut_off_says_that_a_second_gpu_may_be_paid_for(step: str) -> None:
    assert "GPU is paid for" in str(left_behind("deploy", step))
