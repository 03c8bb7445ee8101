"""Rows of the table of Azure's failures (`npm run faults -- azure` plays all of them), played as there, and what the table is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.azure import SITUATIONS, causes, clouded, main, play
from tests.support.evidence import EVIDENCE, evidence


def row(name: str) -> list[str]:
    """What of the row is not as expected."""
    situation = next(each for each in SITUATIONS if each.name == name)
    if EVIDENCE.exists():
        evidence(situation.evidence)  # notes that this test used it
    with clouded(4) as (world, folder):
        return play(situation, world, folder, EVIDENCE if EVIDENCE.exists() else None)[1]


@pytest.mark.long
@pytest.mark.fact(58, 59, 60)
def test_a_release_that_ends_at_its_start_is_told_while_the_one_before_serves() -> None:
    assert row("crash-loop") == []


@pytest.mark.fact(36, 37)
def test_a_port_that_was_changed_under_the_app_is_told_by_status() -> None:
    """The revision reads well, a replica counts as ready, callers get 503: Status said `starting`, and no more."""
    assert row("port-changed") == []


@pytest.mark.fact(102)
def test_a_release_that_listens_elsewhere_is_told_though_the_one_before_is_ready() -> None:
    """The local cloud said so only where nothing was ready, and Deploy waited for half an hour."""
    assert row("release-port") == []


def test_every_row_has_a_name_and_evidence_of_its_own_and_causes_are_counted_once() -> None:
    assert len(causes(SITUATIONS)) >= 16
    assert causes(SITUATIONS) <= {each.name for each in SITUATIONS if not each.same_cause_as}
    assert len({each.name for each in SITUATIONS}) == len({each.cause for each in SITUATIONS}) == len(SITUATIONS)
    assert len({each.evidence for each in SITUATIONS}) == len(SITUATIONS)


def test_a_row_that_compared_nothing_does_not_count_unless_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert main(["profile-too-small", "--evidence", nowhere]) == 1
    assert "no row can be as expected" in capsys.readouterr().out
    assert main(["profile-too-small", "--evidence", nowhere, "--without", "evidence"]) == 0
    assert "faults azure: 1 of 1 as expected" in capsys.readouterr().out
