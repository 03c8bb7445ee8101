"""Rows of the faults table that need a server (tests/faults/serving.py): the quick ones one after the other on the same one."""

import contextlib
from dataclasses import dataclass

import pytest

from tests.faults import serving
from tests.faults.serving import Endpoint, World


@dataclass(frozen=True)
class OneServer(World):
    """Each fault gets the server that is there."""

    running: Endpoint

    def server(self, mount=None, wait="ready", **environment):
        return contextlib.nullcontext(self.running)


def test_36_39_and_38_a_client_that_goes_away_malformed_requests_and_sigterm(sample, tmp_path, start):
    with start(sample.mount, SLIPWAY_BODY_TIMEOUT="2") as server:
        world = OneServer(sample.mount, tmp_path, server)
        for fault in (serving.disconnect, serving.malformed, serving.sigterm):
            row = fault(world)
            assert row.held, row


@pytest.mark.long
@pytest.mark.parametrize("fault", [serving.hostile, serving.out_of_memory])
def test_40_and_41_hostile_folders_and_a_request_that_runs_out_of_memory(sample, tmp_path, fault):
    row = fault(World(sample.mount, tmp_path))
    assert row.held, row
