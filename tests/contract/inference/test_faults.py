"""Fault 41, the half that no other test shows: one request runs out of memory, and only that one fails."""

import pytest

from tests.faults.serving import World, out_of_memory


@pytest.mark.long
def test_41_a_request_that_runs_out_of_memory_fails_alone(tmp_path):
    row = out_of_memory(World(tmp_path, tmp_path))
    assert row.held, row
