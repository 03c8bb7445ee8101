"""The faults table (tests/faults/serving.py), row by row."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.inference.conftest import Sample, Start, Started
from tests.faults import never_quietly, serving
from tests.faults.ground import World

OTHERS = [pytest.param(each, marks=pytest.mark.long) for each in (serving.swapped, serving.out_of_memory)]
"""Rows of `npm run faults -- serving` too."""


@dataclass(frozen=True)
class OneServer(World):
    """Each fault gets the server that is there."""

    running: Started

    def server(self, mount: Path | None = None, wait: str = "ready", **environment: Any):
        return contextlib.nullcontext(self.running)


def test_a_client_that_goes_away_malformed_requests_and_sigterm(sample: Sample, tmp_path: Path, start: Start):
    with start(sample.mount, SLIPWAY_BODY_TIMEOUT="5", SLIPWAY_DRAIN_TIMEOUT="240") as server:
        world = OneServer(sample.mount, tmp_path, server)
        for fault in (serving.disconnect, serving.malformed, serving.sigterm):
            row = fault(world)
            assert row.held, row


@pytest.mark.parametrize("fault", [serving.hostile, *OTHERS])
def test_hostile_folders_swaps_and_a_request_that_runs_out_of_memory(
    sample: Sample, tmp_path: Path, fault: Callable[..., Any]
):
    row = fault(World(sample.mount, tmp_path))
    assert row.held, row


def test_reads_that_fail_for_a_moment(sample: Sample, tmp_path: Path):
    """The other rows of what would be wrong without a word take longer: `npm run faults -- serving`."""
    row = never_quietly.some_read_errors(World(sample.mount, tmp_path))
    assert row.held, row


@pytest.mark.long  # it judges times; test_lifecycle.py judges what is answered when the queue is full
def test_ten_times_the_capacity(sample: Sample, tmp_path: Path):
    row = serving.overload(World(sample.mount, tmp_path))
    assert row.held, row
